//! The range of an axis, and its ticks in units that people read.

use seepmeter_record::{Unit, human};

/// A place on an axis, with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in the axis's unit.
    pub at: f64,
    /// In words: `16 MiB`, `1 m 30 s`.
    pub label: String,
}

/// An axis: of time, in ns since the start of the run, or of a metric, in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Where it begins.
    pub from: f64,
    /// Where it ends; always more than where it begins.
    pub to: f64,
    /// Round places within it, in order.
    pub ticks: Vec<Tick>,
}

/// The steps between ticks of an axis of time, in seconds, from a second on.
const STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
    10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

impl Axis {
    /// An axis of time, in ns, with so many ticks at most.
    #[must_use]
    pub fn of_time(from: u64, to: u64, most: usize) -> Self {
        let (from, to) = with_length(from as f64, to as f64);
        let least = (to - from) / most.max(1) as f64 / 1e9;
        let listed = STEPS.into_iter().find(|step| *step >= least);
        let step = match listed {
            Some(step) if least > 0.5 => step,
            Some(_) => round_step(least),
            None => 86_400.0 * round_step(least / 86_400.0).max(1.0),
        };
        Self::with_steps(from, to, (step * 1e9).max(1.0), |at| human::duration(at.max(0.0) as u64))
    }

    /// An axis of values, in base units, with so many ticks at most. Of bytes, steps are powers of two.
    #[must_use]
    pub fn of_values(from: f64, to: f64, unit: Unit, most: usize) -> Self {
        let (from, to) = with_length(from, to);
        let least = (to - from) / most.max(1) as f64;
        let step = match unit {
            Unit::Bytes => least.max(1.0).log2().ceil().exp2(),
            Unit::Count => round_step(least).max(1.0),
            _ => round_step(least),
        };
        Self::with_steps(from, to, step, |at| exact_amount(at, step, unit))
    }

    fn with_steps(from: f64, to: f64, step: f64, label: impl Fn(f64) -> String) -> Self {
        let places = (from / step).ceil() as i64..=(to / step).floor() as i64;
        let tick = |place: i64| {
            let at = place as f64 * step;
            Tick { at, label: label(at) }
        };
        Self { from, to, ticks: places.map(tick).collect() }
    }

    /// Where a value stands on it, 0 at the begin and 1 at the end.
    #[must_use]
    pub fn part(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }
}

/// A range that has a length, also where an `f64` has no neighbour that is nearer than thousands.
fn with_length(from: f64, to: f64) -> (f64, f64) {
    (from, if to > from { to } else { from + (from.abs() * 1e-9).max(1.0) })
}

/// An amount with as many figures as it takes to tell neighbouring ticks apart: 29.97 GiB and 30 GiB.
fn exact_amount(at: f64, step: f64, unit: Unit) -> String {
    let usual = human::amount(at, unit);
    let differs = |other: f64| usual != human::amount(other, unit);
    match differs(at + step) && differs(at - step) {
        true => usual,
        false => human::amount_by_step(at, step, unit),
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less.
fn round_step(least: f64) -> f64 {
    let least = if least.is_finite() && least > 0.0 { least } else { 1.0 };
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= least * 0.999_999);
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| &*tick.label).collect()
    }

    #[test]
    fn bytes_have_ticks_at_powers_of_two_and_counts_at_whole_numbers() {
        let mib = 1_048_576.0;
        let bytes = Axis::of_values(0.0, 27.0 * mib, Unit::Bytes, 5);
        assert_eq!(labels(&bytes), ["0 B", "8 MiB", "16 MiB", "24 MiB"]);
        assert_eq!(labels(&Axis::of_values(0.0, 3.0, Unit::Count, 5)), ["0", "1", "2", "3"]);
        assert_eq!(
            labels(&Axis::of_values(0.0, 47.0, Unit::Count, 5)),
            ["0", "10", "20", "30", "40"]
        );
    }

    #[test]
    fn ticks_that_lie_close_together_far_from_zero_have_labels_of_their_own() {
        let gib = 1_073_741_824.0;
        let axis = Axis::of_values(30.0 * gib, 30.02 * gib, Unit::Bytes, 5);
        let labels = labels(&axis);
        let mut distinct = labels.clone();
        distinct.dedup();
        assert!(labels.len() >= 3 && distinct == labels, "{labels:?}");
        let counts = Axis::of_values(1e6, 1e6 + 40.0, Unit::Count, 5);
        assert_eq!(counts.ticks[1].label, "1000010");
    }

    #[test]
    fn time_has_ticks_at_seconds_minutes_hours_and_days() {
        let s = 1_000_000_000;
        let of = |to: u64, most| Axis::of_time(0, to, most);
        assert_eq!(labels(&of(95 * s, 5)), ["0 s", "20 s", "40 s", "1 m", "1 m 20 s"]);
        assert_eq!(labels(&of(7_200 * s, 4)), ["0 s", "30 m", "1 h", "1 h 30 m", "2 h"]);
        assert_eq!(labels(&of(s / 100, 2)), ["0 s", "5 ms", "10 ms"]);
        assert_eq!(labels(&of(86_400 * 40 * s, 4)), ["0 s", "10 d", "20 d", "30 d", "40 d"]);
    }

    #[test]
    fn an_axis_without_length_is_none_to_divide_by() {
        for axis in [Axis::of_time(5, 5, 4), Axis::of_values(7.0, 7.0, Unit::Bytes, 4)] {
            assert!(axis.to > axis.from && axis.part(axis.from).abs() < 1e-9);
        }
        assert!(Axis::of_time(u64::MAX - 1, u64::MAX, 4).part(0.0).is_finite());
    }
}
