//! Stage 8: drift, when the noise is itself a walk.
//!
//! Bursts that never come back, or a leak of a random size now and then, make a walk with a drift.
//! Its distance from any line wanders, so a test that takes that for noise about a line finds either
//! too much or nothing. In such a series the increments are the independent things, and the
//! question is whether their mean is above 0, or most of their signs (Harvey, Leybourne & Taylor, "A simple, robust and
//! powerful test of the trend hypothesis", Journal of Econometrics 141, 2007, use the two tests
//! side by side in the same way). For noise about a level this test is merely weak, never wrong.

use crate::autocorrelation;
use crate::floor::Floor;
use crate::interval::Interval;
use crate::thresholds::drift::{
    ENDED, KEEPS, KEEPS_Z, LEAST_INCREMENTS, LEAST_SIGNS, LEAST_T, STILL, Z95,
};
use crate::thresholds::noise::MOST_RHO_OF_INCREMENTS;
use crate::trend;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The outcome of the drift test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The mean increment, in its standard errors.
    #[serde(with = "crate::exact")]
    pub t: f64,
    /// Two-sided.
    #[serde(with = "crate::exact")]
    pub p_value: f64,
    /// The mean increment as a rate with its 95 % interval, base units a second.
    pub rate: Interval,
    /// What the floors gained in the first half of their span, base units.
    #[serde(with = "crate::exact")]
    pub early: f64,
    /// What they gained in the second half.
    #[serde(with = "crate::exact")]
    pub late: f64,
    /// Whether the drift of the second half is like that of the first, as far as is known.
    pub keeps_on: bool,
}

/// Tests the increments of the floors.
pub fn test(floors: &[Floor]) -> Option<Drift> {
    let increments: Vec<f64> = floors.windows(2).map(|w| w[1].value - w[0].value).collect();
    let m = increments.len() as f64;
    if m < LEAST_INCREMENTS {
        return None;
    }
    let mean = increments.iter().sum::<f64>() / m;
    let variance = increments.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (m - 1.0);
    let rho = autocorrelation::lag_one(&increments).clamp(0.0, MOST_RHO_OF_INCREMENTS);
    let inflation = autocorrelation::inflation(rho);
    let error = (variance * inflation * m).sqrt();
    let total = mean * m;
    let t = if error > 0.0 { total / error } else { total.signum() * f64::INFINITY };
    let by_mean = if total == 0.0 { 1.0 } else { tail(t, m - 1.0) };
    // A saw mostly rises too: without a mean to show for it, signs prove nothing.
    let by_sign = if t.abs() >= LEAST_T { sign_test(&increments, total) } else { 1.0 };
    let p_value = (2.0 * by_mean.min(by_sign)).min(1.0);

    let half = floors.len() / 2;
    let early = floors[half].value - floors[0].value;
    let late = floors[floors.len() - 1].value - floors[half].value;
    let margin = error / 2f64.sqrt() * (1.0 + KEEPS * KEEPS).sqrt();
    let fifth = floors[floors.len() - 1].value - floors[floors.len() * 4 / 5].value;
    let eighth = floors[floors.len() - 1].value - floors[floors.len() * 7 / 8].value;
    let keeps_on = late - KEEPS * early.max(0.0) > KEEPS_Z * margin
        && fifth > STILL * total / 5.0
        && eighth > ENDED * total / 8.0;
    let span = (floors[floors.len() - 1].time - floors[0].time).max(f64::MIN_POSITIVE);
    let rate = Interval::around(total / span, Z95 * error / span);
    Some(Drift { t, p_value, rate, early, late, keeps_on })
}

/// The sign test: do more increments go the way of the total than chance would have it?
///
/// Increments of an accelerating leak differ so much that their mean is a poor measure, but they
/// all go one way. Runs of one sign are paid for by the signs' autocorrelation.
fn sign_test(increments: &[f64], total: f64) -> f64 {
    let moved = increments.iter().filter(|d| **d != 0.0);
    let signs: Vec<f64> = moved.map(|d| (d * total).signum()).collect();
    let m = signs.len() as f64;
    if m < LEAST_SIGNS {
        return 1.0;
    }
    let rho = autocorrelation::lag_one(&signs).clamp(0.0, MOST_RHO_OF_INCREMENTS);
    let error = (m * autocorrelation::inflation(rho)).sqrt();
    let z = ((signs.iter().sum::<f64>() - 1.0) / error).max(0.0);
    trend::two_sided(z)
}

fn tail(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |d| 2.0 * d.cdf(-t.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(values: impl IntoIterator<Item = f64>) -> Vec<Floor> {
        values.into_iter().enumerate().map(|(i, value)| Floor { time: i as f64, value }).collect()
    }

    #[test]
    fn one_step_is_no_drift() {
        let d = test(&floors((0..60).map(|i| if i < 30 { 0.0 } else { 10.0 }))).unwrap();
        assert!(d.p_value > 0.2, "{d:?}");
    }

    #[test]
    fn bursts_that_never_come_back_are() {
        let d = test(&floors((0..60).map(|i| f64::from(i / 2 + i / 3 + i / 7)))).unwrap();
        assert!(d.p_value < 1e-4 && d.keeps_on, "{d:?}");
    }

    #[test]
    fn bursts_that_have_ended_do_not_keep_on() {
        let d = test(&floors((0..60).map(|i: i32| f64::from(i.min(25) / 2)))).unwrap();
        assert!(!d.keeps_on, "{d:?}");
    }

    #[test]
    fn a_climb_that_stands_still_in_its_last_eighth_does_not_keep_on() {
        let until = |end: i32| test(&floors((0..60).map(|i: i32| f64::from(i.min(end))))).unwrap();
        assert!(until(59).keeps_on && !until(52).keeps_on, "{:?}", until(52));
    }
}
