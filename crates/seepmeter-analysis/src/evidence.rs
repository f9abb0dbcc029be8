//! Evidence: everything a judgement rests on, for whoever draws it, stores it or explains it.
//!
//! Times are in ns where they are integers, and in seconds where they are `f64`, both since the start of the
//! watch. Values are in the metric's base units.

use crate::autocorrelation::Autocorrelation;
use crate::cells::Cells;
use crate::curve::FittedCurve;
use crate::cycle::Cycles;
use crate::drift::Drift;
use crate::fit;
use crate::floor::Floor;
use crate::floors::Buckets;
use crate::gain::Gain;
use crate::interval::{Interval, Span};
use crate::plateau::Plateau;
use crate::plateau_onset::PlateauOnset;
use crate::series::Series;
use crate::settings::Settings;
use crate::slope::{self, Slope};
use crate::steps::Step;
use crate::thresholds::Threshold;
use crate::thresholds::so_far::{LEAST_CELLS, LEAST_TIME, MOST_CELLS};
use crate::trend::Trend;
use crate::warm_up::WarmUp;
use serde::{Deserialize, Serialize};

/// Everything that the stages found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How the series was sampled.
    pub sampling: Sampling,
    /// The downsampled series: min, mean and max of each cell; a cell in a gap is `None`.
    pub cells: Cells,
    /// The cycles, where there are any; [`Cycles::regular`] says whether they are worth showing.
    pub cycles: Option<Cycles>,
    /// How floors were taken.
    pub buckets: Buckets,
    /// The floors, as they are: no step is taken out.
    pub floors: Vec<Floor>,
    /// What the tests found; `None` where there are too few floors for any.
    pub tests: Option<Tests>,
    /// Every threshold that something was compared with.
    pub thresholds: Vec<Threshold>,
}

/// How a series was sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// How many samples.
    pub samples: u64,
    /// From the first sample to the end of the watch.
    pub span: Span,
    /// The usual time between two samples, ns; `None` for fewer than two.
    #[serde(with = "crate::exact")]
    pub interval: Option<u64>,
    /// Spans in which nothing was sampled.
    pub gaps: Vec<Span>,
}

/// What the tests on the floors found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// A one-off step on a line, taken out before the tests.
    pub step_taken_out: Option<Step>,
    /// A fall on a rise, taken out before the tests; its height is negative.
    pub fall_taken_out: Option<Step>,
    /// Warm-up, and the onset of growth.
    pub warm_up: WarmUp,
    /// Steps that explain the floors after warm-up better than a trend does.
    pub steps: Vec<Step>,
    /// Whether all floors after warm-up lie within a hundredth of the level and do not rise. Steps are then
    /// too small to count.
    pub hardly_moves: bool,
    /// The number of the first floor that is judged: after warm-up, after the last step or from the onset of
    /// growth.
    pub first: usize,
    /// The noise of the judged floors.
    pub noise: Autocorrelation,
    /// Mann–Kendall on the judged floors.
    pub trend: Trend,
    /// Theil–Sen through the judged floors.
    pub slope: Slope,
    /// The drift over the whole watch: a walk has no warm-up that could be separated from it.
    pub drift: Option<Drift>,
    /// The drift over what is judged alone.
    pub late_drift: Option<Drift>,
    /// Whether the noise over the whole watch is a walk.
    pub walks: bool,
    /// The halves of the judged floors.
    pub plateau: Option<Plateau>,
    /// The slowing curves.
    pub curve: Option<FittedCurve>,
    /// Where growth has just ended.
    pub plateau_onset: Option<PlateauOnset>,
    /// Whether the floors since warm-up rise for sure, about a line or as a walk, and keep on.
    pub rises: bool,
    /// All since warm-up, weighed as a whole.
    pub since_warm_up: Stretch,
    /// What is judged, weighed as a whole.
    pub judged: Stretch,
    /// The level at the end, base units.
    #[serde(with = "crate::exact")]
    pub level: f64,
    /// How many more seconds would show enough cycles, where there are cycles and too few of them.
    #[serde(with = "crate::exact")]
    pub cycles_lack: Option<f64>,
    /// The line that is reported: its rate is that of the judgement.
    pub line: FittedLine,
}

/// A stretch of the watch that is weighed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// How long, in seconds.
    #[serde(with = "crate::exact")]
    pub span: f64,
    /// From the 5th to the 95th percentile within it, base units.
    #[serde(with = "crate::exact")]
    pub amplitude: f64,
    /// What was gained.
    pub gain: Option<Gain>,
    /// The interval of its slope, base units a second.
    pub rate: Option<Interval>,
    /// Whether it settles, or a slowing curve explains it at least as well as a line.
    pub levels_off: bool,
}

/// A line through floors, with the band of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FittedLine {
    /// Over which span.
    pub span: Span,
    /// Its slope, base units a second.
    pub rate: Interval,
    /// Its height at time 0, base units.
    #[serde(with = "crate::exact")]
    pub intercept: f64,
    /// Where the band is narrowest: the median time of its floors, seconds.
    #[serde(with = "crate::exact")]
    pub pivot: f64,
}

impl FittedLine {
    /// The line of this rate that has half of the floors above it.
    pub(crate) fn through(floors: &[Floor], span: Span, rate: Interval) -> Self {
        let heights = floors.iter().map(|f| f.value - rate.estimate * f.time).collect();
        let pivot = fit::median(floors.iter().map(|f| f.time).collect());
        Self { span, rate, intercept: fit::median(heights), pivot }
    }

    /// Its height at a time (seconds), with the band of all slopes in the interval.
    #[must_use]
    pub fn at(&self, time: f64) -> Interval {
        let height = |rate: f64| {
            self.intercept + self.rate.estimate * self.pivot + rate * (time - self.pivot)
        };
        let [a, b] = [self.rate.low, self.rate.high].map(height);
        Interval { estimate: height(self.rate.estimate), low: a.min(b), high: a.max(b) }
    }
}

impl Sampling {
    pub(crate) fn of(series: &Series) -> Self {
        Self {
            samples: series.samples(),
            span: Span { from: series.start(), to: series.end() },
            interval: series.interval(),
            gaps: series.gaps().to_vec(),
        }
    }

    /// Whether there are the least samples over the least span.
    #[must_use]
    pub fn suffices(&self, settings: &Settings) -> bool {
        self.samples >= settings.least_samples && self.span.length() >= settings.least_span
    }

    /// How much longer (ns) it takes until there are.
    #[must_use]
    pub fn missing(&self, settings: &Settings) -> u64 {
        let samples = settings.least_samples.saturating_sub(self.samples);
        let by_samples = samples.saturating_mul(self.interval.unwrap_or(0));
        by_samples.max(settings.least_span.saturating_sub(self.span.length()))
    }
}

/// How fast a series changes, as long as there is too little of it for a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateSoFar {
    /// The median slope, base units a second. Nothing is said of how sure it is.
    pub rate: f64,
    /// Over which time.
    pub span: Span,
}

impl Evidence {
    /// How fast it changes so far; none before there are some samples over some seconds.
    #[must_use]
    pub fn rate_so_far(&self) -> Option<RateSoFar> {
        let span = self.sampling.span;
        let known = self.cells.known_means();
        if known.len() < LEAST_CELLS || span.length() < LEAST_TIME {
            return None;
        }
        let floor =
            |&(i, value): &(usize, f64)| Floor { time: self.cells.middle(i) as f64 / 1e9, value };
        let some: Vec<Floor> =
            known.iter().step_by(known.len().div_ceil(MOST_CELLS)).map(floor).collect();
        let slope = slope::theil_sen(&some, 1.0)?;
        Some(RateSoFar { rate: slope.rate.estimate, span })
    }

    /// When the stretch of floor `i` begins (ns): the first begins with the watch.
    #[must_use]
    pub fn begin_of(&self, i: usize) -> u64 {
        match i {
            0 => self.sampling.span.from,
            i => ((self.floors[i - 1].time + self.floors[i].time) / 2.0 * 1e9) as u64,
        }
    }

    /// From the stretch of floor `i` to the end of the watch.
    #[must_use]
    pub fn span_from(&self, i: usize) -> Span {
        Span { from: self.begin_of(i), to: self.sampling.span.to }
    }

    /// The length of a cycle (ns), where there are regular cycles.
    #[must_use]
    pub fn cycle(&self) -> Option<u64> {
        let cycles = self.cycles.as_ref().filter(|c| c.regular())?;
        Some((cycles.length * self.cells.width as f64) as u64)
    }

    /// When warm-up ended (ns); `None` where there was none, or where it goes on.
    #[must_use]
    pub fn warm_up_end(&self) -> Option<u64> {
        let warm_up = self.tests.as_ref()?.warm_up;
        (warm_up.floors > 0 && !warm_up.unsettled).then(|| self.begin_of(warm_up.floors))
    }

    /// When growth set in after a quiet beginning (ns).
    #[must_use]
    pub fn growth_onset(&self) -> Option<u64> {
        Some(self.begin_of(self.tests.as_ref()?.warm_up.onset?))
    }

    /// Seconds from the first sample to the end of the watch.
    #[must_use]
    pub fn watch(&self) -> f64 {
        self.sampling.span.seconds()
    }

    /// The part of the watch that warm-up took, 0 to 1.
    pub(crate) fn warm_up_part(&self, warm_up: &WarmUp) -> f64 {
        warm_up.floors as f64 / self.floors.len() as f64
    }
}

impl Tests {
    /// Whether one-off steps explain the watch.
    #[must_use]
    pub fn stepped(&self) -> bool {
        !self.steps.is_empty() && !self.hardly_moves
    }

    /// The chance that noise alone does this: of the trend test or, where the noise is a walk, of the better
    /// of the two (Bonferroni for two).
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let walk = self.drift.filter(|_| self.walks).map_or(1.0, |d| d.p_value);
        (2.0 * self.trend.p_value.min(walk)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_line_has_its_band_about_its_pivot() {
        let floors: Vec<Floor> = (0..11)
            .map(|i| Floor { time: f64::from(i), value: 100.0 + 2.0 * f64::from(i) })
            .collect();
        let rate = Interval { estimate: 2.0, low: 1.0, high: 4.0 };
        let line = FittedLine::through(&floors, Span { from: 0, to: 10_000_000_000 }, rate);
        assert_eq!((line.intercept, line.pivot), (100.0, 5.0));
        assert_eq!(line.at(5.0), Interval { estimate: 110.0, low: 110.0, high: 110.0 });
        assert_eq!(line.at(8.0), Interval { estimate: 116.0, low: 113.0, high: 122.0 });
        assert_eq!(line.at(4.0), Interval { estimate: 108.0, low: 106.0, high: 109.0 });
    }

    #[test]
    fn what_is_missing_is_counted_in_usual_intervals() {
        let s = 1_000_000_000;
        let two = Series::from_pairs([(0, 1), (660_000_000, 1)]).with_scheduled_interval(s);
        assert_eq!(Sampling::of(&two).missing(&Settings::default()), 298 * s);
        let slow = Series::from_pairs((0..400).map(|i| (i * s / 10, 1)));
        assert_eq!(Sampling::of(&slow).missing(&Settings::default()), 90 * s - 399 * s / 10);
    }
}
