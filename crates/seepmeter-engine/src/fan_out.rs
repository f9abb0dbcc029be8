//! The fan-out: every record to every sink, and nobody waits for a slow one.

use std::sync::Arc;
use std::time::Duration;

use seepmeter_record::{Dropped, Record};
use seepmeter_verdict::Conclusion;

use crate::sink_queue::{Batch, Closed, Delivery, SinkQueue};

/// How often the end asks again whether a full queue has room.
const FINISH_EVERY: Duration = Duration::from_millis(5);

/// The queues of all sinks.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    queues: Vec<SinkQueue>,
    /// What the sinks that were closed had not got by then.
    dropped_by_closed: Vec<Dropped>,
}

impl FanOut {
    pub(crate) fn new(queues: Vec<SinkQueue>) -> Self {
        Self { queues, dropped_by_closed: Vec::new() }
    }

    /// Hands a batch to every sink without ever waiting: a sink that is behind does not get samples, but
    /// always definitions and events, until it is closed. Returns the sinks that are closed, by their labels.
    pub(crate) fn offer(&mut self, records: Vec<Record>) -> Vec<(String, Closed)> {
        let batch = Batch::new(records);
        let mut closed = Vec::new();
        self.queues.retain_mut(|queue| match queue.offer(&batch) {
            Ok(()) => true,
            Err(why) => {
                self.dropped_by_closed.extend(queue.dropped());
                closed.push((queue.label.clone(), why));
                false
            }
        });
        closed
    }

    /// Hands something to every sink, waiting for slow ones, and drops nothing. Returns false if there is
    /// no sink left.
    pub(crate) fn give(&mut self, delivery: &Delivery) -> bool {
        self.queues.retain(|queue| queue.give(delivery.clone()));
        !self.queues.is_empty()
    }

    /// Lets every sink whose queue has room report what is known so far.
    pub(crate) fn report(&self, conclusion: &Arc<Conclusion>) {
        self.queues.iter().for_each(|queue| queue.report(Arc::clone(conclusion)));
    }

    /// The verdict is the last that the sinks get.
    pub(crate) fn conclude(&mut self, conclusion: &Arc<Conclusion>) {
        self.queues.iter_mut().for_each(|queue| queue.conclude(Arc::clone(conclusion)));
    }

    /// Hands over what full queues have left behind, the footer and the verdict at last, as soon as there
    /// is room. Nobody waits for this but the sinks; one that never makes room keeps this waiting until
    /// the process ends.
    pub(crate) fn finish(mut self) {
        loop {
            self.queues.retain_mut(SinkQueue::offer_rest);
            if self.queues.is_empty() {
                return;
            }
            std::thread::sleep(FINISH_EVERY);
        }
    }

    /// The samples that sinks did not get so far.
    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        let open = self.queues.iter().filter_map(SinkQueue::dropped);
        self.dropped_by_closed.iter().cloned().chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crossbeam_channel::{Receiver, bounded};
    use seepmeter_record::{Cost, Event, EventKind, Footer, Sample, SamplerId};

    use super::*;
    use crate::sink_queue::{PENDING_BATCHES, PENDING_BYTES, PENDING_SAMPLES, Pending};
    use crate::thread_end::ThreadEndFlag;

    fn sample(t: u64) -> Record {
        Record::Sample(Sample {
            t,
            sampler: SamplerId(0),
            duration: 0,
            partial: false,
            points: [].into_iter().collect(),
        })
    }

    fn event(t: u64) -> Record {
        Record::Event(Event::new(t, EventKind::Continued {}))
    }

    fn dropped(t: u64, samples: u64) -> Record {
        let kind = EventKind::Dropped { samples, sink: "slow".into() };
        Record::Event(Event::new(t, kind))
    }

    fn one_queue(batches: usize) -> (FanOut, Receiver<Delivery>, Arc<Pending>) {
        let (queue, taken) = bounded(batches);
        let pending = Arc::new(Pending::default());
        (
            FanOut::new(vec![SinkQueue::new(
                "slow".into(),
                queue,
                Arc::clone(&pending),
                ThreadEndFlag::new(),
            )]),
            taken,
            pending,
        )
    }

    fn open_queue(batches: usize) -> (SinkQueue, Receiver<Delivery>) {
        let (queue, open) = bounded(batches);
        (SinkQueue::new("open".into(), queue, Arc::default(), ThreadEndFlag::new()), open)
    }

    fn records_of(delivery: Delivery) -> Vec<Record> {
        match delivery {
            Delivery::Records(batch) => batch.records.to_vec(),
            Delivery::Report(_) | Delivery::Conclusion(_) => Vec::new(),
        }
    }

    fn count_samples(records: &[Record]) -> usize {
        records.iter().filter(|record| matches!(record, Record::Sample(_))).count()
    }

    fn all(taken: &Receiver<Delivery>, pending: &Pending) -> Vec<Record> {
        let records: Vec<Record> = taken.try_iter().flat_map(records_of).collect();
        pending.samples.store(0, Ordering::Relaxed);
        pending.bytes.store(0, Ordering::Relaxed);
        records
    }

    #[test]
    fn a_sink_for_which_too_many_definitions_and_events_wait_is_closed() {
        let (mut fan_out, taken, pending) = one_queue(2);
        let (queue, open) = open_queue(usize::from(u16::MAX));
        fan_out.queues.push(queue);
        let events = || (0..1000).map(event).collect::<Vec<_>>();
        let bytes = Batch::new(events()).bytes;
        let mut handed_over = 0;
        let closed = loop {
            let closed = fan_out.offer(events());
            if !closed.is_empty() {
                break closed;
            }
            handed_over += bytes;
            let waiting = pending.bytes.load(Ordering::Relaxed) + fan_out.queues[0].backlog_bytes;
            assert!(waiting == handed_over && waiting <= PENDING_BYTES);
            // The other one is fast.
            open.try_iter().for_each(drop);
            fan_out.queues[1].pending.bytes.store(0, Ordering::Relaxed);
        };
        assert_eq!(closed, [("slow".to_owned(), Closed::TooSlow)]);
        assert!(handed_over + bytes > PENDING_BYTES);
        assert_eq!(taken.try_iter().count(), 2);
        assert!(fan_out.offer(events()).is_empty(), "it is named once");
    }

    #[test]
    fn a_sink_for_which_nothing_waits_is_not_closed_however_much_comes_at_once() {
        let (mut fan_out, taken, pending) = one_queue(2);
        let huge = || {
            let text = "x".repeat(PENDING_BYTES).into();
            vec![Record::Event(Event::new(0, EventKind::SinkFailed { reason: text }))]
        };
        assert!(fan_out.offer(huge()).is_empty());
        assert_eq!(fan_out.offer(vec![event(1)]), [("slow".to_owned(), Closed::TooSlow)]);
        assert_eq!(all(&taken, &pending), huge());
    }

    #[test]
    fn nobody_waits_for_a_sink_that_is_gone_and_keeps_its_end_of_the_queue() {
        for fills in [false, true] {
            let (queue, _kept) = bounded(1);
            let (pending, gone) = (Arc::<Pending>::default(), ThreadEndFlag::new());
            let queue = SinkQueue::new("gone".into(), queue, Arc::clone(&pending), gone);
            let mut fan_out = FanOut::new(vec![queue]);
            let batch = || Delivery::Records(Batch::new(vec![event(0)]));
            assert!(fan_out.give(&batch()));
            let full = if fills { PENDING_BYTES } else { 0 };
            pending.bytes.fetch_add(full, Ordering::Relaxed);
            let giving = std::thread::spawn(move || fan_out.give(&batch()));
            gone.set();
            assert!(!giving.join().unwrap());
        }
    }

    #[test]
    fn a_sink_that_falls_behind_does_not_get_samples_and_learns_how_many() {
        let (mut fan_out, taken, pending) = one_queue(PENDING_BATCHES);
        let many = PENDING_SAMPLES as u64;
        fan_out.offer((0..many + 10).map(sample).chain([event(many + 10)]).collect());
        let records = all(&taken, &pending);
        assert_eq!(count_samples(&records), PENDING_SAMPLES);
        assert_eq!(records.last(), Some(&event(many + 10)), "an event is never lost");
        fan_out.offer(vec![sample(many + 11)]);
        let records = all(&taken, &pending);
        assert_eq!(records, [dropped(many + 11, 10), sample(many + 11)]);
        assert_eq!(fan_out.dropped(), [Dropped { sink: "slow".into(), samples: 10 }]);
    }

    #[test]
    fn definitions_and_events_outlast_a_full_queue_in_their_order() {
        let (mut fan_out, taken, pending) = one_queue(1);
        fan_out.offer(vec![event(0)]);
        fan_out.offer(vec![event(1), sample(1)]);
        fan_out.offer(vec![event(2), sample(2)]);
        assert_eq!(all(&taken, &pending), [event(0)]);
        fan_out.offer(vec![event(3), sample(3)]);
        assert_eq!(all(&taken, &pending), [event(1), event(2), event(3), dropped(3, 2), sample(3)]);
    }

    #[test]
    fn the_footer_outlasts_a_full_queue_and_what_was_dropped_is_reported_before_it() {
        let (mut fan_out, taken, pending) = one_queue(1);
        let footer = Record::Footer(Footer {
            t: 3,
            ends: Vec::new(),
            samples: 1,
            late: 0,
            missed: 0,
            dropped: Vec::new(),
            cost: Cost::default(),
        });
        fan_out.offer(vec![event(0)]);
        fan_out.offer(vec![sample(1), event(2)]);
        fan_out.offer(vec![footer.clone()]);
        let finishing = std::thread::spawn(move || fan_out.finish());
        let mut records = Vec::new();
        while let Ok(batch) = taken.recv() {
            records.extend(records_of(batch));
        }
        finishing.join().unwrap();
        assert_eq!(records, [event(0), event(2), dropped(3, 1), footer]);
        assert_eq!(pending.samples.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_closed_sink_is_named_once_and_the_others_go_on() {
        let (mut fan_out, taken, _) = one_queue(1);
        let (queue, open) = open_queue(8);
        fan_out.queues.push(queue);
        drop(taken);
        assert_eq!(fan_out.offer(vec![event(0)]), [("slow".to_owned(), Closed::ByItself)]);
        assert!(fan_out.offer(vec![event(1)]).is_empty());
        assert_eq!(open.try_iter().count(), 2);
    }
}
