//! Comparison: is the new version worse than the base?
//!
//! Each run gives one figure for its rate, its level and its peak, and the runs are what is
//! independent, not the samples within them. Base and new are compared by Welch's t (Biometrika 34,
//! 1947), which stays honest when the two sides spread differently and is advised in place of
//! Student's for few observations (Ruxton, Behavioral Ecology 17, 2006). Rank tests are no choice
//! here: with three runs a side they can't get under p = 0.1, whatever they see. One run on a side
//! says nothing of how runs differ, and so "inconclusive". Three figures are three chances of a false
//! alarm, and a hundred parts are three hundred; p-values are corrected by Holm's method (Scandinavian
//! Journal of Statistics 6, 1979). The whole's three figures are one family and those of all parts
//! another, so that the answer on the whole does not depend on how many parts were sampled.

use crate::fit::{mean, variance};
use crate::interval::Interval;
use crate::judgement::Judgement;
use crate::thresholds::comparison::{ALIKE, ALPHA, LEAST_CHANGE, UPPER_END};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// One run's figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Base units a second.
    pub rate: f64,
    /// The floor at the end, base units.
    pub level: f64,
    /// The highest value, base units.
    pub peak: f64,
    /// How long the run was, seconds: a difference of rates matters over such a span.
    pub span: f64,
}

impl Figures {
    /// The figures of a part that a run of so many seconds did not have: it holds nothing.
    #[must_use]
    pub fn absent(span: f64) -> Self {
        Self { rate: 0.0, level: 0.0, peak: 0.0, span }
    }

    /// The figures of a judged run; `None` when it was too short to have any.
    pub fn of(judgement: &Judgement) -> Option<Self> {
        Some(Self {
            rate: judgement.rate?.estimate,
            level: judgement.level?,
            peak: judgement.peak? as f64,
            span: judgement.span?.seconds(),
        })
    }
}

/// The answer for one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The new runs are higher, significantly and by an amount that matters.
    Worse,
    /// They are lower in the same sense.
    Better,
    /// Any difference is too small to matter.
    Alike,
    /// Too few runs, or runs that differ too much among themselves.
    Inconclusive,
}

impl Change {
    /// A stable name for print and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Worse => "worse",
            Change::Better => "better",
            Change::Alike => "alike",
            Change::Inconclusive => "inconclusive",
        }
    }
}

/// How one metric of the new runs differs from the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The answer.
    pub change: Change,
    /// The mean of the base runs, in the metric's units.
    pub base: f64,
    /// New minus base.
    pub estimate: f64,
    /// The 95 % interval of new minus base; `None` with one run on a side.
    pub interval: Option<Interval>,
    /// Two-sided, corrected for all that are compared together.
    pub p_value: Option<f64>,
}

/// How new runs compare with base runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Rates, base units a second.
    pub rate: Difference,
    /// Levels, base units.
    pub level: Difference,
    /// Peaks, base units.
    pub peak: Difference,
}

impl Comparison {
    /// Worse when any figure is; else inconclusive when that holds of any; else better when any is;
    /// alike when all are.
    pub fn change(&self) -> Change {
        let all = [self.rate.change, self.level.change, self.peak.change];
        match all {
            _ if all.contains(&Change::Worse) => Change::Worse,
            _ if all.contains(&Change::Inconclusive) => Change::Inconclusive,
            _ if all.contains(&Change::Better) => Change::Better,
            _ => Change::Alike,
        }
    }
}

/// The figures of all runs of a base and of a new version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Runs {
    /// Those of the base.
    pub base: Vec<Figures>,
    /// Those of the new version.
    pub new: Vec<Figures>,
}

impl Runs {
    /// Compares the runs of a new version with those of a base; `None` when a side has no run.
    ///
    /// `resolution` is what values come in, in base units: runs that agree to the byte still may differ by a
    /// page, and counts by one.
    pub fn compare(&self, resolution: f64) -> Option<Comparison> {
        let scale = Scale::of(self, resolution)?;
        let mut all = scale.differences(self);
        holm(&mut all);
        Some(scale.weigh(all))
    }

    /// Compares parts of the runs, in their order: of each the figures in every base run and in every new
    /// one, [`Figures::absent`] where a run does not have it. What matters is weighed against the whole,
    /// whose figures these runs are: a part of some pages may well double. `None` when a side has no run.
    pub fn compare_parts(&self, parts: &[Runs], resolution: f64) -> Option<Vec<Comparison>> {
        let scale = Scale::of(self, resolution)?;
        let mut all: Vec<Difference> =
            parts.iter().flat_map(|part| scale.differences(part)).collect();
        holm(&mut all);
        let (triples, _) = all.as_chunks::<3>();
        Some(triples.iter().map(|triple| scale.weigh(*triple)).collect())
    }

    /// One figure of each run.
    fn sample(&self, figure: fn(&Figures) -> f64) -> Samples {
        let pick = |runs: &[Figures]| runs.iter().map(figure).collect();
        Samples { base: pick(&self.base), new: pick(&self.new) }
    }
}

/// One figure of all runs.
struct Samples {
    base: Vec<f64>,
    new: Vec<f64>,
}

/// What differences are weighed against: the base's level and peak (base units), the length of a run
/// (seconds), and the resolution of values.
struct Scale {
    level: f64,
    peak: f64,
    span: f64,
    resolution: f64,
}

impl Scale {
    fn of(runs: &Runs, resolution: f64) -> Option<Self> {
        if runs.base.is_empty() || runs.new.is_empty() {
            return None;
        }
        let spans = runs.sample(|r| r.span);
        Some(Self {
            level: mean(&runs.sample(|r| r.level).base).abs().max(resolution),
            peak: mean(&runs.sample(|r| r.peak).base).abs().max(resolution),
            span: mean(&spans.base).min(mean(&spans.new)).max(1e-9),
            resolution,
        })
    }

    /// How rate, level and peak differ.
    fn differences(&self, runs: &Runs) -> [Difference; 3] {
        [
            welch(runs.sample(|r| r.rate), self.resolution / self.span),
            welch(runs.sample(|r| r.level), self.resolution),
            welch(runs.sample(|r| r.peak), self.resolution),
        ]
    }

    /// Says of each figure whether its difference matters.
    fn weigh(&self, mut all: [Difference; 3]) -> Comparison {
        // A rate matters by what it would add to the level within a run.
        let scales = [self.level / self.span, self.level, self.peak];
        for (difference, scale) in all.iter_mut().zip(scales) {
            difference.change = change(difference, scale);
        }
        let [rate, level, peak] = all;
        Comparison { rate, level, peak }
    }
}

/// Welch's t, with `resolution` as the least spread that is believed.
fn welch(Samples { base, new }: Samples, resolution: f64) -> Difference {
    let estimate = mean(&new) - mean(&base);
    let unknown = Difference {
        change: Change::Inconclusive,
        base: mean(&base),
        estimate,
        interval: None,
        p_value: None,
    };
    if base.len() < 2 || new.len() < 2 {
        return unknown;
    }
    // Runs that all say the very same, such as nothing, differ by nothing.
    if base.iter().chain(&new).all(|value| *value == base[0]) {
        let interval = Some(Interval::around(0.0, 0.0));
        return Difference { estimate: 0.0, interval, p_value: Some(1.0), ..unknown };
    }
    // A value rounded to a resolution r has a variance of r²/12.
    let spread = |x: &[f64]| (variance(x) + resolution.powi(2) / 12.0) / x.len() as f64;
    let (a, b) = (spread(&base), spread(&new));
    let weight = |v: f64, n: usize| v * v / (n as f64 - 1.0);
    let freedom = (a + b).powi(2) / (weight(a, base.len()) + weight(b, new.len()));
    let error = (a + b).sqrt();
    let Ok(t) = StudentsT::new(0.0, 1.0, freedom) else { return unknown };
    let interval = Interval::around(estimate, t.inverse_cdf(UPPER_END) * error);
    let p_value = 2.0 * t.cdf(-(estimate / error).abs());
    Difference { interval: Some(interval), p_value: Some(p_value), ..unknown }
}

/// Holm's correction, in place.
fn holm(all: &mut [Difference]) {
    let mut order: Vec<usize> = (0..all.len()).filter(|&i| all[i].p_value.is_some()).collect();
    let p = |all: &[Difference], i: usize| all[i].p_value.unwrap_or(1.0);
    order.sort_by(|&a, &b| p(all, a).total_cmp(&p(all, b)));
    let mut least = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        least = least.max(p(all, i) * (order.len() - rank) as f64).min(1.0);
        all[i].p_value = Some(least);
    }
}

fn change(d: &Difference, scale: f64) -> Change {
    let (Some(interval), Some(p)) = (d.interval, d.p_value) else { return Change::Inconclusive };
    let matters = d.estimate.abs() >= LEAST_CHANGE * scale;
    let small = interval.low.abs().max(interval.high.abs()) <= ALIKE * scale;
    match p < ALPHA && matters {
        true if d.estimate > 0.0 => Change::Worse,
        true => Change::Better,
        false if small => Change::Alike,
        false => Change::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: f64 = 4096.0;

    fn compare(base: &[Figures], new: &[Figures]) -> Option<Comparison> {
        Runs { base: base.to_vec(), new: new.to_vec() }.compare(PAGE)
    }

    fn runs(levels: &[f64]) -> Vec<Figures> {
        let run = |&l: &f64| Figures { rate: 0.0, level: l * 1e6, peak: l * 1.2e6, span: 600.0 };
        levels.iter().map(run).collect()
    }

    #[test]
    fn one_run_on_a_side_is_inconclusive() {
        let c = compare(&runs(&[100.0]), &runs(&[200.0])).unwrap();
        assert_eq!(
            (c.change(), c.level.interval, c.level.p_value),
            (Change::Inconclusive, None, None)
        );
        assert!((c.level.estimate - 100e6).abs() < 1.0);
    }

    #[test]
    fn a_clear_step_up_is_worse_and_seen_from_the_other_side_better() {
        let (a, b) = (runs(&[100.0, 101.0, 99.5]), runs(&[130.0, 128.0, 131.0]));
        assert_eq!(compare(&a, &b).unwrap().change(), Change::Worse);
        assert_eq!(compare(&b, &a).unwrap().level.change, Change::Better);
    }

    #[test]
    fn runs_that_agree_are_alike_and_runs_that_scatter_are_inconclusive() {
        let alike = compare(&runs(&[100.0, 100.5, 99.8]), &runs(&[100.1, 100.2, 99.9])).unwrap();
        assert_eq!(alike.change(), Change::Alike);
        let wide = compare(&runs(&[100.0, 160.0, 90.0]), &runs(&[120.0, 80.0, 170.0])).unwrap();
        assert_eq!(wide.change(), Change::Inconclusive);
    }

    #[test]
    fn welch_gives_the_textbook_figures() {
        // 3, 4, 5 against 7, 9, 11: t = 5/√(1/3 + 4/3), 2.94 degrees of freedom, p = 0.0325.
        let d = welch(Samples { base: vec![3.0, 4.0, 5.0], new: vec![7.0, 9.0, 11.0] }, 0.0);
        assert!((d.estimate - 5.0).abs() < 1e-12);
        assert!((d.p_value.unwrap() - 0.0325).abs() < 2e-3, "{:?}", d.p_value);
    }

    #[test]
    fn a_difference_that_is_sure_but_tiny_is_not_worse() {
        let c = compare(&runs(&[100.0, 100.0, 100.0]), &runs(&[100.1, 100.1, 100.1])).unwrap();
        assert_eq!(c.change(), Change::Alike);
    }

    #[test]
    fn nothing_against_nothing_is_alike() {
        let none = [Figures::absent(600.0); 2];
        assert_eq!(compare(&none, &none).unwrap().change(), Change::Alike);
        // One run a side does not tell even that.
        assert_eq!(compare(&none[..1], &none[..1]).unwrap().change(), Change::Inconclusive);
    }

    #[test]
    fn a_part_that_the_base_lacks_is_worse_and_a_part_of_some_pages_is_not() {
        let (base, new) = (runs(&[100.0, 101.0, 100.0]), runs(&[105.0, 104.0, 105.0]));
        let absent = vec![Figures::absent(600.0); 3];
        let parts = [runs(&[4.6, 4.7, 4.6]), runs(&[0.1, 0.1, 0.1])];
        let parts = parts.map(|new| Runs { base: absent.clone(), new });
        let compared = Runs { base, new }.compare_parts(&parts, PAGE).unwrap();
        let changes: Vec<Change> = compared.iter().map(Comparison::change).collect();
        assert_eq!(changes, [Change::Worse, Change::Alike]);
    }

    #[test]
    fn many_parts_that_do_not_differ_raise_no_alarm() {
        // Two hundred parts of noise: without the correction about one in twenty would be "worse".
        let mut seed = 7u64;
        let mut noise = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) % 1_000) as f64 / 100.0
        };
        let mut part = || runs(&[50.0 + noise(), 50.0 + noise(), 50.0 + noise(), 50.0 + noise()]);
        let parts: Vec<_> = (0..200).map(|_| Runs { base: part(), new: part() }).collect();
        let whole = runs(&[100.0, 101.0, 100.0, 102.0]);
        let compared =
            Runs { base: whole.clone(), new: whole }.compare_parts(&parts, PAGE).unwrap();
        let alarm = |c: &Comparison| matches!(c.change(), Change::Worse | Change::Better);
        assert!(!compared.iter().any(alarm));
        let alone = parts.iter().filter(|part| {
            let change = part.compare(PAGE).unwrap().level.change;
            change == Change::Worse || change == Change::Better
        });
        assert!(alone.count() > 2, "so this noise would raise some by themselves");
    }

    #[test]
    fn no_runs_compare_to_nothing() {
        assert_eq!(compare(&[], &runs(&[1.0])), None);
    }

    #[test]
    fn counts_are_compared_by_one_and_bytes_by_a_page() {
        let threads = |n: f64| vec![Figures { rate: 0.0, level: n, peak: n, span: 600.0 }; 3];
        let runs = Runs { base: threads(10.0), new: threads(500.0) };
        assert_eq!(runs.compare(1.0).unwrap().change(), Change::Worse);
        assert_ne!(runs.compare(PAGE).unwrap().change(), Change::Worse);
    }
}
