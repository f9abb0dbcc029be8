//! The monotonic clock as a number, to be compared with clocks of the kernel's.

/// Nanoseconds, of a clock or between two times.
pub(super) type Nanoseconds = i64;

/// The monotonic clock.
pub(super) fn now() -> Nanoseconds {
    read(libc::CLOCK_MONOTONIC)
}

pub(super) fn read(clock: libc::clockid_t) -> Nanoseconds {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to `time`; these clocks are always there.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
