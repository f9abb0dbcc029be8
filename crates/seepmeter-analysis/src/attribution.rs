//! Attribution: whose growth is it?
//!
//! Each subject (a mapping, a process, a stack) is given its own floors on one common grid over the
//! span that grows, and its own Theil–Sen slope. Its share must add up with those of the others, and
//! medians do not; so shares come from least-squares slopes of the means, which are additive.

use std::borrow::Borrow;

use crate::cells::Cells;
use crate::floor::Floor;
use crate::interval::{Interval, Span};
use crate::series::Series;
use crate::thresholds::attribution::{BUCKETS, CYCLES_IN_A_BUCKET, LEAST_BUCKETS};
use crate::{autocorrelation, fit, slope};

/// One subject's part in the growth.
#[derive(Debug, Clone, PartialEq)]
pub struct Share<Id> {
    /// Which subject.
    pub id: Id,
    /// Its slope, base units a second.
    pub rate: Interval,
    /// Its part of the growth of the whole, 1 for all of it; more than 1 when others shrink, below 0
    /// for one that shrinks. `None` when the whole does not grow.
    pub share: Option<f64>,
    /// What it gained over the span, by the least-squares slope of its means, base units.
    pub gain: f64,
}

/// The growth of a whole, subject by subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution<Id> {
    /// The subjects, the largest gain first.
    pub shares: Vec<Share<Id>>,
    /// The slope of the whole on the same floors, base units a second.
    pub whole: Interval,
    /// The part that no subject explains, 0 to 1 or beyond; `None` when the whole does not grow.
    pub unexplained: Option<f64>,
}

/// Shares the growth of `whole` within `span` among subjects.
///
/// `cycle` is the length of a cycle in ns, as judged: a bucket holds at least one and a half.
/// A subject that appears or vanishes within the span counts as 0 outside its life, so thirty new
/// thread stacks show as growth.
pub fn attribute<Id, S: Borrow<Series>>(
    whole: &Series,
    subjects: impl IntoIterator<Item = (Id, S)>,
    span: Span,
    cycle: Option<u64>,
) -> Attribution<Id> {
    let length = span.length().max(1) as f64;
    let cycles =
        cycle.map_or(BUCKETS, |c| (length / (CYCLES_IN_A_BUCKET * c.max(1) as f64)) as usize);
    let buckets = cycles.clamp(LEAST_BUCKETS, BUCKETS);
    let flat = Interval::around(0.0, 0.0);
    let lay = |s: &Series| Bucketed::of(s, span, buckets);
    let whole = lay(whole);
    let whole_gain = whole.gain();
    let grows = whole_gain > 0.0;

    let mut shares: Vec<Share<Id>> = subjects
        .into_iter()
        .map(|(id, series)| {
            let bucketed = lay(series.borrow());
            let gain = bucketed.gain();
            let share = grows.then(|| gain / whole_gain);
            Share { id, rate: bucketed.rate().unwrap_or(flat), share, gain }
        })
        .collect();
    shares.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let explained: Option<f64> = shares.iter().map(|s| s.share).sum();
    let unexplained = if grows { explained.map(|e| 1.0 - e) } else { None };
    Attribution { shares, whole: whole.rate().unwrap_or(flat), unexplained }
}

/// A series in equal buckets over a span, 0 outside its life.
struct Bucketed {
    floors: Vec<Floor>,
    means: Vec<Floor>,
    /// By how much the span is longer than from the first to the last bucket's middle.
    reach: f64,
}

impl Bucketed {
    fn of(series: &Series, span: Span, buckets: usize) -> Self {
        let cells = Cells::between(series, span.from, span.to, buckets);
        let (mut floors, mut means) = (vec![], vec![]);
        for (i, cell) in cells.cells.iter().enumerate() {
            let middle = cells.middle(i);
            let alive = series.start() <= middle && middle <= series.end() && !series.is_empty();
            let (floor, mean) = match cell {
                Some(cell) if alive => (cell.min, cell.mean),
                // In a gap nothing is known.
                None if alive => continue,
                _ => (0.0, 0.0),
            };
            let time = middle as f64 / 1e9;
            floors.push(Floor { time, value: floor });
            means.push(Floor { time, value: mean });
        }
        let n = cells.cells.len() as f64;
        Self { floors, means, reach: n / (n - 1.0).max(1.0) }
    }

    fn rate(&self) -> Option<Interval> {
        let noise = autocorrelation::of(&self.floors);
        slope::theil_sen(&self.floors, noise.inflation).map(|s| s.rate)
    }

    fn gain(&self) -> f64 {
        let (t, y) = fit::scaled(&self.means);
        let ones = vec![1.0; t.len()];
        fit::least_squares(&[&ones, &t], &y).coefficients[1] * self.reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn line(slope: i64) -> Series {
        Series::from_pairs((0..600).map(|i| (i * S, 1_000_000 + slope * i as i64)))
    }

    #[test]
    fn shares_are_each_subjects_slope_over_the_whole() {
        let parts = [("heap", line(90)), ("arena", line(10)), ("text", line(0))];
        let whole = Series::sum(&parts.iter().map(|p| &p.1).collect::<Vec<_>>());
        let a = attribute(&whole, parts, Span { from: 0, to: 599 * S }, None);
        let got: Vec<_> =
            a.shares.iter().map(|s| (s.id, (s.share.unwrap() * 100.0).round())).collect();
        assert_eq!(got, [("heap", 90.0), ("arena", 10.0), ("text", 0.0)]);
        assert!(a.unexplained.unwrap().abs() < 0.01);
    }

    #[test]
    fn a_subject_that_comes_late_counts_as_nothing_before() {
        let stacks: Vec<_> = (0..10u64)
            .map(|k| {
                let from = k * 60;
                (k, Series::from_pairs((from..600).map(|i| (i * S, 100))).with_end(599 * S))
            })
            .collect();
        let whole = Series::sum(&stacks.iter().map(|p| &p.1).collect::<Vec<_>>());
        let a = attribute(&whole, stacks, Span { from: 0, to: 599 * S }, None);
        let explained = 1.0 - a.unexplained.unwrap();
        assert!((0.99..=1.01).contains(&explained), "{explained}");
    }

    #[test]
    fn what_does_not_grow_has_no_shares() {
        let a = attribute(&line(0), [("x", line(0))], Span { from: 0, to: 599 * S }, None);
        assert_eq!((a.shares[0].share, a.unexplained), (None, None));
    }
}
