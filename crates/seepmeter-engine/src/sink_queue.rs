//! The bounded queue of one sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Sender, TrySendError};
use seepmeter_record::{Dropped, Event, EventKind, Record};
use seepmeter_verdict::Conclusion;

/// How many samples may wait for one sink. At 1 kHz a sink may pause for four seconds; at the
/// largest, eight points a sample, the queue of one sink holds under a MiB.
pub(crate) const PENDING_SAMPLES: usize = 4096;

/// How many batches may wait for one sink: more than the samples ever need, so that this is the
/// limit for definitions and events alone.
pub(crate) const PENDING_BATCHES: usize = 256;

/// What travels to a sink at once.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// Records that travel together, since waking a thread costs more than a record does.
    Records(Arc<Vec<Record>>),
    /// The verdict on the run, after its last record.
    Conclusion(Arc<Conclusion>),
}

/// The queue to one sink, as the router has it.
#[derive(Debug)]
pub(crate) struct SinkQueue {
    /// The sink as the user named it.
    pub(crate) label: String,
    queue: Sender<Delivery>,
    /// Samples that were handed over and not yet taken.
    pending: Arc<AtomicUsize>,
    /// All the samples that this sink did not get.
    dropped: u64,
    /// Those of them that no event has reported to it.
    unreported: u64,
    /// Definitions and events that found the queue full; they are late, but never lost.
    backlog: Vec<Record>,
    /// The verdict, if it found the queue full.
    conclusion: Option<Arc<Conclusion>>,
}

impl SinkQueue {
    pub(crate) fn new(label: String, queue: Sender<Delivery>, pending: Arc<AtomicUsize>) -> Self {
        let backlog = Vec::new();
        Self { label, queue, pending, dropped: 0, unreported: 0, backlog, conclusion: None }
    }

    /// Hands over what the sink has room for. False if the sink is closed.
    pub(crate) fn offer(&mut self, batch: &Arc<Vec<Record>>, samples: usize) -> bool {
        if self.queue.is_full() {
            self.backlog = self.trimmed(batch, 0);
            return true;
        }
        let room = PENDING_SAMPLES.saturating_sub(self.pending.load(Ordering::Relaxed));
        let all_fits = samples <= room && self.backlog.is_empty() && self.unreported == 0;
        let (batch, samples) = if all_fits {
            (Arc::clone(batch), samples)
        } else {
            let trimmed = self.trimmed(batch, room);
            let samples = count_samples(&trimmed);
            (Arc::new(trimmed), samples)
        };
        self.pending.fetch_add(samples, Ordering::Relaxed);
        // Nobody else fills this queue, so that it was not full means that there is room.
        self.queue.try_send(Delivery::Records(batch)).is_ok()
    }

    /// Hands over a batch, waiting for room. False if the sink is closed.
    pub(crate) fn give(&self, delivery: Delivery) -> bool {
        if let Delivery::Records(batch) = &delivery {
            self.pending.fetch_add(count_samples(batch), Ordering::Relaxed);
        }
        self.queue.send(delivery).is_ok()
    }

    /// The backlog, a report of what was dropped, and as many of the batch's samples as there is room for.
    fn trimmed(&mut self, batch: &[Record], mut room: usize) -> Vec<Record> {
        let mut kept = std::mem::take(&mut self.backlog);
        for record in batch {
            let t = match record {
                Record::Sample(_) if room == 0 => {
                    self.dropped += 1;
                    self.unreported += 1;
                    continue;
                }
                Record::Sample(sample) => {
                    room -= 1;
                    Some(sample.t)
                }
                Record::Footer(footer) => Some(footer.t),
                _ => None,
            };
            if let (Some(t), 1..) = (t, self.unreported) {
                kept.push(dropped_event(t, &self.label, std::mem::take(&mut self.unreported)));
            }
            kept.push(record.clone());
        }
        kept
    }

    /// The samples that this sink did not get; none if it got all.
    pub(crate) fn dropped(&self) -> Option<Dropped> {
        let Self { label, dropped, .. } = self;
        (*dropped > 0).then(|| Dropped { sink: label.clone(), samples: *dropped })
    }

    /// The verdict is the last that this sink gets.
    pub(crate) fn conclude(&mut self, conclusion: Arc<Conclusion>) {
        self.conclusion = Some(conclusion);
    }

    /// Hands over what is left if there is room for it. False if there is nothing left, or nobody to
    /// take it.
    pub(crate) fn offer_rest(&mut self) -> bool {
        if !self.backlog.is_empty() {
            let backlog = Arc::new(std::mem::take(&mut self.backlog));
            match self.queue.try_send(Delivery::Records(backlog)) {
                Ok(()) => {}
                Err(TrySendError::Full(Delivery::Records(batch))) => {
                    self.backlog = Arc::unwrap_or_clone(batch);
                    return true;
                }
                Err(_) => return false,
            }
        }
        let Some(conclusion) = self.conclusion.take() else { return false };
        let full = match self.queue.try_send(Delivery::Conclusion(conclusion)) {
            Err(TrySendError::Full(Delivery::Conclusion(conclusion))) => Some(conclusion),
            _ => None,
        };
        self.conclusion = full;
        self.conclusion.is_some()
    }
}

fn dropped_event(t: u64, sink: &str, samples: u64) -> Record {
    Record::Event(Event::new(t, EventKind::Dropped { samples, sink: sink.into() }))
}

pub(crate) fn count_samples(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::Sample(_))).count()
}
