//! A process that can't be mistaken for another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::proc::{ProcError, ProcRoot, Stat};
use crate::wait::{is_readable, wait_one_readable};

/// What identifies a process among all of this boot: a pid alone is given to another process
/// after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat, proc_pid_stat(5).
    pub start_time: u64,
}

impl ProcessKey {
    /// When it started, from the start of the machine on.
    #[must_use]
    pub fn since_boot(self) -> Duration {
        let second = rustix::param::clock_ticks_per_second();
        Duration::from_secs_f64(self.start_time as f64 / second as f64)
    }
}

/// A process, held by its pidfd and known by its [`ProcessKey`], so that another process that gets
/// the same pid later is never taken for it.
#[derive(Debug)]
pub struct Process {
    key: ProcessKey,
    name: Vec<u8>,
    pidfd: OwnedFd,
}

/// Why a process can't be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is none of this pid.
    #[error("there is no process {pid}; `pgrep -l NAME` or `ps` lists the pids")]
    NoSuchProcess {
        /// What was asked for.
        pid: i32,
    },
    /// The pid is a thread's.
    #[error("{tid} is a thread of process {pid}; attach to {pid}")]
    Thread {
        /// What was asked for.
        tid: i32,
        /// The process that it belongs to.
        pid: i32,
    },
    /// It has ended, and its parent has not reaped it.
    #[error(
        "process {pid} is a zombie: it has ended and waits to be reaped by its parent {parent}; it has no memory left"
    )]
    Ended {
        /// What was asked for.
        pid: i32,
        /// Who should reap it.
        parent: i32,
    },
    /// It belongs to the kernel.
    #[error("process {pid} ({name}) is a thread of the kernel and has no memory of its own")]
    Kernel {
        /// What was asked for.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// It runs, but procfs does not show it.
    #[error(
        "process {pid} runs, but {root} does not show it: procfs is mounted with hidepid, or belongs to another pid namespace; run seepmeter as the user of the process or as root, or in the pid namespace of that /proc"
    )]
    Hidden {
        /// What was asked for.
        pid: i32,
        /// Where procfs was looked for.
        root: String,
    },
    /// Anything else.
    #[error("cannot attach to process {pid}: {source}")]
    Other {
        /// What was asked for.
        pid: i32,
        /// What went wrong.
        source: io::Error,
    },
}

impl Process {
    /// Takes hold of a process that runs already.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn open(pid: i32, root: &ProcRoot) -> Result<Self, AttachError> {
        if !root.is_of_our_namespace() && exists(pid) {
            return Err(hidden(pid, root));
        }
        let (process, stat) = Self::open_unchecked(pid, root)?;
        // A zombie whose other threads run on has not ended: its pidfd says so, its state does not.
        match process.has_ended() {
            Ok(false) => Ok(process),
            Ok(true) => Err(AttachError::Ended { pid, parent: stat.ppid }),
            Err(source) => Err(AttachError::Other { pid, source }),
        }
    }

    /// The same of one that may have ended, in a procfs of this pid namespace. What was read is its own if it has not
    /// ended afterwards.
    pub(crate) fn open_unchecked(pid: i32, root: &ProcRoot) -> Result<(Self, Stat), AttachError> {
        let raw = rustix::process::Pid::from_raw(pid).ok_or(AttachError::NoSuchProcess { pid })?;
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => return Err(why_no_pidfd(pid, root, error.into())),
        };
        let stat = root.process(pid).stat().map_err(|error| match error {
            ProcError::Gone { .. } if exists(pid) => hidden(pid, root),
            ProcError::Gone { .. } => AttachError::NoSuchProcess { pid },
            error => AttachError::Other { pid, source: error.into() },
        })?;
        if stat.is_of_the_kernel() {
            let name = String::from_utf8_lossy(&stat.comm).into_owned();
            return Err(AttachError::Kernel { pid, name });
        }
        let key = ProcessKey { pid, start_time: stat.start_time };
        Ok((Self { key, name: stat.comm.clone(), pidfd }, stat))
    }

    /// What identifies it among all processes of this boot.
    #[must_use]
    pub fn key(&self) -> ProcessKey {
        self.key
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.key.pid
    }

    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat, proc_pid_stat(5).
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.key.start_time
    }

    /// What it was called when it was taken hold of: /proc/PID/comm, at most 15 bytes.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The descriptor that becomes readable when the process has ended, that is when its last thread
    /// has: pidfd_open(2).
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// True if its last thread has ended.
    ///
    /// # Errors
    /// What ppoll(2) fails with.
    pub fn has_ended(&self) -> io::Result<bool> {
        is_readable(self.pidfd())
    }

    /// Waits until its last thread has ended. It stays to be reaped.
    ///
    /// # Errors
    /// What ppoll(2) fails with.
    pub fn wait(&self) -> io::Result<()> {
        wait_one_readable(self.pidfd(), None).map(drop)
    }

    /// Sends it a signal, and never to another process of the same pid. False if it has ended.
    ///
    /// # Errors
    /// What pidfd_send_signal(2) fails with.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let signal = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn hidden(pid: i32, root: &ProcRoot) -> AttachError {
    AttachError::Hidden { pid, root: root.path().display().to_string() }
}

/// Why pidfd_open(2) was refused: a thread's id is EINVAL, and from Linux 6.9 on ENOENT.
fn why_no_pidfd(pid: i32, root: &ProcRoot, source: io::Error) -> AttachError {
    match source.raw_os_error() {
        Some(libc::ESRCH) => AttachError::NoSuchProcess { pid },
        Some(libc::EINVAL | libc::ENOENT) => match root.process(pid).status() {
            Ok(status) if status.tgid != pid => AttachError::Thread { tid: pid, pid: status.tgid },
            _ => AttachError::NoSuchProcess { pid },
        },
        _ => AttachError::Other { pid, source },
    }
}

/// True if there is such a process, even one that this user may not signal.
pub(crate) fn exists(pid: i32) -> bool {
    matches!(kill(nix::unistd::Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}
