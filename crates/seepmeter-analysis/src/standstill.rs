//! Stage 9, third part: has the growth just ended?
//!
//! A ramp, a batch or a cache that has come to its size a while before the watch ends rises over most of
//! it like a line: the trend is significant, the halves are alike, and no slowing curve has such a corner.
//! But a line that stands still from some moment on then meets the floors far better than a line alone
//! (the two-phase regression of Hinkley, Biometrika 56, 1969). The two are weighed by Schwarz's criterion
//! (BIC, Annals of Statistics 6, 1978), with the noise taken from what the bent line leaves and the floors
//! counted for as many as they are worth: in noise that wanders a pause is nothing. What falls at its end
//! has ended too: whether it will rise again is not known yet.

use crate::autocorrelation;
use crate::fit;
use crate::floors::Floor;
use crate::plateau::STILL;
use crate::words;

/// Growth that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standstill {
    /// The number of the floor at which it ended.
    pub at: usize,
    /// How long ago that was, in seconds before the last floor.
    pub lasted: f64,
    /// Whether it has not only ended: memory is given back since.
    pub falls: bool,
    /// By how much BIC prefers the line that stands still to the one that goes on.
    pub better: f64,
}

/// It ended within this part of the floors; what ended earlier the halves tell.
const LATE: usize = 4;
/// Fewer floors than this after the corner may be a pause.
const LEAST_STILL: usize = 4;
/// Fewer floors than this have no corner.
const LEAST_FLOORS: usize = 12;
/// A difference of ten in BIC is "very strong" (Kass & Raftery, JASA 90, 1995).
const VERY_STRONG: f64 = 10.0;
/// The corner costs its place and the slope behind it.
const MORE_PARAMETERS: f64 = 2.0;
/// Noise that repeats itself more than this is taken for this.
const MOST_RHO: f64 = 0.95;

/// Looks for a corner in the last quarter of the floors, behind which they no longer grow.
pub fn test(floors: &[Floor]) -> Option<Standstill> {
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
    let inflation = (1.0 + rho) / (1.0 - rho);
    let scale = y.iter().map(|v| v * v).sum::<f64>() / n as f64;
    // A perfect line would prefer any corner by an infinite amount, and rounding would decide.
    let variance = (bent.sse / (n as f64 - 4.0)).max(1e-8 * scale) * inflation;
    if variance <= 0.0 {
        return None;
    }
    let cost = MORE_PARAMETERS * (n as f64 / inflation).max(1.0).ln();
    let better = (line.sse - bent.sse) / variance - cost;
    let (before, after) = (bent.coefficients[1], bent.coefficients[1] + bent.coefficients[2]);
    let ended = before > 0.0 && after < STILL * before && better > VERY_STRONG;
    let lasted = floors[n - 1].time - floors[at].time;
    let falls = after < -STILL * before;
    ended.then_some(Standstill { at, lasted, falls, better })
}

impl Standstill {
    /// What this stage found, in words.
    pub fn in_words(&self) -> String {
        let lasted = words::duration((self.lasted.max(0.0) * 1e9) as u64);
        let falls = if self.falls { ", and memory is given back since" } else { "" };
        format!("growth ended {lasted} before the end of the watch{falls}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(value: impl Fn(f64) -> f64) -> Option<Standstill> {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        let floors: Vec<Floor> = (0..80)
            .map(|i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) })
            .collect();
        test(&floors)
    }

    #[test]
    fn a_ramp_that_has_just_ended_stands_still() {
        let s = tested(|t| 2.0 * t.min(70.0)).unwrap();
        assert!(s.at.abs_diff(70) <= 1 && (s.lasted - 9.0).abs() <= 1.0 && !s.falls, "{s:?}");
        assert!(s.in_words().ends_with(" s before the end of the watch"), "{}", s.in_words());
    }

    #[test]
    fn growth_that_is_given_back_at_the_end_has_ended_too() {
        let s = tested(|t| 2.0 * t - 5.0 * (t - 68.0).max(0.0)).unwrap();
        assert!(s.falls && s.in_words().ends_with("memory is given back since"), "{s:?}");
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
