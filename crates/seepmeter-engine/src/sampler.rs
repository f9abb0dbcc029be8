//! A sampler's thread.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use seepmeter_plugin::{Error, ErrorKind, Look, Sampler, Stream, Target, Until, Waited};
use seepmeter_process::wait::wait_readable;
use seepmeter_record::{Event, EventKind, Points, Record, Sample, SamplerId};

use crate::budget::Budget;
use crate::clock::{Schedule, nanos};
use crate::plan::{SamplerPlan, StartError};
use crate::stream::{Ended, Inlet};
use crate::trouble::{Troubles, answer, panic_text};

/// How long a sampler may take to come back from its last look; then it is left behind.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Over longer intervals, a turn on the CPU that comes some milliseconds late makes no tick late.
const LONG_INTERVAL: Duration = Duration::from_millis(20);

/// No more often than this does a sampler tell of late and missed ticks.
const TELL_EVERY: u64 = 1_000_000_000;

/// A sampler that is being made on its thread.
pub(crate) struct SamplerMaking {
    handle: SamplerHandle,
    made: Receiver<Result<(), Error>>,
}

/// A sampler on its thread. Dropping it ends the thread.
pub(crate) struct SamplerHandle {
    label: String,
    orders: Sender<Order>,
    /// A byte in it wakes the sampler for its end.
    wake: PipeWriter,
    counts: Arc<Counts>,
    ended: Receiver<Ended>,
    /// A way to say so for the sampler itself.
    lingers: Sender<Ended>,
    thread: JoinHandle<()>,
}

/// What the thread is told, in this order.
enum Order {
    /// The target stands; answer when started.
    Start(Box<Arming>),
    /// The first tick is now due.
    Go(Instant),
}

struct Arming {
    target: Target,
    inlet: Inlet,
    id: SamplerId,
    started: Sender<Result<(), Error>>,
}

/// How a sampler's ticks went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) samples: u64,
    pub(crate) late: u64,
    pub(crate) missed: u64,
}

/// The same while it goes on, so that it is known of a sampler that is left behind too.
#[derive(Debug, Default)]
struct Counts {
    samples: AtomicU64,
    late: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally { samples: read(&self.samples), late: read(&self.late), missed: read(&self.missed) }
    }
}

impl SamplerMaking {
    /// Starts the thread and lets it make the instance.
    pub(crate) fn begin(plan: SamplerPlan, troubles: &Arc<Troubles>) -> io::Result<Self> {
        let (orders, orders_receiver) = bounded(1);
        let (made_sender, made) = bounded(1);
        let (ends, ended) = bounded(1);
        let lingers = ends.clone();
        let (wake_reader, wake) = io::pipe()?;
        let label = plan.label.clone();
        let troubles = Arc::clone(troubles);
        let counts = Arc::<Counts>::default();
        let own_counts = Arc::clone(&counts);
        let named = thread::Builder::new().name(format!("sampler {}", plan.factory.info().name));
        let thread = named.spawn(move || {
            live(&plan, &made_sender, &orders_receiver, wake_reader, (&own_counts, &troubles));
            // Nobody waits any more for one that has lingered.
            let _ = ends.try_send(Ended::LetGo);
        })?;
        let handle = SamplerHandle { label, orders, wake, counts, ended, lingers, thread };
        Ok(Self { handle, made })
    }

    /// Waits until the instance is made.
    pub(crate) fn finish(self) -> Result<SamplerHandle, StartError> {
        match answer(&self.made, "was not ready") {
            Ok(()) => Ok(self.handle),
            Err(error) => Err(StartError::Sampler { label: self.handle.label, error }),
        }
    }
}

impl SamplerHandle {
    /// Shows it the target, and waits until it has started.
    pub(crate) fn start(
        &self,
        target: Target,
        inlet: &Inlet,
        id: SamplerId,
    ) -> Result<(), StartError> {
        let (started, has_started) = bounded(1);
        let inlet = inlet.of_sampler(id, self.lingers.clone());
        let arming = Arming { target, inlet, id, started };
        let _ = self.orders.send(Order::Start(Box::new(arming)));
        answer(&has_started, "did not start")
            .map_err(|error| StartError::Sampler { label: self.label.clone(), error })
    }

    /// Lets it tick, first at `first`.
    pub(crate) fn go(&self, first: Instant) {
        // A thread that has failed by now has said so.
        let _ = self.orders.send(Order::Go(first));
    }

    /// Ends the thread.
    pub(crate) fn stop(self) -> SamplerStopping {
        let Self { label, orders, mut wake, counts, ended, lingers: _, thread } = self;
        // A byte, and not the hang-up alone: that is no readability to poll(2), and it never comes where
        // the sampler has a child that holds the descriptor too.
        let _ = wake.write_all(&[1]);
        drop(orders);
        SamplerStopping { label, counts, ended, thread, _wake: wake }
    }
}

/// A sampler that was told to stop.
pub(crate) struct SamplerStopping {
    label: String,
    counts: Arc<Counts>,
    ended: Receiver<Ended>,
    thread: JoinHandle<()>,
    /// Kept open for as long as the sampler may look at the other end.
    _wake: PipeWriter,
}

impl SamplerStopping {
    /// Waits until it has, and says how its ticks went, and whether it lingers.
    pub(crate) fn join(self, since: Instant, troubles: &Troubles) -> (Tally, Option<Lingering>) {
        let Self { label, counts, ended, thread, _wake } = self;
        let lingering = match ended.recv_deadline(since + LAST_LOOK) {
            Ok(Ended::LetGo) => None,
            Ok(Ended::Lingers(why)) => Some(Lingering { label, why, thread }),
            Err(_) => {
                let sentence = format!(
                    "sampler {label}: did not come back from its last call within {} seconds of the end and was left behind",
                    LAST_LOOK.as_secs()
                );
                troubles.tell(&label, sentence);
                None
            }
        };
        (counts.tally(), lingering)
    }
}

/// A sampler that the target can't do without.
#[derive(Debug)]
pub struct Lingering {
    label: String,
    why: String,
    thread: JoinHandle<()>,
}

impl Lingering {
    /// Which sampler, and why, in words for the user.
    #[must_use]
    pub fn told(&self) -> String {
        format!("sampler {}: {}", self.label, self.why)
    }

    /// Waits until the target can do without it, which is mostly until it ends. A process that ends
    /// earlier takes the sampler with it.
    pub fn wait(self) {
        // A panic of the thread's has been told by itself.
        let _ = self.thread.join();
    }
}

/// The thread: makes the instance, starts it, ticks until it is woken, stops it.
fn live(
    plan: &SamplerPlan,
    made: &Sender<Result<(), Error>>,
    orders: &Receiver<Order>,
    wake: PipeReader,
    (counts, troubles): (&Counts, &Troubles),
) {
    let label = &plan.label;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut sampler = match plan.factory.make(&plan.options) {
            Ok(sampler) => sampler,
            Err(error) => {
                let _ = made.send(Err(error));
                return Ok(());
            }
        };
        let _ = made.send(Ok(()));
        let Ok(Order::Start(arming)) = orders.recv() else { return Ok(()) };
        let Arming { target, mut inlet, id, started } = *arming;
        let start = sampler.start(&target, &mut inlet);
        let failed = start.is_err();
        let _ = started.send(start);
        if failed {
            return Ok(());
        }
        let Ok(Order::Go(first)) = orders.recv() else { return sampler.stop(&mut inlet) };
        precise_timers(plan.interval);
        short_slice(plan.interval);
        let schedule = Schedule::new(first, plan.interval);
        let untold = Untold::default();
        let disturbs = plan.factory.info().disturbs;
        let budget = disturbs.then(|| Budget::new(plan.budget, plan.interval));
        let sampler = sampler.as_mut();
        let mut ticker = Ticker { sampler, inlet, id, wake, schedule, budget, untold, counts };
        ticker.run()
    }));
    let sentence = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("sampler {label}: {error}"),
        Err(panic) => format!("sampler {label}: panicked: {}", panic_text(panic.as_ref())),
    };
    troubles.tell(label, sentence);
}

/// Lets this thread's timers be as late as a fiftieth of its interval and no more; usually they may
/// be 50 µs late, half an interval at 10 kHz. See PR_SET_TIMERSLACK(2const).
fn precise_timers(interval: Duration) {
    let slack = nanos(interval) / 50;
    if slack < 50_000 {
        // Where it is refused, more ticks are late, and they are told.
        let _ = nix::sys::prctl::set_timerslack(slack.max(1));
    }
}

/// Asks the scheduler for short turns on the CPU, which come sooner: on a machine with more to do than
/// CPUs, a thread with the usual turn of about 3 ms waits for that long, and ticks pass. Needs no right,
/// and takes nothing from others: short turns are as much CPU time as long ones. See sched_setattr(2);
/// kernels before 6.12 take no notice.
fn short_slice(interval: Duration) {
    // The shortest that the kernel grants, and far longer than a look that should fit the interval.
    const SLICE: u64 = 100_000;
    if interval > LONG_INTERVAL {
        return;
    }
    // SAFETY: all fields are numbers, and zeros are valid values of them.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the structure is valid for its size; 0 is the calling thread, and no flags.
    let known = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) } == 0;
    // Whoever runs seepmeter with another policy has chosen it.
    if known && attr.sched_policy == libc::SCHED_OTHER as u32 {
        attr.sched_runtime = SLICE;
        // SAFETY: as above. Where it is refused, more ticks are late, and they are told.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    }
}

struct Ticker<'a> {
    sampler: &'a mut dyn Sampler,
    inlet: Inlet,
    id: SamplerId,
    wake: PipeReader,
    schedule: Schedule,
    budget: Option<Budget>,
    untold: Untold,
    counts: &'a Counts,
}

/// What went wrong with ticks since it was last told.
#[derive(Debug, Default)]
struct Untold {
    since: u64,
    late: i64,
    missed: i64,
    skipped: i64,
    why_skipped: String,
}

impl Ticker<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let outcome = self.tick_until_woken();
        self.tell();
        let stop = self.sampler.stop(&mut self.inlet);
        if let Err(error) = &outcome {
            let t = self.inlet.now();
            let event = Event::new(t, EventKind::SamplerFailed).text(error.to_string());
            self.inlet.event(event);
        }
        outcome.and(stop)
    }

    fn tick_until_woken(&mut self) -> Result<(), Error> {
        while self.wait()? {
            let tick = self.schedule.take(Instant::now());
            self.counts.missed.fetch_add(tick.missed, Ordering::Relaxed);
            self.untold.missed += i64::try_from(tick.missed).unwrap_or(i64::MAX);
            if tick.late {
                self.counts.late.fetch_add(1, Ordering::Relaxed);
                self.untold.late += 1;
            }
            self.look()?;
            if self.inlet.now() - self.untold.since >= TELL_EVERY {
                self.tell();
            }
        }
        // What a sampler has seen since its last tick would be lost otherwise.
        self.look()
    }

    /// Waits for the next tick; false where the end came first.
    fn wait(&mut self) -> Result<bool, Error> {
        loop {
            let now = Instant::now();
            let deadline = self.schedule.due();
            let left = deadline.saturating_duration_since(now);
            let until = Until { deadline, wake: self.wake.as_fd() };
            let waited = match left.is_zero() {
                true => Waited::Done,
                false => self.sampler.wait(until, &mut self.inlet)?,
            };
            // A sampler that waits itself is asked again until the tick has come.
            let left = match waited {
                Waited::Done => Duration::ZERO,
                Waited::PleaseSleep => deadline.saturating_duration_since(Instant::now()),
            };
            if continue_or_end(&self.wake, left)? {
                return Ok(false);
            }
            if deadline <= Instant::now() {
                return Ok(true);
            }
        }
    }

    fn look(&mut self) -> Result<(), Error> {
        let mut points = Points::new();
        let begin = Instant::now();
        let mut look = Look::new(&mut points, &mut self.inlet);
        let outcome = self.sampler.sample(&mut look);
        let took = begin.elapsed();
        // A sampler may have held the target up since its last look, but no longer than that is ago.
        let cost = look.held_for().unwrap_or(took).min(self.schedule.interval() + took);
        self.spend(cost);
        let took = nanos(took);
        match outcome {
            Ok(()) => {
                self.counts.samples.fetch_add(1, Ordering::Relaxed);
                let t = self.inlet.clock().at(begin);
                self.inlet.send(Record::Sample(Sample { t, sampler: self.id, took, points }));
            }
            // Whoever watches the target's end will stop us; until then its threads may come back.
            Err(error) if error.kind() == ErrorKind::Gone => {}
            Err(error) if error.kind() == ErrorKind::Skip => {
                self.untold.skipped += 1;
                self.untold.why_skipped = error.to_string();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes looks rarer, or denser again, as the budget says.
    fn spend(&mut self, cost: Duration) {
        if let Some(interval) = self.budget.as_mut().and_then(|budget| budget.spend(cost)) {
            self.schedule.stretch(interval);
            let value = i64::try_from(nanos(interval)).unwrap_or(i64::MAX);
            self.inlet.event(Event::new(self.inlet.now(), EventKind::BackedOff).value(value));
        }
    }

    /// Tells the stream of ticks that were not taken in time, all since the last time in one event.
    fn tell(&mut self) {
        let t = self.inlet.now();
        let untold = std::mem::replace(&mut self.untold, Untold { since: t, ..Untold::default() });
        for (count, kind, why) in [
            (untold.late, EventKind::Late, String::new()),
            (untold.missed, EventKind::Missed, String::new()),
            (untold.skipped, EventKind::Skipped, untold.why_skipped),
        ] {
            if count > 0 {
                self.inlet.event(Event::new(t, kind).value(count).text(why));
            }
        }
    }
}

/// Waits for the end, but no longer than `timeout`; true if the end has come.
fn continue_or_end(wake: &PipeReader, timeout: Duration) -> Result<bool, Error> {
    let woken = wait_readable([wake.as_fd()], Instant::now().checked_add(timeout));
    let [ended] = woken.map_err(|error| Error::io("cannot wait for the next tick", &error))?;
    Ok(ended)
}
