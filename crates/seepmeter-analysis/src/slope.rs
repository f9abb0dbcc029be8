//! Stage 7: Theil–Sen slope with its confidence interval.
//!
//! The slope is the median of the slopes of all pairs of floors (Theil, 1950), the interval comes
//! from the variance of Kendall's S (Sen, JASA 63, 1968), widened for autocorrelation. Up to 29 % of
//! the floors may be anything without moving it far.

use crate::floor::Floor;
use crate::interval::Interval;
use crate::thresholds::slope::Z95;
use crate::trend;
use serde::{Deserialize, Serialize};

/// A slope, in base units a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The slope and its 95 % interval.
    pub rate: Interval,
    /// Half of the interval over 1.96: a standard error, were the slope normal.
    #[serde(with = "crate::exact")]
    pub error: f64,
    /// The height of the line at time 0, so that half of the floors lie above it.
    #[serde(with = "crate::exact")]
    pub intercept: f64,
}

/// The slope of the floors; `None` for fewer than two. `inflation` as for
/// [`trend::mann_kendall`].
pub fn theil_sen(floors: &[Floor], inflation: f64) -> Option<Slope> {
    let mut slopes = Vec::with_capacity(floors.len() * floors.len() / 2);
    for (i, a) in floors.iter().enumerate() {
        let later = floors[i + 1..].iter().filter(|b| b.time > a.time);
        slopes.extend(later.map(|b| (b.value - a.value) / (b.time - a.time)));
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let estimate = middle(&slopes);
    let half = Z95 * trend::mann_kendall(floors, inflation).variance.sqrt();
    let count = slopes.len() as f64;
    let at = |rank: f64| slopes[rank.clamp(0.0, count - 1.0).round() as usize];
    let low = at((count - half) / 2.0 - 1.0).min(estimate);
    let high = at((count + half) / 2.0).max(estimate);
    // When the ranks run off the end, the interval is as wide as if it were normal.
    let stretch = (half / count).max(1.0);
    let (low, high) =
        (estimate - (estimate - low) * stretch, estimate + (high - estimate) * stretch);
    let mut heights: Vec<f64> = floors.iter().map(|f| f.value - estimate * f.time).collect();
    heights.sort_by(f64::total_cmp);
    Some(Slope {
        rate: Interval { estimate, low, high },
        error: (high - low) / (2.0 * Z95),
        intercept: middle(&heights),
    })
}

/// The median of sorted values.
fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 }
}

impl Slope {
    /// The height of the line at `time` seconds.
    pub fn at(&self, time: f64) -> f64 {
        self.intercept + self.rate.estimate * time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_no_error() {
        let line: Vec<Floor> =
            (0..20).map(|i| Floor { time: i as f64, value: 5.0 + 2.0 * i as f64 }).collect();
        let s = theil_sen(&line, 1.0).unwrap();
        assert_eq!((s.rate.estimate, s.rate.low, s.rate.high), (2.0, 2.0, 2.0));
        assert_eq!(s.intercept, 5.0);
    }

    #[test]
    fn a_quarter_of_wild_floors_does_not_move_it() {
        let wild = |i: i32| if i % 4 == 0 { 1e9 } else { 3.0 * f64::from(i) };
        let floors: Vec<Floor> =
            (0..40).map(|i| Floor { time: f64::from(i), value: wild(i) }).collect();
        assert!((theil_sen(&floors, 1.0).unwrap().rate.estimate - 3.0).abs() < 0.5);
    }

    #[test]
    fn floors_that_repeat_each_other_widen_the_interval() {
        let floors: Vec<Floor> = (0..40)
            .map(|i| Floor { time: f64::from(i), value: f64::from(i * 7 % 11 + i) })
            .collect();
        let width = |inflation| theil_sen(&floors, inflation).map(|s| s.rate.high - s.rate.low);
        assert!(width(4.0) > width(1.0));
    }

    #[test]
    fn one_floor_has_no_slope() {
        assert_eq!(theil_sen(&[Floor { time: 0.0, value: 1.0 }], 1.0), None);
    }
}
