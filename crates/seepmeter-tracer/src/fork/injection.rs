//! System calls that a stopped thread is made to make, and that it survives if its tracer dies meanwhile.

use std::io::{self, Error};

use super::FORK_ROOM;
use super::code::ForkCode;
use super::frame::Frames;
use crate::arch::Registers;
use crate::memory::ProcessMemory;
use crate::request;
use crate::thread::{Thread, ThreadState};
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};

/// NT_X86_XSTATE (include/uapi/linux/elf.h): the state of the floating-point unit.
const EXTENDED_STATE: i32 = 0x202;
/// AMX's tiles make it as large as this.
const MAX_STATE: usize = 16384;
/// What a function may keep below its stack pointer, twice.
const RED_ZONE: u64 = 256;
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK;

/// A stopped thread that is made to make system calls. [`Injection::end`] puts everything back; dropping it does
/// so too.
pub(super) struct Injection<'s> {
    thread: &'s mut Thread,
    memory: &'s ProcessMemory,
    registers: Registers,
    mask: u64,
    frames: Frames,
    /// What was there before the frames.
    below: Vec<u8>,
    call: u64,
    born: Option<i32>,
    /// SIGSTOP, which can't be blocked, has come meanwhile.
    stopped: bool,
    ended: bool,
}

/// True if the thread is, or may be, in a restartable sequence (rseq(2)), which has to be begun again after any
/// other code has run: the kernel would not see that it was left.
pub(super) fn in_restartable_sequence(
    tid: i32,
    registers: &Registers,
    memory: &ProcessMemory,
) -> bool {
    // None has a system call in it.
    if registers.system_call().is_some() {
        return false;
    }
    let Ok(own) = request::restartable_sequences(tid) else { return true };
    let sequence = own.and_then(|own| memory.word(own + 8)).filter(|&sequence| sequence != 0);
    let Some(sequence) = sequence else { return false };
    // struct rseq_cs: two numbers of 32 bits, then the first address, and how long it is.
    let word = |at| sequence.checked_add(at).and_then(|address| memory.word(address));
    let (Some(start), Some(length)) = (word(8), word(16)) else { return true };
    registers.instruction_pointer().wrapping_sub(start) < length
}

fn gone() -> Error {
    Error::from_raw_os_error(libc::ESRCH)
}

impl<'s> Injection<'s> {
    /// Prepares a thread that is in an interrupt or a group-stop.
    pub(super) fn begin(
        thread: &'s mut Thread,
        memory: &'s ProcessMemory,
        code: &ForkCode,
    ) -> io::Result<Self> {
        let tid = thread.tid;
        let registers = thread.registers.ok_or_else(gone)?;
        let mask = request::signal_mask(tid)?;
        let mut state = vec![0; MAX_STATE];
        let filled = request::read_register_bytes(tid, EXTENDED_STATE, &mut state)?;
        let end = registers.stack_pointer().checked_sub(FORK_ROOM).ok_or_else(gone)?;
        let end = end + (FORK_ROOM - RED_ZONE);
        let state = state.get(..filled).unwrap_or_default();
        let frames = Frames::below(end, &registers, mask, state, code);
        let mut below = vec![0; frames.bytes.len()];
        if memory.read(frames.place, &mut below)? != below.len() {
            return Err(Error::from_raw_os_error(libc::EFAULT));
        }
        memory.write(frames.place, &frames.bytes)?;
        let call = code.call;
        let (born, stopped, ended) = (None, false, false);
        let mut injection =
            Self { thread, memory, registers, mask, frames, below, call, born, stopped, ended };
        // Registers that lead to the frames come first: from then on nothing is lost if we die. A thread
        // that runs with them alone makes a call that does nothing.
        let result = injection.prepare(libc::SYS_getpid, [0; 6]);
        let result = result.and_then(|()| request::set_signal_mask(tid, u64::MAX));
        match result.and_then(|()| request::set_options(tid, OPTIONS)) {
            Ok(()) => Ok(injection),
            Err(error) => {
                let _ = injection.put_back();
                Err(error)
            }
        }
    }

    /// The stack pointer of a copy that must not run.
    pub(super) fn copy_stack(&self) -> u64 {
        self.frames.copy
    }

    /// A thread or a process that was born in a call.
    pub(super) fn born(&self) -> Option<i32> {
        self.born
    }

    /// Makes the call; its result, an errno below 0.
    pub(super) fn call(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<i64> {
        self.prepare(number, arguments)?;
        self.run_to_call()?;
        self.run_to_call()?;
        self.read_result()
    }

    fn prepare(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<()> {
        let number = number.cast_unsigned();
        let mut registers = self.registers.at_call(self.call, self.frames.thread, number);
        for (index, value) in arguments.into_iter().enumerate() {
            registers.set_argument(index, value);
        }
        registers.write(self.thread.tid)
    }

    fn read_result(&self) -> io::Result<i64> {
        Registers::read(self.thread.tid).map(|registers| registers.result()).map_err(|_| gone())
    }

    /// Runs to the beginning or the end of a call.
    fn run_to_call(&mut self) -> io::Result<()> {
        loop {
            request::run_to_call(self.thread.tid, 0)?;
            match self.next_stop()? {
                PtraceStop::Syscall => return Ok(()),
                PtraceStop::Event(_) => self.born = request::event_tid(self.thread.tid),
                PtraceStop::SignalDelivery(libc::SIGSTOP) => self.stopped = true,
                // All others are blocked. An interrupt or a group-stop is one that was still to come.
                PtraceStop::SignalDelivery(_) | PtraceStop::Interrupt | PtraceStop::Group(_) => {}
            }
        }
    }

    fn next_stop(&self) -> io::Result<PtraceStop> {
        match wait::block(self.thread.tid, ExitWait::Leave)? {
            WaitResult::Stopped(stop) => Ok(stop),
            WaitResult::Exited | WaitResult::NotOurs => Err(gone()),
        }
    }

    /// Puts everything back. The thread is in a stop then as it was in before.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let tid = self.thread.tid;
        let result = self.stop_as_before();
        if result.is_err() {
            // It was killed: what a request fails for is on its way.
            self.thread.state = ThreadState::Dying;
        }
        if self.stopped {
            // SAFETY: the call takes numbers alone. The thread is our tracee, so its tid is its own.
            unsafe { libc::syscall(libc::SYS_tgkill, self.memory.pid(), tid, libc::SIGSTOP) };
        }
        result
    }

    /// An interrupt is handled where the kernel sees to signals, before any instruction is executed: there a
    /// call that is to be restarted is restarted when the thread is let go, as it would have been from the
    /// first stop.
    fn stop_as_before(&mut self) -> io::Result<()> {
        let tid = self.thread.tid;
        request::set_signal_mask(tid, self.mask)?;
        self.registers.write(tid)?;
        self.memory.write(self.frames.place, &self.below)?;
        request::set_options(tid, 0)?;
        request::interrupt(tid)?;
        request::run_on(tid, 0)?;
        self.thread.state = ThreadState::Stopped(self.next_stop()?);
        Ok(())
    }
}

impl Drop for Injection<'_> {
    fn drop(&mut self) {
        let _ = self.put_back();
    }
}
