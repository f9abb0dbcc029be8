//! A way out of a deadlock between a seize and an exec.
//!
//! An exec by one of several threads holds a lock (`cred_guard_mutex`) from its beginning, kills the
//! other threads, and waits until all of them are reaped. PTRACE_SEIZE of the thread that executes waits
//! for the same lock. If we have seized some of the others already, which are ours to reap, and are
//! about to seize that one, both would wait for ever: the target hangs, and so do we. There is no
//! seize that does not wait. (Linux 6.18 has it so; ptrace_attach() in kernel/ptrace.c and de_thread()
//! in fs/exec.c.)
//!
//! A signal ends the wait of a seize. So while threads are seized a timer runs, whose signal goes to this
//! thread alone; its handler reaps the threads that have ended. The exec goes on then, and the seize,
//! which the kernel restarts after the handler, finds the thread as the exec has left it. The signal is a
//! real-time one that has no handler, and seizing takes microseconds: the timer nearly never fires.
//! (All through libc: nix has timers and handlers only for signals that are not real-time ones.)

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// When the timer fires, and how often it does again. Seizing 500 threads takes 2 ms.
const TIMEOUT_NS: i64 = 5_000_000;

const NONE: *const [i32] = &[];

thread_local! {
    /// The seized threads that are ours to reap, while the timer runs.
    static SEIZED: Cell<*const [i32]> = const { Cell::new(NONE) };
}

/// Guards the seizes of one tracer's thread by a timer.
#[derive(Debug)]
pub(crate) struct ExecDeadlockGuard {
    /// None if every real-time signal has a handler, or the system has no timers left. Then the
    /// deadlock is possible, as it is for any other tracer.
    timer: Option<libc::timer_t>,
}

impl ExecDeadlockGuard {
    pub(crate) fn new() -> Self {
        Self { timer: signal().and_then(timer) }
    }

    /// Runs `act`, which may deadlock. `seized` are threads that are ours to reap.
    pub(crate) fn guard<T>(&self, seized: &[i32], act: impl FnOnce() -> T) -> T {
        let Some(timer) = self.timer.filter(|_| !seized.is_empty()) else { return act() };
        SEIZED.set(ptr::from_ref(seized));
        set(timer, TIMEOUT_NS);
        let _end = StopTimer(timer);
        act()
    }
}

/// Stops the timer, also if the act panics.
struct StopTimer(libc::timer_t);

impl Drop for StopTimer {
    fn drop(&mut self) {
        set(self.0, 0);
        SEIZED.set(NONE);
    }
}

impl Drop for ExecDeadlockGuard {
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
        event.sigev_notify_thread_id = nix::unistd::gettid().as_raw();
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
    // SAFETY: the errno of the code that was interrupted is put back; the list is empty or that of
    // `guard`, which waits on this very thread and keeps it; waitid writes to `info`.
    unsafe {
        let errno = *libc::__errno_location();
        for tid in &*SEIZED.get() {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            let ended = libc::WEXITED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
            libc::waitid(libc::P_PID, tid.cast_unsigned(), info.as_mut_ptr(), ended);
        }
        *libc::__errno_location() = errno;
    }
}
