//! The budget: what a sampler's samples may cost the target.
//!
//! A sample that pauses the target or takes its locks may take no more than a share of the time from
//! sample to sample. If it takes more, sampling is slowed down until it fits, and sped up again when
//! samples have become cheap.

use std::time::Duration;

/// How much a single sample counts: one that was merely unlucky with the scheduler should not decide.
const WEIGHT: f64 = 0.3;

/// Samples are never rarer than one in this time, whatever they cost.
const RAREST: Duration = Duration::from_secs(3600);

/// How cheap samples must have become, as a share of the budget, before sampling is sped up.
const CHEAP: f64 = 0.25;

/// The budget of one sampler.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The share of the time that samples may take.
    share: f64,
    asked: Duration,
    interval: Duration,
    /// What a sample costs, as a moving average in seconds.
    cost: Option<f64>,
}

impl Budget {
    pub(crate) fn new(share: f64, asked: Duration) -> Self {
        Self { share, asked, interval: asked, cost: None }
    }

    /// Takes in what a sample has cost. Some if the interval changes: the one from here on.
    pub(crate) fn charge(&mut self, cost: Duration) -> Option<Duration> {
        let seconds = cost.as_secs_f64();
        let average = self.cost.map_or(seconds, |before| before + WEIGHT * (seconds - before));
        self.cost = Some(average);
        let allowed = self.interval.as_secs_f64() * self.share;
        let interval = if average > allowed {
            self.at_least(average / self.share)
        } else if average < allowed * CHEAP && self.interval > self.asked {
            self.at_least(self.interval.as_secs_f64() / 2.0)
        } else {
            return None;
        };
        (interval != self.interval).then(|| {
            self.interval = interval;
            interval
        })
    }

    /// The first multiple of the asked interval that is so long.
    fn at_least(&self, seconds: f64) -> Duration {
        let seconds = seconds.min(RAREST.as_secs_f64());
        let times = (seconds / self.asked.as_secs_f64()).ceil().max(1.0);
        self.asked.mul_f64(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn samples_within_the_budget_change_nothing() {
        let mut budget = Budget::new(0.01, 1000 * MS);
        assert!((0..100).all(|_| budget.charge(9 * MS).is_none()));
    }

    #[test]
    fn samples_that_cost_too_much_are_made_rarer_until_they_fit() {
        let mut budget = Budget::new(0.01, 1000 * MS);
        assert_eq!(budget.charge(45 * MS), Some(5000 * MS));
        assert!((0..100).all(|_| budget.charge(45 * MS).is_none()));
    }

    #[test]
    fn samples_that_have_become_cheap_are_made_denser_down_to_what_was_asked() {
        let mut budget = Budget::new(0.01, 1000 * MS);
        budget.charge(80 * MS);
        let changes: Vec<Duration> = (0..100).filter_map(|_| budget.charge(MS)).collect();
        assert_eq!(changes.last(), Some(&(1000 * MS)));
        assert!(changes.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn one_unlucky_sample_among_cheap_ones_does_not_stop_the_watch() {
        let mut budget = Budget::new(0.01, 1000 * MS);
        for _ in 0..10 {
            budget.charge(MS);
        }
        assert!(budget.charge(1000 * MS).unwrap_or_default() < 60_000 * MS);
        for _ in 0..60 {
            budget.charge(MS);
        }
        assert_eq!(budget.interval, 1000 * MS);
    }
}
