//! The sampler while the run lasts: all its targets, and the one budget that they have.

use std::time::Instant;

use seepmeter_plugin::record::SubjectId;
use seepmeter_plugin::{Error, ErrorKind, RunningSampler, SampleBuilder, Stream, Target};
use seepmeter_process::system::thread_cpu_time;

use crate::FdsOptions;
use crate::budget::Budget;
use crate::target::{FdsTarget, Metrics};

/// The running sampler.
#[derive(Debug)]
pub struct RunningFds {
    options: FdsOptions,
    metrics: Metrics,
    targets: Vec<FdsTarget>,
    budget: Budget,
    /// The target whose turn it is first in the next sample.
    first: usize,
    /// The first sample was taken: targets that come from here on are not those of the beginning.
    sampled: bool,
}

impl RunningFds {
    pub(crate) fn new(options: FdsOptions, stream: &mut dyn Stream) -> Self {
        Self {
            metrics: Metrics::define(&options, stream),
            budget: Budget::new(options.budget / 100.0, Instant::now()),
            options,
            targets: Vec::new(),
            first: 0,
            sampled: false,
        }
    }

    /// Observes a target as far as the budget allows.
    fn observe(&mut self, at: usize) -> Result<(), Error> {
        let Self { targets, budget, .. } = self;
        let target = &mut targets[at];
        target.begin_sample()?;
        if target.mappings_are_due() && budget.allows(Instant::now()) {
            charged(budget, || target.count_mappings())?;
        }
        while target.is_sweeping() && budget.allows(Instant::now()) {
            charged(budget, || target.sweep_piece())?;
        }
        Ok(())
    }

    /// Lets go of a target that can't be observed any more, while others can.
    fn give_up(&mut self, subject: SubjectId, error: &Error, stream: &mut dyn Stream) {
        self.targets.retain(|target| target.subject != subject);
        let text = format!("this target is not sampled any more: {error}");
        stream.incomplete(subject, Some(1), text);
    }
}

/// Does something, and charges the budget with what it took.
fn charged<T>(budget: &mut Budget, act: impl FnOnce() -> T) -> T {
    let begin = thread_cpu_time();
    let outcome = act();
    budget.charge(thread_cpu_time().saturating_sub(begin));
    outcome
}

impl RunningSampler for RunningFds {
    fn add_target(&mut self, target: &Target, _stream: &mut dyn Stream) -> Result<(), Error> {
        let target = FdsTarget::open(target, &self.options, self.metrics);
        self.targets.push(target.map_err(|error| error.into_skip_if(self.sampled))?);
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.targets.retain(|target| target.subject != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        self.sampled = true;
        let (first, count) = (self.first, self.targets.len());
        let (mut observed, mut failures, mut last) = (Vec::new(), Vec::new(), Error::gone());
        for at in (0..count).map(|at| (first + at) % count) {
            match self.observe(at) {
                Ok(()) => observed.push(at),
                // The engine knows when it has ended.
                Err(error) if error.kind() == ErrorKind::Gone => {}
                Err(error) if count > 1 => failures.push((self.targets[at].subject, error)),
                Err(error) => last = error,
            }
        }
        // Whoever had no more of the budget begins next time.
        let unfinished = observed.iter().find(|at| self.targets[**at].is_sweeping());
        self.first = unfinished.copied().unwrap_or(0);
        if unfinished.is_some() || observed.len() < count {
            sample.partial();
        }
        observed.iter().for_each(|at| self.targets[*at].emit(sample));
        for (subject, error) in failures {
            self.give_up(subject, &error, sample.stream());
        }
        if observed.is_empty() { Err(last) } else { Ok(()) }
    }
}
