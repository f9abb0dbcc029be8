//! One target under watch: a stop, a look, and what is told of it when the target runs on.

use std::time::{Duration, Instant};

use seepmeter_plugin::record::{Event, EventKind, MetricId, SubjectId, Unit};
use seepmeter_plugin::{Error, Look, Stream, Target, Until, Waited};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::page_size;
use seepmeter_process::wait::is_readable;
use seepmeter_symbols::{StackCopy, StackEnd};
use seepmeter_tracer::{PauseTiming, TraceError, Tracee, TraceeOptions};

use crate::calls::Calls;
use crate::code::Code;
use crate::groups::Groups;
use crate::options::{self, LookAt, PtraceOptions};
use crate::registers;
use crate::taken::{Halted, Taken, TakenThread};
use crate::threads::Threads;

/// How long the end of a stop is waited for at a time, so that whoever wants to wake us is heard.
const SETTLE: Duration = Duration::from_millis(20);

pub(crate) struct Watch {
    options: PtraceOptions,
    process: SubjectId,
    hold: Hold,
    metrics: Metrics,
    threads: Threads,
    groups: Option<Groups>,
    code: Code,
    taken: Taken,
}

/// How the target is held.
enum Hold {
    /// Only for the time of a look. `settled`: what is left of the last stop has ended.
    ForLooks { tracee: Box<Tracee>, settled: bool },
    /// All the time, for its memory calls.
    Followed(Box<Calls>),
}

/// The metrics of the process and of its threads.
struct Metrics {
    pause: MetricId,
    stop: MetricId,
    look: MetricId,
    resume: MetricId,
    threads: MetricId,
    rss: MetricId,
    stack: MetricId,
    /// None where they are not asked for.
    registers: Option<[MetricId; registers::COUNT]>,
}

impl Watch {
    pub(crate) fn new(
        options: PtraceOptions,
        target: &Target,
        stream: &mut dyn Stream,
    ) -> Result<Self, Error> {
        let hold = match options.calls {
            options::Calls::Memory => Hold::Followed(Box::new(Calls::begin(target, stream)?)),
            options::Calls::Off => {
                let tracee =
                    Tracee::new(target.pid, TraceeOptions::default()).map_err(Error::failed)?;
                Hold::ForLooks { tracee: Box::new(tracee), settled: true }
            }
        };
        let maps = options.takes(LookAt::Maps) || options.takes(LookAt::Smaps);
        let folder = ProcRoot::new(&target.proc_root).process(target.pid);
        Ok(Self {
            process: target.subject,
            hold,
            metrics: Metrics::define(&options, stream),
            groups: maps.then(|| Groups::new(target.subject, &folder, stream)),
            threads: Threads::new(target.subject, target.pid, folder, options.pattern()?),
            code: Code::of(target),
            taken: Taken::default(),
            options,
        })
    }

    /// Stops the target, takes a look, lets it run on, and tells what was seen.
    pub(crate) fn look(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        self.threads.begin()?;
        if let Hold::Followed(calls) = &mut self.hold {
            // What has happened since the wait was over belongs to this look.
            calls.serve((Instant::now(), None), &mut self.code, look.stream())?;
            if calls.has_ended() {
                calls.tell(self.process, look);
                return Ok(());
            }
        }
        let timing = self.stop_and_take()?;
        look.held(timing.pause());
        if let Hold::ForLooks { tracee, settled } = &mut self.hold {
            *settled = tracee.settle(Instant::now() + SETTLE);
        }
        self.tell(timing, look);
        Ok(())
    }

    fn stop_and_take(&mut self) -> Result<PauseTiming, Error> {
        let Self { hold, options, threads, taken, code, .. } = self;
        let deadline = Instant::now() + options.max_pause;
        let most = usize::try_from(options.stack.0).unwrap_or(usize::MAX);
        let mut take = |stop: &dyn Halted| {
            taken.take(stop, (options, deadline), threads, |tid, sp| {
                code.target().copy_length(tid, sp, most)
            });
        };
        Ok(match hold {
            Hold::ForLooks { tracee, .. } => {
                let stop = tracee.stop(deadline).map_err(what_it_means)?;
                take(&stop);
                stop.detach()
            }
            Hold::Followed(calls) => {
                let stop = calls.stop(deadline).ok_or_else(Error::gone)?;
                take(&stop);
                stop.resume()
            }
        })
    }

    /// Waits until the deadline or until woken, where there is something to see to meanwhile.
    pub(crate) fn wait(
        &mut self,
        until: Until<'_>,
        stream: &mut dyn Stream,
    ) -> Result<Waited, Error> {
        match &mut self.hold {
            Hold::ForLooks { tracee, settled } => {
                let woken = || {
                    is_readable(until.wake)
                        .map_err(|error| Error::io("cannot wait for the end of a stop", &error))
                };
                while !*settled && Instant::now() < until.deadline && !woken()? {
                    *settled = tracee.settle(until.deadline.min(Instant::now() + SETTLE));
                }
                Ok(Waited::PleaseSleep)
            }
            Hold::Followed(calls) => {
                calls.serve((until.deadline, Some(until.wake)), &mut self.code, stream)?;
                Ok(if calls.has_ended() { Waited::PleaseSleep } else { Waited::Done })
            }
        }
    }

    /// Lets go of the target. One that is followed can't be let go of: then this lasts until it ends.
    pub(crate) fn end(self, stream: &mut dyn Stream) -> Result<(), Error> {
        match self.hold {
            Hold::ForLooks { .. } => Ok(()),
            Hold::Followed(calls) => calls.serve_to_the_end(stream),
        }
    }

    fn tell(&mut self, timing: PauseTiming, look: &mut Look<'_>) {
        let process = self.process;
        let mut ns = |metric, time: Duration| {
            look.point(process, metric, i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        };
        ns(self.metrics.pause, timing.pause());
        ns(self.metrics.stop, timing.stop);
        ns(self.metrics.look, timing.sample);
        ns(self.metrics.resume, timing.resume);
        let threads = self.taken.all.len() + self.taken.late.len();
        look.point(process, self.metrics.threads, i64::try_from(threads).unwrap_or(i64::MAX));
        if let Some(pages) = self.taken.resident {
            let bytes = i64::try_from(pages.saturating_mul(page_size())).unwrap_or(i64::MAX);
            look.point(process, self.metrics.rss, bytes);
        }
        self.tell_threads(look);
        self.tell_mappings(look);
        if let Hold::Followed(calls) = &mut self.hold {
            calls.tell(process, look);
        }
        self.tell_what_is_missing(look.stream());
    }

    fn tell_threads(&mut self, look: &mut Look<'_>) {
        for &(tid, pointer) in &self.taken.all {
            self.threads.saw(tid, pointer);
        }
        for late in &self.taken.late {
            self.threads.saw(late.tid, 0);
        }
        if let Some(text) = &self.taken.text {
            self.code.learn(text.bytes());
        }
        let taken = std::mem::take(&mut self.taken);
        for thread in &taken.threads {
            self.tell_registers(thread, look);
            self.tell_stack(thread, taken.stack(thread), look);
        }
        self.taken = taken;
        self.threads.bury(look.stream());
        let all = &self.taken.all;
        self.code.target_mut().retain_threads(|tid| all.iter().any(|(other, _)| *other == tid));
    }

    fn tell_stack(&mut self, thread: &TakenThread, stack: Option<&[u8]>, look: &mut Look<'_>) {
        let Some(bytes) = stack else { return };
        let registers = registers::to_unwind(&thread.registers);
        let copy = StackCopy { base: registers.sp, bytes };
        let (stack, end) = self.code.stack(&registers, copy, look.stream());
        if let StackEnd::Cut { missing } = end {
            self.code.target_mut().stack_was_cut(thread.tid, bytes.len(), missing);
        }
        if self.threads.moves(thread.tid, stack)
            && let Some(subject) = self.threads.subject(thread.tid, look.stream())
        {
            look.point(subject, self.metrics.stack, stack.0.into());
        }
    }

    fn tell_registers(&mut self, thread: &TakenThread, look: &mut Look<'_>) {
        let Some(metrics) = &self.metrics.registers else { return };
        let Some(subject) = self.threads.subject(thread.tid, look.stream()) else { return };
        for (metric, value) in metrics.iter().zip(registers::values(&thread.registers)) {
            look.point(subject, *metric, value.cast_signed());
        }
    }

    fn tell_mappings(&mut self, look: &mut Look<'_>) {
        if let (Some(groups), Some(text)) = (&mut self.groups, &self.taken.text) {
            groups.tell(text, &self.threads.stacks(), look);
        }
    }

    fn tell_what_is_missing(&mut self, stream: &mut dyn Stream) {
        let Taken { left_out, late, .. } = &self.taken;
        let pause = self.options.max_pause;
        if !left_out.is_empty() {
            let what = left_out.join(", ");
            let text =
                format!("not taken within the pause of {pause:?}: {what}; `max-pause` allows more");
            let count = i64::try_from(left_out.len()).unwrap_or(i64::MAX);
            let kind = EventKind::Other("left-out".into());
            stream.event(Event::new(stream.now(), kind).value(count).text(text));
        }
        if !late.is_empty() {
            let some = late.iter().take(8).map(ToString::to_string);
            let some = some.collect::<Vec<_>>().join(", ");
            let count = i64::try_from(late.len()).unwrap_or(i64::MAX);
            let text = format!("had not stopped within {pause:?} and ran on meanwhile: {some}");
            let kind = EventKind::Other("threads-late".into());
            stream.event(Event::new(stream.now(), kind).value(count).text(text));
        }
    }
}

impl Metrics {
    fn define(options: &PtraceOptions, stream: &mut dyn Stream) -> Self {
        let mut ns = |name, help| stream.metric(name, Unit::Nanoseconds, help);
        let pause = ns("pause", "from the first thread's interrupt until all ran again");
        let stop = ns("stop", "of the pause: until all threads had stopped");
        let look = ns("look", "of the pause: the look itself");
        let resume = ns("resume", "of the pause: until all threads ran again");
        let registers = options.takes(LookAt::Registers).then(|| {
            registers::NAMES
                .map(|name| stream.metric(name, Unit::Count, "register, as a signed number"))
        });
        let mut count = |name, help| stream.metric(name, Unit::Count, help);
        let threads = count("threads", "threads");
        let stack = count("stack", "the number of the subject that is the thread's stack");
        let rss = stream.metric("rss", Unit::Bytes, "resident set");
        Self { pause, stop, look, resume, threads, rss, stack, registers }
    }
}

/// What it means for the run that the target could not be stopped.
fn what_it_means(error: TraceError) -> Error {
    match error {
        TraceError::Gone { .. } => Error::gone(),
        // The other tracer may let it go, and what was late or ended just now is another matter next time.
        TraceError::Traced { .. } | TraceError::Late { .. } | TraceError::Request { .. } => {
            Error::skip(error)
        }
        error => Error::failed(error),
    }
}
