//! A timeout for a wait for any tracee.
//!
//! A wait for any tracee (waitid(2)) has no timeout and no descriptors, and polling would make every call
//! of the target wait for the next poll. So a child of the tracer's thread waits for the time and the
//! descriptor, and then stops itself, which ends the wait as the stop of a tracee does. No signal handler
//! is needed, which a library has no business to install.

use std::io::{self, Error, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The child.
#[derive(Debug)]
pub(super) struct WaitTimer {
    pid: i32,
    /// Our end of the pipe by which the child gets requests, and its own.
    requests: PipeWriter,
    _read_by_child: PipeReader,
    set: bool,
}

/// What the child is to wait for.
#[repr(C)]
#[derive(Clone, Copy)]
struct TimerRequest {
    /// How long to wait.
    nanoseconds: i64,
    /// A descriptor that ends the wait when it can be read, or -1.
    descriptor: i64,
}

impl WaitTimer {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let parent = std::process::id().cast_signed();
        // The descriptors are shared, so that one that is opened later can be waited for.
        // SAFETY: a fork, but for the descriptors; with no stack of its own the child has a copy of this
        // one. It makes bare system calls alone.
        let pid = unsafe {
            let flags = libc::CLONE_FILES | libc::SIGCHLD;
            libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0)
        };
        match pid {
            -1 => Err(Error::last_os_error()),
            0 => run_child(reader.as_raw_fd(), parent),
            pid => {
                let pid = pid as i32;
                Ok(Self { pid, requests: writer, _read_by_child: reader, set: false })
            }
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends a wait at the deadline, or when the descriptor can be read.
    pub(super) fn set(&mut self, deadline: Instant, descriptor: Option<RawFd>) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let nanoseconds = i64::try_from(left.as_nanos()).unwrap_or(i64::MAX);
        self.request(nanoseconds, descriptor.map_or(-1, i64::from))?;
        self.set = true;
        Ok(())
    }

    /// The child has stopped itself: lets it go on, to wait for the next request.
    pub(super) fn fired(&mut self) {
        self.set = false;
        // It fails only if the child was killed by somebody; then the next request fails.
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGCONT);
    }

    /// Ends the wait early. The child still stops itself, and has to be waited for.
    pub(super) fn cancel(&mut self) -> io::Result<()> {
        if self.set { self.request(0, -1) } else { Ok(()) }
    }

    pub(super) fn is_set(&self) -> bool {
        self.set
    }

    /// Writes a request, in one piece since it is shorter than PIPE_BUF.
    fn request(&mut self, nanoseconds: i64, descriptor: i64) -> io::Result<()> {
        let [time, descriptor] = [nanoseconds, descriptor].map(i64::to_ne_bytes);
        self.requests.write_all([time, descriptor].as_flattened())
    }
}

impl Drop for WaitTimer {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        // SAFETY: reaps a child that is ours alone, and writes no status.
        unsafe {
            libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL | libc::__WNOTHREAD);
        }
    }
}

/// Waits for requests and fulfils them. Nothing here allocates, takes a lock or unwinds; so all calls are
/// libc's, which do nothing but the system call.
fn run_child(requests: RawFd, parent: i32) -> ! {
    // SAFETY: bare system calls on memory of this function's.
    unsafe {
        // It ends with the tracer's thread, and with nothing else: not by a Ctrl-C for all.
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::syscall(libc::SYS_getppid) != i64::from(parent) {
            libc::_exit(0);
        }
        loop {
            let mut request = TimerRequest { nanoseconds: 0, descriptor: -1 };
            let size = std::mem::size_of::<TimerRequest>() as isize;
            if libc::read(requests, (&raw mut request).cast(), size as usize) != size {
                libc::_exit(0);
            }
            let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            let mut polled = [entry(requests), entry(request.descriptor as RawFd)];
            let time = libc::timespec {
                tv_sec: request.nanoseconds / 1_000_000_000,
                tv_nsec: request.nanoseconds % 1_000_000_000,
            };
            libc::ppoll(polled.as_mut_ptr(), 2, &raw const time, std::ptr::null());
            // A request that came meanwhile is to end this one.
            if polled[0].revents != 0 {
                libc::read(requests, (&raw mut request).cast(), size as usize);
            }
            libc::syscall(libc::SYS_kill, libc::syscall(libc::SYS_getpid), libc::SIGSTOP);
        }
    }
}
