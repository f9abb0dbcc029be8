//! Stage 9, third part: has the growth just ended?
//!
//! A ramp, a batch or a cache that has come to its size a while before the watch ends rises over most of
//! it like a line: the trend is significant, the halves are alike, and no slowing curve has such a corner.
//! But a line that is flat from some moment on then meets the floors far better than a line alone
//! (the two-phase regression of Hinkley, Biometrika 56, 1969). The two are weighed by Schwarz's criterion
//! (BIC, Annals of Statistics 6, 1978), with the noise taken from what the bent line leaves and the floors
//! counted for as many as they are worth: in noise that wanders a pause is nothing. What falls at its end
//! has ended too: whether it will rise again is not known yet.

use crate::autocorrelation;
use crate::fit;
use crate::floor::Floor;
use crate::thresholds::noise::LEAST_VARIANCE;
use crate::thresholds::plateau_onset::{
    LATE, LEAST_FLOORS, LEAST_STILL, MORE_PARAMETERS, MOST_RHO, STILL, VERY_STRONG,
};
use serde::{Deserialize, Serialize};

/// Growth that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauOnset {
    /// When it ended, in seconds since the start of the watch.
    #[serde(with = "crate::exact")]
    pub time: f64,
    /// How long ago that was, in seconds before the last floor.
    #[serde(with = "crate::exact")]
    pub lasted: f64,
    /// Whether it has not only ended: memory is given back since.
    pub falls: bool,
    /// By how much BIC prefers the line that ends in a plateau to the one that goes on.
    #[serde(with = "crate::exact")]
    pub better: f64,
}

/// Looks for a corner in the last quarter of the floors, behind which they no longer grow.
pub fn test(floors: &[Floor]) -> Option<PlateauOnset> {
    let n = floors.len();
    if n < LEAST_FLOORS {
        return None;
    }
    let (t, y) = fit::scaled(floors);
    let ones = vec![1.0; n];
    let line = fit::least_squares(&[&ones, &t], &y);
    let bent_at = |i: usize| {
        let bend: Vec<f64> = t.iter().map(|x| (x - t[i]).max(0.0)).collect();
        fit::least_squares(&[&ones, &t, &bend], &y)
    };
    let corners = (n - n / LATE..n - LEAST_STILL).map(|i| (i, bent_at(i)));
    let (at, bent) = corners.min_by(|a, b| a.1.sse.total_cmp(&b.1.sse))?;
    let rho = autocorrelation::lag_one(&bent.residuals).clamp(0.0, MOST_RHO);
    let inflation = autocorrelation::inflation(rho);
    let scale = y.iter().map(|v| v * v).sum::<f64>() / n as f64;
    // A perfect line would prefer any corner by an infinite amount, and rounding would decide.
    let variance = (bent.sse / (n as f64 - 4.0)).max(LEAST_VARIANCE * scale) * inflation;
    if variance <= 0.0 {
        return None;
    }
    let cost = MORE_PARAMETERS * libm::log((n as f64 / inflation).max(1.0));
    let better = (line.sse - bent.sse) / variance - cost;
    let (before, after) = (bent.coefficients[1], bent.coefficients[1] + bent.coefficients[2]);
    let ended = before > 0.0 && after < STILL * before && better > VERY_STRONG;
    let lasted = floors[n - 1].time - floors[at].time;
    let falls = after < -STILL * before;
    ended.then_some(PlateauOnset { time: floors[at].time, lasted, falls, better })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(value: impl Fn(f64) -> f64) -> Option<PlateauOnset> {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        let floors: Vec<Floor> = (0..80)
            .map(|i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) })
            .collect();
        test(&floors)
    }

    #[test]
    fn a_ramp_that_has_just_ended_has_a_plateau_onset() {
        let s = tested(|t| 2.0 * t.min(70.0)).unwrap();
        assert!((s.time - 70.0).abs() <= 1.0 && (s.lasted - 9.0).abs() <= 1.0 && !s.falls, "{s:?}");
    }

    #[test]
    fn growth_that_is_given_back_at_the_end_has_ended_too() {
        let s = tested(|t| 2.0 * t - 5.0 * (t - 68.0).max(0.0)).unwrap();
        assert!(s.falls, "{s:?}");
    }

    #[test]
    fn a_line_and_what_accelerates_go_on() {
        assert_eq!(tested(|t| 2.0 * t), None);
        assert_eq!(tested(|t| t * t / 40.0), None);
    }

    #[test]
    fn a_line_that_is_only_slower_at_its_end_goes_on() {
        assert_eq!(tested(|t| 2.0 * t - (t - 64.0).max(0.0)), None);
    }

    #[test]
    fn the_last_tread_of_a_stair_is_no_end() {
        for tread in [4.0, 8.0, 13.0] {
            assert_eq!(tested(|t| 20.0 * (t / tread).floor()), None, "{tread}");
        }
    }

    #[test]
    fn a_pause_of_a_line_that_wanders_is_no_end() {
        let wander = |t: f64| 20.0 * (t / 6.0).sin() + 10.0 * (t / 15.0).cos();
        assert_eq!(tested(|t| 2.0 * t + wander(t)), None);
    }

    #[test]
    fn flat_floors_and_few_floors_have_no_corner() {
        assert_eq!(test(&[Floor { time: 0.0, value: 7.0 }; 40]), None);
        assert_eq!(test(&[Floor { time: 0.0, value: 7.0 }; 5]), None);
    }
}
