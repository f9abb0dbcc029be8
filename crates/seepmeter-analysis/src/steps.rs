//! Stage 5: are a few one-off steps all there is?
//!
//! A plug-in loaded, a table read, a trim: a step is no leak, and yet moves every trend test. Up to
//! five steps are placed one after the other where they help most (binary segmentation: Scott &
//! Knott, Biometrics 30, 1974), and the flight of steps is weighed against a line, a parabola and a
//! line with one step by Schwarz's criterion (BIC, Annals of Statistics 6, 1978; for change points
//! Yao, Statistics & Probability Letters 6, 1988). A leak that goes by steps has many of them, and
//! then the line wins. Noise that wanders about a line can be mended by levels too, so a flight must also
//! make most of its climb at once, at its steps.

use crate::autocorrelation;
use crate::fit;
use crate::floor::Floor;
use crate::thresholds::steps::{
    AT_ONCE, BESIDE, DWARFS, LEAST_FLOORS, LEAST_JUMP, MARGIN, MOST_GIVEN_BACK, MOST_JUMP,
    MOST_STEPS, RESOLUTION, VERY_STRONG, WARM_UP,
};
use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the first floor after it.
    pub at: usize,
    /// The time of that floor, in seconds since the start of the watch.
    #[serde(with = "crate::exact")]
    pub time: f64,
    /// How high, base units; negative for a step down.
    #[serde(with = "crate::exact")]
    pub height: f64,
}

/// What the steps of a series are.
#[derive(Debug, Clone, PartialEq)]
pub enum Steps {
    /// There are none that explain the series.
    None,
    /// Steps, in order of time, explain it better than a line does.
    Flight(Vec<Step>),
    /// A line with one step on it explains it best.
    OnALine(Step),
}

/// Looks for steps.
pub fn find(floors: &[Floor]) -> Steps {
    let n = floors.len();
    let (t, y) = fit::scaled(floors);
    let low = y.iter().copied().fold(f64::INFINITY, f64::min);
    let range = y.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    if n < LEAST_FLOORS || range <= 0.0 {
        return Steps::None;
    }
    // A perfect fit is not infinitely better than one that is off by a little.
    let resolution = n as f64 * (range * RESOLUTION).powi(2);
    let bic = |sse: f64, parameters: usize| {
        n as f64 * libm::log((sse + resolution) / n as f64)
            + parameters as f64 * libm::log(n as f64)
    };
    let ones = vec![1.0; n];
    let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
    let line = bic(fit::least_squares(&[&ones, &t], &y).sse, 2);
    let parabola = bic(fit::least_squares(&[&ones, &t, &squares], &y).sse, 3);
    let stepped = LineWithStep::fit(&t, &y, &ones);
    let stepped_line = bic(stepped.sse, 4);
    let flight = Flight::fit(&y, &bic);

    let smooth = line.min(parabola);
    if flight.bic < smooth.min(stepped_line) && jumps(&y, &flight.cuts) >= AT_ONCE {
        let steps = heights(&y, &flight.cuts).into_iter();
        return Steps::Flight(steps.map(|(at, height)| Step::of(floors, at, height)).collect());
    }
    if stepped_line + VERY_STRONG < smooth && stepped.height > 0.0 && stepped.is_at_once(&y) {
        return Steps::OnALine(Step::of(floors, stepped.at, stepped.height));
    }
    Steps::None
}

/// The one-off step on a line that is to be taken out before the trend is tested.
///
/// None where what is left is a walk that the step does not dwarf: then it may be one of many, and taking
/// the largest out would make the rest look more regular than it is. A step far larger than all that moves
/// beside it is no part of the walk (a level shift in the sense of Tsay, Journal of Forecasting 7, 1988).
pub fn one_off(floors: &[Floor]) -> Option<Step> {
    let Steps::OnALine(step) = find(floors) else { return None };
    // An early step is warm-up's to find, and may be a bend.
    if step.at * WARM_UP < floors.len() {
        return None;
    }
    let rest = step.taken_out(floors);
    let largest = rest.windows(2).map(|w| (w[1].value - w[0].value).abs()).fold(0.0, f64::max);
    let alone = step.height > DWARFS * largest || !autocorrelation::of(&rest).looks_like_walk();
    alone.then_some(step)
}

/// The best flight of 1 to 5 steps.
struct Flight {
    bic: f64,
    /// The numbers of the floors that begin a level.
    cuts: Vec<usize>,
}

impl Flight {
    fn fit(y: &[f64], bic: &impl Fn(f64, usize) -> f64) -> Self {
        let sums = PrefixSums::of(y);
        let mut cuts = vec![0, y.len()];
        let mut best = Self { bic: f64::INFINITY, cuts: vec![] };
        for _ in 0..MOST_STEPS {
            let candidates = cuts
                .windows(2)
                .flat_map(|w| (w[0] + 2..w[1].saturating_sub(1)).map(|c| (w[0], c, w[1])));
            let gain = |&(a, c, b): &(usize, usize, usize)| {
                sums.sse(a, b) - sums.sse(a, c) - sums.sse(c, b)
            };
            let Some((_, cut, _)) = candidates.max_by(|a, b| gain(a).total_cmp(&gain(b))) else {
                break;
            };
            cuts.push(cut);
            cuts.sort_unstable();
            let sse = cuts.windows(2).map(|w| sums.sse(w[0], w[1])).sum();
            // Each step costs its place and its height.
            let value = bic(sse, 2 * (cuts.len() - 2) + 1);
            if value < best.bic {
                best = Self { bic: value, cuts: cuts[1..cuts.len() - 1].to_vec() };
            }
        }
        best
    }
}

/// The best line with one step.
struct LineWithStep {
    sse: f64,
    at: usize,
    height: f64,
}

impl LineWithStep {
    fn fit(t: &[f64], y: &[f64], ones: &[f64]) -> Self {
        let mut best = Self { sse: f64::INFINITY, at: 0, height: 0.0 };
        for at in 2..y.len() - 1 {
            let jump: Vec<f64> = (0..y.len()).map(|i| if i >= at { 1.0 } else { 0.0 }).collect();
            let fit = fit::least_squares(&[ones, t, &jump], y);
            if fit.sse < best.sse {
                best = Self { sse: fit.sse, at, height: fit.coefficients[2] };
            }
        }
        best
    }

    /// Whether the floors beside the step are as far apart as it is high: a bend can be mended by a step
    /// where they are not.
    fn is_at_once(&self, y: &[f64]) -> bool {
        let beside = |from: usize, to: usize| fit::median(y[from..to.min(y.len())].to_vec());
        let jump =
            beside(self.at, self.at + BESIDE) - beside(self.at.saturating_sub(BESIDE), self.at);
        (LEAST_JUMP..MOST_JUMP).contains(&(jump / self.height))
    }
}

/// What part of the flight's climb is made at once, within two floors of its steps. A line, or noise
/// that wanders about one, climbs between them.
fn jumps(y: &[f64], cuts: &[usize]) -> f64 {
    let beside = |from: usize, to: usize| fit::median(y[from..to.min(y.len())].to_vec());
    let steps = heights(y, cuts);
    let climbed: f64 = steps.iter().map(|(_, height)| height.abs()).sum();
    let at_once = |&(at, height): &(usize, f64)| {
        let jump = beside(at, at + 2) - beside(at.saturating_sub(2), at);
        (jump * height.signum()).clamp(0.0, height.abs())
    };
    steps.iter().map(at_once).sum::<f64>() / climbed.max(f64::MIN_POSITIVE)
}

/// The first floor of each level but the first, with the height of the step up to it.
fn heights(y: &[f64], cuts: &[usize]) -> Vec<(usize, f64)> {
    let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([y.len()]).collect();
    let level = |w: &[usize]| fit::median(y[w[0]..w[1]].to_vec());
    let levels: Vec<f64> = bounds.windows(2).map(level).collect();
    let steps = cuts.iter().zip(levels.windows(2));
    steps.map(|(&at, l)| (at, l[1] - l[0])).collect()
}

/// Sums and sums of squares, so that any level's sum of squares costs nothing.
struct PrefixSums(Vec<(f64, f64)>);

impl PrefixSums {
    fn of(y: &[f64]) -> Self {
        let mut sums = vec![(0.0, 0.0)];
        for v in y {
            let (a, b) = sums[sums.len() - 1];
            sums.push((a + v, b + v * v));
        }
        Self(sums)
    }

    fn sse(&self, from: usize, to: usize) -> f64 {
        let (a, b) = (self.0[from], self.0[to]);
        let n = (to - from) as f64;
        (b.1 - a.1 - (b.0 - a.0).powi(2) / n).max(0.0)
    }
}

/// Looks for one fall on a line that rises before it and after it: a trim, or a collector that found
/// something for once. It leaves a leak as it is, and yet makes a walk of the noise about its line.
pub fn fall(floors: &[Floor]) -> Option<Step> {
    // What is left of a warm-up would outweigh it.
    let skip = floors.len() / WARM_UP;
    let (t, y) = fit::scaled(&floors[skip..]);
    let n = y.len();
    if n < LEAST_FLOORS {
        return None;
    }
    let ones = vec![1.0; n];
    let stepped = LineWithStep::fit(&t, &y, &ones);
    let LineWithStep { sse, at, height } = stepped;
    let bic = |sse: f64, parameters: f64| {
        n as f64 * libm::log((sse / n as f64).max(f64::MIN_POSITIVE))
            + parameters * libm::log(n as f64)
    };
    let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
    let parabola = fit::least_squares(&[&ones, &t, &squares], &y).sse;
    let clear = bic(sse, 4.0) + VERY_STRONG < bic(parabola, 3.0);
    let gained = y[n - 1] - height;
    let inside = (n / MARGIN..n - n / MARGIN).contains(&at);
    let small = height < 0.0 && -height <= MOST_GIVEN_BACK * gained;
    let found = clear && inside && small && stepped.is_at_once(&y);
    found.then(|| Step::of(floors, at + skip, height))
}

impl Step {
    fn of(floors: &[Floor], at: usize, height: f64) -> Self {
        Self { at, time: floors[at].time, height }
    }

    /// The floors without the step.
    #[must_use]
    pub fn taken_out(&self, floors: &[Floor]) -> Vec<Floor> {
        let mut floors = floors.to_vec();
        floors[self.at..].iter_mut().for_each(|f| f.value -= self.height);
        floors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(n: u32, value: impl Fn(f64) -> f64) -> Vec<Floor> {
        let ripple = |i: u32| f64::from(i * 7 % 5) / 2.0 - 1.0;
        (0..n)
            .map(|i| Floor { time: f64::from(i), value: value(f64::from(i)) + ripple(i) })
            .collect()
    }

    fn flight(floors: &[Floor]) -> Vec<Step> {
        match find(floors) {
            Steps::Flight(steps) => steps,
            Steps::None | Steps::OnALine(_) => vec![],
        }
    }

    #[test]
    fn one_step_is_found_where_it_is() {
        let steps = flight(&floors(60, |t| if t < 40.0 { 0.0 } else { 100.0 }));
        assert!(matches!(steps[..], [Step { at: 40, time: 40.0, .. }]), "{steps:?}");
        assert!((steps[0].height - 100.0).abs() < 2.0);
    }

    #[test]
    fn a_small_fall_on_a_rise_is_found_and_a_tooth_of_a_saw_is_not() {
        let rise =
            |given_back: f64| move |t: f64| if t < 45.0 { 5.0 * t } else { 5.0 * t - given_back };
        let step = fall(&floors(90, rise(40.0))).unwrap();
        assert!(step.at == 45 && (step.height + 40.0).abs() < 4.0, "{step:?}");
        assert_eq!(fall(&floors(90, rise(150.0))), None);
        assert_eq!(fall(&floors(90, rise(0.0))), None);
        assert_eq!(fall(&floors(90, |t| if t < 45.0 { 40.0 } else { 0.0 })), None);
    }

    #[test]
    fn four_steps_up_are_four_steps() {
        let steps = flight(&floors(80, |t| {
            50.0 * [10.0, 30.0, 35.0, 61.0].iter().filter(|&&s| t >= s).count() as f64
        }));
        assert_eq!(steps.len(), 4, "{steps:?}");
    }

    #[test]
    fn a_line_and_a_leak_of_twenty_steps_are_no_one_off_steps() {
        assert_eq!(find(&floors(80, |t| 5.0 * t)), Steps::None);
        assert_eq!(flight(&floors(80, |t| 20.0 * (t / 4.0).floor())), []);
    }

    #[test]
    fn a_line_that_wanders_is_no_flight_of_steps() {
        let wander = |t: f64| 30.0 * (t / 2.2).sin() + 20.0 * (t / 5.3).sin();
        let line = floors(80, |t| 3.0 * t + wander(t));
        assert_eq!(flight(&line), []);
    }

    #[test]
    fn a_step_on_a_leak_is_taken_out_and_the_leak_stays() {
        let leak = floors(80, |t| 5.0 * t + if t < 33.0 { 0.0 } else { 900.0 });
        let step = one_off(&leak).unwrap();
        assert_eq!((step.at, step.time), (33, 33.0), "{step:?}");
        let rest = step.taken_out(&leak);
        assert!((rest[79].value - rest[0].value - 395.0).abs() < 10.0);
    }
}
