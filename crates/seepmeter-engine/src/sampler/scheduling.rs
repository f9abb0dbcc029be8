//! What a sampler's thread asks of the kernel's scheduler.

use std::time::Duration;

use crate::clock::nanos;

/// Over longer intervals, a turn on the CPU that comes some milliseconds late makes no tick late.
const LONG_INTERVAL: Duration = Duration::from_millis(20);

/// Prepares this thread for ticks at this interval.
pub(super) fn prepare_thread(interval: Duration) {
    precise_timers(interval);
    short_slice(interval);
}

/// Lets this thread's timers be as late as a fiftieth of its interval and no more; usually they may
/// be 50 µs late, half an interval at 10 kHz. See PR_SET_TIMERSLACK(2const).
fn precise_timers(interval: Duration) {
    let slack = nanos(interval) / 50;
    if slack < 50_000 {
        // If it is refused, more ticks are late, and they are reported.
        let _ = nix::sys::prctl::set_timerslack(slack.max(1));
    }
}

/// Asks the scheduler for short turns on the CPU, which come sooner: on a machine with more to do than
/// CPUs, a thread with the usual turn of about 3 ms waits for that long, and ticks pass. Needs no right,
/// and takes nothing from others: short turns are as much CPU time as long ones. See sched_setattr(2);
/// kernels before 6.12 take no notice.
fn short_slice(interval: Duration) {
    // The shortest that the kernel grants, and far longer than a sample that should fit the interval.
    const SLICE: u64 = 100_000;
    if interval > LONG_INTERVAL {
        return;
    }
    // SAFETY: all fields are numbers, and zeros are valid values of them.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the structure is valid for its size; 0 is the calling thread, and no flags.
    let known = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) } == 0;
    // Whoever runs seepmeter with another policy has chosen it.
    if known && attr.sched_policy == libc::SCHED_OTHER as u32 {
        attr.sched_runtime = SLICE;
        // SAFETY: as above. If it is refused, more ticks are late, and they are reported.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    }
}
