//! A sink's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use seepmeter_plugin::private::panic_text;
use seepmeter_plugin::{Error, ErrorKind, Sink};
use seepmeter_record::{Dropped, Record};

use crate::failures::{Failures, answer};
use crate::plan::{SinkPlan, StartError};
use crate::plugins::at_departure;
use crate::sink_queue::{Delivery, PENDING_BATCHES, Pending, SinkQueue};
use crate::thread_end::ThreadEndFlag;

/// How long a sink may take for what waits at the end; then it gets no more samples.
const DRAIN: Duration = Duration::from_secs(5);

/// How long it may take after that for definitions, events and the footer; then it is left behind.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// How long it waits for its turn to end: as long as the one before it may take.
const TURN: Duration = DRAIN;

/// The order in which sinks end: that in which the user named them, so that the summary comes last and
/// no other sink's lines come behind it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Has a message once the sink before has ended.
    before: Receiver<()>,
    next: Sender<()>,
}

/// The turns of as many sinks.
pub(crate) fn turns(count: usize) -> Vec<Turn> {
    // The first finds its channel closed already.
    let (_, mut before) = bounded(0);
    let turn = || {
        let (next, after) = bounded(1);
        Turn { before: std::mem::replace(&mut before, after), next }
    };
    std::iter::repeat_with(turn).take(count).collect()
}

impl Turn {
    fn wait(&self) {
        // A sink that takes too long before it ends must not make this one late.
        let _ = self.before.recv_timeout(TURN);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        pass_on(&self.next);
    }
}

/// Lets the next sink end. That it may already, or that there is none, is as good.
fn pass_on(turn: &Sender<()>) {
    let _ = turn.try_send(());
}

/// A sink whose instance is being made on its thread.
pub(crate) struct PendingSink {
    handle: SinkHandle,
    queue: SinkQueue,
    made: Receiver<Result<(), Error>>,
}

/// A running sink.
pub(crate) struct SinkHandle {
    pub(crate) label: String,
    pub(crate) gone: ThreadEndFlag,
    give_up_samples: Arc<AtomicBool>,
    /// Gets the count of the samples given up, once the thread is done.
    done: Receiver<u64>,
}

impl PendingSink {
    /// Starts the thread and lets it make the instance.
    pub(crate) fn begin(
        plan: SinkPlan,
        turn: Turn,
        failures: &Arc<Failures>,
    ) -> std::io::Result<Self> {
        let (queue, deliveries) = bounded(PENDING_BATCHES);
        let (made_sender, made) = bounded(1);
        let (done_sender, done) = bounded(1);
        let pending = Arc::new(Pending::default());
        let give_up_samples = Arc::new(AtomicBool::new(false));
        let label = plan.label.clone();
        let gone = ThreadEndFlag::new();
        let queue_end = QueueEnd {
            deliveries,
            pending: Arc::clone(&pending),
            give_up_samples: Arc::clone(&give_up_samples),
            given_up: 0,
            turn,
            gone,
        };
        let failures = Arc::clone(failures);
        thread::Builder::new().name(format!("sink {}", plan.factory.info().name)).spawn(
            move || {
                let _gone = gone.at_end_of_thread();
                live(&plan, &made_sender, queue_end, &done_sender, &failures);
            },
        )?;
        Ok(Self {
            handle: SinkHandle { label: label.clone(), gone, give_up_samples, done },
            queue: SinkQueue::new(label, queue, pending, gone),
            made,
        })
    }

    /// Waits until the instance is made: its handle and its queue.
    pub(crate) fn finish(self) -> Result<(SinkHandle, SinkQueue), StartError> {
        match answer(&self.made, "was not ready") {
            Ok(()) => Ok((self.handle, self.queue)),
            Err(error) => Err(StartError::Sink { label: self.handle.label, error }),
        }
    }
}

impl SinkHandle {
    /// Waits until the sink has taken all that its queue holds. One that is too slow is first spared
    /// the samples and then left behind. Returns the samples that it did not get here.
    pub(crate) fn join(self, ended: Instant, failures: &Failures) -> Dropped {
        let Self { label, gone: _, give_up_samples, done } = self;
        let last_moment = ended + DRAIN + LAST_GRACE;
        let samples = done.recv_deadline(ended + DRAIN).or_else(|_| {
            give_up_samples.store(true, Ordering::Relaxed);
            done.recv_deadline(last_moment)
        });
        let samples = samples.unwrap_or_else(|_| {
            let limit = (DRAIN + LAST_GRACE).as_secs();
            let sentence = format!(
                "sink {label}: did not finish within {limit} seconds after the end, so seepmeter stopped waiting for it; its output is incomplete"
            );
            failures.report(&label, sentence);
            0
        });
        Dropped { sink: label, samples }
    }

    /// Waits until the sink has taken all that its queue holds, however long that takes.
    pub(crate) fn join_without_limit(self) {
        // The thread sends when it is done, or is gone.
        let _ = self.done.recv();
    }
}

/// The thread: makes the instance, and feeds it until the queue ends or it fails.
fn live(
    plan: &SinkPlan,
    made: &Sender<Result<(), Error>>,
    mut queue: QueueEnd,
    done: &Sender<u64>,
    failures: &Arc<Failures>,
) {
    let label = &plan.label;
    let departure = {
        let (label, done, failures) = (label.clone(), done.clone(), Arc::clone(failures));
        let (made, next, gone) = (made.clone(), queue.turn.next.clone(), queue.gone);
        move |why: &str| {
            // Whoever waits for the instance reports that by itself.
            if made.try_send(Err(Error::failed(why))).is_err() {
                failures.report(&label, format!("sink {label}: {why}"));
            }
            let _ = done.try_send(0);
            gone.set();
            pass_on(&next);
        }
    };
    at_departure(departure);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut sink = match plan.factory.make(&plan.options) {
            Ok(sink) => sink,
            Err(error) => {
                let _ = made.send(Err(error));
                return Ok(());
            }
        };
        let _ = made.send(Ok(()));
        queue.feed(sink.as_mut())
    }));
    match outcome {
        Ok(Ok(())) => {}
        // Whoever read the output has had enough of it.
        Ok(Err(error)) if error.kind() == ErrorKind::Closed => {}
        Ok(Err(error)) => failures.report(label, format!("sink {label}: {error}")),
        Err(panic) => {
            failures
                .report(label, format!("sink {label}: panicked: {}", panic_text(panic.as_ref())));
        }
    }
    let _ = done.send(queue.given_up);
}

/// The sink's end of its queue.
struct QueueEnd {
    deliveries: Receiver<Delivery>,
    pending: Arc<Pending>,
    give_up_samples: Arc<AtomicBool>,
    given_up: u64,
    turn: Turn,
    gone: ThreadEndFlag,
}

impl QueueEnd {
    fn feed(&mut self, sink: &mut dyn Sink) -> Result<(), Error> {
        let mut begun = false;
        while let Some(delivery) = self.next(sink)? {
            begun = true;
            match delivery {
                Delivery::Records(batch) => {
                    self.write(&batch.records, sink)?;
                    self.pending.bytes.fetch_sub(batch.bytes, Ordering::Relaxed);
                }
                Delivery::Report(conclusion) => sink.report(&conclusion)?,
                Delivery::Conclusion(conclusion) => sink.conclude(&conclusion)?,
            }
        }
        // Of a run that was aborted before its stream began there is nothing to complete.
        if !begun {
            return Ok(());
        }
        sink.flush()?;
        self.turn.wait();
        sink.stop()
    }

    fn write(&mut self, batch: &[Record], sink: &mut dyn Sink) -> Result<(), Error> {
        for record in batch {
            if matches!(record, Record::Sample(_)) {
                self.pending.samples.fetch_sub(1, Ordering::Relaxed);
                if self.give_up_samples.load(Ordering::Relaxed) {
                    self.given_up += 1;
                    continue;
                }
            }
            sink.write(record)?;
        }
        Ok(())
    }

    /// The next delivery, or `None` at the end. Flushes before it waits.
    fn next(&self, sink: &mut dyn Sink) -> Result<Option<Delivery>, Error> {
        match self.deliveries.try_recv() {
            Ok(delivery) => Ok(Some(delivery)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => {
                sink.flush()?;
                Ok(self.deliveries.recv().ok())
            }
        }
    }
}
