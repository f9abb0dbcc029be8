//! When a verdict that forms while a run goes on is sure enough to end the run.

use seepmeter_analysis::thresholds::settled::{KEEPS_ON, LARGER, LONGER, LONGER_IF_LARGER};
use seepmeter_analysis::{Classification, Evidence, Judgement, Override};

/// Watches judgements of ever more of one run.
///
/// ```
/// # use seepmeter_verdict::{RunSeries, SettledVerdict};
/// # use seepmeter_analysis::Series;
/// let leak = |seconds: u64| {
///     let points = (0..seconds * 10).map(|i| (i * 100_000_000, 5_000_000 + i as i64 * 100_000));
///     RunSeries::of_resident("leak", Series::from_pairs(points)).judge().judgement
/// };
/// let mut settled = SettledVerdict::default();
/// assert!(!settled.observe(&leak(95)));
/// assert!(!settled.observe(&leak(105)));
/// assert!(settled.observe(&leak(120)));
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
    /// How many times as large it is as when the growth began.
    size: f64,
}

impl Claim {
    /// What a judgement claims; none if it is inconclusive.
    fn of(judgement: &Judgement) -> Option<Self> {
        let classification = judgement.classification;
        // If a part overrules the whole, the figures of the judgement are still the whole's.
        let (rate, size) = match judgement.overruled.as_deref() {
            Some(Override::MaskedGrowth { part, .. }) => (part.rate, 1.0),
            _ => (judgement.rate, growth_factor(judgement).unwrap_or(1.0)),
        };
        let rate = rate.map_or(0.0, |rate| rate.estimate);
        let length = judgement.evidence.sampling.span.length();
        (classification != Classification::Inconclusive).then_some(Self {
            classification,
            length,
            rate,
            size,
        })
    }

    /// Whether a later claim is the same.
    fn stands_in(&self, later: &Self) -> bool {
        let grows = self.classification == Classification::Growing;
        let slows = grows && later.rate < KEEPS_ON * self.rate;
        self.classification == later.classification && !slows
    }

    /// How many times as long the run must be as when this was first given.
    fn longer(&self) -> f64 {
        let outgrown = self.classification == Classification::Growing && self.size >= LARGER;
        if outgrown { LONGER_IF_LARGER } else { LONGER }
    }
}

/// How many times as large it is in the end as where the judged span begins. What the line surely gained counts, so
/// that one-off steps do not.
fn growth_factor(judgement: &Judgement) -> Option<f64> {
    let Evidence { floors, tests, .. } = &judgement.evidence;
    let base = floors.get(tests.as_ref()?.first)?.value;
    let gained = judgement.rate?.low * judgement.span?.length() as f64 / 1e9;
    let level = judgement.level?.min(base + gained);
    (base > 0.0).then(|| level / base)
}

impl SettledVerdict {
    /// Takes in the judgement of the run so far; true if it is growing or steady, and sure.
    pub fn observe(&mut self, judgement: &Judgement) -> bool {
        let now = Claim::of(judgement);
        match (&self.since, &now) {
            (Some(first), Some(now)) if first.stands_in(now) => {
                now.length as f64 >= first.length as f64 * now.longer()
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
    use seepmeter_analysis::thresholds::settled::INTERIM_GROWTH;

    use super::*;
    use crate::RunSeries;

    /// The judgement of so many seconds of a series of one sample a second.
    fn judgement(seconds: f64, value: impl Fn(f64) -> f64) -> Judgement {
        let points = (0..seconds as u64).map(|i| (i * 1_000_000_000, value(i as f64) as i64));
        RunSeries::of_resident("a", Series::from_pairs(points)).judge().judgement
    }

    /// With what, and after how many seconds, a watch of at most eight hours ends.
    fn ending(value: impl Fn(f64) -> f64) -> Option<(Classification, f64)> {
        let mut settled = SettledVerdict::default();
        let mut seconds = 90.0;
        while seconds < 30_000.0 {
            let judgement = judgement(seconds, &value);
            if settled.observe(&judgement) {
                return Some((judgement.classification, seconds));
            }
            seconds *= INTERIM_GROWTH;
        }
        None
    }

    #[test]
    fn a_leak_that_dwarfs_its_program_is_sure_at_once_and_another_when_it_has_stood_for_long() {
        let ending = |leak: f64| ending(|seconds| 5e6 + leak * seconds).expect("an answer");
        let (classification, seconds) = ending(1e6);
        assert_eq!(classification, Classification::Growing);
        // It takes 300 samples until the first judgement.
        assert!((375.0..420.0).contains(&seconds), "{seconds}");
        let (classification, seconds) = ending(1e3);
        assert_eq!(classification, Classification::Growing);
        assert!((12_000.0..14_000.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_flat_line_is_steady_when_it_has_stood_for_long() {
        let (classification, seconds) = ending(|_| 5e7).expect("an answer");
        assert_eq!(classification, Classification::Steady);
        assert!((12_000.0..26_000.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_fills_or_rests_for_an_hour_does_not_end_as_what_it_looks_like() {
        let cache = ending(|seconds| 5e7 + 5e4 * seconds.min(3600.0));
        assert!(cache.is_none_or(|(answer, _)| answer == Classification::Steady), "{cache:?}");
        let late = ending(|seconds| 5e7 + 1e5 * (seconds - 3600.0).max(0.0));
        assert!(late.is_none_or(|(answer, _)| answer == Classification::Growing), "{late:?}");
    }

    #[test]
    fn one_step_to_ten_times_the_size_before_a_little_growth_is_no_growth_to_ten_times() {
        let stepped = |seconds: f64| if seconds < 400.0 { 5e6 } else { 5e7 };
        let ending = ending(|seconds| stepped(seconds) + 2e3 * seconds);
        assert!(ending.is_none_or(|(_, seconds)| seconds > 10_000.0), "{ending:?}");
    }
}
