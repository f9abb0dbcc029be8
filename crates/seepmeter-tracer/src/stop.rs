//! A process that stands still.

use std::io;
use std::time::{Duration, Instant};

use crate::arch::Registers;
use crate::memory::{Memory, Piece};
use crate::thread::{State, Thread};
use crate::tracee::Tracee;
use crate::wait::Halt;

/// A process of which no thread runs, except those that were [late](Stop::late).
///
/// Dropping it lets the process go.
#[derive(Debug)]
pub struct Stop<'t> {
    tracee: &'t mut Tracee,
    began: Instant,
    look_began: Instant,
    over: bool,
}

/// How long the parts of a pause took. The pause is from the first interrupt to the last thread's
/// release; a single thread stood still for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Until all threads had halted and their registers were read.
    pub stop: Duration,
    /// What the caller did with them.
    pub look: Duration,
    /// Until all ran again.
    pub resume: Duration,
}

impl Timing {
    /// The whole pause.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.stop + self.look + self.resume
    }
}

/// A thread that stands still.
#[derive(Debug, Clone, Copy)]
pub struct HaltedThread<'s> {
    tid: i32,
    halt: Halt,
    registers: &'s Registers,
}

impl HaltedThread<'_> {
    /// Its thread id.
    #[must_use]
    pub fn tid(&self) -> i32 {
        self.tid
    }

    /// Why it has halted; mostly, since it was interrupted.
    #[must_use]
    pub fn halt(&self) -> Halt {
        self.halt
    }

    /// Its registers.
    #[must_use]
    pub fn registers(&self) -> &Registers {
        self.registers
    }
}

impl<'t> Stop<'t> {
    pub(crate) fn begin(tracee: &'t mut Tracee) -> Self {
        let now = Instant::now();
        Self { tracee, began: now, look_began: now, over: false }
    }

    pub(crate) fn tracee(&mut self) -> &mut Tracee {
        self.tracee
    }

    pub(crate) fn look_begins(&mut self) {
        self.look_began = Instant::now();
    }

    /// When the first thread was interrupted.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The threads that stand still. Those that execute 32-bit code in a 64-bit process are left out.
    pub fn threads(&self) -> impl Iterator<Item = HaltedThread<'_>> {
        self.tracee.threads.iter().filter_map(|thread| match thread {
            Thread { tid, state: State::Halted(halt), registers: Some(registers) } => {
                Some(HaltedThread { tid: *tid, halt: *halt, registers })
            }
            _ => None,
        })
    }

    /// The threads that had not halted in time and run, each with the letter of its state (proc(5)): `D`
    /// waits for something that no signal ends, such as a child by vfork(2).
    #[must_use]
    pub fn late(&self) -> Vec<(i32, char)> {
        self.tracee.late()
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        self.tracee.memory()
    }

    /// Reads many pieces of memory; see [`Memory::read_many`].
    ///
    /// # Errors
    /// Where nothing of it can be read at all.
    pub fn read_many(&self, pieces: &mut [Piece<'_>]) -> io::Result<()> {
        self.memory().read_many(pieces)
    }

    /// Lets every thread go, and ends their tracing.
    pub fn detach(mut self) -> Timing {
        self.end()
    }

    fn end(&mut self) -> Timing {
        let look_ended = Instant::now();
        self.over = true;
        self.tracee.let_go();
        let ended = Instant::now();
        self.tracee.urgent = None;
        self.tracee.reap_the_dying();
        Timing {
            stop: self.look_began - self.began,
            look: look_ended - self.look_began,
            resume: ended - look_ended,
        }
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.end();
        }
    }
}
