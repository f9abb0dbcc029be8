//! Stage 5: are a few one-off steps all there is?
//!
//! A plug-in loaded, a table read, a trim: a step is no leak, and yet moves every trend test. Up to
//! five steps are placed one after the other where they help most (binary segmentation: Scott &
//! Knott, Biometrics 30, 1974), and the flight of steps is weighed against a line, a parabola and a
//! line with one step by Schwarz's criterion (BIC, Annals of Statistics 6, 1978; for change points
//! Yao, Statistics & Probability Letters 6, 1988). A leak that goes by steps has many of them, and
//! then the line wins. Noise that wanders about a line can be mended by levels too, so a flight must also
//! make most of its climb at once, at its steps.

use crate::fit;
use crate::floors::Floor;
use crate::words;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The number of the first floor after it.
    pub at: usize,
    /// How high, base units; negative for a step down.
    pub height: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steps {
    /// Steps, in order of time, where they explain the series better than a line does.
    pub steps: Vec<Step>,
    /// A single step on top of a line, where that explains it best; to be taken out before judging.
    pub on_a_line: Option<Step>,
}

const MOST_STEPS: usize = 5;
/// A flight of steps climbs at least this part of its height at its steps. The best flight through a
/// line climbs a fifth there, and somewhat more where noise wanders about the line.
const AT_ONCE: f64 = 0.6;
/// A difference of ten in BIC is "very strong" (Kass & Raftery, JASA 90, 1995).
const VERY_STRONG: f64 = 10.0;

/// Looks for steps.
pub fn find(floors: &[Floor]) -> Steps {
    let n = floors.len();
    let (t, y) = fit::scaled(floors);
    let low = y.iter().copied().fold(f64::INFINITY, f64::min);
    let range = y.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    if n < 8 || range <= 0.0 {
        return Steps::default();
    }
    // A perfect fit is not infinitely better than one that is off by a thousandth.
    let resolution = n as f64 * (range * 1e-3).powi(2);
    let bic = |sse: f64, parameters: usize| {
        n as f64 * ((sse + resolution) / n as f64).ln() + parameters as f64 * (n as f64).ln()
    };
    let ones = vec![1.0; n];
    let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
    let line = bic(fit::least_squares(&[&ones, &t], &y).sse, 2);
    let parabola = bic(fit::least_squares(&[&ones, &t, &squares], &y).sse, 3);
    let (stepped_line, step) = line_with_step(&t, &y, &ones);
    let stepped_line = bic(stepped_line, 4);
    let (flight, cuts) = best_flight(&y, &bic);

    let smooth = line.min(parabola);
    if flight < smooth.min(stepped_line) && jumps(&y, &cuts) >= AT_ONCE {
        return Steps { steps: heights(&y, &cuts), on_a_line: None };
    }
    let clear = stepped_line + VERY_STRONG < smooth && is_a_jump(&y, step);
    let on_a_line = clear.then_some(step);
    Steps { steps: vec![], on_a_line }
}

/// The best flight of 1 to 5 steps: its BIC, and the numbers of the floors that begin a level.
fn best_flight(y: &[f64], bic: &impl Fn(f64, usize) -> f64) -> (f64, Vec<usize>) {
    let sums = PrefixSums::of(y);
    let mut cuts = vec![0, y.len()];
    let mut best = (f64::INFINITY, vec![]);
    for _ in 0..MOST_STEPS {
        let candidates = cuts
            .windows(2)
            .flat_map(|w| (w[0] + 2..w[1].saturating_sub(1)).map(|c| (w[0], c, w[1])));
        let gain =
            |&(a, c, b): &(usize, usize, usize)| sums.sse(a, b) - sums.sse(a, c) - sums.sse(c, b);
        let Some((_, cut, _)) = candidates.max_by(|a, b| gain(a).total_cmp(&gain(b))) else {
            break;
        };
        cuts.push(cut);
        cuts.sort_unstable();
        let sse = cuts.windows(2).map(|w| sums.sse(w[0], w[1])).sum();
        // Each step costs its place and its height.
        let value = bic(sse, 2 * (cuts.len() - 2) + 1);
        if value < best.0 {
            best = (value, cuts[1..cuts.len() - 1].to_vec());
        }
    }
    best
}

/// The best line with one step: its sum of squares, and the step.
fn line_with_step(t: &[f64], y: &[f64], ones: &[f64]) -> (f64, Step) {
    let mut best = (f64::INFINITY, Step { at: 0, height: 0.0 });
    for at in 2..y.len() - 1 {
        let jump: Vec<f64> = (0..y.len()).map(|i| if i >= at { 1.0 } else { 0.0 }).collect();
        let fit = fit::least_squares(&[ones, t, &jump], y);
        if fit.sse < best.0 {
            best = (fit.sse, Step { at, height: fit.coefficients[2] });
        }
    }
    best
}

/// Whether the floors really jump up there, at once: a bend can be mended by a step that is not.
fn is_a_jump(y: &[f64], step: Step) -> bool {
    step.height > 0.0 && is_at_once(y, step)
}

/// Whether the floors beside a step are as far apart as it is high.
fn is_at_once(y: &[f64], step: Step) -> bool {
    let beside = |from: usize, to: usize| fit::median(y[from..to.min(y.len())].to_vec());
    let jump = beside(step.at, step.at + 3) - beside(step.at.saturating_sub(3), step.at);
    (0.6..1.7).contains(&(jump / step.height))
}

/// What part of the flight's climb is made at once, within two floors of its steps. A line, or noise
/// that wanders about one, climbs between them.
fn jumps(y: &[f64], cuts: &[usize]) -> f64 {
    let beside = |from: usize, to: usize| fit::median(y[from..to.min(y.len())].to_vec());
    let steps = heights(y, cuts);
    let climbed: f64 = steps.iter().map(|s| s.height.abs()).sum();
    let at_once = |s: &Step| {
        let jump = beside(s.at, s.at + 2) - beside(s.at.saturating_sub(2), s.at);
        (jump * s.height.signum()).clamp(0.0, s.height.abs())
    };
    steps.iter().map(at_once).sum::<f64>() / climbed.max(f64::MIN_POSITIVE)
}

fn heights(y: &[f64], cuts: &[usize]) -> Vec<Step> {
    let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([y.len()]).collect();
    let level = |w: &[usize]| fit::median(y[w[0]..w[1]].to_vec());
    let levels: Vec<f64> = bounds.windows(2).map(level).collect();
    let steps = cuts.iter().zip(levels.windows(2));
    steps.map(|(&at, l)| Step { at, height: l[1] - l[0] }).collect()
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

/// A fall gives back at most this part of all that was gained, or it is a collection and what follows
/// the next tooth of a saw.
const MOST_GIVEN_BACK: f64 = 1.0 / 6.0;

/// Looks for one fall on a line that rises before it and after it: a trim, or a collector that found
/// something for once. It leaves a leak as it is, and yet makes a walk of the noise about its line.
pub fn fall(floors: &[Floor]) -> Option<Step> {
    // What is left of a warm-up would outweigh it.
    let skip = floors.len() / 10;
    let (t, y) = fit::scaled(&floors[skip..]);
    let n = y.len();
    if n < 8 {
        return None;
    }
    let ones = vec![1.0; n];
    let (sse, step) = line_with_step(&t, &y, &ones);
    let bic = |sse: f64, parameters: f64| {
        n as f64 * (sse / n as f64).max(f64::MIN_POSITIVE).ln() + parameters * (n as f64).ln()
    };
    let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
    let parabola = fit::least_squares(&[&ones, &t, &squares], &y).sse;
    let clear = bic(sse, 4.0) + VERY_STRONG < bic(parabola, 3.0);
    let gained = y[n - 1] - step.height;
    let inside = (n / 5..n - n / 5).contains(&step.at);
    let small = step.height < 0.0 && -step.height <= MOST_GIVEN_BACK * gained;
    let found = clear && inside && small && is_at_once(&y, step);
    found.then_some(Step { at: step.at + skip, ..step })
}

impl Steps {
    /// The floors with a step that sits on a line taken out.
    pub fn taken_out(&self, floors: &[Floor]) -> Vec<Floor> {
        let Some(step) = self.on_a_line else { return floors.to_vec() };
        let lower = |(i, f): (usize, &Floor)| Floor {
            value: if i >= step.at { f.value - step.height } else { f.value },
            ..*f
        };
        floors.iter().enumerate().map(lower).collect()
    }

    /// What this stage found, in words.
    pub fn in_words(&self, unit: crate::Unit) -> String {
        if let Some(step) = self.on_a_line {
            let height = words::amount(step.height, unit);
            return format!("a one-off step of {height}, taken out before the trend is tested");
        }
        match self.steps.as_slice() {
            [] => "no one-off steps that explain it".to_owned(),
            steps => {
                let all: Vec<_> = steps.iter().map(|s| words::amount(s.height, unit)).collect();
                format!(
                    "{} one-off steps explain it better than a trend: {}",
                    steps.len(),
                    all.join(", ")
                )
            }
        }
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

    #[test]
    fn one_step_is_found_where_it_is() {
        let s = find(&floors(60, |t| if t < 40.0 { 0.0 } else { 100.0 }));
        assert_eq!(s.steps.len(), 1, "{s:?}");
        assert_eq!(s.steps[0].at, 40);
        assert!((s.steps[0].height - 100.0).abs() < 2.0);
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
        let s = find(&floors(80, |t| {
            50.0 * [10.0, 30.0, 35.0, 61.0].iter().filter(|&&s| t >= s).count() as f64
        }));
        assert_eq!(s.steps.len(), 4, "{s:?}");
    }

    #[test]
    fn a_line_and_a_leak_of_twenty_steps_are_no_one_off_steps() {
        assert_eq!(find(&floors(80, |t| 5.0 * t)), Steps::default());
        assert!(find(&floors(80, |t| 20.0 * (t / 4.0).floor())).steps.is_empty());
    }

    #[test]
    fn a_line_that_wanders_is_no_flight_of_steps() {
        let wander = |t: f64| 30.0 * (t / 2.2).sin() + 20.0 * (t / 5.3).sin();
        let line = floors(80, |t| 3.0 * t + wander(t));
        assert!(find(&line).steps.is_empty(), "{:?}", find(&line));
    }

    #[test]
    fn a_step_on_a_leak_is_taken_out_and_the_leak_stays() {
        let leak = floors(80, |t| 5.0 * t + if t < 33.0 { 0.0 } else { 900.0 });
        let s = find(&leak);
        assert_eq!(s.on_a_line.map(|s| s.at), Some(33), "{s:?}");
        let rest = s.taken_out(&leak);
        assert!((rest[79].value - rest[0].value - 395.0).abs() < 10.0);
    }
}
