//! How much of the CPU's time the sweeps may take.

use std::time::{Duration, Instant};

/// So much may be saved up: as much as it takes to read thousands of links, so that most processes are swept
/// within one tick, if that is not too soon after the last.
const SAVED: Duration = Duration::from_millis(50);

/// A share of the time that may be spent, for all targets together.
#[derive(Debug)]
pub(crate) struct Budget {
    share: f64,
    /// In seconds; below zero after a piece that took longer than there was.
    left: f64,
    filled: Instant,
}

impl Budget {
    /// `share` of the time may be taken, and at first all that can be saved up.
    pub(crate) fn new(share: f64, now: Instant) -> Self {
        Self { share, left: SAVED.as_secs_f64(), filled: now }
    }

    /// Whether something may be done now.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.left = (self.left + passed * self.share).min(SAVED.as_secs_f64());
        self.left > 0.0
    }

    /// So much was taken.
    pub(crate) fn charge(&mut self, took: Duration) {
        self.left -= took.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_minute_no_more_is_taken_than_the_share_and_what_was_saved() {
        let begin = Instant::now();
        let (mut now, mut taken) = (begin, Duration::ZERO);
        let mut budget = Budget::new(0.01, begin);
        while now - begin < Duration::from_secs(60) {
            if budget.allows(now) {
                budget.charge(Duration::from_micros(700));
                taken += Duration::from_micros(700);
                now += Duration::from_micros(700);
            } else {
                now += Duration::from_millis(1);
            }
        }
        assert!(
            taken <= Duration::from_millis(651) && taken >= Duration::from_millis(640),
            "{taken:?}"
        );
    }
}
