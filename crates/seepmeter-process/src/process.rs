//! A process that can't be mistaken for another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};

/// A flag of /proc/PID/stat field 9, of kernel threads (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// A process, held by its pidfd and named by its pid and start time, so that another process that
/// gets the same pid later is never taken for it.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    start_time: u64,
    name: Vec<u8>,
    pidfd: OwnedFd,
}

/// Why a process can't be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is none of this pid.
    #[error("there is no process {pid}; `pgrep -l NAME` or `ps` lists those that there are")]
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
        "process {pid} has ended and only waits to be reaped by its parent {parent}; there is nothing left to watch"
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
        "process {pid} runs, but {root} does not show it: procfs is mounted with hidepid, or belongs to another pid namespace; run seepmeter as the process's own user, or where its /proc is"
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
    /// Takes hold of a process that runs already. `proc_root` is where procfs is mounted.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn open(pid: i32, proc_root: &Path) -> Result<Self, AttachError> {
        let raw = Pid::from_raw(pid).ok_or(AttachError::NoSuchProcess { pid })?;
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => return Err(why_no_pidfd(pid, proc_root, error.into())),
        };
        // Numbers of another pid namespace would name other processes.
        let own = std::fs::read_link(proc_root.join("self"));
        let other = own.is_ok_and(|own| own.as_os_str() != std::process::id().to_string().as_str());
        if other {
            return Err(AttachError::Hidden { pid, root: proc_root.display().to_string() });
        }
        let stat = procfs::process::Process::new_with_root(proc_root.join(pid.to_string()))
            .and_then(|process| process.stat());
        let stat = match stat {
            Ok(stat) => stat,
            Err(procfs::ProcError::NotFound(_))
                if test_kill_process(raw).is_ok_or_not_permitted() =>
            {
                return Err(AttachError::Hidden { pid, root: proc_root.display().to_string() });
            }
            Err(procfs::ProcError::NotFound(_)) => return Err(AttachError::NoSuchProcess { pid }),
            Err(error) => return Err(AttachError::Other { pid, source: io::Error::other(error) }),
        };
        if stat.flags & PF_KTHREAD != 0 {
            return Err(AttachError::Kernel { pid, name: stat.comm });
        }
        let process = Self { pid, start_time: stat.starttime, name: stat.comm.into_bytes(), pidfd };
        // A zombie whose other threads run on has not ended: its pidfd says so, its state does not.
        match process.has_ended() {
            Ok(false) => Ok(process),
            Ok(true) => Err(AttachError::Ended { pid, parent: stat.ppid }),
            Err(source) => Err(AttachError::Other { pid, source }),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat, proc_pid_stat(5).
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
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

    /// True where its last thread has ended.
    ///
    /// # Errors
    /// What poll(2) fails with.
    pub fn has_ended(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        loop {
            match poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until its last thread has ended. It stays to be reaped.
    ///
    /// # Errors
    /// What poll(2) fails with.
    pub fn wait(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        loop {
            match poll(&mut fds, None) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends it a signal, and never to another process of the same pid. False where it has ended.
    ///
    /// # Errors
    /// What pidfd_send_signal(2) fails with.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> io::Result<bool> {
        let signal = Signal::from_named_raw(signal as i32)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why pidfd_open(2) was refused: a thread's id is EINVAL, and from Linux 6.9 on ENOENT.
fn why_no_pidfd(pid: i32, proc_root: &Path, source: io::Error) -> AttachError {
    match source.raw_os_error() {
        Some(libc::ESRCH) => AttachError::NoSuchProcess { pid },
        Some(libc::EINVAL | libc::ENOENT) => {
            let status = procfs::process::Process::new_with_root(proc_root.join(pid.to_string()))
                .and_then(|process| process.status());
            match status {
                Ok(status) if status.tgid != pid => {
                    AttachError::Thread { tid: pid, pid: status.tgid }
                }
                _ => AttachError::NoSuchProcess { pid },
            }
        }
        _ => AttachError::Other { pid, source },
    }
}

trait OkOrNotPermitted {
    fn is_ok_or_not_permitted(&self) -> bool;
}

impl OkOrNotPermitted for rustix::io::Result<()> {
    fn is_ok_or_not_permitted(&self) -> bool {
        matches!(self, Ok(()) | Err(rustix::io::Errno::PERM))
    }
}
