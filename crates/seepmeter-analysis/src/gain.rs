//! Stage 10: what was gained on the whole, and does that matter?
//!
//! A heap that finds its size goes on by a few ever smaller steps, tears, and creeps. Each may be
//! significant, and none matters. So beside the question whether there is growth stands the one that
//! equivalence tests ask: is it surely smaller than the smallest effect of interest (Schuirmann, Journal of
//! Pharmacokinetics and Biopharmaceutics 15, 1987; Lakens, Social Psychological and Personality Science
//! 8, 2017)? The gain is the shift from the first third of the floors to the last, estimated by the
//! median of the differences of all pairs (Hodges & Lehmann, Annals of Mathematical Statistics 34,
//! 1963), and its upper end comes from the ranks of Wilcoxon's test (Moses, 1965), widened for
//! autocorrelation. No straight line is assumed, so that steps and a wander do not widen it.

use crate::autocorrelation;
use crate::floor::Floor;
use crate::thresholds::gain::{LEAST_THIRD, NEARLY_ALL, Z95};
use serde::{Deserialize, Serialize};

/// What was gained from the first third to the last, base units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The best guess.
    #[serde(with = "crate::exact")]
    pub estimate: f64,
    /// The upper end of the one-sided 95 % interval.
    #[serde(with = "crate::exact")]
    pub high: f64,
}

/// Measures it; `None` for too few floors.
pub fn of(floors: &[Floor]) -> Option<Gain> {
    let third = floors.len() / 3;
    if third < LEAST_THIRD {
        return None;
    }
    let late = &floors[floors.len() - third..];
    let mut pairs = Vec::with_capacity(third * third);
    for early in &floors[..third] {
        pairs.extend(late.iter().map(|late| late.value - early.value));
    }
    pairs.sort_by(f64::total_cmp);
    let count = third as f64;
    let inflation = autocorrelation::of(floors).inflation;
    let error = ((2.0 * count + 1.0) * inflation / (12.0 * count * count)).sqrt();
    let at = |part: f64| pairs[((pairs.len() - 1) as f64 * part).ceil() as usize];
    Some(Gain { estimate: at(0.5), high: at((0.5 + Z95 * error).min(NEARLY_ALL)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(n: u32, value: impl Fn(f64) -> f64) -> Vec<Floor> {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        let floor = |i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) };
        (0..n).map(floor).collect()
    }

    #[test]
    fn noise_gains_next_to_nothing() {
        let gain = of(&floors(90, |_| 100.0)).unwrap();
        assert!(gain.estimate.abs() <= 0.5 && gain.high <= 1.0, "{gain:?}");
    }

    #[test]
    fn a_line_gains_two_thirds_between_the_middles_of_its_thirds() {
        let gain = of(&floors(90, |t| 10.0 * t)).unwrap();
        assert!((gain.estimate - 600.0).abs() < 20.0 && gain.high > 600.0, "{gain:?}");
    }

    #[test]
    fn steps_that_cancel_each_other_are_no_gain() {
        let gain = of(&floors(90, |t| if (20.0..70.0).contains(&t) { 500.0 } else { 0.0 }));
        assert!(gain.is_some_and(|g| g.estimate.abs() < 2.0), "{gain:?}");
    }
}
