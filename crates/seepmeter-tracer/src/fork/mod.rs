//! A copy of a stopped process, by fork: the process stands still only as long as that takes.
//!
//! One of its threads is made to call clone(2). The copy is a child of the process that never runs: it is
//! traced and stopped from its birth, and killed when it is done with or when the tracer ends. It has no
//! exit signal, so neither its birth nor its end is seen by a wait(2) of the process or by a handler of
//! SIGCHLD; at its end the process is stopped once more, and made to reap it. It shares the descriptors: of
//! copies of these a peer would learn, which would not see the end of a pipe.
//!
//! At each moment the thread could go on without a tracer. If that is killed, the thread returns from a signal
//! handler that it was never in, by a frame below its stack, and has its registers back; a copy that is born
//! just then ends at its first instruction. What is left in that case is a zombie of the copy, which only
//! the end of the process reaps. (No memory of the process is different when the tracer lets it go.)

mod code;
mod frame;
mod injection;

use std::io;

use seepmeter_process::proc::ProcError;

pub use code::ForkCode;

use crate::memory::ProcessMemory;
use crate::request;
use crate::stop::Stop;
use crate::thread::{Thread, ThreadState};
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};
use injection::Injection;

/// How many bytes below the stack pointer of the thread that forks are written, and put back.
pub const FORK_ROOM: u64 = 8192;

/// What of the process is not copied: its descriptors and its folders.
const SHARED: u64 = (libc::CLONE_FILES | libc::CLONE_FS) as u64;
/// With the exit signal 0, a wait(2) that asks for it finds it, and no other.
const WAIT_FOR_COPY: u64 = (libc::__WALL | libc::WNOHANG) as u64;

/// Why a process was not copied. It runs on as if nothing had been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// How to make a thread fork is known for x86-64 alone.
    #[error("a process can be copied on x86-64 only; read a core file of it instead (gcore)")]
    Processor,
    /// Its mappings could not be read.
    #[error("can't read the mappings of process {pid}: {source}")]
    Maps {
        /// The process.
        pid: i32,
        /// What went wrong.
        source: Box<ProcError>,
    },
    /// It has no code that can be used.
    #[error(
        "process {pid} can't be copied: its code has no system call and no return from a signal handler that could be used; read a core file of it instead (gcore)"
    )]
    NoCode {
        /// The process.
        pid: i32,
    },
    /// The thread is just getting a signal, or in code that nothing may come between; or a thread still runs.
    #[error("process {pid} can't be copied: thread {tid} can't be used just now; try again")]
    Busy {
        /// The process.
        pid: i32,
        /// The thread.
        tid: i32,
    },
    /// The kernel has refused.
    #[error("process {pid} can't be copied: its fork failed: {source}{}", hint(source))]
    Refused {
        /// The process.
        pid: i32,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A request failed that should not, most often since the process has just ended.
    #[error(
        "process {pid} can't be copied: {doing} failed: {source}; it may just have ended, so try again"
    )]
    Request {
        /// The process.
        pid: i32,
        /// What was being done.
        doing: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            " (a limit on processes is reached: RLIMIT_NPROC, pids.max or TasksMax); raise it"
        }
        Some(libc::ENOMEM) => {
            " (the kernel promises no more memory: vm.overcommit_memory is 2); raise vm.overcommit_ratio"
        }
        _ => "",
    }
}

/// A stopped copy of a process, which its tracer's thread kills when it is dropped. See [`Stop::reap`].
#[derive(Debug)]
pub struct ForkedCopy {
    pid: i32,
    /// Its pid as the process knows it, in its own pid namespace.
    pid_there: i64,
    memory: ProcessMemory,
    is_dead: bool,
}

impl ForkedCopy {
    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> &ProcessMemory {
        &self.memory
    }

    /// Kills it, and waits for its end. Its memory is gone then. The process has yet to reap it.
    pub fn kill(&mut self) {
        if std::mem::replace(&mut self.is_dead, true) {
            return;
        }
        // SAFETY: the call takes numbers alone. It is our tracee and was not waited for, so the pid is its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        loop {
            match wait::block(self.pid, ExitWait::Reap) {
                Ok(WaitResult::Stopped(_)) => {}
                Ok(WaitResult::Exited | WaitResult::NotOurs) | Err(_) => return,
            }
        }
    }
}

impl Drop for ForkedCopy {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Stop<'_> {
    /// Makes a copy of the process by one of its threads, which must have [`FORK_ROOM`] bytes of its own below
    /// its stack pointer, and be in no signal-delivery-stop. No thread may be [late](Stop::late).
    ///
    /// The copy can be read by [`ForkedCopy::memory`] when the stop is over; see [`Stop::reap`].
    ///
    /// # Errors
    /// If it can't be copied; then all is as before.
    pub fn fork(&mut self, code: &ForkCode, tid: i32) -> Result<ForkedCopy, ForkError> {
        let pid = self.memory().pid();
        let failed = |doing| move |source| ForkError::Request { pid, doing, source };
        let mut injection = self.inject(code, tid)?;
        let stack = injection.copy_stack();
        let made = injection.call(libc::SYS_clone, [SHARED, stack, 0, 0, 0, 0]);
        let born = injection.born();
        // The copy must be in our hands before anything can fail.
        let copy = born.map(|copy| take(copy, made.as_ref().copied().unwrap_or(0)));
        let restored = injection.end().map_err(failed("putting back the registers"));
        let result = made.map_err(failed("a call in the process"))?;
        restored?;
        if result < 0 {
            let source = io::Error::from_raw_os_error(-result as i32);
            return Err(ForkError::Refused { pid, source });
        }
        let ended = || failed("the fork")(io::Error::from_raw_os_error(libc::ESRCH));
        copy.ok_or_else(ended)?.map_err(failed("stopping the copy"))
    }

    /// Kills a copy that this process was made to fork, and has the process reap it, by a thread as for
    /// [`Stop::fork`]. Nothing of it is left then.
    ///
    /// # Errors
    /// If the call can't be made. The copy is a zombie then, until the process ends.
    pub fn reap(
        &mut self,
        code: &ForkCode,
        tid: i32,
        copy: &mut ForkedCopy,
    ) -> Result<(), ForkError> {
        copy.kill();
        let pid = self.memory().pid();
        let failed = |doing| move |source| ForkError::Request { pid, doing, source };
        let mut injection = self.inject(code, tid)?;
        let there = copy.pid_there.cast_unsigned();
        let result = injection.call(libc::SYS_wait4, [there, 0, WAIT_FOR_COPY, 0, 0, 0]);
        let restored = injection.end().map_err(failed("putting back the registers"));
        let result = result.map_err(failed("a call in the process"))?;
        restored?;
        // ECHILD: somebody has reaped it already.
        match result {
            result if result == copy.pid_there || result == -i64::from(libc::ECHILD) => Ok(()),
            result => {
                let source = io::Error::from_raw_os_error(result.min(0).unsigned_abs() as i32);
                Err(failed("reaping the copy")(source))
            }
        }
    }

    fn inject(&mut self, code: &ForkCode, tid: i32) -> Result<Injection<'_>, ForkError> {
        let pid = self.memory().pid();
        let busy = ForkError::Busy { pid, tid };
        if !self.late().is_empty() || !code.is_there(self.memory()) {
            return Err(busy);
        }
        let (memory, threads) = self.tracee().memory_and_threads();
        let can = |thread: &&mut Thread| {
            let state = thread.state;
            let stop =
                matches!(state, ThreadState::Stopped(PtraceStop::Interrupt | PtraceStop::Group(_)));
            thread.tid == tid && stop && thread.registers.is_some()
        };
        let thread = threads.iter_mut().find(can).ok_or(ForkError::Busy { pid, tid })?;
        let registers = thread.registers.as_ref();
        if registers.is_none_or(|it| injection::in_restartable_sequence(tid, it, memory)) {
            return Err(busy);
        }
        Injection::begin(thread, memory, code).map_err(|source| ForkError::Request {
            pid,
            doing: "preparing a thread",
            source,
        })
    }
}

/// Waits until a copy that was just born has stopped, and has it killed if we end.
fn take(pid: i32, pid_there: i64) -> io::Result<ForkedCopy> {
    let copy = ForkedCopy { pid, pid_there, memory: ProcessMemory::of(pid), is_dead: false };
    match wait::block(pid, ExitWait::Reap)? {
        WaitResult::Stopped(_) => request::set_options(pid, libc::PTRACE_O_EXITKILL)?,
        WaitResult::Exited | WaitResult::NotOurs => {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(copy)
}
