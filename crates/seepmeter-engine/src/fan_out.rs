//! The fan-out: every record to every sink, and nobody waits for a slow one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use seepmeter_record::{Event, EventKind, Lost, Record};

/// How many samples may wait for one sink. At 1 kHz a sink may pause for four seconds; at the
/// largest, eight points a sample, the queue of one sink holds under a MiB.
pub(crate) const PENDING_SAMPLES: usize = 4096;

/// How many batches may wait for one sink: more than the samples ever need, so that this is the
/// limit for definitions and events alone.
pub(crate) const PENDING_BATCHES: usize = 256;

/// How often the end asks again whether a full queue has room.
const FINISH_EVERY: Duration = Duration::from_millis(5);

/// Records that travel together, since each waking of a thread costs more than a record does.
pub(crate) type Batch = Arc<Vec<Record>>;

/// The queue to one sink.
#[derive(Debug)]
pub(crate) struct Port {
    /// The sink as the user named it.
    pub(crate) label: String,
    pub(crate) queue: Sender<Batch>,
    /// Samples that were handed over and not yet taken.
    pub(crate) pending: Arc<AtomicUsize>,
    /// All the samples that this sink did not get.
    pub(crate) lost: u64,
    /// Those of them that it has not been told of.
    untold: u64,
    /// Definitions and events that found the queue full; they are late, but never lost.
    backlog: Vec<Record>,
}

/// All the sinks.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    ports: Vec<Port>,
    /// What the sinks that were closed had lost by then.
    lost_by_closed: Vec<Lost>,
}

impl Port {
    pub(crate) fn new(label: String, queue: Sender<Batch>, pending: Arc<AtomicUsize>) -> Self {
        Self { label, queue, pending, lost: 0, untold: 0, backlog: Vec::new() }
    }

    /// Hands over what the sink has room for. False where the sink is closed.
    fn offer(&mut self, batch: &Batch, samples: usize) -> bool {
        if self.queue.is_full() {
            self.backlog = self.trimmed(batch, 0);
            return true;
        }
        let room = PENDING_SAMPLES.saturating_sub(self.pending.load(Ordering::Relaxed));
        let all_fits = samples <= room && self.backlog.is_empty() && self.untold == 0;
        let (batch, samples) = if all_fits {
            (Arc::clone(batch), samples)
        } else {
            let trimmed = self.trimmed(batch, room);
            let samples = count_samples(&trimmed);
            (Arc::new(trimmed), samples)
        };
        self.pending.fetch_add(samples, Ordering::Relaxed);
        // Nobody else fills this queue, so that it was not full means that there is room.
        self.queue.try_send(batch).is_ok()
    }

    /// The backlog, word of what was lost, and as many of the batch's samples as there is room for.
    fn trimmed(&mut self, batch: &[Record], mut room: usize) -> Vec<Record> {
        let mut kept = std::mem::take(&mut self.backlog);
        for record in batch {
            let t = match record {
                Record::Sample(_) if room == 0 => {
                    self.lost += 1;
                    self.untold += 1;
                    continue;
                }
                Record::Sample(sample) => {
                    room -= 1;
                    Some(sample.t)
                }
                Record::Footer(footer) => Some(footer.t),
                _ => None,
            };
            if let (Some(t), 1..) = (t, self.untold) {
                kept.push(lost_event(t, &self.label, std::mem::take(&mut self.untold)));
            }
            kept.push(record.clone());
        }
        kept
    }

    fn loss(&self) -> Option<Lost> {
        (self.lost > 0).then(|| Lost { sink: self.label.clone(), samples: self.lost })
    }

    /// Hands over the backlog where there is room for it. False where there is none left, or nobody to
    /// take it.
    fn offer_backlog(&mut self) -> bool {
        if self.backlog.is_empty() {
            return false;
        }
        match self.queue.try_send(Arc::new(std::mem::take(&mut self.backlog))) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(batch)) => {
                self.backlog = Arc::unwrap_or_clone(batch);
                true
            }
        }
    }
}

fn lost_event(t: u64, sink: &str, samples: u64) -> Record {
    let count = i64::try_from(samples).unwrap_or(i64::MAX);
    Record::Event(Event::new(t, EventKind::Lost).value(count).text(sink))
}

fn count_samples(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::Sample(_))).count()
}

impl FanOut {
    pub(crate) fn new(ports: Vec<Port>) -> Self {
        Self { ports, lost_by_closed: Vec::new() }
    }

    /// Hands a batch to every sink without ever waiting: a sink that is behind loses samples, never
    /// definitions or events. Returns the sinks that turned out to be closed, by their labels.
    pub(crate) fn offer(&mut self, records: Vec<Record>) -> Vec<String> {
        let samples = count_samples(&records);
        let batch = Arc::new(records);
        let closed: Vec<Port> =
            self.ports.extract_if(.., |port| !port.offer(&batch, samples)).collect();
        self.lost_by_closed.extend(closed.iter().filter_map(Port::loss));
        closed.into_iter().map(|port| port.label).collect()
    }

    /// Hands a batch to every sink, waiting for slow ones, and loses nothing. Returns false when
    /// there is no sink left.
    pub(crate) fn give(&mut self, records: Vec<Record>) -> bool {
        let samples = count_samples(&records);
        let batch = Arc::new(records);
        self.ports.retain(|port| {
            port.pending.fetch_add(samples, Ordering::Relaxed);
            port.queue.send(Arc::clone(&batch)).is_ok()
        });
        !self.ports.is_empty()
    }

    /// Hands over what full queues have left behind, the footer at last, as soon as there is room. Nobody
    /// waits for this but the sinks; one that never makes room keeps this waiting until the process ends.
    pub(crate) fn finish(mut self) {
        loop {
            self.ports.retain_mut(Port::offer_backlog);
            if self.ports.is_empty() {
                return;
            }
            std::thread::sleep(FINISH_EVERY);
        }
    }

    /// The samples lost so far, for the sinks that lost any.
    pub(crate) fn lost(&self) -> Vec<Lost> {
        self.lost_by_closed
            .iter()
            .cloned()
            .chain(self.ports.iter().filter_map(Port::loss))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, bounded};
    use seepmeter_record::{Cost, End, Footer, Sample, SamplerId};

    use super::*;

    fn sample(t: u64) -> Record {
        Record::Sample(Sample {
            t,
            sampler: SamplerId(0),
            took: 0,
            points: [].into_iter().collect(),
        })
    }

    fn marker(t: u64) -> Record {
        Record::Event(Event::new(t, EventKind::Marker))
    }

    fn one_port(batches: usize) -> (FanOut, Receiver<Batch>, Arc<AtomicUsize>) {
        let (queue, taken) = bounded(batches);
        let pending = Arc::new(AtomicUsize::new(0));
        (FanOut::new(vec![Port::new("slow".into(), queue, Arc::clone(&pending))]), taken, pending)
    }

    fn all(taken: &Receiver<Batch>, pending: &AtomicUsize) -> Vec<Record> {
        let records: Vec<Record> = taken.try_iter().flat_map(|batch| batch.to_vec()).collect();
        pending.fetch_sub(count_samples(&records), Ordering::Relaxed);
        records
    }

    #[test]
    fn a_sink_that_falls_behind_loses_samples_and_is_told_how_many() {
        let (mut fan_out, taken, pending) = one_port(PENDING_BATCHES);
        let many = PENDING_SAMPLES as u64;
        fan_out.offer((0..many + 10).map(sample).chain([marker(many + 10)]).collect());
        let records = all(&taken, &pending);
        assert_eq!(count_samples(&records), PENDING_SAMPLES);
        assert_eq!(records.last(), Some(&marker(many + 10)), "an event is never lost");
        fan_out.offer(vec![sample(many + 11)]);
        let records = all(&taken, &pending);
        assert_eq!(records, [lost_event(many + 11, "slow", 10), sample(many + 11)]);
        assert_eq!(fan_out.lost(), [Lost { sink: "slow".into(), samples: 10 }]);
    }

    #[test]
    fn definitions_and_events_outlast_a_full_queue_in_their_order() {
        let (mut fan_out, taken, pending) = one_port(1);
        fan_out.offer(vec![marker(0)]);
        fan_out.offer(vec![marker(1), sample(1)]);
        fan_out.offer(vec![marker(2), sample(2)]);
        assert_eq!(all(&taken, &pending), [marker(0)]);
        fan_out.offer(vec![marker(3), sample(3)]);
        assert_eq!(
            all(&taken, &pending),
            [marker(1), marker(2), marker(3), lost_event(3, "slow", 2), sample(3)]
        );
    }

    #[test]
    fn the_footer_outlasts_a_full_queue_and_what_was_lost_is_told_before_it() {
        let (mut fan_out, taken, pending) = one_port(1);
        let footer = Record::Footer(Footer {
            t: 3,
            end: End::Gone,
            samples: 1,
            late: 0,
            missed: 0,
            lost: Vec::new(),
            cost: Cost::default(),
        });
        fan_out.offer(vec![marker(0)]);
        fan_out.offer(vec![sample(1), marker(2)]);
        fan_out.offer(vec![footer.clone()]);
        let finishing = std::thread::spawn(move || fan_out.finish());
        let mut records = Vec::new();
        while let Ok(batch) = taken.recv() {
            records.extend(batch.to_vec());
        }
        finishing.join().unwrap();
        assert_eq!(records, [marker(0), marker(2), lost_event(3, "slow", 1), footer]);
        assert_eq!(pending.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_closed_sink_is_named_once_and_the_others_go_on() {
        let (mut fan_out, taken, _) = one_port(1);
        let (queue, open) = bounded(8);
        fan_out.ports.push(Port::new("open".into(), queue, Arc::default()));
        drop(taken);
        assert_eq!(fan_out.offer(vec![marker(0)]), ["slow"]);
        assert!(fan_out.offer(vec![marker(1)]).is_empty());
        assert_eq!(open.try_iter().count(), 2);
    }
}
