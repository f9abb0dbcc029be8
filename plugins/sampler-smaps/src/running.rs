//! The sampler while the run lasts: all its targets, and the one budget that they have.

use std::time::Instant;

use seepmeter_plugin::record::SubjectId;
use seepmeter_plugin::{
    Error, ErrorKind, RunningSampler, SampleBuilder, Stream, Target, Until, Waited,
};
use seepmeter_process::priority::RealtimePriority;
use seepmeter_process::system::thread_cpu_time;
use seepmeter_process::wait::wait_one_readable;

use crate::budget::Budget;
use crate::metrics::Metrics;
use crate::options::SmapsOptions;
use crate::reads::ROLLUP_PART;
use crate::target_watch::TargetWatch;

/// The running sampler.
pub struct RunningSmaps {
    options: SmapsOptions,
    metrics: Metrics,
    targets: Vec<TargetWatch>,
    budget: Budget,
    /// The target that had the last slice in turn.
    last: usize,
    /// Slices go by turns to the target that grows most and to each of the targets.
    growth_turn: bool,
    /// The first sample was taken: targets that come from here on are not those of the beginning.
    sampled: bool,
}

impl RunningSmaps {
    pub(crate) fn new(options: SmapsOptions, stream: &mut dyn Stream) -> Self {
        Self {
            metrics: Metrics::define(options.detail, stream),
            budget: Budget::new(options.share() * (1.0 - ROLLUP_PART), Instant::now()),
            options,
            targets: Vec::new(),
            last: 0,
            growth_turn: true,
            sampled: false,
        }
    }

    /// The target that has the next slice: half of them go where the resident set has grown most.
    fn next_target(&mut self) -> Option<usize> {
        let count = self.targets.len();
        let has_work = |at: &usize| self.targets[*at].has_work();
        let growing = || (0..count).filter(has_work).max_by_key(|at| self.targets[*at].growth());
        let mut in_turn = (self.last + 1..=self.last + count).map(|at| at % count);
        if self.growth_turn {
            self.growth_turn = count < 2;
            return growing();
        }
        self.growth_turn = true;
        self.last = in_turn.find(has_work)?;
        Some(self.last)
    }

    /// Does one slice of work for one target, or reads its smaps_rollup.
    fn work(&mut self, at: usize, stream: &mut dyn Stream) {
        let _priority = RealtimePriority::request();
        let begin = thread_cpu_time();
        let took = || thread_cpu_time().saturating_sub(begin);
        let target = &mut self.targets[at];
        if target.rollup_is_due() {
            target.failure = target.roll_up(stream).err();
            self.budget.charge_apart(took());
        } else {
            target.failure = target.work(self.budget.slice(), stream).err();
            self.budget.charge(took());
        }
    }

    /// Lets go of a target that can't be observed any more, while others can.
    fn give_up(&mut self, at: usize, error: &Error, stream: &mut dyn Stream) {
        let subject = self.targets.remove(at).subject;
        let text = format!("this target is not sampled any more: {error}");
        stream.incomplete(subject, Some(1), text);
    }

    /// Does something for each target that has not failed in this sample.
    fn for_each(&mut self, mut act: impl FnMut(&mut TargetWatch) -> Result<(), Error>) {
        for target in self.targets.iter_mut().filter(|target| target.failure.is_none()) {
            target.failure = act(target).err();
        }
    }

    /// Sees to the targets that could not be observed. An error is returned if no target could.
    fn take_failures(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let mut observed = 0;
        let mut last = Error::gone();
        for at in (0..self.targets.len()).rev() {
            match self.targets[at].failure.take() {
                None => observed += 1,
                // The engine knows when it has ended; until then its threads may come back.
                Some(error) if error.kind() == ErrorKind::Gone => {}
                Some(error) if self.targets.len() > 1 => self.give_up(at, &error, stream),
                Some(error) => last = error,
            }
        }
        if observed > 0 { Ok(()) } else { Err(last) }
    }
}

impl RunningSampler for RunningSmaps {
    fn add_target(&mut self, target: &Target, _stream: &mut dyn Stream) -> Result<(), Error> {
        let target = TargetWatch::new(target, &self.options, &self.metrics);
        self.targets.push(target.map_err(|error| error.into_skip_if(self.sampled))?);
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.targets.retain(|target| target.subject != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        self.sampled = true;
        // It may have been in the middle of an exec.
        self.targets.iter_mut().for_each(TargetWatch::retry_if_gone);
        let count = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.for_each(|target| target.begin_sample(count, sample.stream()));
        while self.budget.ready_in(Instant::now()).is_zero()
            && let Some(at) = self.next_target()
        {
            self.work(at, sample.stream());
        }
        let mut observed = self.targets.iter().filter(|target| target.failure.is_none());
        let whole = observed.all(|target| target.is_current());
        if !whole {
            sample.partial();
        }
        self.for_each(|target| target.emit(whole, sample));
        // Most of it was taken between the ticks, and reading maps holds next to nothing up.
        sample.paused(self.budget.take_unreported());
        self.take_failures(sample.stream())
    }

    /// Works as far as the budget allows, until the next tick.
    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        while let Some(at) = self.next_target() {
            let pause = self.budget.ready_in(Instant::now());
            let left = until.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || pause >= left {
                break;
            }
            let woken = wait_one_readable(until.wake, Some(Instant::now() + pause))
                .map_err(|error| Error::io("cannot wait for the next slice", &error))?;
            if woken {
                return Ok(Waited::Done);
            }
            self.work(at, stream);
        }
        Ok(Waited::PleaseSleep)
    }
}
