//! Stage 4: where warm-up ended, and where growth set in.
//!
//! Warm-up took 30 seconds in one real program and 8 hours in another, so no number can be set. It
//! is over where the rest of the watch is straight: the shortest beginning is cut off after which
//! the slopes of the two halves of the rest no longer differ in the way of something that settles.
//! Cutting until the remainder looks stationary is how simulations lose their initial transient
//! (White, "An effective truncation heuristic for bias reduction in simulation output", Simulation
//! 69, 1997); here the remainder may have a trend. The bend itself is the two-phase regression of
//! Hinkley (Biometrika 56, 1969).

use crate::floor::Floor;
use crate::thresholds::warm_up::{
    CUTS, EARLIEST_ONSET, LATEST_ONSET, LEAST_TAIL, LINE_FROM, OFF_CLIMB, OFF_LINE, ONSET_SQUARES,
    PARTS,
};
use crate::{autocorrelation, fit, plateau, slope};
use serde::{Deserialize, Serialize};

/// Where the part that may be judged begins.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct WarmUp {
    /// How many floors belong to warm-up.
    pub floors: usize,
    /// Whether no cut made the rest straight: it is still settling at the end of the watch.
    pub unsettled: bool,
    /// The floor at which growth set in after a quiet beginning, if it did.
    pub onset: Option<usize>,
}

/// What is known of a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUpKind {
    /// There was none.
    Absent,
    /// It has ended.
    Ended,
    /// It goes on until the end of the watch.
    Unsettled,
}

impl WarmUp {
    /// What is known of it.
    #[must_use]
    pub fn kind(&self) -> WarmUpKind {
        match self.floors {
            _ if self.unsettled => WarmUpKind::Unsettled,
            0 => WarmUpKind::Absent,
            _ => WarmUpKind::Ended,
        }
    }
}

/// Finds the end of warm-up and the onset of growth.
pub fn find(floors: &[Floor]) -> WarmUp {
    let n = floors.len();
    if n < LEAST_TAIL {
        return WarmUp::default();
    }
    let mut found = WarmUp { unsettled: true, ..WarmUp::default() };
    for cut in 0..=CUTS {
        let from = n * cut / PARTS;
        if n - from < LEAST_TAIL {
            break;
        }
        found.floors = from;
        if !settles(&floors[from..]) {
            found.unsettled = false;
            break;
        }
    }
    if !found.unsettled {
        found.floors = refine(floors, found.floors);
        found.onset = onset(&floors[found.floors..]).map(|i| i + found.floors);
    }
    found
}

/// Whether the floors still settle: much motion in the first half, less in the second.
fn settles(floors: &[Floor]) -> bool {
    let noise = autocorrelation::of(floors);
    plateau::test(floors, &noise).is_some_and(|p| p.settles)
}

/// Moves a coarse cut to the first floor from which on the line of the rest is met.
fn refine(floors: &[Floor], cut: usize) -> usize {
    let n = floors.len();
    let tail = &floors[cut.max(n / LINE_FROM)..];
    let Some(line) = slope::theil_sen(tail, 1.0) else { return cut };
    let off = |f: &Floor| (f.value - line.at(f.time)).abs();
    let spread = 1.4826 * fit::median(tail.iter().map(off).collect());
    let span = tail[tail.len() - 1].time - tail[0].time;
    let near = (OFF_LINE * spread).max(OFF_CLIMB * (line.rate.estimate * span).abs());
    let met = floors.windows(2).position(|w| w.iter().all(|f| off(f) <= near));
    // A robust line is drawn right through the rest even if a third of it is still warm-up.
    met.map_or(cut, |i| i.clamp(cut.saturating_sub(n / PARTS), cut.max(n / 2)))
        .min(n.saturating_sub(LEAST_TAIL).max(cut))
}

/// Where a quiet beginning turns into growth: flat then a line fits far better than a line alone.
fn onset(floors: &[Floor]) -> Option<usize> {
    let n = floors.len();
    if n < 2 * LEAST_TAIL {
        return None;
    }
    let (t, y) = fit::scaled(floors);
    let ones = vec![1.0; n];
    let line = fit::least_squares(&[&ones, &t], &y);
    let hinge_at = |i: usize| {
        let hinge: Vec<f64> = t.iter().map(|x| (x - t[i]).max(0.0)).collect();
        fit::least_squares(&[&ones, &hinge], &y)
    };
    let latest = ((n as f64 * LATEST_ONSET) as usize).min(n - LEAST_TAIL);
    let (i, best) = (n / EARLIEST_ONSET..=latest)
        .map(|i| (i, hinge_at(i)))
        .min_by(|a, b| a.1.sse.total_cmp(&b.1.sse))?;
    (best.coefficients[1] > 0.0 && best.sse < ONSET_SQUARES * line.sse).then_some(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(n: usize, value: impl Fn(f64) -> f64) -> Vec<Floor> {
        // A ripple of ±1 stands for noise.
        let ripple = |i: usize| (i * 7 % 5) as f64 / 2.0 - 1.0;
        (0..n).map(|i| Floor { time: i as f64, value: value(i as f64) + ripple(i) }).collect()
    }

    #[test]
    fn a_warm_up_is_found_wherever_it_ends() {
        for ends in [8.0, 20.0, 40.0] {
            let w = find(&floors(96, |t| 1_000.0 * t.min(ends)));
            let off = (w.floors as f64 - ends).abs();
            assert!(off <= 6.0 && !w.unsettled, "{ends}: {w:?}");
        }
    }

    #[test]
    fn a_line_has_no_warm_up() {
        let w = find(&floors(96, |t| 10.0 * t));
        assert_eq!((w.floors, w.unsettled, w.onset), (0, false, None));
    }

    #[test]
    fn a_logarithm_never_settles() {
        let w = find(&floors(96, |t| 3_000.0 * libm::log(1.0 + t / 10.0)));
        assert!(w.unsettled || w.floors > 40, "{w:?}");
    }

    #[test]
    fn growth_after_a_quiet_beginning_is_judged_from_its_onset() {
        let w = find(&floors(96, |t| 50.0 * (t - 45.0).max(0.0)));
        assert!(w.onset.is_some_and(|i| i.abs_diff(45) <= 4), "{w:?}");
    }
}
