//! Stage 9, second half: could a curve that slows down have drawn this?
//!
//! After its first two fifths a logarithm or a root looks straight, so cutting off warm-up and
//! testing the rest can't tell it from a leak. But it can't hide its beginning: a curve fitted to
//! warm-up and rest together must also meet the rest as well as a line does. Logarithms, roots and
//! exponentials are fitted by least squares, and the best is held against the line by the increase
//! of the residual sum of squares, in units of the noise: a likelihood ratio (Wilks, Annals of
//! Mathematical Statistics 9, 1938). Logarithms and roots are what fragmentation and caches with
//! skewed keys draw, exponentials what caches with even keys draw (Fagin's and Che's cache models).

use crate::autocorrelation::{self, Autocorrelation};
use crate::fit;
use crate::floor::Floor;
use crate::thresholds::curve::{EXCLUDED, EXCLUDED_BY_FAR, EXCLUDED_IN_A_WALK, LEAST_FLOORS};
use crate::thresholds::noise::{LEAST_VARIANCE, MOST_RHO_OF_INCREMENTS};
use serde::{Deserialize, Serialize};

/// A curve that slows down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveShape {
    /// ln(1 + t/c).
    Logarithm,
    /// 1 − exp(−t/τ).
    Exponential,
    /// A power of t below 1.
    Root,
}

/// The outcome: how much worse the best slowing curve meets the judged floors than a line does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FittedCurve {
    /// The best of the curves.
    pub shape: CurveShape,
    /// The increase of the residual sum of squares over the line's, in noise variances.
    #[serde(with = "crate::exact")]
    pub worse: f64,
    /// Whether the noise is a walk, which makes its variance a guess.
    pub walk: bool,
}

/// The constants of the curves, as parts of the fitted span. A larger one is hardly a curve.
const LOGARITHMS: [f64; 7] = [0.003, 0.01, 0.03, 0.08, 0.16, 0.3, 0.5];
const EXPONENTIALS: [f64; 7] = [0.03, 0.06, 0.1, 0.17, 0.27, 0.4, 0.6];
const POWERS: [f64; 2] = [0.3, 0.5];

/// Holds slowing curves, fitted to all `floors` or to those from half-way through warm-up, against a
/// line through `floors[first..]`. `noise` is that of the judged floors.
pub fn test(floors: &[Floor], first: usize, noise: &Autocorrelation) -> Option<FittedCurve> {
    let by_height = held_against_line(floors, first, noise, false)?;
    if !noise.looks_like_walk() {
        return Some(by_height);
    }
    // Between noise about a line and a walk either view may be the sharper one.
    let by_increments = held_against_line(floors, first, noise, true)?;
    Some(if by_increments.worse > by_height.worse { by_increments } else { by_height })
}

/// The test on the floors themselves, or on their increments.
fn held_against_line(
    floors: &[Floor],
    first: usize,
    noise: &Autocorrelation,
    increments: bool,
) -> Option<FittedCurve> {
    let judged = floors.len().checked_sub(first).filter(|&n| n >= LEAST_FLOORS)?;
    let (t, y) = fit::scaled(&floors[first..]);
    let line = fitted(&t, &y, &|t| t, increments);
    let line_sse: f64 = line.iter().map(|r| r * r).sum();
    // The increments of a walk may still lean on each other.
    let rho = autocorrelation::lag_one(&line).clamp(0.0, MOST_RHO_OF_INCREMENTS);
    let inflation = if increments { autocorrelation::inflation(rho) } else { noise.inflation };
    let scale = y.iter().map(|v| v * v).sum::<f64>() / judged as f64;
    // A perfect line would exclude anything by an infinite amount, and rounding would decide.
    let variance = (line_sse / (judged as f64 - 2.0)).max(LEAST_VARIANCE * scale) * inflation;
    if variance <= 0.0 {
        return None;
    }
    let mut starts = vec![0, first / 2, first];
    starts.dedup();
    let fits = starts.into_iter().flat_map(|start| curves(&floors[start..], judged, increments));
    let (shape, sse) = fits.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(FittedCurve { shape, worse: (sse - line_sse) / variance, walk: noise.looks_like_walk() })
}

/// Every curve fitted to the floors, with its sum of squares over the last `judged` of them.
fn curves(floors: &[Floor], judged: usize, walk: bool) -> Vec<(CurveShape, f64)> {
    let (t, y) = fit::scaled(floors);
    let over_judged = |shape: &dyn Fn(f64) -> f64| {
        let residuals = fitted(&t, &y, shape, walk);
        let wanted = if walk { judged - 1 } else { judged };
        residuals[residuals.len() - wanted..].iter().map(|r| r * r).sum::<f64>()
    };
    let logarithms =
        LOGARITHMS.map(|c| (CurveShape::Logarithm, over_judged(&|t| libm::log(1.0 + t / c))));
    let exponentials = EXPONENTIALS
        .map(|tau| (CurveShape::Exponential, over_judged(&|t| 1.0 - libm::exp(-t / tau))));
    let powers = POWERS.map(|p| (CurveShape::Root, over_judged(&|t| libm::pow(t, p))));
    logarithms.into_iter().chain(exponentials).chain(powers).collect()
}

/// The residuals of a shape fitted to the floors or, where the noise is a walk, to their increments:
/// those are what is independent in a walk.
fn fitted(t: &[f64], y: &[f64], shape: &dyn Fn(f64) -> f64, walk: bool) -> Vec<f64> {
    let column: Vec<f64> = t.iter().map(|&t| shape(t)).collect();
    if walk {
        let increments = |x: &[f64]| x.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
        return fit::least_squares(&[&increments(&column)], &increments(y)).residuals;
    }
    fit::least_squares(&[&vec![1.0; t.len()], &column], y).residuals
}

impl FittedCurve {
    /// Whether no slowing curve could have drawn this.
    pub fn excluded(&self) -> bool {
        self.worse > if self.walk { EXCLUDED_IN_A_WALK } else { EXCLUDED }
    }

    /// Whether that is so far from any slowing curve that noise of any kind is out of the question.
    pub fn excluded_by_far(&self) -> bool {
        self.worse > EXCLUDED_BY_FAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Autocorrelation = Autocorrelation { rho: 0.0, inflation: 1.0 };

    fn floors(value: impl Fn(f64) -> f64) -> Vec<Floor> {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        (0..80)
            .map(|i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) })
            .collect()
    }

    #[test]
    fn a_line_is_no_slowing_curve() {
        assert!(test(&floors(|t| 2.0 * t), 0, &WHITE).unwrap().excluded());
    }

    #[test]
    fn a_line_after_a_warm_up_is_none_either() {
        let leak = floors(|t| 2.0 * t + 300.0 * (1.0 - libm::exp(-t / 4.0)));
        assert!(test(&leak, 24, &WHITE).unwrap().excluded());
    }

    #[test]
    fn the_straight_looking_end_of_a_logarithm_or_a_root_is() {
        for slow in [|t: f64| 90.0 * libm::log(1.0 + t / 5.0), |t: f64| 30.0 * t.sqrt()] {
            let c = test(&floors(slow), 32, &WHITE).unwrap();
            assert!(!c.excluded(), "{c:?}");
        }
    }
}
