//! The bounded queue of one sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{SendTimeoutError, Sender, TrySendError};
use seepmeter_record::{Dropped, Event, EventKind, Record};
use seepmeter_verdict::Conclusion;

use crate::thread_end::ThreadEndFlag;

/// How many samples may wait for one sink. At 1 kHz a sink may pause for four seconds; at the
/// largest, eight points a sample, the queue of one sink holds under a MiB.
pub(crate) const PENDING_SAMPLES: usize = 4096;

/// How many batches may wait for one sink: more than the samples ever need, so that this is the
/// limit for definitions and events alone.
pub(crate) const PENDING_BATCHES: usize = 256;

/// How much memory definitions and events that wait for one sink may take. Without them it would not
/// understand what comes later, so that a sink for which more would wait is closed.
pub(crate) const PENDING_BYTES: usize = 32 << 20;

/// How much may wait for one sink of a replay, which waits for its sinks.
const REPLAYED_BYTES: usize = 8 << 20;

/// How often a replay asks again whether a sink has made room.
const ROOM_EVERY: Duration = Duration::from_millis(1);

/// What travels to a sink at once.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// Records that travel together, since waking a thread costs more than a record does.
    Records(Batch),
    /// What is concluded so far, since somebody wants to know.
    Report(Arc<Conclusion>),
    /// The verdict on the run, after its last record.
    Conclusion(Arc<Conclusion>),
}

/// Records that travel together.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) records: Arc<Vec<Record>>,
    /// How many of them are samples.
    pub(crate) samples: usize,
    /// How much memory takes what is limited in bytes: all that is no sample; in a replay, all.
    pub(crate) bytes: usize,
}

impl Batch {
    /// A batch of a live run.
    pub(crate) fn new(records: Vec<Record>) -> Self {
        let is_sample = |record: &&Record| matches!(record, Record::Sample(_));
        let samples = records.iter().filter(is_sample).count();
        let bytes = records.iter().filter(|record| !is_sample(record)).map(Record::size).sum();
        Self { records: Arc::new(records), samples, bytes }
    }

    /// A batch of a replay, in which nothing is dropped.
    pub(crate) fn replayed(records: Vec<Record>, bytes: usize) -> Self {
        Self { bytes, ..Self::new(records) }
    }
}

/// What was handed over to a sink and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) samples: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
}

/// Why a sink gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It has failed, or has had enough.
    ByItself,
    /// More than [`PENDING_BYTES`] would wait for it.
    TooSlow,
}

/// The queue to one sink, as the router has it.
#[derive(Debug)]
pub(crate) struct SinkQueue {
    /// The sink as the user named it.
    pub(crate) label: String,
    queue: Sender<Delivery>,
    pub(crate) pending: Arc<Pending>,
    /// The sink's thread takes nothing more.
    gone: ThreadEndFlag,
    /// All the samples that this sink did not get.
    dropped: u64,
    /// Those of them that no event has reported to it.
    unreported: u64,
    /// Definitions and events that found the queue full; they are late, but never lost.
    backlog: Vec<Record>,
    pub(crate) backlog_bytes: usize,
    /// The verdict, if it found the queue full.
    conclusion: Option<Arc<Conclusion>>,
}

impl SinkQueue {
    pub(crate) fn new(
        label: String,
        queue: Sender<Delivery>,
        pending: Arc<Pending>,
        gone: ThreadEndFlag,
    ) -> Self {
        Self {
            label,
            queue,
            pending,
            gone,
            dropped: 0,
            unreported: 0,
            backlog: Vec::new(),
            backlog_bytes: 0,
            conclusion: None,
        }
    }

    /// Hands over what the sink has room for.
    pub(crate) fn offer(&mut self, batch: &Batch) -> Result<(), Closed> {
        if self.gone.is_set() {
            return Err(Closed::ByItself);
        }
        let waiting = self.pending.bytes.load(Ordering::Relaxed) + self.backlog_bytes;
        // A sink for which nothing waits is not slow, however much comes at once.
        if batch.bytes > 0 && waiting > 0 && waiting + batch.bytes > PENDING_BYTES {
            return Err(Closed::TooSlow);
        }
        if self.queue.is_full() {
            self.backlog = self.trimmed(&batch.records, 0);
            self.backlog_bytes += batch.bytes;
            return Ok(());
        }
        let room = PENDING_SAMPLES.saturating_sub(self.pending.samples.load(Ordering::Relaxed));
        let all_fits = batch.samples <= room && self.backlog.is_empty() && self.unreported == 0;
        let batch = match all_fits {
            true => batch.clone(),
            false => Batch::new(self.trimmed(&batch.records, room)),
        };
        self.backlog_bytes = 0;
        // Nobody else fills this queue, so that it was not full means that there is room.
        self.hand_over(batch).map_err(|_| Closed::ByItself)
    }

    fn hand_over(&self, batch: Batch) -> Result<(), TrySendError<Delivery>> {
        let Batch { samples, bytes, .. } = batch;
        // Before it is sent: whoever takes it takes it off.
        self.pending.samples.fetch_add(samples, Ordering::Relaxed);
        self.pending.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.queue.try_send(Delivery::Records(batch)).inspect_err(|_| {
            self.pending.samples.fetch_sub(samples, Ordering::Relaxed);
            self.pending.bytes.fetch_sub(bytes, Ordering::Relaxed);
        })
    }

    /// Hands over a batch of a replay, waiting for room. False if the sink is closed, or gone: a thread that a
    /// plugin has ended by exit(3) keeps its end of the queue.
    pub(crate) fn give(&self, mut delivery: Delivery) -> bool {
        if let Delivery::Records(batch) = &delivery {
            let waiting = || self.pending.bytes.load(Ordering::Relaxed);
            while waiting() > REPLAYED_BYTES && !self.gone.is_set() {
                std::thread::sleep(ROOM_EVERY);
            }
            self.pending.samples.fetch_add(batch.samples, Ordering::Relaxed);
            self.pending.bytes.fetch_add(batch.bytes, Ordering::Relaxed);
        }
        while !self.gone.is_set() {
            delivery = match self.queue.send_timeout(delivery, ROOM_EVERY) {
                Ok(()) => return true,
                Err(SendTimeoutError::Disconnected(_)) => return false,
                Err(SendTimeoutError::Timeout(delivery)) => delivery,
            };
        }
        false
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

    /// Lets the sink report what is known so far, if its queue has room.
    pub(crate) fn report(&self, conclusion: Arc<Conclusion>) {
        // One that is behind, or has closed, could not show what is asked for.
        let _ = self.queue.try_send(Delivery::Report(conclusion));
    }

    /// The verdict is the last that this sink gets.
    pub(crate) fn conclude(&mut self, conclusion: Arc<Conclusion>) {
        self.conclusion = Some(conclusion);
    }

    /// Hands over what is left if there is room for it. False if there is nothing left, or nobody to
    /// take it.
    pub(crate) fn offer_rest(&mut self) -> bool {
        if self.gone.is_set() {
            return false;
        }
        if !self.backlog.is_empty() {
            let backlog = Batch::new(std::mem::take(&mut self.backlog));
            match self.hand_over(backlog) {
                Ok(()) => {}
                Err(TrySendError::Full(Delivery::Records(batch))) => {
                    self.backlog = Arc::unwrap_or_clone(batch.records);
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
