//! Memory for each unit of work: what runs of growing amounts hold at their ends.
//!
//! The runs come in rounds. Each round has one run of every amount, so each round has a slope of its own,
//! and the rounds are what is independent. The slope of all is the mean of theirs, and its error has three
//! parts: how much the rounds differ (whatever the noise depends on), how far the means are from a line,
//! and the size of a page, by which all runs of an amount may be wrong alike.
//!
//! A line is not enough. A cache that fills up to a bound and a compiler that warms up grow at first too,
//! so the slope of the late amounts, from about half of the largest on, is compared with the slope of
//! those before. Growth that slows down is no leak, and growth that gets faster is more than one.
//!
//! What is true of these amounts may be false of larger ones: a bound beyond them can't be seen.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::fit::{mean, variance};
use crate::interval::Interval;
use crate::thresholds::comparison::UPPER_END;
use crate::thresholds::scaling::{
    ALPHA, FASTER, LATE_ALPHA, LEAST_AMOUNTS, LEAST_GAIN, LEAST_ROUNDS, MOST_FREEDOM, PAGE, SLOWER,
};

/// What runs of growing amounts held.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingRuns {
    /// The amounts, rising.
    pub amounts: Vec<f64>,
    /// Of each round, the bytes held at the end of its run of every amount.
    pub rounds: Vec<Vec<f64>>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingAnswer {
    /// Each unit of work leaves memory behind.
    Leaks,
    /// What is held does not depend on the amount, up to a rate that is negligible.
    Constant,
    /// Neither is known.
    Inconclusive,
}

impl ScalingAnswer {
    /// The answer in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leaks => "leaks",
            Self::Constant => "constant",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Why it is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingReason {
    /// It grows in proportion to the amount.
    Linear,
    /// It grows faster than the amount.
    FasterThanLinear,
    /// It does not grow, or by no more than is negligible.
    Flat,
    /// It grows, but more slowly for larger amounts, as a cache does that fills up.
    Saturating,
    /// The runs differ too much, or the amounts are too small, for the growth to be known.
    Noise,
    /// There are too few amounts or rounds.
    TooFewRuns,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    /// The answer.
    pub answer: ScalingAnswer,
    /// Why.
    pub reason: ScalingReason,
    /// Bytes for each unit, with its 95 % confidence interval. If growth changes with the amount, those of
    /// the late amounts. None if there are too few runs.
    pub per_unit: Option<Interval>,
    /// The same of the amounts before the late ones.
    pub per_unit_before: Option<Interval>,
    /// What is held at the end of a run of the largest amount, in bytes: the mean.
    pub level: f64,
    /// How many rounds there are.
    pub rounds: usize,
}

/// A mean and its standard error, with the error's degrees of freedom.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    mean: f64,
    error: f64,
    freedom: f64,
}

/// A part of a variance, and its degrees of freedom.
#[derive(Debug, Clone, Copy)]
struct VariancePart {
    variance: f64,
    freedom: f64,
}

/// A slope, and what makes it unsure.
#[derive(Debug, Clone, Copy)]
struct Slope {
    mean: f64,
    /// How much the rounds differ.
    rounds: VariancePart,
    /// How far the means are from a line.
    bend: VariancePart,
    /// The size of a page.
    pages: VariancePart,
}

impl ScalingRuns {
    /// Judges the runs. A rate of no more than `negligible` bytes for each unit counts as none.
    ///
    /// All rounds must have a run of every amount.
    #[must_use]
    pub fn judge(&self, negligible: f64) -> Scaling {
        let last = self.amounts.len().saturating_sub(1);
        let level = mean(&self.of_amount(last));
        let none = Scaling {
            answer: ScalingAnswer::Inconclusive,
            reason: ScalingReason::TooFewRuns,
            per_unit: None,
            per_unit_before: None,
            level,
            rounds: self.rounds.len(),
        };
        if self.amounts.len() < LEAST_AMOUNTS || self.rounds.len() < LEAST_ROUNDS {
            return none;
        }
        let pivot = self.nearest(self.amounts[last] / 2.0).clamp(1, last - 1);
        let begin = self.nearest(self.amounts[pivot] / 2.0).min(pivot - 1);
        let all = self.slope(0..last + 1);
        let late = self.slope(pivot..last + 1);
        let before = self.slope(begin..pivot + 1);
        let change = self.change(begin, pivot);
        // What is not known to be the same is seen from its late side.
        let slower = change.interval().high < 0.0 && late.mean < SLOWER * before.mean;
        let faster =
            change.interval().low > 0.0 && before.mean > 0.0 && late.mean > FASTER * before.mean;
        let bends = slower || faster;
        let shown = if bends { late } else { all };
        let gain = all.mean * (self.amounts[last] - self.amounts[0]);
        // That the growth is no line makes its rate unsure, and not the growth.
        let grows = all.without_bend().is_positive(ALPHA)
            && late.without_bend().is_positive(LATE_ALPHA)
            && gain >= LEAST_GAIN;
        let keeps_on = !slower && late.mean >= SLOWER * SLOWER * before.mean;
        let is_negligible = shown.interval().high <= negligible && !faster;
        let (answer, reason) = if grows && keeps_on && !is_negligible {
            let reason =
                if faster { ScalingReason::FasterThanLinear } else { ScalingReason::Linear };
            (ScalingAnswer::Leaks, reason)
        } else if is_negligible {
            (ScalingAnswer::Constant, ScalingReason::Flat)
        } else if slower || grows {
            (ScalingAnswer::Inconclusive, ScalingReason::Saturating)
        } else {
            (ScalingAnswer::Inconclusive, ScalingReason::Noise)
        };
        let per_unit_before = Some(before.interval());
        Scaling { answer, reason, per_unit: Some(shown.interval()), per_unit_before, ..none }
    }

    fn of_amount(&self, which: usize) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(which).copied()).collect()
    }

    /// The amount that is nearest to a number.
    fn nearest(&self, number: f64) -> usize {
        let distance = |at: &usize| (self.amounts[*at] - number).abs();
        (0..self.amounts.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }

    /// The slope over some neighbouring amounts.
    fn slope(&self, which: std::ops::Range<usize>) -> Slope {
        let amounts = &self.amounts[which.clone()];
        let center = mean(amounts);
        let spread: f64 = amounts.iter().map(|amount| (amount - center).powi(2)).sum();
        let of_values = |values: &[f64]| {
            let parts = amounts.iter().zip(values).map(|(amount, y)| (amount - center) * y);
            parts.sum::<f64>() / spread
        };
        let slopes: Vec<f64> =
            self.rounds.iter().map(|round| of_values(&round[which.clone()])).collect();
        let columns: Vec<Vec<f64>> = which.map(|at| self.of_amount(at)).collect();
        let means: Vec<f64> = columns.iter().map(|column| mean(column)).collect();
        let slope = mean(&slopes);
        let level = mean(&means);
        let off = |(amount, y): (&f64, &f64)| (y - level - slope * (amount - center)).powi(2);
        let freedom = amounts.len() as f64 - 2.0;
        // Of the distance from the line, what the noise and the pages do not explain.
        let explained = columns.iter().map(|column| variance(column)).sum::<f64>()
            / (columns.len() * self.rounds.len()) as f64
            + PAGE_VARIANCE;
        let bend = match freedom > 0.0 {
            true => amounts.iter().zip(&means).map(off).sum::<f64>() / freedom - explained,
            false => 0.0,
        };
        Slope {
            mean: slope,
            rounds: VariancePart::of_rounds(&slopes),
            bend: VariancePart { variance: bend.max(0.0) / spread, freedom },
            pages: VariancePart::known(PAGE_VARIANCE / spread),
        }
    }

    /// By how much the slope from the pivot on is higher than the one before.
    fn change(&self, begin: usize, pivot: usize) -> Estimate {
        let last = self.amounts.len() - 1;
        let [before, after] =
            [(begin, pivot), (pivot, last)].map(|(from, to)| self.amounts[to] - self.amounts[from]);
        let change = |round: &Vec<f64>| {
            (round[last] - round[pivot]) / after - (round[pivot] - round[begin]) / before
        };
        let changes: Vec<f64> = self.rounds.iter().map(change).collect();
        let pages = PAGE_VARIANCE
            * (after.powi(-2) + before.powi(-2) + (after.recip() + before.recip()).powi(2));
        let rounds = VariancePart::of_rounds(&changes);
        Estimate::of(mean(&changes), [rounds, VariancePart::known(pages)])
    }
}

/// The variance of a value that is rounded up to a page.
const PAGE_VARIANCE: f64 = PAGE * PAGE / 12.0;

impl VariancePart {
    /// That of the mean of one value for each round.
    fn of_rounds(values: &[f64]) -> Self {
        let rounds = values.len() as f64;
        Self { variance: variance(values) / rounds, freedom: rounds - 1.0 }
    }

    /// One that need not be estimated.
    fn known(variance: f64) -> Self {
        Self { variance, freedom: f64::INFINITY }
    }
}

impl Slope {
    fn interval(&self) -> Interval {
        Estimate::of(self.mean, [self.rounds, self.bend, self.pages]).interval()
    }

    /// As if the means were on a line.
    fn without_bend(&self) -> Estimate {
        Estimate::of(self.mean, [self.rounds, self.pages])
    }
}

impl Estimate {
    /// From the parts of its variance and their degrees of freedom, by Welch and Satterthwaite.
    fn of<const PARTS: usize>(mean: f64, parts: [VariancePart; PARTS]) -> Self {
        let variance: f64 = parts.iter().map(|part| part.variance).sum();
        let weights = parts.iter().filter(|part| part.freedom > 0.0);
        let weight: f64 = weights.map(|part| part.variance.powi(2) / part.freedom).sum();
        let freedom = if weight > 0.0 {
            (variance * variance / weight).min(MOST_FREEDOM)
        } else {
            MOST_FREEDOM
        };
        Self { mean, error: variance.sqrt(), freedom }
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.freedom).ok()
    }

    /// The 95 % confidence interval.
    fn interval(&self) -> Interval {
        let t = self.student().map_or(f64::INFINITY, |student| student.inverse_cdf(UPPER_END));
        Interval::around(self.mean, t * self.error)
    }

    /// True if it would be so high by chance with a probability of no more than `alpha`.
    fn is_positive(&self, alpha: f64) -> bool {
        self.student().is_some_and(|student| student.sf(self.mean / self.error) <= alpha)
    }
}

#[cfg(test)]
mod tests;
