//! How much of the target's time may be taken, and when.
//!
//! A reader that takes mmap_lock again at once starves the target's mmap and munmap: it gets the lock
//! before the writer has woken up. So a slice is short, and between slices there are pauses in which
//! nothing holds the lock; a bucket that fills at the budget's rate says when the next may begin.

use std::time::{Duration, Instant};

/// How long the lock is held, or taken and taken again, at one go.
pub(crate) const SLICE: Duration = Duration::from_micros(200);

/// What may be saved up: two slices, so that looking at a small target is done in one go.
const SAVED: Duration = Duration::from_micros(400);

#[derive(Debug)]
pub(crate) struct Pace {
    share: f64,
    /// In seconds; below zero after a slice that took longer than it should.
    tokens: f64,
    filled: Instant,
    /// All that was taken and not yet told.
    untold: Duration,
}

impl Pace {
    /// `share` of the time may be taken.
    pub(crate) fn new(share: f64, now: Instant) -> Self {
        Self { share, tokens: SAVED.as_secs_f64(), filled: now, untold: Duration::ZERO }
    }

    /// How long to wait for the next slice.
    pub(crate) fn ready_in(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.share).min(SAVED.as_secs_f64());
        let missing = SLICE.as_secs_f64() - self.tokens;
        Duration::try_from_secs_f64(missing / self.share).unwrap_or(Duration::ZERO)
    }

    /// A slice has taken so much.
    pub(crate) fn charge(&mut self, took: Duration) {
        self.tokens -= took.as_secs_f64();
        self.untold += took;
    }

    /// What has been taken since this was last asked.
    pub(crate) fn take_untold(&mut self) -> Duration {
        std::mem::take(&mut self.untold)
    }

    /// How long work that takes `cost` lasts at this pace.
    pub(crate) fn stretched(&self, cost: Duration) -> Duration {
        Duration::try_from_secs_f64(cost.as_secs_f64() / self.share).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_minute_no_more_is_taken_than_the_share() {
        let mut now = Instant::now();
        let begin = now;
        let mut pace = Pace::new(0.005, now);
        let mut taken = Duration::ZERO;
        while now - begin < Duration::from_secs(60) {
            let wait = pace.ready_in(now);
            if wait.is_zero() {
                let slice = Duration::from_micros(150 + taken.subsec_micros() as u64 % 200);
                pace.charge(slice);
                taken += slice;
                now += slice;
            } else {
                now += wait + Duration::from_nanos(1);
            }
        }
        assert!(taken <= Duration::from_micros(300_800), "{taken:?}");
        assert!(taken >= Duration::from_millis(295), "{taken:?}");
    }
}
