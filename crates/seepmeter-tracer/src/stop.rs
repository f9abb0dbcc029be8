//! A process that is stopped.

use std::io;
use std::time::{Duration, Instant};

use crate::arch::Registers;
use crate::error::LateThread;
use crate::memory::{MemoryPiece, ProcessMemory};
use crate::thread::{Thread, ThreadState};
use crate::tracee::Tracee;
use crate::wait::PtraceStop;

/// A process of which no thread runs, except those that are [late](Stop::late).
///
/// Dropping it lets the process go.
#[derive(Debug)]
pub struct Stop<'t> {
    tracee: &'t mut Tracee,
    clock: PauseClock,
    over: bool,
}

/// How long the parts of a pause took. The pause is from the first interrupt to the last thread's
/// release; a single thread was stopped for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseTiming {
    /// Until all threads were stopped and their registers were read.
    pub stop: Duration,
    /// What the caller did with them.
    pub sample: Duration,
    /// Until all ran again.
    pub resume: Duration,
}

impl PauseTiming {
    /// The whole pause.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.stop + self.sample + self.resume
    }
}

/// Measures a pause that has begun.
#[derive(Debug)]
pub(crate) struct PauseClock {
    began: Instant,
    sample_began: Instant,
}

impl PauseClock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, sample_began: now }
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn all_have_stopped(&mut self) {
        self.sample_began = Instant::now();
    }

    /// The parts of the pause; `resume` makes the threads run again.
    pub(crate) fn measure(&self, resume: impl FnOnce()) -> PauseTiming {
        let sample_ended = Instant::now();
        resume();
        PauseTiming {
            stop: self.sample_began - self.began,
            sample: sample_ended - self.sample_began,
            resume: sample_ended.elapsed(),
        }
    }
}

/// A thread that is stopped.
#[derive(Debug, Clone, Copy)]
pub struct StoppedThread<'s> {
    tid: i32,
    stop: PtraceStop,
    registers: &'s Registers,
}

impl<'s> StoppedThread<'s> {
    pub(crate) fn new(tid: i32, stop: PtraceStop, registers: &'s Registers) -> Self {
        Self { tid, stop, registers }
    }

    /// Its thread id.
    #[must_use]
    pub fn tid(&self) -> i32 {
        self.tid
    }

    /// The ptrace-stop that it is in; mostly [`PtraceStop::Interrupt`].
    #[must_use]
    pub fn ptrace_stop(&self) -> PtraceStop {
        self.stop
    }

    /// Its registers.
    #[must_use]
    pub fn registers(&self) -> &'s Registers {
        self.registers
    }
}

impl<'t> Stop<'t> {
    pub(crate) fn begin(tracee: &'t mut Tracee) -> Self {
        Self { tracee, clock: PauseClock::start(), over: false }
    }

    pub(crate) fn tracee(&mut self) -> &mut Tracee {
        self.tracee
    }

    pub(crate) fn all_have_stopped(&mut self) {
        self.clock.all_have_stopped();
    }

    /// When the first thread was interrupted.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.clock.began()
    }

    /// The threads that are stopped. Those that execute 32-bit code in a 64-bit process are left out.
    pub fn threads(&self) -> impl Iterator<Item = StoppedThread<'_>> {
        self.tracee.threads.iter().filter_map(|thread| match thread {
            Thread { tid, state: ThreadState::Stopped(stop), registers: Some(registers) } => {
                Some(StoppedThread::new(*tid, *stop, registers))
            }
            _ => None,
        })
    }

    /// The threads that had not stopped in time and run. One in state `D` waits for something that no
    /// signal ends, such as a child by vfork(2).
    #[must_use]
    pub fn late(&self) -> Vec<LateThread> {
        self.tracee.late()
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &ProcessMemory {
        self.tracee.memory()
    }

    /// Reads many pieces of memory; see [`ProcessMemory::read_many`].
    ///
    /// # Errors
    /// If nothing of it can be read at all.
    pub fn read_many(&self, pieces: &mut [MemoryPiece<'_>]) -> io::Result<()> {
        self.memory().read_many(pieces)
    }

    /// Lets every thread go, and ends their tracing.
    pub fn detach(mut self) -> PauseTiming {
        self.end()
    }

    fn end(&mut self) -> PauseTiming {
        self.over = true;
        let timing = self.clock.measure(|| self.tracee.detach_all());
        self.tracee.urgent = None;
        self.tracee.reap_the_dying();
        timing
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.end();
        }
    }
}
