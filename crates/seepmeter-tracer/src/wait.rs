//! What has become of a tracee, asked with waitid(2).
//!
//! Never waitpid(2), which always asks for exits too: where the tracer is a thread of the process that
//! spawned the target, that would be the last wait for the target, and take its exit status away from
//! the one who needs it. And never a wait for any child: a tracer waits for its own tracees, by tid, and
//! (`__WNOTHREAD`) for no other thread's.

use std::io::{self, Error};
use std::mem::MaybeUninit;

use crate::request::EVENT_STOP;

/// Why a tracee has halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Halt {
    /// It was interrupted, or has just been born.
    Interrupted,
    /// Its process is stopped as a group, by this signal (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU).
    Group(i32),
    /// It is on its way to this signal, which it gets when it runs on.
    Signal(i32),
    /// An event that was asked for: `PTRACE_EVENT_CLONE` and the like.
    Event(i32),
    /// The beginning or the end of a system call.
    Call,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Halted(Halt),
    Ended,
    /// It is no tracee of this thread's (any more). A thread that executes a program takes over the tid
    /// of the leader, and its own is gone without an end.
    Vanished,
}

/// How a tracee's end is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It is the tracer's to reap: a thread that is not the leader, or the leader of a stranger. Until
    /// its tracer has waited for it, nobody else is told.
    Reap,
    /// It is a leader whose parent is the tracer's own process, which reaps it. We only look.
    Peek,
}

/// Asks, without waiting, and leaves a halt where it is. So it is told again until the thread is let go;
/// and where the tracer is killed, the thread still gets the signal that it was on its way to. (A wait that
/// takes the halt clears `exit_code`, from which the kernel learns what to do with a thread that is let
/// go by its tracer's end: `ptrace_signal()` in kernel/signal.c.)
pub(crate) fn peek(tid: i32, ends: Ends) -> io::Result<Option<Change>> {
    let leave = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
    match (ask(tid, leave)?, ends) {
        (Some(Change::Ended), Ends::Reap) => ask(tid, libc::WEXITED | libc::WNOHANG),
        (change, _) => Ok(change),
    }
}

/// Asks, without waiting, and takes a halt, so that it is told once.
pub(crate) fn take(tid: i32, ends: Ends) -> io::Result<Option<Change>> {
    match peek(tid, ends)? {
        Some(Change::Halted(_)) => ask(tid, libc::WSTOPPED | libc::WNOHANG),
        change => Ok(change),
    }
}

/// Waits for a halt, and takes it, or for an end that is ours to reap, for as long as it takes.
pub(crate) fn block(tid: i32, ends: Ends) -> io::Result<Change> {
    let kinds = match ends {
        Ends::Reap => libc::WSTOPPED | libc::WEXITED,
        Ends::Peek => libc::WSTOPPED,
    };
    // Without WNOHANG there always is a change.
    Ok(ask(tid, kinds)?.unwrap_or(Change::Vanished))
}

/// Which child or tracee of this very thread has something new to be asked for. Leaves it there. None,
/// where `wait` is not to, if there is none. ECHILD where there is nobody to wait for.
pub(crate) fn any(wait: bool) -> io::Result<Option<i32>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut options =
        libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
    if !wait {
        options |= libc::WNOHANG;
    }
    loop {
        // SAFETY: as in `ask`.
        let (result, pid) = unsafe {
            let result = libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options);
            (result, info.assume_init_ref().si_pid())
        };
        match (result, Error::last_os_error()) {
            (0, _) => return Ok((pid != 0).then_some(pid)),
            (_, error) if error.raw_os_error() == Some(libc::EINTR) => {}
            (_, error) => return Err(error),
        }
    }
}

fn ask(tid: i32, options: i32) -> io::Result<Option<Change>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: the kernel writes to `info`, which lives until the call is over; a siginfo_t of zeros
        // is a good one, so it can be read whatever the kernel has written.
        let (result, info) = unsafe {
            let options = options | libc::__WALL | libc::__WNOTHREAD;
            let result = libc::waitid(libc::P_PID, tid.cast_unsigned(), info.as_mut_ptr(), options);
            (result, info.assume_init_ref())
        };
        if result == 0 {
            // SAFETY: waitid fills in these fields, or leaves the zeros there.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then(|| change(info.si_code, status)));
        }
        match Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINTR) => {}
            error if error.raw_os_error() == Some(libc::ECHILD) => {
                return Ok(Some(Change::Vanished));
            }
            error => return Err(error),
        }
    }
}

/// A halt's status is that of wait(2) without its lowest byte: the signal, and above it the event.
fn change(code: i32, status: i32) -> Change {
    if code != libc::CLD_TRAPPED && code != libc::CLD_STOPPED {
        return Change::Ended;
    }
    let signal = status & 0xff;
    Change::Halted(match status >> 8 {
        0 if signal == libc::SIGTRAP | 0x80 => Halt::Call,
        0 => Halt::Signal(signal),
        EVENT_STOP if signal == libc::SIGTRAP => Halt::Interrupted,
        EVENT_STOP => Halt::Group(signal),
        event => Halt::Event(event),
    })
}

/// The halt that a siginfo_t of the thread's describes. In those of ptrace's own halts the code is what
/// wait(2) tells as the status.
pub(crate) fn halt_of(signal: i32, code: i32) -> Halt {
    let own = code >> 8 == EVENT_STOP;
    match change(libc::CLD_TRAPPED, if own { code } else { signal }) {
        Change::Halted(halt) => halt,
        Change::Ended | Change::Vanished => Halt::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_is_known_by_the_siginfo_of_its_thread() {
        assert_eq!(halt_of(libc::SIGTRAP, libc::SIGTRAP | EVENT_STOP << 8), Halt::Interrupted);
        assert_eq!(halt_of(libc::SIGSTOP, libc::SIGSTOP | EVENT_STOP << 8), Halt::Group(19));
        assert_eq!(halt_of(libc::SIGUSR1, libc::SI_USER), Halt::Signal(libc::SIGUSR1));
        assert_eq!(halt_of(libc::SIGTRAP, libc::SI_TKILL), Halt::Signal(libc::SIGTRAP));
    }

    #[test]
    fn a_sigtrap_of_the_targets_own_is_a_signal_and_no_interrupt() {
        assert_eq!(
            change(libc::CLD_TRAPPED, libc::SIGTRAP),
            Change::Halted(Halt::Signal(libc::SIGTRAP))
        );
        let interrupted = libc::SIGTRAP | EVENT_STOP << 8;
        assert_eq!(change(libc::CLD_TRAPPED, interrupted), Change::Halted(Halt::Interrupted));
    }

    #[test]
    fn signals_of_glibcs_own_and_real_time_signals_are_signals_like_others() {
        for signal in [32, 33, 34, 64] {
            assert_eq!(change(libc::CLD_TRAPPED, signal), Change::Halted(Halt::Signal(signal)));
        }
    }

    #[test]
    fn a_group_stop_is_told_from_an_interrupt_by_its_signal() {
        let stopped = libc::SIGTSTP | EVENT_STOP << 8;
        assert_eq!(change(libc::CLD_TRAPPED, stopped), Change::Halted(Halt::Group(libc::SIGTSTP)));
    }
}
