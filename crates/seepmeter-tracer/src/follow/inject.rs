//! System calls that a stopped thread is made to make.

use std::io::{self, Error};
use std::time::{Duration, Instant};

use super::filter;
use crate::arch::{Registers, RegistersError, SystemCall};
use crate::memory::ProcessMemory;
use crate::request;
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};

/// seccomp(2): SECCOMP_SET_MODE_FILTER, without flags.
const SET_FILTER: u64 = 1;
/// How far below the stack the filter is written: beyond what a function may keep there.
const BELOW_THE_STACK: u64 = 512;
/// How long the thread may take to get to its next system call.
const LIMIT: Duration = Duration::from_secs(5);

/// A stopped thread that is made to make system calls. Its registers are put back when this ends.
pub(super) struct SyscallInjection<'m> {
    tid: i32,
    exit: ExitWait,
    memory: &'m ProcessMemory,
    saved: Registers,
    /// Signals that came meanwhile, to be sent again.
    signals: Vec<i32>,
}

fn ended() -> Error {
    Error::from_raw_os_error(libc::ESRCH)
}

impl<'m> SyscallInjection<'m> {
    /// Begins with a thread that was seized and interrupted. It must be stopped in a system call, so that
    /// there is an instruction to make one by; it runs on until it is.
    pub(super) fn begin(tid: i32, exit: ExitWait, memory: &'m ProcessMemory) -> io::Result<Self> {
        let deadline = Instant::now() + LIMIT;
        let mut signals = Vec::new();
        loop {
            if let PtraceStop::SignalDelivery(signal) = next_stop(tid, exit)? {
                signals.push(signal);
            }
            let registers = read(tid)?;
            if registers.system_call().is_some() && registers.called_by_instruction(tid) {
                return Ok(Self { tid, exit, memory, saved: registers, signals });
            }
            if Instant::now() >= deadline {
                return Err(Error::from(io::ErrorKind::TimedOut));
            }
            request::run_on(tid, 0)?;
            std::thread::sleep(Duration::from_millis(1));
            request::interrupt(tid)?;
        }
    }

    /// Makes the call; its result, an errno below 0.
    pub(super) fn call(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<i64> {
        let mut registers = self.saved;
        registers.make_call(&SystemCall { number, arguments });
        registers.write(self.tid)?;
        self.run_to_call()?;
        self.run_to_call()?;
        Ok(read(self.tid)?.result())
    }

    fn run_to_call(&mut self) -> io::Result<()> {
        loop {
            request::run_to_call(self.tid, 0)?;
            match next_stop(self.tid, self.exit)? {
                PtraceStop::Syscall => return Ok(()),
                PtraceStop::SignalDelivery(signal) => self.signals.push(signal),
                // An interrupt that was still to come.
                PtraceStop::Interrupt | PtraceStop::Group(_) | PtraceStop::Event(_) => {}
            }
        }
    }

    /// Installs the filter, and sets no_new_privs if it must be.
    pub(super) fn install_filter(&mut self) -> io::Result<()> {
        let program = filter::bytes();
        let place = (self.saved.stack_pointer() - BELOW_THE_STACK) & !15;
        let code = place + 16;
        let mut header = [0; 16];
        header[..2].copy_from_slice(&((program.len() / filter::INSTRUCTION) as u16).to_ne_bytes());
        header[8..].copy_from_slice(&code.to_ne_bytes());
        self.memory.write(place, &header)?;
        self.memory.write(code, &program)?;
        let install = [SET_FILTER, 0, place, 0, 0, 0];
        // A process with CAP_SYS_ADMIN need not give up what an exec may add to its rights.
        if self.call(libc::SYS_seccomp, install)? == 0 {
            return Ok(());
        }
        let give_up = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
        checked(self.call(libc::SYS_prctl, give_up)?)?;
        checked(self.call(libc::SYS_seccomp, install)?)
    }

    /// Puts its registers back, and lets it run on.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.saved.rewind_interrupted_call();
        self.saved.write(self.tid)?;
        for signal in self.signals.drain(..) {
            // SAFETY: the call takes numbers alone. The thread is stopped, so its tid is its own. (nix sends
            // no real-time signals.)
            unsafe { libc::syscall(libc::SYS_tgkill, self.tid, self.tid, signal) };
        }
        request::run_on(self.tid, 0)
    }
}

fn checked(result: i64) -> io::Result<()> {
    if result < 0 { Err(Error::from_raw_os_error(-result as i32)) } else { Ok(()) }
}

fn next_stop(tid: i32, exit: ExitWait) -> io::Result<PtraceStop> {
    match wait::block(tid, exit)? {
        WaitResult::Stopped(stop) => Ok(stop),
        WaitResult::Exited | WaitResult::NotOurs => Err(ended()),
    }
}

fn read(tid: i32) -> io::Result<Registers> {
    Registers::read(tid).map_err(|error| match error {
        RegistersError::Kernel(error) => error,
        RegistersError::ThirtyTwoBit => Error::from_raw_os_error(libc::ENOEXEC),
    })
}
