//! The sampler while the run lasts: all its targets.

use std::time::Instant;

use glob::Pattern;
use seepmeter_plugin::record::SubjectId;
use seepmeter_plugin::{
    Error, ErrorKind, RunningSampler, SampleBuilder, Stream, Target, Until, Waited,
};
use seepmeter_process::wait::is_readable;
use seepmeter_stacks::StackTable;
use seepmeter_tracer::FollowStatus;

use crate::memory_calls::{MemoryCallMetrics, MemoryCalls};
use crate::metrics::Metrics;
use crate::options::{FollowedCalls, PtraceOptions};
use crate::target::{Observation, Shared, TracedTarget, Tracing};

/// The running sampler.
pub struct RunningPtrace {
    shared: Shared,
    mode: TracingMode,
    targets: Vec<TracedTarget>,
    /// A followed target that is watched no more, but can't do without its tracer.
    unwatched: Option<Box<MemoryCalls>>,
}

/// How targets are traced.
enum TracingMode {
    /// Only while they are stopped for a sample.
    Stops,
    /// All the time, for their memory calls.
    Follows(MemoryCallMetrics),
}

impl RunningPtrace {
    pub(crate) fn new(options: PtraceOptions, pattern: Pattern, stream: &mut dyn Stream) -> Self {
        let metrics = Metrics::define(&options, stream);
        let mode = match options.calls {
            FollowedCalls::Off => TracingMode::Stops,
            FollowedCalls::Memory => TracingMode::Follows(MemoryCallMetrics::define(stream)),
        };
        let shared = Shared { options, pattern, metrics, table: StackTable::new() };
        Self { shared, mode, targets: Vec::new(), unwatched: None }
    }

    /// Waits for what is left of the targets' last stops, for a short time. True if nothing is.
    fn settle(&mut self, deadline: Instant) -> bool {
        let settle = |target: &mut TracedTarget| target.settle(deadline);
        self.targets.iter_mut().map(settle).filter(|settled| !settled).count() == 0
    }

    /// Emits of each target what was observed, and reports those that could not be. An error is returned
    /// if no target could be observed.
    fn emit(
        &mut self,
        observations: Vec<Result<Observation, Error>>,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<(), Error> {
        let are_several = self.targets.len() > 1;
        let mut observed = false;
        let mut last = Error::gone();
        let mut lost = Vec::new();
        for (target, observation) in self.targets.iter_mut().zip(observations) {
            match observation {
                Ok(observation) => {
                    observed = true;
                    target.emit(&observation, &mut self.shared, sample);
                }
                // The engine knows when it has ended.
                Err(error) if error.kind() == ErrorKind::Gone => {}
                Err(error) => {
                    let is_lost = error.kind() == ErrorKind::Failed;
                    if are_several {
                        report(target.subject, &error, is_lost, sample.stream());
                    }
                    if is_lost && are_several {
                        lost.push(target.subject);
                    }
                    last = error;
                }
            }
        }
        self.targets.retain(|target| !lost.contains(&target.subject));
        if observed { Ok(()) } else { Err(last) }
    }
}

/// Reports that a target could not be observed, while others could.
fn report(target: SubjectId, error: &Error, is_lost: bool, stream: &mut dyn Stream) {
    let what = if is_lost { "is not sampled any more" } else { "was left out of this sample" };
    stream.incomplete(target, Some(1), format!("this target {what}: {error}"));
}

impl RunningSampler for RunningPtrace {
    fn add_target(&mut self, target: &Target, _stream: &mut dyn Stream) -> Result<(), Error> {
        let tracing = match self.mode {
            TracingMode::Stops => Tracing::by_stops(target.pid).map_err(Error::into_skip)?,
            TracingMode::Follows(_) if !self.targets.is_empty() || self.unwatched.is_some() => {
                return Err(Error::skip(
                    "calls=memory follows one command that seepmeter spawns, and no second target; leave calls= out to sample several",
                ));
            }
            TracingMode::Follows(metrics) => Tracing::Follows(Box::new(
                MemoryCalls::begin(target, metrics).map_err(Error::into_skip)?,
            )),
        };
        self.targets.push(TracedTarget::new(target, tracing, &mut self.shared));
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _stream: &mut dyn Stream) -> Result<(), Error> {
        if let Some(at) = self.targets.iter().position(|target| target.subject == subject) {
            let followed = self.targets.remove(at).release();
            self.unwatched = followed.or(self.unwatched.take());
        }
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        let Self { shared, targets, .. } = self;
        let observe = |target: &mut TracedTarget| target.observe(shared, sample.stream());
        let observations: Vec<_> = targets.iter_mut().map(observe).collect();
        let mut all = targets.iter().zip(&observations);
        let is_whole = all.all(|(target, observation)| match observation {
            Ok(observation) => target.is_complete(observation),
            Err(error) => error.kind() == ErrorKind::Gone,
        });
        if !is_whole {
            sample.partial();
        }
        self.emit(observations, sample)
    }

    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        if let Some(calls) = &mut self.unwatched {
            if calls.handle_unwatched(until)? == FollowStatus::AllExited {
                self.unwatched = None;
            }
            return Ok(Waited::PleaseSleep);
        }
        for target in &mut self.targets {
            if target.handle_calls(until, &mut self.shared.table, stream)? {
                return Ok(Waited::Done);
            }
        }
        let woken = || {
            is_readable(until.wake)
                .map_err(|error| Error::io("cannot wait for the end of a stop", &error))
        };
        while !self.settle(until.deadline) && Instant::now() < until.deadline && !woken()? {}
        Ok(Waited::PleaseSleep)
    }

    fn stop(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let followed = self.targets.drain(..).filter_map(TracedTarget::release);
        let followed = followed.chain(self.unwatched.take()).next();
        followed.map_or(Ok(()), |calls| calls.handle_to_the_end(stream))
    }
}
