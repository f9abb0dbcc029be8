//! How much of the targets' time may be taken, and when.
//!
//! A reader that takes mmap_lock again at once starves the target's mmap and munmap: it gets the lock
//! before the writer has woken up. So a slice is short, and between slices there are pauses in which
//! nothing holds the lock; a bucket that fills at the budget's rate says when the next may begin.

use std::time::{Duration, Instant};

/// How long the lock is held, or taken and taken again, at one go.
const LONGEST_SLICE: Duration = Duration::from_micros(200);

/// Less is not worth a system call.
const SHORTEST_SLICE: Duration = Duration::from_micros(20);

/// A slice is made shorter if the budget does not pay for one in this time.
const SLICE_EVERY: Duration = Duration::from_secs(1);

/// How many slices may be saved up: as many as a small target needs, so that it is done in one go.
const SAVED_SLICES: u32 = 2;

/// The budget of slices, for all targets together.
#[derive(Debug)]
pub(crate) struct Budget {
    share: f64,
    slice: Duration,
    /// In seconds; below zero after a slice that took longer than it should.
    tokens: f64,
    filled: Instant,
    /// All that was taken and not yet reported.
    unreported: Duration,
}

impl Budget {
    /// `share` of the time may be taken.
    pub(crate) fn new(share: f64, now: Instant) -> Self {
        let slice = SLICE_EVERY.mul_f64(share).clamp(SHORTEST_SLICE, LONGEST_SLICE);
        let tokens = (slice * SAVED_SLICES).as_secs_f64();
        Self { share, slice, tokens, filled: now, unreported: Duration::ZERO }
    }

    /// How long one slice may take.
    pub(crate) fn slice(&self) -> Duration {
        self.slice
    }

    /// How long to wait for the next slice.
    pub(crate) fn ready_in(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        let most = (self.slice * SAVED_SLICES).as_secs_f64();
        self.tokens = (self.tokens + passed * self.share).min(most);
        let missing = self.slice.as_secs_f64() - self.tokens;
        Duration::try_from_secs_f64(missing / self.share).unwrap_or(Duration::ZERO)
    }

    /// A slice has taken so much.
    pub(crate) fn charge(&mut self, took: Duration) {
        self.tokens -= took.as_secs_f64();
        self.unreported += took;
    }

    /// Something has taken so much that has a part of the whole budget to itself.
    pub(crate) fn charge_apart(&mut self, took: Duration) {
        self.unreported += took;
    }

    /// What has been taken since this was last asked.
    pub(crate) fn take_unreported(&mut self) -> Duration {
        std::mem::take(&mut self.unreported)
    }
}

/// How long work that takes `cost` lasts if it may take `share` of the time.
pub(crate) fn stretched(cost: Duration, share: f64) -> Duration {
    /// Longer than any run; times that far ahead can still be added to.
    const LONGEST: Duration = Duration::from_secs(1 << 32);
    Duration::try_from_secs_f64(cost.as_secs_f64() / share).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_minute_no_more_is_taken_than_the_share() {
        let mut now = Instant::now();
        let begin = now;
        let mut budget = Budget::new(0.005, now);
        let mut taken = Duration::ZERO;
        while now - begin < Duration::from_secs(60) {
            let wait = budget.ready_in(now);
            if wait.is_zero() {
                let slice = Duration::from_micros(150 + u64::from(taken.subsec_micros()) % 200);
                budget.charge(slice);
                taken += slice;
                now += slice;
            } else {
                now += wait + Duration::from_nanos(1);
            }
        }
        assert!(taken <= Duration::from_micros(300_800), "{taken:?}");
        assert!(taken >= Duration::from_millis(295), "{taken:?}");
    }

    #[test]
    fn a_small_budget_makes_slices_short_and_not_rare() {
        let now = Instant::now();
        for share in [0.0001, 0.000_02] {
            let mut budget = Budget::new(share, now);
            budget.charge(budget.slice() * SAVED_SLICES);
            assert!(budget.ready_in(now) <= SLICE_EVERY + Duration::from_millis(1));
        }
    }
}
