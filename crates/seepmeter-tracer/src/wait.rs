//! What has become of a tracee, asked with waitid(2).
//!
//! Never waitpid(2), which always asks for exits too: if the tracer is a thread of the process that
//! spawned the target, that would be the last wait for the target, and take its exit status away from
//! whoever needs it. And never a wait for any child of the process: a tracer waits for its own tracees,
//! by tid, and (`__WNOTHREAD`) for no other thread's.
//!
//! Through libc: nix's waits fail with EINVAL for a stop by a real-time signal, and the stop is lost.

use std::io::{self, Error};
use std::mem::MaybeUninit;

use crate::request::EVENT_STOP;

/// Why a thread is in a ptrace-stop (ptrace(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PtraceStop {
    /// It was interrupted (PTRACE_INTERRUPT), or is new.
    Interrupt,
    /// Group-stop: its process was stopped by this signal (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU).
    Group(i32),
    /// Signal-delivery-stop: it gets this signal when it runs on.
    SignalDelivery(i32),
    /// Event stop: an event that was asked for, `PTRACE_EVENT_CLONE` and the like.
    Event(i32),
    /// Syscall-stop: the start or the end of a system call.
    Syscall,
}

impl PtraceStop {
    /// The signal to resume the thread with: the one that is being delivered, or 0 for none.
    pub(crate) fn signal(self) -> i32 {
        match self {
            Self::SignalDelivery(signal) => signal,
            Self::Interrupt | Self::Group(_) | Self::Event(_) | Self::Syscall => 0,
        }
    }

    /// True if a thread or a process was born: [`event_tid`](crate::request::event_tid) is which.
    pub(crate) fn is_birth(self) -> bool {
        matches!(
            self,
            Self::Event(
                libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK
            )
        )
    }
}

/// The answer to a wait for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    Stopped(PtraceStop),
    Exited,
    /// It is no tracee of this thread's (any more). A thread that executes a program takes over the tid
    /// of the leader, and its own tid is gone without an exit.
    NotOurs,
}

/// How to wait for the exit of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitWait {
    /// Reap it: it is not the leader, or the leader of a process that is no child of ours. Its parent
    /// learns of the exit only when its tracer has waited for it.
    Reap,
    /// Leave it: it is the leader of a child of the tracer's own process, which reaps it.
    Leave,
}

impl ExitWait {
    /// For the leader of process `pid`.
    pub(crate) fn of_leader(pid: i32) -> Self {
        let parent = crate::tasks::parent(pid);
        let is_child = parent == Some(std::process::id().cast_signed());
        if is_child { Self::Leave } else { Self::Reap }
    }
}

/// Asks without waiting, and leaves a ptrace-stop in place: it is returned again until the thread is
/// resumed.
///
/// If the tracer is killed, the thread still gets the signal that was being delivered. (A wait that
/// consumes the stop clears `exit_code`, from which the kernel learns what to do with a thread whose
/// tracer has ended: `ptrace_signal()` in kernel/signal.c.)
pub(crate) fn peek(tid: i32, exit: ExitWait) -> io::Result<Option<WaitResult>> {
    let leave = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
    match (wait_for(tid, leave)?, exit) {
        (Some(WaitResult::Exited), ExitWait::Reap) => wait_for(tid, libc::WEXITED | libc::WNOHANG),
        (result, _) => Ok(result),
    }
}

/// Asks without waiting, and consumes a ptrace-stop, so that it is returned once.
pub(crate) fn take(tid: i32, exit: ExitWait) -> io::Result<Option<WaitResult>> {
    match peek(tid, exit)? {
        Some(WaitResult::Stopped(_)) => wait_for(tid, libc::WSTOPPED | libc::WNOHANG),
        result => Ok(result),
    }
}

/// Waits until there is a ptrace-stop, which it consumes, or an exit that is ours to reap.
pub(crate) fn block(tid: i32, exit: ExitWait) -> io::Result<WaitResult> {
    let kinds = match exit {
        ExitWait::Reap => libc::WSTOPPED | libc::WEXITED,
        ExitWait::Leave => libc::WSTOPPED,
    };
    // Without WNOHANG there always is a result.
    Ok(wait_for(tid, kinds)?.unwrap_or(WaitResult::NotOurs))
}

/// Which child or tracee of this very thread has something to wait for; it is left there. Without
/// `wait`, none if there is nothing now. ECHILD if there is nobody to wait for.
pub(crate) fn any(wait: bool) -> io::Result<Option<i32>> {
    let options = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
    let found = waitid(libc::P_ALL, 0, options | if wait { 0 } else { libc::WNOHANG })?;
    Ok(found.map(|found| found.pid))
}

fn wait_for(tid: i32, options: i32) -> io::Result<Option<WaitResult>> {
    match waitid(libc::P_PID, tid.cast_unsigned(), options) {
        Ok(found) => Ok(found.map(|found| result(found.code, found.status))),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Some(WaitResult::NotOurs)),
        Err(error) => Err(error),
    }
}

/// What waitid(2) writes to its siginfo_t.
struct ChildStatus {
    pid: i32,
    /// CLD_TRAPPED and the like.
    code: i32,
    status: i32,
}

/// Waits for a child or tracee of this very thread, of any kind. None if there is nothing (WNOHANG).
fn waitid(kind: libc::idtype_t, id: u32, options: i32) -> io::Result<Option<ChildStatus>> {
    let options = options | libc::__WALL | libc::__WNOTHREAD;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: the kernel writes to `info`, which lives until the call is over.
        if unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) } == 0 {
            // SAFETY: a siginfo_t of zeros is a good one, whatever the kernel has written to it.
            let info = unsafe { info.assume_init_ref() };
            // SAFETY: waitid fills in these fields, or leaves the zeros there.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then_some(ChildStatus { pid, code: info.si_code, status }));
        }
        match Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINTR) => {}
            error => return Err(error),
        }
    }
}

/// The status of a ptrace-stop is that of wait(2) without its lowest byte: the signal, and above it the
/// event.
fn result(code: i32, status: i32) -> WaitResult {
    if code != libc::CLD_TRAPPED && code != libc::CLD_STOPPED {
        return WaitResult::Exited;
    }
    let signal = status & 0xff;
    WaitResult::Stopped(match status >> 8 {
        0 if signal == libc::SIGTRAP | 0x80 => PtraceStop::Syscall,
        0 => PtraceStop::SignalDelivery(signal),
        EVENT_STOP if signal == libc::SIGTRAP => PtraceStop::Interrupt,
        EVENT_STOP => PtraceStop::Group(signal),
        event => PtraceStop::Event(event),
    })
}

/// The ptrace-stop that the siginfo_t of a thread describes. If ptrace itself has stopped the thread, the
/// code is what wait(2) returns as the status.
pub(crate) fn stop_from_siginfo(signal: i32, code: i32) -> PtraceStop {
    let is_event_stop = code >> 8 == EVENT_STOP;
    match result(libc::CLD_TRAPPED, if is_event_stop { code } else { signal }) {
        WaitResult::Stopped(stop) => stop,
        WaitResult::Exited | WaitResult::NotOurs => PtraceStop::Interrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(status: i32) -> PtraceStop {
        match result(libc::CLD_TRAPPED, status) {
            WaitResult::Stopped(stop) => stop,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stop_is_known_by_the_siginfo_of_its_thread() {
        let interrupt = stop_from_siginfo(libc::SIGTRAP, libc::SIGTRAP | EVENT_STOP << 8);
        assert_eq!(interrupt, PtraceStop::Interrupt);
        let group = stop_from_siginfo(libc::SIGSTOP, libc::SIGSTOP | EVENT_STOP << 8);
        assert_eq!(group, PtraceStop::Group(19));
        for (signal, code) in [(libc::SIGUSR1, libc::SI_USER), (libc::SIGTRAP, libc::SI_TKILL)] {
            assert_eq!(stop_from_siginfo(signal, code), PtraceStop::SignalDelivery(signal));
        }
    }

    #[test]
    fn a_sigtrap_of_the_targets_own_is_a_signal_and_no_interrupt() {
        assert_eq!(stopped(libc::SIGTRAP), PtraceStop::SignalDelivery(libc::SIGTRAP));
        assert_eq!(stopped(libc::SIGTRAP | EVENT_STOP << 8), PtraceStop::Interrupt);
    }

    #[test]
    fn signals_of_glibcs_own_and_real_time_signals_are_signals_like_others() {
        for signal in [32, 33, 34, 64] {
            assert_eq!(stopped(signal), PtraceStop::SignalDelivery(signal));
        }
    }

    #[test]
    fn a_group_stop_differs_from_an_interrupt_by_its_signal() {
        assert_eq!(stopped(libc::SIGTSTP | EVENT_STOP << 8), PtraceStop::Group(libc::SIGTSTP));
    }
}
