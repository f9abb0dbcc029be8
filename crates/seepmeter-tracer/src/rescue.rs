//! A way out of a deadlock between a seize and an exec.
//!
//! An exec by one of several threads holds a lock (`cred_guard_mutex`) from its beginning, kills the
//! other threads, and waits until all of them are reaped. PTRACE_SEIZE of the thread that executes waits
//! for the same lock. So where we have seized some of the others already, which are ours to reap, and are
//! about to seize that one, both would wait for ever: the target stands still, and so do we. There is no
//! seize that does not wait. (Linux 6.18 has it so; ptrace_attach() in kernel/ptrace.c and de_thread()
//! in fs/exec.c.)
//!
//! What ends the wait of a seize is a signal. So while threads are seized a timer runs, whose signal
//! goes to this thread alone; its handler reaps the threads that have ended. The exec goes on then,
//! and the seize, which the kernel does again after the handler, finds what it has made of the thread.
//! The signal is a real-time one that nobody has a handler for, and in the microseconds that seizing
//! takes the timer nearly never comes to run out.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// When the timer runs out, and how often it does again. Seizing 500 threads takes 2 ms.
const PATIENCE_NS: i64 = 5_000_000;

thread_local! {
    /// The seized threads that are ours to reap, while the timer runs.
    static SEIZED: Cell<(*const i32, usize)> = const { Cell::new((ptr::null(), 0)) };
}

/// The timer of one tracer's thread.
#[derive(Debug)]
pub(crate) struct Rescue {
    /// None where every real-time signal has a handler, or the system has no timers left. Then the
    /// deadlock may come, as it may for any other tracer.
    timer: Option<libc::timer_t>,
}

impl Rescue {
    pub(crate) fn new() -> Self {
        Self { timer: signal().and_then(timer) }
    }

    /// Does what may deadlock. `seized` are threads that are ours to reap.
    pub(crate) fn guard<T>(&self, seized: &[i32], act: impl FnOnce() -> T) -> T {
        let Some(timer) = self.timer.filter(|_| !seized.is_empty()) else { return act() };
        SEIZED.set((seized.as_ptr(), seized.len()));
        set(timer, PATIENCE_NS);
        let _end = OnDrop(timer);
        act()
    }
}

/// Ends the guard, also where the act panics.
struct OnDrop(libc::timer_t);

impl Drop for OnDrop {
    fn drop(&mut self) {
        set(self.0, 0);
        SEIZED.set((ptr::null(), 0));
    }
}

impl Drop for Rescue {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            // SAFETY: a timer of our own that nobody refers to any more.
            unsafe { libc::timer_delete(timer) };
        }
    }
}

fn set(timer: libc::timer_t, nanoseconds: i64) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let times = libc::itimerspec { it_interval: time, it_value: time };
    // SAFETY: the kernel reads the times of a timer of our own.
    unsafe { libc::timer_settime(timer, 0, &raw const times, ptr::null_mut()) };
}

/// A timer that sends the signal to this thread.
fn timer(signal: i32) -> Option<libc::timer_t> {
    let mut timer = MaybeUninit::zeroed();
    // SAFETY: zeros are a good event and a good set; the kernel and the C library read them and write
    // the timer. The handler of the signal is installed.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = libc::gettid();
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        let made =
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) == 0;
        made.then(|| timer.assume_init())
    }
}

/// The highest real-time signal that has no handler gets ours, once for all threads.
fn signal() -> Option<i32> {
    static SIGNAL: OnceLock<Option<i32>> = OnceLock::new();
    *SIGNAL.get_or_init(|| (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|s| install(*s)))
}

fn install(signal: i32) -> bool {
    // SAFETY: zeros are a good action; the kernel reads and writes actions of ours. The handler makes
    // nothing but system calls.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, ptr::null(), &raw mut action) != 0
            || action.sa_sigaction != libc::SIG_DFL
        {
            return false;
        }
        action.sa_sigaction = reap as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, ptr::null_mut()) == 0
    }
}

extern "C" fn reap(_signal: i32) {
    // SAFETY: the errno of the code that was interrupted is put back; the list is that of `guard`, which
    // waits on this very thread and keeps it; waitid writes to `info`.
    unsafe {
        let errno = *libc::__errno_location();
        let (tids, count) = SEIZED.get();
        for index in 0..count {
            let tid = *tids.add(index);
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            let ended = libc::WEXITED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
            libc::waitid(libc::P_PID, tid.cast_unsigned(), info.as_mut_ptr(), ended);
        }
        *libc::__errno_location() = errno;
    }
}
