//! What is left if there is no more memory, as under `ulimit -v`.
//!
//! Rust aborts the process if an allocation fails, and the target's exit status would be lost with it. With
//! the [`GuardedAllocator`] only the thread ends whose allocation failed; the kernel lets go of what that
//! thread has traced. The others go on, and the main thread comes to the end of the run without it, or not.
//! If not, a thread that was made before, and allocates nothing, ends the process with the target's status.
//!
//! All of this works on atomics and system calls: whoever runs here may hold any lock.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::{getpid, gettid};
use rustix::process::{WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use seepmeter_record::End;

use crate::signals::next_signal;
use crate::spawn::end_of;
use crate::{FinalMessage, Process, Signals, wait};

/// The status of a failure of seepmeter's own.
const OWN_FAILURE: i32 = 125;

/// How long the main thread has after the target's end, if it can still do its work: more than all limits
/// of the end of a run together.
const COMPLETE: Duration = Duration::from_secs(20);

/// How long the message waits for somebody to read it.
const MESSAGE_LIMIT: Duration = Duration::from_secs(1);

/// What wakes the supervising thread; -1 if there is none.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// True once the child is released. Until then the end of this process ends it too.
static RELEASED: AtomicBool = AtomicBool::new(false);

/// True if it was the main thread whose allocation failed.
static MAIN_ENDED: AtomicBool = AtomicBool::new(false);

thread_local! {
    // It has no destructor and is not made at its first use: it can be read without memory.
    static ENDS: Cell<Option<&'static AtomicBool>> = const { Cell::new(None) };
}

/// Has `flag` set if this thread ends because it finds no memory: it drops nothing then, and who waits for
/// something of it would never know.
pub fn set_if_out_of_memory(flag: &'static AtomicBool) {
    ENDS.set(Some(flag));
}

/// True if there is address space for another thread: for its stack, and for what is allocated to make it.
#[must_use]
pub fn has_room_for_thread() -> bool {
    /// The stack that std gives a thread is a quarter of it.
    const ROOM: NonZeroUsize = NonZeroUsize::new(8 << 20).unwrap();
    let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: a new mapping, wherever the kernel wants it.
    match unsafe { mmap_anonymous(None, ROOM, prot, flags) } {
        // SAFETY: that mapping, which nothing refers to.
        Ok(mapping) => unsafe { munmap(mapping, ROOM.get()) }.is_ok(),
        Err(_) => false,
    }
}

/// The target's status once it is reaped; -1 before.
static REAPED: AtomicI32 = AtomicI32::new(-1);

/// The system's allocator; if it has no memory, the thread that asked for it ends.
#[derive(Clone, Copy, Debug)]
pub struct GuardedAllocator;

// SAFETY: every call goes to the system's allocator with the caller's own promises; what it returns is
// returned, or nothing is.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn or_end(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end_thread(size);
    }
    memory
}

/// Ends this thread, or the process if no target needs it.
#[cold]
fn end_thread(size: usize) -> ! {
    let wake = WAKE.load(Ordering::Acquire);
    let supervised = wake != -1 && RELEASED.load(Ordering::Acquire);
    if let Some(flag) = ENDS.get() {
        flag.store(true, Ordering::Release);
    }
    report(size, supervised);
    if !supervised {
        exit(OWN_FAILURE);
    }
    let main = gettid() == getpid();
    MAIN_ENDED.fetch_or(main, Ordering::Release);
    let one = 1_u64.to_ne_bytes();
    // SAFETY: writes eight bytes that are there; the descriptor stays open until exit.
    unsafe { libc::write(wake, one.as_ptr().cast(), one.len()) };
    if !main {
        // SAFETY: nobody who joins this thread is to find it done, and to free its stack.
        unsafe { libc::syscall(libc::SYS_set_tid_address, 0) };
        // SAFETY: ends this thread alone. What it has is never dropped, and nobody relies on that it is.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    loop {
        // SAFETY: waits. A process without its main thread looks like a zombie.
        unsafe { libc::pause() };
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: ends the process, and runs nothing before.
    unsafe { libc::_exit(status) }
}

/// Says on standard error what has happened, without an allocation.
fn report(size: usize, target_runs: bool) {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME fills 16 bytes at most.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let name = name.split(|byte| *byte == 0).next().and_then(|name| str::from_utf8(name).ok());
    let name = name.unwrap_or("?");
    let ends = match target_runs {
        true => "and ends; the target goes on, and its exit status will be passed on",
        false => "so seepmeter ends",
    };
    let mut line = FinalMessage::default();
    // A line that is too long is cut.
    let _ = write!(
        line,
        "seepmeter: out of memory: the thread `{name}` cannot allocate {size} bytes, {ends} (is there a limit, as of ulimit -v?)"
    );
    line.print(MESSAGE_LIMIT);
}

/// The child is about to be released.
pub(crate) fn note_release() {
    // Processes that have loaded libraries were reaped before.
    REAPED.store(-1, Ordering::Release);
    RELEASED.store(true, Ordering::Release);
}

/// The end of the target, for whoever ends this process.
pub(crate) fn remember(end: End) {
    REAPED.store(status(end), Ordering::Release);
}

fn status(end: End) -> i32 {
    match end {
        // The target succeeded, and seepmeter did not.
        End::Exited(0) | End::Gone | End::Left | End::NotStarted(_) => OWN_FAILURE,
        End::Exited(status) => status,
        End::Killed(signal) => 128 + signal,
    }
}

/// What the supervising thread has.
pub(crate) struct Supervisor {
    wake: EventFd,
    target: OwnedFd,
    signals: SignalFd,
}

impl Supervisor {
    /// Makes the thread. Once the child is released, the end of a thread that finds no memory is not that of
    /// the process.
    ///
    /// # Errors
    /// If there can be no such thread, or no descriptors for it.
    pub(crate) fn start(target: &Process, signals: &Signals) -> io::Result<()> {
        /// Its stack is all the memory that it needs.
        const STACK: usize = 128 << 10;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        let target = target.pidfd().try_clone_to_owned()?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&wake);
        let supervisor = Self { wake, target, signals: signals.again()? };
        let thread = std::thread::Builder::new().name("supervisor".to_owned()).stack_size(STACK);
        thread.spawn(move || supervisor.run())?;
        WAKE.store(fd, Ordering::Release);
        Ok(())
    }

    /// Waits until a thread has found no memory, then for the target's end, and gives the main thread time
    /// to end the process.
    fn run(&self) {
        let _ = self.wake.read();
        while !self.target_has_ended() {
            if MAIN_ENDED.load(Ordering::Acquire) {
                self.pass_signals_on();
            } else {
                let _ = self.wake.read();
            }
        }
        let deadline = Some(Instant::now() + COMPLETE);
        while !MAIN_ENDED.load(Ordering::Acquire)
            && wait::wait_one_readable(self.wake.as_fd(), deadline).unwrap_or(false)
        {
            let _ = self.wake.read();
        }
        exit(self.status());
    }

    /// Waits for the target's end, a signal that the main thread can't pass on, or that thread's own end.
    fn target_has_ended(&self) -> bool {
        let main_ended = MAIN_ENDED.load(Ordering::Acquire);
        let other = if main_ended { self.signals.as_fd() } else { self.wake.as_fd() };
        let mut polled = [self.target.as_fd(), other].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // If it fails, it is asked again.
        let _ = wait::poll(&mut polled, None);
        polled[0].any().unwrap_or(false)
    }

    /// What a terminal sends reaches the target as well.
    fn pass_signals_on(&self) {
        while let Ok(Some(received)) = next_signal(&self.signals) {
            let named = rustix::process::Signal::from_named_raw(received.signal as i32);
            let own = matches!(received.signal, Signal::SIGCONT | Signal::SIGTSTP);
            if let (false, false, Some(signal)) = (received.from_kernel, own, named) {
                // A target with more rights than ours gets none.
                let _ = pidfd_send_signal(&self.target, signal);
            }
        }
    }

    fn status(&self) -> i32 {
        let known = || Some(REAPED.load(Ordering::Acquire)).filter(|status| *status != -1);
        let reap = || {
            let target = WaitId::PidFd(self.target.as_fd());
            Some(status(end_of(&waitid(target, WaitIdOptions::EXITED).ok()??)))
        };
        known().or_else(reap).or_else(known).unwrap_or(OWN_FAILURE)
    }
}
