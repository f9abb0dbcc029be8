//! When a verdict that forms while a run goes on is sure enough to end the run.

use seepmeter_analysis::thresholds::settled::{KEEPS_ON, LONGER};
use seepmeter_analysis::{Classification, Judgement, Override};

/// Watches judgements of ever more of one run.
///
/// ```
/// # use seepmeter_verdict::{RunSeries, SettledVerdict};
/// # use seepmeter_analysis::Series;
/// let leak = |seconds: u64| {
///     let points = (0..seconds * 10).map(|i| (i * 100_000_000, i as i64 * 100_000));
///     RunSeries::of_resident("leak", Series::from_pairs(points)).judge().judgement
/// };
/// let mut settled = SettledVerdict::default();
/// assert!(!settled.observe(&leak(95)));
/// assert!(!settled.observe(&leak(190)));
/// assert!(settled.observe(&leak(290)));
/// ```
#[derive(Debug, Default)]
pub struct SettledVerdict {
    since: Option<Claim>,
}

/// An answer that has stood without a change.
#[derive(Debug)]
struct Claim {
    classification: Classification,
    /// How long the run was when it was first given, in ns.
    length: u64,
    /// The rate at that time, in base units a second.
    rate: f64,
}

impl Claim {
    /// What a judgement claims; none if it is inconclusive.
    fn of(judgement: &Judgement) -> Option<Self> {
        let classification = judgement.classification;
        // If a part overrules the whole, the figures of the judgement are still the whole's.
        let rate = match judgement.overruled.as_deref() {
            Some(Override::MaskedGrowth { part, .. }) => part.rate,
            _ => judgement.rate,
        };
        let rate = rate.map_or(0.0, |rate| rate.estimate);
        let length = judgement.evidence.sampling.span.length();
        (classification != Classification::Inconclusive).then_some(Self {
            classification,
            length,
            rate,
        })
    }

    /// Whether a later claim is the same.
    fn stands_in(&self, later: &Self) -> bool {
        let grows = self.classification == Classification::Growing;
        let slows = grows && later.rate < KEEPS_ON * self.rate;
        self.classification == later.classification && !slows
    }
}

impl SettledVerdict {
    /// Takes in the judgement of the run so far; true if it is growing or steady, and sure.
    pub fn observe(&mut self, judgement: &Judgement) -> bool {
        let now = Claim::of(judgement);
        match (&self.since, &now) {
            (Some(first), Some(now)) if first.stands_in(now) => {
                now.length as f64 >= first.length as f64 * LONGER
            }
            _ => {
                self.since = now;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;

    use super::*;
    use crate::RunSeries;

    /// The judgement of so many seconds of a series of ten samples a second.
    fn judgement(seconds: u64, value: impl Fn(f64) -> f64) -> Judgement {
        let points = (0..seconds * 10).map(|i| (i * 100_000_000, value(i as f64 / 10.0) as i64));
        RunSeries::of_resident("a", Series::from_pairs(points)).judge().judgement
    }

    /// When it is settled of what is judged after each ten seconds.
    fn settled_after(value: impl Fn(f64) -> f64) -> Option<u64> {
        let mut settled = SettledVerdict::default();
        (1..=60).map(|n| n * 10).find(|seconds| settled.observe(&judgement(*seconds, &value)))
    }

    #[test]
    fn a_leak_and_a_flat_line_are_sure_when_they_have_stood_for_three_times_the_least() {
        assert_eq!(settled_after(|seconds| 5e7 + 1e6 * seconds), Some(300));
        let flat = settled_after(|_| 5e7);
        assert!(flat.is_some_and(|seconds| (270..=600).contains(&seconds)), "{flat:?}");
    }

    #[test]
    fn a_cache_that_is_full_after_four_minutes_does_not_end_as_growing() {
        let mut settled = SettledVerdict::default();
        let cache = |seconds: f64| 5e7 + 1e6 * seconds.min(240.0);
        let called_growing = (1..=60).map(|n| judgement(n * 10, cache)).any(|judgement| {
            settled.observe(&judgement) && judgement.classification == Classification::Growing
        });
        assert!(!called_growing);
    }
}
