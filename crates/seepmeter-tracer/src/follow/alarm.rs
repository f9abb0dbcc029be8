//! An end to a wait for tracees.
//!
//! A wait for any tracee (waitid(2)) has no limit and knows no descriptors, and to ask again and again
//! would make every call of the target wait for the next question. So a child of the tracer's thread
//! waits in its stead for the time and the descriptor, and then stops itself, which ends the wait as the
//! halt of a tracee does. No signal handler is needed, which a library has no business to install.

use std::io::{self, Error};
use std::os::fd::RawFd;
use std::time::Instant;

/// The child.
#[derive(Debug)]
pub(super) struct Alarm {
    pid: i32,
    /// Our end of the pipe by which it is told until when to wait, and its own.
    tell: RawFd,
    told: RawFd,
    set: bool,
}

/// What the child is told: a time of the monotonic clock, and a descriptor or -1.
#[repr(C)]
#[derive(Clone, Copy)]
struct Wish {
    nanoseconds: i64,
    descriptor: i64,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(Error::last_os_error());
        }
        let [told, tell] = ends;
        // The descriptors are shared, so that one that is opened later can be waited for.
        // SAFETY: asks for our own pid.
        let parent = unsafe { libc::getpid() };
        // SAFETY: a fork, but for the descriptors; with no stack of its own the child has a copy of this
        // one. It makes bare system calls alone.
        let pid = unsafe {
            let flags = libc::CLONE_FILES | libc::SIGCHLD;
            libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0)
        };
        match pid {
            -1 => Err(Error::last_os_error()),
            0 => be_the_child(told, parent),
            pid => Ok(Self { pid: pid as i32, tell, told, set: false }),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends a wait at this time, or when the descriptor can be read.
    pub(super) fn set(&mut self, until: Instant, descriptor: Option<RawFd>) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        let wish = Wish {
            nanoseconds: i64::try_from(left.as_nanos()).unwrap_or(i64::MAX),
            descriptor: descriptor.map_or(-1, i64::from),
        };
        self.write(wish)?;
        self.set = true;
        Ok(())
    }

    /// The child has stopped itself: lets it go on, to wait for the next wish.
    pub(super) fn rang(&mut self) {
        self.set = false;
        // SAFETY: a signal to a child that only this one reaps.
        unsafe { libc::kill(self.pid, libc::SIGCONT) };
    }

    /// Ends the waiting early. The child still stops itself, and has to be waited for.
    pub(super) fn cancel(&mut self) -> io::Result<()> {
        if self.set { self.write(Wish { nanoseconds: 0, descriptor: -1 }) } else { Ok(()) }
    }

    pub(super) fn is_set(&self) -> bool {
        self.set
    }

    fn write(&self, wish: Wish) -> io::Result<()> {
        // SAFETY: the kernel reads a wish, in one piece since it is shorter than PIPE_BUF.
        let written = unsafe {
            libc::write(self.tell, (&raw const wish).cast(), std::mem::size_of::<Wish>())
        };
        if written < 0 { Err(Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: ends and reaps a child that is ours alone, and closes descriptors of our own.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL | libc::__WNOTHREAD);
            libc::close(self.tell);
            libc::close(self.told);
        }
    }
}

/// Waits for wishes and fulfils them. Nothing here allocates, takes a lock or unwinds.
fn be_the_child(told: RawFd, parent: i32) -> ! {
    // SAFETY: bare system calls on memory of this function's.
    unsafe {
        // With the tracer's thread it ends too, and with nothing else: not by a Ctrl-C for all.
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::syscall(libc::SYS_getppid) != i64::from(parent) {
            libc::_exit(0);
        }
        loop {
            let mut wish = Wish { nanoseconds: 0, descriptor: -1 };
            let size = std::mem::size_of::<Wish>() as isize;
            if libc::read(told, (&raw mut wish).cast(), size as usize) != size {
                libc::_exit(0);
            }
            let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            let mut polled = [entry(told), entry(wish.descriptor as RawFd)];
            let time = libc::timespec {
                tv_sec: wish.nanoseconds / 1_000_000_000,
                tv_nsec: wish.nanoseconds % 1_000_000_000,
            };
            libc::ppoll(polled.as_mut_ptr(), 2, &raw const time, std::ptr::null());
            // A wish that came meanwhile is to end this one.
            if polled[0].revents != 0 {
                libc::read(told, (&raw mut wish).cast(), size as usize);
            }
            libc::syscall(libc::SYS_kill, libc::syscall(libc::SYS_getpid), libc::SIGSTOP);
        }
    }
}
