//! Clocks of the kernel as numbers, to be compared with those of its scheduler.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds, of a clock or between two times.
pub(super) type Nanoseconds = i64;

/// The monotonic clock. None only if a filter of our own process forbids the call.
pub(super) fn now() -> Option<Nanoseconds> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
