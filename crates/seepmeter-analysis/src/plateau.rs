//! Stage 9: does the growth slow down to a plateau?
//!
//! A cache that fills and a heap that warms up grow significantly too, and then stop. The slopes of
//! the first and the second half are compared (Theil–Sen each, so that a few wild floors do not
//! matter; the idea of testing equal slopes is Sen's, JASA 63, 1968). Two questions, since failing
//! to see growth slow down is not the same as seeing that it does not:
//!
//! - *does it settle?* The second half is significantly flatter than the first.
//! - *does it keep on?* The second half grows significantly, with at least 0.65 of the slope of the
//!   first, and the last fifth grows too. A logarithm or an exponential has at most about 0.65 when
//!   no more than two fifths of it are cut off as warm-up. What lies in between, [`curve`](crate::curve) decides.

use crate::autocorrelation::{Autocorrelation, slope_error};
use crate::floor::Floor;
use crate::slope;
use crate::thresholds::plateau::{
    LEAST_FLOORS, LEAST_LAST, SETTLES_RATIO, SLOWING, STILL, Z_KEEPS, Z_SETTLES,
};
use serde::{Deserialize, Serialize};

/// The outcome of the plateau tests. Rates are base units a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The slope of the first half of the floors.
    #[serde(with = "crate::exact")]
    pub early: f64,
    /// The slope of the second half.
    #[serde(with = "crate::exact")]
    pub late: f64,
    /// The slope of the last fifth.
    #[serde(with = "crate::exact")]
    pub last: f64,
    /// Whether the second half is significantly flatter, up or down.
    pub settles: bool,
    /// Whether the second half grows by more than what slows down would, and so does the end.
    pub keeps_on: bool,
}

/// Compares the halves of the floors; `None` when there are too few to halve.
pub fn test(floors: &[Floor], noise: &Autocorrelation) -> Option<Plateau> {
    let n = floors.len();
    if n < LEAST_FLOORS {
        return None;
    }
    let half = n.div_ceil(2);
    let early = slope::theil_sen(&floors[..half], noise.inflation)?;
    let late = slope::theil_sen(&floors[n - half..], noise.inflation)?;
    let all = slope::theil_sen(floors, noise.inflation)?;
    let last = slope::theil_sen(&floors[n - (n / 5).max(LEAST_LAST)..], noise.inflation)?;
    let (a, b) = (early.rate.estimate, late.rate.estimate);
    let eb = late.error;

    let own_error = libm::hypot(slope_error(&floors[..half]), slope_error(&floors[n - half..]));
    let settles = a.abs() - b.abs() > Z_SETTLES * own_error && b.abs() < SETTLES_RATIO * a.abs();
    let keeps_on =
        b > Z_KEEPS * eb && b > SLOWING * a && last.rate.estimate > STILL * all.rate.estimate;
    Some(Plateau { early: a, late: b, last: last.rate.estimate, settles, keeps_on })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autocorrelation;

    fn tested(value: impl Fn(f64) -> f64) -> Plateau {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        let floors: Vec<Floor> = (0..60)
            .map(|i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) })
            .collect();
        test(&floors, &autocorrelation::of(&floors)).unwrap()
    }

    #[test]
    fn a_line_keeps_on() {
        let p = tested(|t| 3.0 * t);
        assert!(p.keeps_on && !p.settles, "{p:?}");
    }

    #[test]
    fn a_root_a_logarithm_and_an_exponential_settle() {
        let bends: [fn(f64) -> f64; 3] = [
            |t| 40.0 * t.sqrt(),
            |t| 100.0 * libm::log(1.0 + t / 6.0),
            |t| -300.0 * libm::exp(-t / 30.0),
        ];
        for bend in bends {
            let p = tested(bend);
            assert!(p.settles && !p.keeps_on, "{p:?}");
        }
    }

    #[test]
    fn growth_that_has_just_ended_does_not_keep_on() {
        assert!(!tested(|t| 5.0 * t.min(47.0)).keeps_on);
    }

    #[test]
    fn what_accelerates_keeps_on() {
        assert!(tested(|t| t * t / 10.0).keeps_on);
    }

    #[test]
    fn a_trend_deep_in_noise_neither_settles_nor_keeps_on() {
        let p = tested(|t| 0.001 * t);
        assert!(!p.keeps_on && !p.settles, "{p:?}");
    }
}
