//! How much the floors repeat each other: the autocorrelation of their noise.
//!
//! A trend test that takes a hundred repeated floors for a hundred witnesses raises false alarms.
//! The variance of its statistic grows by (1+ρ)/(1−ρ) under first-order autocorrelation (Bayley &
//! Hammersley, Supplement to the JRSS 8, 1946; used for Mann–Kendall by Yue & Wang, Water Resources
//! Management 18, 2004). The usual estimate of ρ is too small in short series, the more so after
//! a trend is taken out (Marriott & Pope, Biometrika 41, 1954), and is corrected for that here.

use crate::fit;
use crate::floor::Floor;
use crate::thresholds::noise::{LEAST_FLOORS, MOST_RHO, WALK_RHO};
use serde::{Deserialize, Serialize};

/// The autocorrelation of floors about their trend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Autocorrelation {
    /// Lag-one autocorrelation of the noise, corrected for its bias, in [0, 0.97].
    #[serde(with = "crate::exact")]
    pub rho: f64,
    /// By how much the variance of a trend test grows.
    #[serde(with = "crate::exact")]
    pub inflation: f64,
}

/// Measures it, on what a parabola through the floors leaves.
pub fn of(floors: &[Floor]) -> Autocorrelation {
    let noise = fit::noise_of(floors);
    let n = noise.len() as f64;
    let raw = lag_one(&noise);
    // The parabola's three coefficients pull the estimate down by about (3 + 5ρ)/n.
    let corrected = (raw + 3.0 / n) / (1.0 - 5.0 / n);
    let rho = if n >= LEAST_FLOORS { corrected.clamp(0.0, MOST_RHO) } else { 0.0 };
    Autocorrelation { rho, inflation: inflation(rho) }
}

/// The standard error of a slope through the floors, from the noise about their own parabola: noise about
/// a line would be mostly the very bend that is looked for.
pub fn slope_error(floors: &[Floor]) -> f64 {
    let noise = fit::noise_of(floors);
    let n = noise.len() as f64;
    let variance = noise.iter().map(|r| r * r).sum::<f64>() / (n - 3.0).max(1.0);
    let span = floors[floors.len() - 1].time - floors[0].time;
    (12.0 * variance * of(floors).inflation / n).sqrt() / span
}

/// By how much the variance of a sum grows where neighbours have this autocorrelation.
pub fn inflation(rho: f64) -> f64 {
    (1.0 + rho) / (1.0 - rho)
}

/// Lag-one autocorrelation about the mean; 0 where nothing varies.
pub fn lag_one(values: &[f64]) -> f64 {
    if values.len() < 3 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    if variance <= f64::MIN_POSITIVE {
        return 0.0;
    }
    values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / variance
}

impl Autocorrelation {
    /// Whether the noise wanders instead of scattering about a line.
    pub fn looks_like_walk(&self) -> bool {
        self.rho > WALK_RHO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(values: impl IntoIterator<Item = f64>) -> Vec<Floor> {
        values.into_iter().enumerate().map(|(i, value)| Floor { time: i as f64, value }).collect()
    }

    #[test]
    fn alternating_noise_costs_nothing() {
        let a = of(&floors((0..40).map(|i| f64::from(i % 2))));
        assert_eq!((a.rho, a.inflation), (0.0, 1.0));
    }

    #[test]
    fn a_slow_wave_costs_most_of_the_floors() {
        let a = of(&floors((0..60).map(|i| (f64::from(i) * 0.5).sin())));
        assert!(a.rho > 0.8 && a.inflation > 9.0, "{a:?}");
    }

    #[test]
    fn a_bend_is_not_noise() {
        let a = of(&floors((0..60).map(|i| f64::from(i * i) + f64::from(i % 2))));
        assert!(a.rho < 0.1, "{a:?}");
    }
}
