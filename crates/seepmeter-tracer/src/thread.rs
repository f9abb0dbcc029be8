//! One thread of a tracee, and the states that it can be in.

use std::io;

use crate::arch::{Registers, RegistersError};
use crate::request;
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};

/// A thread that is traced.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid: i32,
    pub(crate) state: ThreadState,
    /// While it is stopped, unless it executes 32-bit code.
    pub(crate) registers: Option<Registers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// It runs, seized.
    Running,
    /// It was interrupted and has not stopped yet.
    Interrupted,
    Stopped(PtraceStop),
    /// A request has failed since it has ended, and its exit has not been waited for yet.
    Dying,
    /// A leader that has ended while other threads live. Its exit is reported with the last one's.
    Zombie,
    /// No tracee any more.
    Gone,
}

impl Thread {
    pub(crate) fn new(tid: i32, state: ThreadState) -> Self {
        Self { tid, state, registers: None }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, ThreadState::Stopped(_))
    }

    /// Makes a running thread stop as soon as it can.
    pub(crate) fn interrupt(&mut self) {
        if self.state == ThreadState::Running {
            self.settle(request::interrupt(self.tid), ThreadState::Interrupted);
        }
    }

    /// Asks what has become of it. None if that is nothing new.
    pub(crate) fn poll(&mut self, exit: ExitWait) -> Option<WaitResult> {
        // An error here is of our own making (a bad argument), so there is nobody to wait for.
        let result = wait::peek(self.tid, exit).unwrap_or(Some(WaitResult::NotOurs))?;
        self.state = match result {
            WaitResult::Stopped(stop) => ThreadState::Stopped(stop),
            WaitResult::Exited | WaitResult::NotOurs => ThreadState::Gone,
        };
        Some(result)
    }

    /// As [`Thread::poll`] for one that was interrupted, by asking for its siginfo.
    ///
    /// Under signals of job control on a busy machine the kernel now and then forgets the stop of a
    /// thread that is seized soon after it was detached (`exit_code` is 0), so that no wait returns it:
    /// the thread would be stopped for ever. (Linux 6.18; in 8 of 40 runs of a hundred stops and
    /// continuations each.)
    pub(crate) fn find_stop(&mut self) {
        if self.state == ThreadState::Interrupted
            && let Ok(info) = request::signal_information(self.tid)
        {
            let stop = wait::stop_from_siginfo(info.signal, info.code);
            self.state = ThreadState::Stopped(stop);
        }
    }

    /// Reads the registers of a stopped thread.
    pub(crate) fn read_registers(&mut self) {
        self.registers = match Registers::read(self.tid) {
            Ok(registers) => Some(registers),
            Err(RegistersError::ThirtyTwoBit) => None,
            Err(RegistersError::Kernel(_)) => {
                self.state = ThreadState::Dying;
                None
            }
        };
    }

    /// Ends the tracing of a stopped thread, which gets the signal that is being delivered, or stays
    /// stopped with its group.
    pub(crate) fn detach(&mut self) {
        let ThreadState::Stopped(stop) = self.state else { return };
        self.registers = None;
        self.settle(request::detach(self.tid, stop.signal()), ThreadState::Gone);
    }

    /// The state after a request, which a dying thread answers with ESRCH.
    fn settle(&mut self, result: io::Result<()>, then: ThreadState) {
        self.state = if result.is_ok() { then } else { ThreadState::Dying };
    }
}
