//! One thread of a tracee, and the states that it can be in.

use std::io;

use crate::arch::{Registers, RegistersError};
use crate::request;
use crate::wait::{self, Change, Ends, Halt};

/// A thread that is traced.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid: i32,
    pub(crate) state: State,
    /// While it is halted, unless it executes 32-bit code.
    pub(crate) registers: Option<Registers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, seized.
    Running,
    /// It was interrupted and has not halted yet.
    Called,
    Halted(Halt),
    /// A request has found it gone, and its end has not been seen yet.
    Dying,
    /// A leader that has ended while other threads live. Its end is told with the last one's.
    Zombie,
    /// No tracee any more.
    Gone,
}

impl Thread {
    pub(crate) fn new(tid: i32, state: State) -> Self {
        Self { tid, state, registers: None }
    }

    /// Lets a running thread halt as soon as it can.
    pub(crate) fn interrupt(&mut self) {
        if self.state == State::Running {
            let asked = request::interrupt(self.tid);
            self.state = if asked.is_ok() { State::Called } else { State::Dying };
        }
    }

    /// Asks what has become of it. True where that is something new; then it says whether the thread
    /// has vanished.
    pub(crate) fn poll(&mut self, ends: Ends) -> Option<Change> {
        // An error here is of our own making (a bad argument), so there is nobody to wait for.
        let change = wait::peek(self.tid, ends).unwrap_or(Some(Change::Vanished))?;
        self.state = match change {
            Change::Halted(halt) => State::Halted(halt),
            Change::Ended | Change::Vanished => State::Gone,
        };
        Some(change)
    }

    /// As [`Thread::poll`] for one that was interrupted, by asking the thread itself. Under signals of job
    /// control on a busy machine the kernel now and then forgets the halt of a thread that is seized soon
    /// after it was let go (`exit_code` is 0), so that no wait tells of it: the thread would stand still
    /// for ever. (Linux 6.18; in 40 runs of a hundred stops and continuations each, in 8.)
    pub(crate) fn find_halted(&mut self) {
        if self.state == State::Called
            && let Ok((signal, code)) = request::signal_information(self.tid)
        {
            self.state = State::Halted(wait::halt_of(signal, code));
        }
    }

    /// Reads the registers of a halted thread.
    pub(crate) fn read_registers(&mut self) {
        self.registers = match Registers::read(self.tid) {
            Ok(registers) => Some(registers),
            Err(RegistersError::ThirtyTwoBit) => None,
            Err(RegistersError::Kernel(_)) => {
                self.state = State::Dying;
                None
            }
        };
    }

    /// Ends the tracing of a halted thread, which gets the signal that it was on its way to, or stays
    /// stopped with its group.
    pub(crate) fn detach(&mut self) {
        let State::Halted(halt) = self.state else { return };
        self.registers = None;
        self.settle(request::detach(self.tid, halt.signal()), State::Gone);
    }

    /// The state after a request that a dying thread answers with ESRCH.
    fn settle(&mut self, result: io::Result<()>, then: State) {
        self.state = if result.is_ok() { then } else { State::Dying };
    }
}

impl Halt {
    /// The signal to let the thread go with: the one that it was on its way to, or none.
    pub(crate) fn signal(self) -> i32 {
        match self {
            Self::Signal(signal) => signal,
            Self::Interrupted | Self::Group(_) | Self::Event(_) | Self::Call => 0,
        }
    }
}
