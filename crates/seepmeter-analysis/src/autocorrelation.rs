//! How much the floors repeat each other: the autocorrelation of their noise.
//!
//! A trend test that takes a hundred repeated floors for a hundred witnesses raises false alarms.
//! The variance of its statistic grows by (1+ρ)/(1−ρ) under first-order autocorrelation (Bayley &
//! Hammersley, Supplement to the JRSS 8, 1946; used for Mann–Kendall by Yue & Wang, Water Resources
//! Management 18, 2004). The usual estimate of ρ is too small in short series, the more so after
//! a trend is taken out (Marriott & Pope, Biometrika 41, 1954), and is corrected for that here.

use crate::fit;
use crate::floors::Floor;

/// The autocorrelation of floors about their trend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Autocorrelation {
    /// Lag-one autocorrelation of the noise, corrected for its bias, in [0, 0.97].
    pub rho: f64,
    /// By how much the variance of a trend test grows.
    pub inflation: f64,
}

const MOST_RHO: f64 = 0.97;

/// Measures it, on what a parabola through the floors leaves.
pub fn of(floors: &[Floor]) -> Autocorrelation {
    let noise = fit::noise_of(floors);
    let n = noise.len() as f64;
    let raw = lag_one(&noise);
    // The parabola's three coefficients pull the estimate down by about (3 + 5ρ)/n.
    let rho = if n > 6.0 { ((raw + 3.0 / n) / (1.0 - 5.0 / n)).clamp(0.0, MOST_RHO) } else { 0.0 };
    Autocorrelation { rho, inflation: (1.0 + rho) / (1.0 - rho) }
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
    /// What this stage found, in words.
    pub fn in_words(&self, floors: usize) -> String {
        let worth = (floors as f64 / self.inflation).max(1.0);
        let rho = self.rho;
        match rho {
            r if r < 0.1 => "the floors are independent of each other".to_owned(),
            _ => format!(
                "neighbouring floors repeat each other (autocorrelation {rho:.2}): {floors} are \
                 worth about {worth:.0}{}",
                if self.looks_like_walk() { "; the noise is a walk" } else { "" }
            ),
        }
    }

    /// Whether the noise wanders instead of scattering about a line.
    pub fn looks_like_walk(&self) -> bool {
        self.rho > 0.5
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
