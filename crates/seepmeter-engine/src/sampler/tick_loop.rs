//! The ticks of a sampler: on time, counted, within the budget.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use seepmeter_plugin::{Error, ErrorKind, RunningSampler, SampleBuilder, Until, Waited};
use seepmeter_process::wait::wait_one_readable;
use seepmeter_record::{Event, EventKind, Points, Record, Sample, SubjectId};

use super::{Order, SamplerThread};
use crate::budget::Budget;
use crate::clock::{Schedule, nanos};
use crate::stream::SamplerStream;

/// No more often than this does a sampler report late and missed ticks.
const REPORT_EVERY: u64 = 1_000_000_000;

/// When a descendant ends, a sample is taken at once if the last one took less than this part of the time since:
/// one in so many.
const PART_FOR_ENDS: u32 = 100;

pub(super) struct TickLoop<'a> {
    thread: &'a SamplerThread,
    sampler: &'a mut dyn RunningSampler,
    stream: &'a mut SamplerStream,
    schedule: Schedule,
    budget: Option<Budget>,
    /// Those that the sampler has. Without one there is nothing to sample.
    targets: Vec<SubjectId>,
    /// When the last sample began.
    sampled: Option<Instant>,
    /// How long it took.
    duration: Duration,
    unreported: Unreported,
}

/// What went wrong with ticks since it was last reported.
#[derive(Debug, Default)]
struct Unreported {
    since: u64,
    late: u64,
    missed: u64,
    skipped: u64,
    why_skipped: String,
}

/// What a wait ended with.
enum Wake {
    /// The tick is due.
    Tick,
    /// There are orders.
    Orders,
}

impl<'a> TickLoop<'a> {
    pub(super) fn new(
        thread: &'a SamplerThread,
        sampler: &'a mut dyn RunningSampler,
        stream: &'a mut SamplerStream,
        first: Instant,
    ) -> Self {
        let plan = &thread.plan;
        let (pauses, interval) = (plan.factory.info().pauses, plan.tick_interval());
        Self {
            schedule: Schedule::new(first, interval),
            budget: pauses.then(|| Budget::new(plan.budget, interval.longest())),
            thread,
            sampler,
            stream,
            targets: Vec::new(),
            sampled: None,
            duration: Duration::ZERO,
            unreported: Unreported::default(),
        }
    }

    /// The same with these targets.
    pub(super) fn with_targets(self, targets: Vec<SubjectId>) -> Self {
        Self { targets, ..self }
    }

    /// Ticks until the session drops its handle, or the sampler fails.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let outcome = self.tick_until_stopped();
        self.report_ticks();
        let stop = self.sampler.stop(self.stream);
        if let Err(error) = &outcome {
            let reason = error.to_string().into();
            self.emit(EventKind::SamplerFailed { reason });
        }
        outcome.and(stop)
    }

    fn tick_until_stopped(&mut self) -> Result<(), Error> {
        loop {
            match self.wait()? {
                Wake::Tick => self.tick()?,
                Wake::Orders => {
                    if !self.carry_out_orders()? {
                        return self.last_sample();
                    }
                }
            }
        }
    }

    fn tick(&mut self) -> Result<(), Error> {
        self.take_tick(Instant::now());
        self.sample()?;
        if self.stream.writer.now() - self.unreported.since >= REPORT_EVERY {
            self.report_ticks();
        }
        Ok(())
    }

    /// Takes the tick that is due, and counts those that have passed.
    fn take_tick(&mut self, now: Instant) {
        let tick = self.schedule.take(now);
        self.thread.counts.missed.fetch_add(tick.missed, Ordering::Relaxed);
        self.unreported.missed += tick.missed;
        if tick.late {
            self.thread.counts.late.fetch_add(1, Ordering::Relaxed);
            self.unreported.late += 1;
        }
    }

    /// The last sample comes off the schedule. Ticks that were due before it, while seepmeter was stopped or
    /// the sampler busy, are missed all the same. True if there were any.
    fn take_due_ticks(&mut self) -> bool {
        let now = Instant::now();
        let due = self.schedule.due() <= now && !self.targets.is_empty();
        if due {
            self.take_tick(now);
        }
        due
    }

    fn wait(&mut self) -> Result<Wake, Error> {
        loop {
            let now = Instant::now();
            let deadline = self.schedule.due();
            let left = deadline.saturating_duration_since(now);
            let until = Until { deadline, wake: self.thread.wake.as_fd() };
            let waited = match left.is_zero() {
                true => Waited::Done,
                false => self.sampler.wait(until, self.stream)?,
            };
            // A sampler that waits itself is asked again until the tick has come.
            let left = match waited {
                Waited::Done => Duration::ZERO,
                Waited::PleaseSleep => deadline.saturating_duration_since(Instant::now()),
            };
            if self.has_orders(left)? {
                return Ok(Wake::Orders);
            }
            if deadline <= Instant::now() {
                return Ok(Wake::Tick);
            }
        }
    }

    /// Waits for orders, but no longer than `timeout`.
    fn has_orders(&self, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now().checked_add(timeout);
        wait_one_readable(self.thread.wake.as_fd(), deadline)
            .map_err(|error| Error::io("cannot wait for the next tick", &error))
    }

    /// Carries out what was ordered; false if the sampler is to stop.
    fn carry_out_orders(&mut self) -> Result<bool, Error> {
        // The orders come before their bytes, so after the bytes all orders are there.
        let _ = (&self.thread.wake).read(&mut [0; 64]);
        let (mut sampled, mut begins) = (false, false);
        loop {
            match self.thread.orders.try_recv() {
                Ok(Order::AddTarget { target, .. }) => {
                    match self.sampler.add_target(&target, self.stream) {
                        Ok(()) => {
                            begins |= self.targets.is_empty() && self.sampled.is_some();
                            self.targets.push(target.subject);
                        }
                        Err(error) if error.kind() == ErrorKind::Gone => {}
                        // One of many must not cost the others their samples.
                        Err(error) => {
                            let text = format!("process {}: {error}", target.pid).into();
                            self.emit(EventKind::Incomplete { count: Some(1), text });
                        }
                    }
                }
                Ok(Order::RemoveTarget { subject, notice }) => {
                    if !sampled && notice.is_descendant && self.has_sampled_lately() {
                        self.sample_ended(subject)?;
                    } else if !sampled {
                        sampled = true;
                        self.sample_before_removal()?;
                    }
                    self.remove_target(subject)?;
                    drop(notice);
                }
                Ok(Order::Go(_) | Order::Start { .. }) => {}
                Err(error) => {
                    // Between a target and its successor there was nothing to sample. All samplers begin anew
                    // together, as at the start: what one of them found later would seem to have come later.
                    if begins && !self.targets.is_empty() {
                        self.sample()?;
                    }
                    return Ok(error.is_empty());
                }
            }
        }
    }

    /// True if a sample for the end of one process more would take more than its part of the time: descendants
    /// may end by the hundred.
    fn has_sampled_lately(&self) -> bool {
        self.sampled.is_some_and(|at| at.elapsed() < PART_FOR_ENDS * self.duration)
    }

    /// What is known of a target that has ended, such as its peak, would be lost without a last sample. A
    /// sampler that pauses its targets leaves that to the last of them: it can read nothing of one that has
    /// ended, and the others are not to be paused off their schedule.
    fn sample_before_removal(&mut self) -> Result<(), Error> {
        if self.targets.len() > 1 && self.budget.is_some() {
            return Ok(());
        }
        self.take_due_ticks();
        self.sample()
    }

    fn remove_target(&mut self, subject: SubjectId) -> Result<(), Error> {
        if !self.targets.contains(&subject) {
            return Ok(());
        }
        self.targets.retain(|target| *target != subject);
        self.sampler.remove_target(subject, self.stream)
    }

    /// What a sampler has observed since its last tick would be lost without a last sample. Only one that
    /// reads no more than current values, and did so a moment ago, has nothing new: what pauses the target
    /// may have served events since.
    fn last_sample(&mut self) -> Result<(), Error> {
        /// A run whose duration is a multiple of its interval ends so soon after a tick, on a busy machine too.
        const MOMENT: Duration = Duration::from_millis(50);
        let moment = MOMENT.min(self.schedule.interval() / 10);
        let due = self.take_due_ticks();
        match self.sampled {
            Some(at) if self.budget.is_none() && at.elapsed() < moment && !due => Ok(()),
            _ => self.sample(),
        }
    }

    fn sample(&mut self) -> Result<(), Error> {
        if self.targets.is_empty() {
            return Ok(());
        }
        let mut points = Points::new();
        let begin = Instant::now();
        self.sampled = Some(begin);
        let mut sample = SampleBuilder::new(&mut points, self.stream);
        let outcome = self.sampler.sample(&mut sample);
        let duration = begin.elapsed();
        self.duration = duration;
        let facts = sample.facts();
        // A sampler may have paused the target since its last sample, but no longer than that is ago.
        let cost = facts.paused.unwrap_or(duration).min(self.schedule.interval() + duration);
        self.charge(cost);
        match outcome {
            Ok(()) => self.send(begin, duration, facts.partial, points),
            // Whoever watches the targets' ends will stop us; until then their threads may come back.
            Err(error) if error.kind() == ErrorKind::Gone => {}
            Err(error) if error.kind() == ErrorKind::Skip => {
                self.unreported.skipped += 1;
                self.unreported.why_skipped = error.to_string();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes a last sample of a descendant alone.
    fn sample_ended(&mut self, ended: SubjectId) -> Result<(), Error> {
        let mut points = Points::new();
        let begin = Instant::now();
        let mut sample = SampleBuilder::new(&mut points, self.stream);
        self.sampler.sample_ended(ended, &mut sample)?;
        if !points.is_empty() {
            self.send(begin, begin.elapsed(), true, points);
        }
        Ok(())
    }

    fn send(&self, begin: Instant, duration: Duration, partial: bool, points: Points) {
        self.thread.counts.samples.fetch_add(1, Ordering::Relaxed);
        self.stream.writer.send(Record::Sample(Sample {
            t: self.stream.writer.clock().at(begin),
            sampler: self.stream.sampler,
            duration: nanos(duration),
            partial,
            points,
        }));
    }

    /// Makes samples rarer, or denser again, as the budget says.
    fn charge(&mut self, cost: Duration) {
        if let Some(interval) = self.budget.as_mut().and_then(|budget| budget.charge(cost)) {
            self.schedule.stretch(interval);
            self.emit(EventKind::BackedOff { interval: nanos(interval) });
        }
    }

    /// Reports the ticks that were not taken in time, all since the last time in one event of each kind.
    fn report_ticks(&mut self) {
        let since = self.stream.writer.now();
        let Unreported { since: _, late, missed, skipped, why_skipped } =
            std::mem::replace(&mut self.unreported, Unreported { since, ..Default::default() });
        if late > 0 {
            self.emit(EventKind::Late { samples: late });
        }
        if missed > 0 {
            self.emit(EventKind::Missed { ticks: missed });
        }
        if skipped > 0 {
            self.emit(EventKind::Skipped { samples: skipped, reason: why_skipped.into() });
        }
    }

    fn emit(&self, kind: EventKind) {
        let event = Event::new(self.stream.writer.now(), kind).by(self.stream.sampler);
        self.stream.writer.send(Record::Event(event));
    }
}
