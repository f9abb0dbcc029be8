//! One target: it is stopped, read and resumed, and what was read is emitted when it runs on.

use std::time::{Duration, Instant};

use glob::Pattern;
use seepmeter_plugin::record::{StackId, SubjectId, human};
use seepmeter_plugin::{Error, SampleBuilder, Stream, Target, Until, point_value};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::page_size;
use seepmeter_stacks::{StackTable, TargetCode};
use seepmeter_symbols::{StackCopy, StackEnd};
use seepmeter_tracer::{PauseTiming, TraceError, Tracee, TraceeOptions};

use crate::groups::Groups;
use crate::memory_calls::{MemoryCalls, Unwinder};
use crate::metrics::Metrics;
use crate::options::{PtraceOptions, ReadItem};
use crate::registers;
use crate::stop_copy::{ReadPlan, StopCopy, StoppedTarget, ThreadCopy};
use crate::threads::Threads;

/// How long what is left of a stop is waited for at a time; between, whoever wants to wake us can.
const SETTLE: Duration = Duration::from_millis(20);

/// What all targets share.
pub(crate) struct Shared {
    pub(crate) options: PtraceOptions,
    /// The names of the threads whose stacks and registers are read.
    pub(crate) pattern: Pattern,
    pub(crate) metrics: Metrics,
    pub(crate) table: StackTable,
}

pub(crate) struct TracedTarget {
    pub(crate) subject: SubjectId,
    tracing: Tracing,
    threads: Threads,
    /// None if the mappings are not read for their own sake.
    groups: Option<Groups>,
    code: TargetCode,
    copy: StopCopy,
}

/// How a target is traced.
pub(crate) enum Tracing {
    /// Only while it is stopped for a sample. `settled`: nothing is left of the last stop.
    Stops { tracee: Box<Tracee>, settled: bool },
    /// All the time, for its memory calls.
    Follows(Box<MemoryCalls>),
}

impl Tracing {
    /// Tries whether a process can be stopped.
    pub(crate) fn by_stops(pid: i32) -> Result<Self, Error> {
        let tracee = Tracee::new(pid, TraceeOptions::default()).map_err(trace_error)?;
        Ok(Self::Stops { tracee: Box::new(tracee), settled: true })
    }
}

/// What became of a target in a sample.
pub(crate) enum Observation {
    /// It was stopped and read.
    Paused(PauseTiming),
    /// A followed target has ended: its last calls are known.
    Ended,
}

impl TracedTarget {
    pub(crate) fn new(target: &Target, tracing: Tracing, shared: &mut Shared) -> Self {
        let folder = ProcRoot::new(&target.proc_root).process(target.pid);
        let metrics = &shared.metrics;
        let groups = shared
            .options
            .reads_mappings()
            .then(|| Groups::new(target.subject, &folder, metrics.group.clone()));
        Self {
            subject: target.subject,
            tracing,
            threads: Threads::new(target.subject, target.pid, folder, metrics.thread.clone()),
            groups,
            code: TargetCode::new(target.pid, target.proc_file("maps"), &mut shared.table),
            copy: StopCopy::default(),
        }
    }

    /// Stops the target, reads it and lets it run on.
    pub(crate) fn observe(
        &mut self,
        shared: &mut Shared,
        stream: &mut dyn Stream,
    ) -> Result<Observation, Error> {
        self.threads.refresh()?;
        if let Tracing::Follows(calls) = &mut self.tracing {
            // What has happened since the wait was over belongs to this sample.
            let table = &mut shared.table;
            let mut unwinder = Unwinder { code: &mut self.code, table, stream };
            calls.handle(Instant::now(), None, &mut unwinder)?;
            if calls.has_ended() {
                return Ok(Observation::Ended);
            }
        }
        let Some(timing) = self.stop_and_read(shared)? else { return Ok(Observation::Ended) };
        self.settle(Instant::now() + SETTLE);
        Ok(Observation::Paused(timing))
    }

    /// None if it is followed and has ended.
    fn stop_and_read(&mut self, shared: &Shared) -> Result<Option<PauseTiming>, Error> {
        let Shared { options, pattern, .. } = shared;
        let Self { tracing, threads, code, copy, .. } = self;
        let deadline = Instant::now() + options.max_pause;
        let plan = ReadPlan { options, pattern, code, deadline };
        let timing = match tracing {
            Tracing::Stops { tracee, settled } => {
                *settled = false;
                let stop = tracee.stop(deadline).map_err(trace_error)?;
                let threads_now = stop.threads().collect();
                let memory = stop.memory();
                let stopped = StoppedTarget { threads: threads_now, late: stop.late(), memory };
                copy.read(stopped, plan, threads);
                stop.detach()
            }
            Tracing::Follows(calls) => {
                let Some(stop) = calls.stop(deadline) else { return Ok(None) };
                let (threads_now, late) = (stop.threads().collect(), stop.late().to_vec());
                let stopped = StoppedTarget { threads: threads_now, late, memory: stop.memory() };
                copy.read(stopped, plan, threads);
                stop.resume()
            }
        };
        Ok(Some(timing))
    }

    /// Waits for what is left of the last stop, for a short time. True if nothing is.
    pub(crate) fn settle(&mut self, deadline: Instant) -> bool {
        match &mut self.tracing {
            Tracing::Stops { tracee, settled } => {
                *settled = *settled || tracee.settle(deadline.min(Instant::now() + SETTLE));
                *settled
            }
            Tracing::Follows(_) => true,
        }
    }

    /// Handles the calls of a followed target. False if there are none to wait for.
    pub(crate) fn handle_calls(
        &mut self,
        until: Until<'_>,
        table: &mut StackTable,
        stream: &mut dyn Stream,
    ) -> Result<bool, Error> {
        let Tracing::Follows(calls) = &mut self.tracing else { return Ok(false) };
        let mut unwinder = Unwinder { code: &mut self.code, table, stream };
        calls.handle(until.deadline, Some(until.wake), &mut unwinder)?;
        Ok(!calls.has_ended())
    }

    /// Lets go of the target. One that is followed can't be let go of, and is returned.
    pub(crate) fn release(self) -> Option<Box<MemoryCalls>> {
        match self.tracing {
            Tracing::Stops { .. } => None,
            Tracing::Follows(calls) => Some(calls),
        }
    }

    /// True if nothing is missing of an observation.
    pub(crate) fn is_complete(&self, observation: &Observation) -> bool {
        match observation {
            Observation::Paused(_) => self.copy.is_complete(),
            Observation::Ended => true,
        }
    }

    /// Emits what was observed.
    pub(crate) fn emit(
        &mut self,
        observation: &Observation,
        shared: &mut Shared,
        sample: &mut SampleBuilder<'_>,
    ) {
        if let Observation::Paused(timing) = observation {
            sample.paused(timing.pause());
            self.emit_process(timing, &shared.metrics, sample);
            self.emit_threads(shared, sample);
            if let (Some(groups), Some(text)) = (&mut self.groups, &self.copy.mappings) {
                groups.emit(text, &self.threads.stacks(), sample);
            }
            self.report_missing(shared.options.max_pause, sample.stream());
        }
        if let Tracing::Follows(calls) = &mut self.tracing {
            calls.emit(self.subject, &shared.table, sample);
        }
    }

    fn emit_process(
        &self,
        timing: &PauseTiming,
        metrics: &Metrics,
        sample: &mut SampleBuilder<'_>,
    ) {
        let times = [
            (metrics.pause, timing.pause()),
            (metrics.pause_stop, timing.stop),
            (metrics.pause_read, timing.sample),
            (metrics.pause_resume, timing.resume),
        ];
        for (metric, time) in times {
            sample.point(self.subject, metric, point_value(time.as_nanos()));
        }
        sample.point(self.subject, metrics.threads, point_value(self.copy.thread_count));
        if let Some(pages) = self.copy.resident_pages {
            let bytes = point_value(pages.saturating_mul(page_size()));
            sample.point(self.subject, metrics.rss, bytes);
        }
    }

    fn emit_threads(&mut self, shared: &mut Shared, sample: &mut SampleBuilder<'_>) {
        let Self { threads, code, copy, .. } = self;
        if let Some(text) = &copy.mappings {
            code.set_maps(text.bytes(), &mut shared.table);
        }
        threads.begin();
        for thread in &copy.threads {
            let mut values = Vec::with_capacity(shared.metrics.thread.len());
            if shared.options.reads(ReadItem::Stacks) {
                let bytes = copy.stack(thread);
                let stack = bytes.map(|bytes| name_stack(thread, bytes, code, shared, sample));
                values.push(stack.map(|stack| i64::from(stack.0)));
            }
            if shared.options.reads(ReadItem::Registers) {
                let registers = registers::values(&thread.registers);
                values.extend(registers.map(|value| Some(value.cast_signed())));
            }
            threads.observe(thread.tid, &values, sample);
        }
        copy.late.iter().for_each(|late| threads.keep(late.tid, sample));
        threads.end_unobserved(sample.stream());
        code.retain_threads(|tid| threads.is_known(tid));
    }

    fn report_missing(&self, max_pause: Duration, stream: &mut dyn Stream) {
        let StopCopy { left_out, late, .. } = &self.copy;
        let max_pause = human::duration(point_value(max_pause.as_nanos()).cast_unsigned());
        let mut report = |count: usize, text: String| {
            stream.incomplete(self.subject, Some(point_value(count)), text);
        };
        if !left_out.is_empty() {
            let what = left_out.join(", ");
            let text = format!(
                "left out of a pause of at most {max_pause}: {what}; `max-pause` allows more"
            );
            report(left_out.len(), text);
        }
        if !late.is_empty() {
            let some: Vec<String> = late.iter().take(8).map(ToString::to_string).collect();
            let some = some.join(", ");
            let text =
                format!("threads that had not stopped within {max_pause} and ran on: {some}");
            report(late.len(), text);
        }
    }
}

/// The stack of a thread, which is emitted if it is new.
fn name_stack(
    thread: &ThreadCopy,
    bytes: &[u8],
    code: &mut TargetCode,
    shared: &mut Shared,
    sample: &mut SampleBuilder<'_>,
) -> StackId {
    let registers = registers::unwind_registers(&thread.registers);
    let copy = StackCopy { base: registers.sp, bytes };
    let sampled = shared.table.stack(code, &registers, copy, sample.stream());
    if let StackEnd::Cut { missing } = sampled.end {
        code.stack_was_cut(thread.tid, bytes.len(), missing);
    }
    sampled.id
}

/// What it means for the run that a target could not be stopped.
fn trace_error(error: TraceError) -> Error {
    match error {
        TraceError::Gone { .. } => Error::gone(),
        // The other tracer may let it go, and a thread that was late may be in time next time.
        TraceError::Traced { .. } | TraceError::Late { .. } | TraceError::Request { .. } => {
            Error::skip(error)
        }
        error => Error::of(&error),
    }
}
