//! Stage 2: is there a cycle, and how long is it?
//!
//! A garbage collector's saw, a batch, a day's load: within a cycle memory grows and comes back, so
//! only cycles may be compared with each other. Buckets shorter than a cycle find no leak under a
//! saw, and find leaks where there is only a saw; so the length is found from the series.
//!
//! Cycles are counted by their turning points, as fatigue engineers count them (rainflow counting,
//! ASTM E1049-85): a reversal counts when it is larger than half of the series' local range. That
//! needs no fixed period, so drifting and irregular cycles are found like regular ones. Noise also
//! reverses, but at once: von Neumann's ratio (Annals of Mathematical Statistics 12, 1941) of
//! successive differences to the variance tells it from a cycle that takes its time.

use crate::cells::Cells;
use crate::thresholds::cycle::{
    CELLS_FOR_A_TROUGH, LEAST_LENGTH, LEAST_TROUGHS, LEAST_WINDOW, REGULAR, REVERSAL, SMOOTH_RATIO,
    WINDOWS,
};
use serde::{Deserialize, Serialize};

/// Where a cycle turns, and how long cycles are. Lengths are in cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cycles {
    /// The cell numbers of the troughs.
    pub troughs: Vec<usize>,
    /// The median length from trough to trough.
    #[serde(with = "crate::exact")]
    pub length: f64,
    /// Nine cycles of ten are no longer than this.
    #[serde(with = "crate::exact")]
    pub long: f64,
}

/// Finds the cycles of a series, or `None` where there are none.
pub fn find(cells: &Cells) -> Option<Cycles> {
    let known = cells.known_means();
    if known.len() < CELLS_FOR_A_TROUGH * LEAST_TROUGHS {
        return None;
    }
    let (range, ratio) = local_range_and_ratio(&known);
    if range <= 0.0 || ratio > SMOOTH_RATIO {
        return None;
    }
    let troughs = troughs(&known, REVERSAL * range);
    let mut lengths: Vec<f64> = troughs.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    if troughs.len() < LEAST_TROUGHS {
        return None;
    }
    lengths.sort_by(f64::total_cmp);
    let length = lengths[lengths.len() / 2];
    let long = lengths[(lengths.len() * 9 / 10).min(lengths.len() - 1)];
    (length >= LEAST_LENGTH).then_some(Cycles { troughs, length, long })
}

/// The troughs between reversals of at least `least`, as cell numbers.
fn troughs(known: &[(usize, f64)], least: f64) -> Vec<usize> {
    let mut found = vec![];
    let (mut low, mut high) = (known[0], known[0]);
    let mut rising = None;
    for &(i, value) in known {
        if value < low.1 {
            low = (i, value);
        }
        if value > high.1 {
            high = (i, value);
        }
        if rising != Some(true) && value - low.1 >= least {
            // What came before the first rise is where the watch began, not a trough.
            if rising == Some(false) {
                found.push(low.0);
            }
            rising = Some(true);
            high = (i, value);
        } else if rising != Some(false) && high.1 - value >= least {
            rising = Some(false);
            low = (i, value);
        }
    }
    found
}

/// The median over windows of the range, and of von Neumann's ratio (half of it, so that white
/// noise has 1).
fn local_range_and_ratio(known: &[(usize, f64)]) -> (f64, f64) {
    let size = known.len().div_ceil(WINDOWS).max(LEAST_WINDOW);
    let mut ranges = vec![];
    let (mut differences, mut variances) = (0.0, 0.0);
    for window in known.chunks(size).filter(|w| w.len() >= LEAST_WINDOW) {
        let values = || window.iter().map(|p| p.1);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        ranges.push(high - low);
        let mean = values().sum::<f64>() / window.len() as f64;
        variances += values().map(|v| (v - mean).powi(2)).sum::<f64>();
        differences += window.windows(2).map(|w| (w[1].1 - w[0].1).powi(2)).sum::<f64>();
    }
    ranges.sort_by(f64::total_cmp);
    let range = ranges.get(ranges.len() / 2).copied().unwrap_or(0.0);
    let ratio = if variances > 0.0 { differences / (2.0 * variances) } else { 0.0 };
    (range, ratio)
}

impl Cycles {
    /// Whether they are worth showing: long ones not much longer than usual ones. A mere wander
    /// reverses at any time.
    pub fn regular(&self) -> bool {
        self.long <= REGULAR * self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;

    fn cells(value: impl Fn(u64) -> i64, n: u64) -> Cells {
        Cells::of(&Series::from_pairs((0..n).map(|t| (t * 1000, value(t)))))
    }

    #[test]
    fn the_length_of_a_saw_is_found() {
        let c = find(&cells(|t| (t % 37 * 100) as i64, 800)).unwrap();
        assert!((c.length - 37.0).abs() <= 1.0, "{}", c.length);
    }

    #[test]
    fn a_saw_on_a_leak_is_still_a_saw() {
        let c = find(&cells(|t| (t % 50 * 100 + t * 9) as i64, 800)).unwrap();
        assert!((c.length - 50.0).abs() <= 1.0, "{}", c.length);
    }

    #[test]
    fn a_saw_whose_cycle_drifts_has_its_longest_cycles_known() {
        let saw = |t: u64| ((t as f64).sqrt() * 1.3).fract() * 1e6;
        let c = find(&cells(|t| saw(t) as i64, 1000)).unwrap();
        assert!(c.long > 40.0, "{}", c.long);
    }

    #[test]
    fn a_line_a_flat_and_quick_noise_have_no_cycles() {
        assert_eq!(find(&cells(|t| t as i64 * 5, 500)), None);
        assert_eq!(find(&cells(|_| 5, 500)), None);
        let noise = |t: u64| (t.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44) as i64;
        assert_eq!(find(&cells(noise, 500)), None);
    }
}
