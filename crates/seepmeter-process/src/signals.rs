//! Signals that reach seepmeter, read as data.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// `si_code` of a signal that the kernel itself sent, as the terminal's are (asm-generic/siginfo.h).
const SI_KERNEL: i32 = 0x80;

/// How a child's signals are set before its exec: as seepmeter itself found them. What was ignored then is
/// known to [`start`](crate::start).
#[derive(Clone, Debug)]
pub struct ChildSignals {
    mask: SigSet,
}

impl ChildSignals {
    /// The signals as they are set now.
    ///
    /// # Errors
    /// What sigprocmask(2) fails with.
    pub fn as_they_are() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask))?;
        Ok(Self { mask })
    }

    /// Sets the calling process's signals so. Async-signal-safe, for a child between fork and exec.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        crate::start::ignore_as_found()?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }
}

/// Takes signals off their usual way, so that they can be awaited together with other events:
/// signalfd(2). Must be made before any other thread is, since a mask is a thread's own.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    set: SigSet,
    before: ChildSignals,
}

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Which.
    pub signal: Signal,
    /// True where the kernel sent it, as it does for Ctrl-C: then every process of the terminal's
    /// foreground group has got it, the target too.
    pub from_kernel: bool,
    /// The process that sent it; 0 where the kernel did.
    pub sender: u32,
}

impl Signals {
    /// Blocks `signals` and reads them from now on. Those that are ignored stay ignored, as nohup(1)
    /// and shells that start a job in the background mean them to be.
    ///
    /// # Errors
    /// What the system calls fail with.
    pub fn take(signals: &[Signal]) -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in signals {
            if !is_ignored(*signal)? {
                set.add(*signal);
            }
        }
        let before = ChildSignals::as_they_are()?;
        // A parent that ignores SIGCHLD hands that on, and then no exit status can be waited for: waitpid(2),
        // NOTES.
        set_disposition(Signal::SIGCHLD, SigHandler::SigDfl)?;
        // A recording that has grown to the limit of a file's size fails with EFBIG then, like any other.
        set_disposition(Signal::SIGXFSZ, SigHandler::SigIgn)?;
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self { fd: signal_fd(&set)?, set, before })
    }

    /// Lets the signals go their usual way again; one that has come and was not read goes it now.
    ///
    /// # Errors
    /// What sigprocmask(2) fails with.
    pub fn give_back(self) -> io::Result<()> {
        Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before.mask), None)?)
    }

    /// Another descriptor for the same signals. Each comes to whoever reads it first.
    pub(crate) fn again(&self) -> io::Result<SignalFd> {
        signal_fd(&self.set)
    }

    /// How the signals were before.
    #[must_use]
    pub fn before(&self) -> &ChildSignals {
        &self.before
    }

    /// The next signal that has come, if one has.
    ///
    /// # Errors
    /// What read(2) fails with.
    pub fn next(&self) -> io::Result<Option<ReceivedSignal>> {
        next_signal(&self.fd)
    }
}

/// Lets a signal that [`Signals`] has taken do to this process what it does by default, now. Returns when that is
/// over: after SIGTSTP, when the process was continued. The kernel ignores SIGTSTP for an orphaned process
/// group, as it would have done (setpgid(2)).
///
/// # Errors
/// What the system calls fail with.
pub fn deliver(signal: Signal) -> io::Result<()> {
    let mut only = SigSet::empty();
    only.add(signal);
    // To this thread alone: in all others it stays blocked.
    nix::sys::signal::raise(signal)?;
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None)?;
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&only), None)?)
}

fn signal_fd(set: &SigSet) -> io::Result<SignalFd> {
    Ok(SignalFd::with_flags(set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

pub(crate) fn next_signal(fd: &SignalFd) -> io::Result<Option<ReceivedSignal>> {
    match fd.read_signal() {
        Ok(None) | Err(Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(Some(info)) => Ok(Some(ReceivedSignal {
            signal: Signal::try_from(info.ssi_signo.cast_signed())?,
            from_kernel: info.ssi_code == SI_KERNEL,
            sender: info.ssi_pid,
        })),
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) fn is_ignored(signal: Signal) -> io::Result<bool> {
    // Not by nix, whose sigaction(2) always sets one.
    // SAFETY: all zeros is a valid sigaction.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: changes nothing; the kernel fills `now`.
    Errno::result(unsafe { libc::sigaction(signal as i32, std::ptr::null(), &raw mut now) })?;
    Ok(now.sa_sigaction == libc::SIG_IGN)
}

/// Ignores a signal, or lets it do what it does by default.
pub(crate) fn set_disposition(signal: Signal, handler: SigHandler) -> Result<(), Errno> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither SIG_DFL nor SIG_IGN runs code of ours.
    unsafe { sigaction(signal, &action) }.map(drop)
}
