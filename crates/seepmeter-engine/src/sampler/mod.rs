//! A sampler's thread, and the handle that the session has of it.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use seepmeter_plugin::private::panic_text;
use seepmeter_plugin::{ConfiguredSampler, Error, ErrorKind, RunningSampler, Target};
use seepmeter_record::{SamplerId, SubjectId};

use crate::failures::{Failures, answer};
use crate::plan::{SamplerPlan, StartError};
use crate::plugins::at_departure;
use crate::session::TargetEndNotice;
use crate::stream::{SamplerStream, StreamWriter, ThreadEnd};
use crate::thread_end::ThreadEndFlag;

mod scheduling;
mod tick_loop;

use tick_loop::TickLoop;

/// How long a sampler may take to come back from its last call.
const LAST_CALL: Duration = Duration::from_secs(5);

/// A sampler whose instance is being made on its thread.
pub(crate) struct PendingSampler {
    handle: SamplerHandle,
    made: Receiver<Result<(), Error>>,
}

/// A sampler on its thread. Dropping it ends the thread.
pub(crate) struct SamplerHandle {
    pub(crate) label: String,
    pub(crate) gone: ThreadEndFlag,
    orders: Sender<Order>,
    /// A byte in it wakes the thread for its orders.
    wake: PipeWriter,
    counts: Arc<TickCounts>,
    end: Receiver<ThreadEnd>,
    thread: JoinHandle<()>,
}

/// What the thread is to do.
enum Order {
    /// The stream begins.
    Start { writer: StreamWriter, id: SamplerId, reply: Sender<Result<(), Error>> },
    /// A target has come. Who adds one before the first tick waits for a reply.
    AddTarget { target: Box<Target>, reply: Option<Sender<Result<(), Error>>> },
    /// A target is watched no more. The notice is dropped when the sampler has let go.
    RemoveTarget { subject: SubjectId, notice: Arc<TargetEndNotice> },
    /// The first tick is due then.
    Go(Instant),
}

/// How a sampler's ticks went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TickTotals {
    pub(crate) samples: u64,
    pub(crate) late: u64,
    pub(crate) missed: u64,
}

/// The same while they go on, so that it is known of a sampler that is left behind too.
#[derive(Debug, Default)]
struct TickCounts {
    samples: AtomicU64,
    late: AtomicU64,
    missed: AtomicU64,
}

impl TickCounts {
    fn totals(&self) -> TickTotals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TickTotals {
            samples: read(&self.samples),
            late: read(&self.late),
            missed: read(&self.missed),
        }
    }
}

impl PendingSampler {
    /// Starts the thread and lets it make the instance.
    pub(crate) fn begin(plan: SamplerPlan, failures: &Arc<Failures>) -> io::Result<Self> {
        let (orders, order_queue) = unbounded();
        let (made_sender, made) = bounded(1);
        let (end_sender, end) = bounded(1);
        let (wake_reader, wake) = io::pipe()?;
        let label = plan.label.clone();
        let counts = Arc::<TickCounts>::default();
        let gone = ThreadEndFlag::new();
        let mut thread = SamplerThread {
            plan,
            orders: order_queue,
            wake: wake_reader,
            end: end_sender.clone(),
            counts: Arc::clone(&counts),
        };
        let failures = Arc::clone(failures);
        let name = format!("sampler {}", thread.plan.factory.info().name);
        let thread = thread::Builder::new().name(name).spawn(move || {
            let _gone = gone.at_end_of_thread();
            let label = thread.plan.label.clone();
            let departure = {
                let (label, end) = (label.clone(), end_sender.clone());
                let (made, failures) = (made_sender.clone(), Arc::clone(&failures));
                move |why: &str| {
                    // Whoever waits for the instance reports that by itself.
                    if made.try_send(Err(Error::failed(why))).is_err() {
                        failures.report(&label, format!("sampler {label}: {why}"));
                    }
                    let _ = end.try_send(ThreadEnd::Finished);
                    gone.set();
                }
            };
            at_departure(departure);
            let outcome = catch_unwind(AssertUnwindSafe(|| thread.run(&made_sender)));
            let sentence = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("sampler {label}: {error}")),
                Err(panic) => {
                    Some(format!("sampler {label}: panicked: {}", panic_text(panic.as_ref())))
                }
            };
            if let Some(sentence) = sentence {
                failures.report(&label, sentence);
            }
            // Orders that were not carried out hold the ends of targets, which come before the footer.
            drop(thread);
            // Nobody waits any more for one that was kept alive.
            let _ = end_sender.try_send(ThreadEnd::Finished);
        })?;
        let handle = SamplerHandle { label, gone, orders, wake, counts, end, thread };
        Ok(Self { handle, made })
    }

    /// Waits until the instance is made.
    pub(crate) fn finish(self) -> Result<SamplerHandle, StartError> {
        let made = answer(&self.made, "was not ready");
        self.handle.or_start_error(made)?;
        Ok(self.handle)
    }
}

impl SamplerHandle {
    fn or_start_error(&self, answer: Result<(), Error>) -> Result<(), StartError> {
        answer.map_err(|error| self.start_error(error))
    }

    /// Why the run could not begin: this sampler's error.
    pub(crate) fn start_error(&self, error: Error) -> StartError {
        StartError::Sampler { label: self.label.clone(), error }
    }

    /// Begins its stream, and waits until it has started.
    pub(crate) fn start(&self, writer: &StreamWriter, id: SamplerId) -> Result<(), StartError> {
        let (reply, started) = bounded(1);
        let _ = self.orders.send(Order::Start { writer: writer.clone(), id, reply });
        self.or_start_error(answer(&started, "did not start"))
    }

    /// Adds a target before the first tick, and waits until the sampler has it.
    ///
    /// # Errors
    /// The sampler's own, which [`SamplerHandle::start_error`] makes that of the run.
    pub(crate) fn add_first_target(&self, target: Target) -> Result<(), Error> {
        let (reply, added) = bounded(1);
        let _ = self.orders.send(Order::AddTarget { target: Box::new(target), reply: Some(reply) });
        answer(&added, "did not start")
    }

    /// Adds a target while it ticks.
    pub(crate) fn add_target(&mut self, target: Target) {
        self.order(Order::AddTarget { target: Box::new(target), reply: None });
    }

    /// Takes a target away while it ticks; the notice is dropped when the sampler has let go.
    pub(crate) fn remove_target(&mut self, subject: SubjectId, notice: Arc<TargetEndNotice>) {
        self.order(Order::RemoveTarget { subject, notice });
    }

    /// Nobody else sends meanwhile (`&mut`): of two at once each would find two orders, and wake nobody.
    fn order(&mut self, order: Order) {
        // A thread that has failed by now has said so.
        let _ = self.orders.send(order);
        // Whoever takes an order that was there before takes this one too, since it goes on until there is none.
        if self.orders.len() == 1 {
            let _ = self.wake.write_all(&[1]);
        }
    }

    /// Lets it tick, first at `first`.
    pub(crate) fn go(&mut self, first: Instant) {
        self.order(Order::Go(first));
    }

    /// Tells the thread to end.
    pub(crate) fn stop(self) -> StoppingSampler {
        let Self { label, gone: _, orders, mut wake, counts, end, thread } = self;
        drop(orders);
        // A byte, and not the hang-up alone: that is no readability to poll(2), and it never comes if the
        // sampler has a child that holds the descriptor too.
        let _ = wake.write_all(&[1]);
        StoppingSampler { label, counts, end, thread, _wake: wake }
    }
}

/// A sampler that was told to end.
pub(crate) struct StoppingSampler {
    label: String,
    counts: Arc<TickCounts>,
    end: Receiver<ThreadEnd>,
    thread: JoinHandle<()>,
    /// Kept open for as long as the sampler may look at the other end.
    _wake: PipeWriter,
}

impl StoppingSampler {
    /// Waits until it has ended, and says how its ticks went, and whether it is kept alive.
    pub(crate) fn join(
        self,
        since: Instant,
        failures: &Failures,
    ) -> (TickTotals, Option<KeptAlive>) {
        let Self { label, counts, end, thread, _wake } = self;
        let kept_alive = match end.recv_deadline(since + LAST_CALL) {
            Ok(ThreadEnd::Finished) => None,
            Ok(ThreadEnd::KeptAlive(reason)) => Some(KeptAlive { label, reason, thread }),
            Err(_) => {
                let sentence = format!(
                    "sampler {label}: did not return from its last call within {} seconds after the end, so seepmeter stopped waiting for it",
                    LAST_CALL.as_secs()
                );
                failures.report(&label, sentence);
                None
            }
        };
        (counts.totals(), kept_alive)
    }
}

/// A sampler that the targets still need after the run.
#[derive(Debug)]
pub struct KeptAlive {
    label: String,
    reason: String,
    thread: JoinHandle<()>,
}

impl KeptAlive {
    /// Which sampler, and why, for the user.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("sampler {}: {}", self.label, self.reason)
    }

    /// Waits until no target needs it, which is mostly until they end. A process that ends earlier takes
    /// the sampler with it.
    pub fn wait(self) {
        // A panic of the thread was reported by itself.
        let _ = self.thread.join();
    }
}

/// What a sampler's thread has.
struct SamplerThread {
    plan: SamplerPlan,
    orders: Receiver<Order>,
    wake: PipeReader,
    end: Sender<ThreadEnd>,
    counts: Arc<TickCounts>,
}

impl SamplerThread {
    /// Makes the instance, starts it, adds the first targets, and ticks until there are no more orders.
    fn run(&mut self, made: &Sender<Result<(), Error>>) -> Result<(), Error> {
        let configured = match self.plan.factory.make(&self.plan.options) {
            Ok(configured) => configured,
            Err(error) => {
                let _ = made.send(Err(error));
                return Ok(());
            }
        };
        let _ = made.send(Ok(()));
        let Some((mut sampler, mut stream)) = self.start(configured) else { return Ok(()) };
        let mut targets = Vec::new();
        let mut refused = false;
        loop {
            match self.orders.recv() {
                Ok(Order::AddTarget { target, reply }) => {
                    let added = sampler.add_target(&target, &mut stream);
                    match &added {
                        Ok(()) => targets.push(target.subject),
                        Err(error) => refused |= error.kind() == ErrorKind::Failed,
                    }
                    if let Some(reply) = reply {
                        let _ = reply.send(added);
                    }
                }
                Ok(Order::Go(first)) => {
                    scheduling::prepare_thread(self.plan.tick_interval().shortest());
                    let thread = &*self;
                    return TickLoop::new(thread, sampler.as_mut(), &mut stream, first)
                        .with_targets(targets)
                        .run();
                }
                // The run was aborted. If this sampler is the reason, that was reported already.
                Err(_) => {
                    return sampler.stop(&mut stream).or_else(|error| match refused {
                        true => Ok(()),
                        false => Err(error),
                    });
                }
                Ok(Order::Start { .. } | Order::RemoveTarget { .. }) => {}
            }
        }
    }

    /// Waits for the stream and starts the instance; none if the run was aborted, or it can't start.
    fn start(
        &self,
        configured: Box<dyn ConfiguredSampler>,
    ) -> Option<(Box<dyn RunningSampler>, SamplerStream)> {
        let Ok(Order::Start { writer, id, reply }) = self.orders.recv() else { return None };
        let mut stream = SamplerStream { writer, sampler: id, end: self.end.clone() };
        match configured.start(&mut stream) {
            Ok(sampler) => {
                let _ = reply.send(Ok(()));
                Some((sampler, stream))
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                None
            }
        }
    }
}
