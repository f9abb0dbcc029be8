//! Stage 6: Mann–Kendall on the floors.
//!
//! The test asks of every pair of floors whether the later one is higher (Mann, Econometrica 13,
//! 1945; Kendall, "Rank Correlation Methods", 1975). It assumes no distribution, and no line. Its
//! variance is corrected for ties and, after Hamed & Rao (Journal of Hydrology 204, 1998) and Yue &
//! Wang (2004), for autocorrelation.

use crate::floor::Floor;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// The outcome of a Mann–Kendall test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Pairs that rise minus pairs that fall.
    pub s: i64,
    /// The variance of `s` were there no trend, autocorrelation included.
    #[serde(with = "crate::exact")]
    pub variance: f64,
    /// `s` in standard deviations, with the continuity correction.
    #[serde(with = "crate::exact")]
    pub z: f64,
    /// Two-sided.
    #[serde(with = "crate::exact")]
    pub p_value: f64,
}

/// Tests floors for a monotone trend; `inflation` is that of
/// [`Autocorrelation`](crate::autocorrelation::Autocorrelation), 1 for independent floors.
pub fn mann_kendall(floors: &[Floor], inflation: f64) -> Trend {
    let mut s = 0i64;
    for (i, earlier) in floors.iter().enumerate() {
        for later in &floors[i + 1..] {
            s += match later.value.total_cmp(&earlier.value) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
            };
        }
    }
    let variance = variance(floors) * inflation.max(1.0);
    let z = if variance > 0.0 { (s - s.signum()) as f64 / variance.sqrt() } else { 0.0 };
    Trend { s, variance, z, p_value: two_sided(z) }
}

/// The variance of S for independent floors, ties taken into account.
fn variance(floors: &[Floor]) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut values: Vec<f64> = floors.iter().map(|f| f.value).collect();
    values.sort_by(f64::total_cmp);
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|tied| term(tied.len() as f64)).sum();
    (term(values.len() as f64) - ties) / 18.0
}

/// The chance of a standard normal beyond ±z.
pub fn two_sided(z: f64) -> f64 {
    if !z.is_finite() {
        return 0.0;
    }
    (2.0 * Normal::standard().cdf(-z.abs())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(values: &[f64]) -> Vec<Floor> {
        let timed = values.iter().enumerate();
        timed.map(|(i, &value)| Floor { time: i as f64, value }).collect()
    }

    #[test]
    fn ten_rising_floors_have_the_textbook_z() {
        // S = 45, Var = 10·9·25/18 = 125, z = 44/√125.
        let t = mann_kendall(&floors(&(0..10).map(f64::from).collect::<Vec<_>>()), 1.0);
        assert_eq!((t.s, t.variance), (45, 125.0));
        assert!((t.z - 44.0 / 125f64.sqrt()).abs() < 1e-12);
        assert!((t.p_value - 8.3e-5).abs() < 1e-6, "{}", t.p_value);
    }

    #[test]
    fn ties_take_their_share_of_the_variance() {
        // n = 5 with a pair tied: (5·4·15 − 2·1·9)/18.
        let t = mann_kendall(&floors(&[1.0, 2.0, 2.0, 3.0, 4.0]), 1.0);
        assert_eq!(t.s, 9);
        assert!((t.variance - 282.0 / 18.0).abs() < 1e-12);
    }

    #[test]
    fn a_flat_series_has_no_trend() {
        assert_eq!(mann_kendall(&floors(&[7.0; 12]), 1.0).p_value, 1.0);
    }
}
