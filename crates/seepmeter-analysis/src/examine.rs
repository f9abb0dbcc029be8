//! Stages 4 to 10: the tests on the floors.

use crate::autocorrelation::{self, Autocorrelation};
use crate::cells::Cells;
use crate::curve::{self, FittedCurve};
use crate::evidence::{Evidence, FittedLine, Stretch, Tests};
use crate::floor::Floor;
use crate::floors::{self, Buckets};
use crate::plateau_onset::{self, PlateauOnset};
use crate::settings::Settings;
use crate::steps::{self, Step, Steps};
use crate::thresholds::decision::{HARDLY, RISES};
use crate::thresholds::floors::{LEAST_LOWEST, LEAST_TESTED};
use crate::warm_up::{self, WarmUp};
use crate::{drift, fit, gain, plateau, slope, trend};

/// Tests the floors; `None` where they are too few.
pub(crate) fn examine(evidence: &Evidence, settings: &Settings) -> Option<Tests> {
    (evidence.floors.len() >= LEAST_TESTED).then(|| Prepared::of(evidence).tests(settings))?
}

/// Floors without the one-off moves that are taken out before the tests.
struct Prepared<'a> {
    evidence: &'a Evidence,
    floors: Vec<Floor>,
    step: Option<Step>,
    fall: Option<Step>,
    warm_up: WarmUp,
}

impl<'a> Prepared<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let step = steps::one_off(&evidence.floors);
        let floors = match &step {
            Some(step) => step.taken_out(&evidence.floors),
            None => evidence.floors.clone(),
        };
        let warm_up = warm_up::find(&floors);
        let fall = steps::fall(&floors[warm_up.floors..])
            .map(|fall| Step { at: fall.at + warm_up.floors, ..fall });
        let floors = fall.map_or(floors.clone(), |fall| fall.taken_out(&floors));
        Self { evidence, floors, step, fall, warm_up }
    }

    fn tests(&self, settings: &Settings) -> Option<Tests> {
        let warm_up = self.warm_up;
        let after_warm_up = &self.floors[warm_up.floors..];
        let steps = self.flight();
        let hardly_moves = hardly_moves(after_warm_up);
        // Steps too small to matter need not cut what is judged.
        let last_step = steps.last().filter(|_| !hardly_moves).map(|step| step.at);
        let first = last_step.or(warm_up.onset).unwrap_or(warm_up.floors);
        let judged = &self.floors[first..];
        let noise = autocorrelation::of(judged);
        let slope = slope::theil_sen(judged, noise.inflation)?;
        let height = |step: Option<Step>| step.map_or(0.0, |step| step.height);
        let line = FittedLine::through(judged, self.evidence.span_from(first), slope.rate);
        Some(Tests {
            step_taken_out: self.step,
            fall_taken_out: self.fall,
            warm_up,
            steps,
            hardly_moves,
            first,
            noise,
            trend: trend::mann_kendall(judged, noise.inflation),
            slope,
            drift: drift::test(&self.floors),
            late_drift: drift::test(judged),
            walks: autocorrelation::of(&self.floors).looks_like_walk(),
            plateau: plateau::test(judged, &noise),
            curve: self.curve(first, &noise),
            plateau_onset: self.plateau_onset(first),
            rises: rises(after_warm_up),
            since_warm_up: self.stretch(warm_up.floors),
            judged: self.stretch(first),
            level: level(&self.floors) + height(self.step) + height(self.fall),
            cycles_lack: self.cycles_lack(settings),
            line,
        })
    }

    /// The steps that explain the floors after warm-up.
    fn flight(&self) -> Vec<Step> {
        let skip = self.warm_up.floors;
        match steps::find(&self.floors[skip..]) {
            Steps::Flight(steps) => {
                steps.into_iter().map(|step| Step { at: step.at + skip, ..step }).collect()
            }
            Steps::None | Steps::OnALine(_) => vec![],
        }
    }

    /// All from a floor on.
    fn stretch(&self, from: usize) -> Stretch {
        let floors = &self.floors[from..];
        let noise = autocorrelation::of(floors);
        let settles = plateau::test(floors, &noise).is_some_and(|p| p.settles);
        let span = self.evidence.span_from(from);
        Stretch {
            span: span.seconds(),
            amplitude: amplitude(&self.evidence.cells, span.from),
            gain: gain::of(floors),
            rate: slope::theil_sen(floors, noise.inflation).map(|s| s.rate),
            levels_off: settles || self.curve(from, &noise).is_none_or(|c| c.worse <= 0.0),
        }
    }

    /// Slowing curves against the line. After a quiet beginning there is no warm-up to fit.
    fn curve(&self, first: usize, noise: &Autocorrelation) -> Option<FittedCurve> {
        let from = if self.warm_up.onset == Some(first) { first } else { 0 };
        curve::test(&self.floors[from..], first - from, noise)
    }

    /// Whether growth has just ended. Where floors are long, few of them lie behind the corner: then it is
    /// looked for in short ones too, which a saw makes too noisy to have any.
    fn plateau_onset(&self, first: usize) -> Option<PlateauOnset> {
        let Evidence { cells, buckets, .. } = self.evidence;
        let short = Buckets::short(cells);
        plateau_onset::test(&self.floors[first..]).or_else(|| {
            let begin = self.evidence.begin_of(first) as f64 / 1e9;
            let mut fine = floors::of(cells, short);
            fine.retain(|f| f.time >= begin);
            plateau_onset::test(&fine).filter(|_| buckets.cells > short.cells)
        })
    }

    /// Seconds until there are enough cycles, where there are cycles and too few of them.
    fn cycles_lack(&self, settings: &Settings) -> Option<f64> {
        let Evidence { cells, buckets, .. } = self.evidence;
        let cycles = self.evidence.cycles.as_ref().filter(|c| c.regular())?;
        let whole = Buckets::of_cycles(cells, cycles);
        if whole.cells <= buckets.cells {
            return None;
        }
        let wanted = whole.cells as f64 * settings.least_floors.max(LEAST_LOWEST) as f64;
        let lack = wanted - cells.cells.len() as f64;
        (lack > 0.0).then(|| lack * cells.width as f64 / 1e9)
    }
}

/// Whether all floors lie within a hundredth of their level and do not rise on the whole.
fn hardly_moves(floors: &[Floor]) -> bool {
    let values = || floors.iter().map(|f| f.value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let trend = trend::mann_kendall(floors, autocorrelation::of(floors).inflation);
    high - low <= HARDLY * low.abs() && (trend.s <= 0 || trend.p_value > RISES)
}

/// Whether the floors rise for sure, as a trend or as a walk that keeps on.
fn rises(floors: &[Floor]) -> bool {
    let trend = trend::mann_kendall(floors, autocorrelation::of(floors).inflation);
    let drift = drift::test(floors).is_some_and(|d| d.t > 0.0 && d.p_value < RISES && d.keeps_on);
    drift || (trend.s > 0 && trend.p_value < RISES)
}

/// The level at the end: the median of the last fifth of the floors.
fn level(floors: &[Floor]) -> f64 {
    let n = floors.len();
    fit::median(floors[n - n.div_ceil(5)..].iter().map(|f| f.value).collect())
}

/// From the 5th to the 95th percentile of the cells' means from a time on (ns).
fn amplitude(cells: &Cells, from: u64) -> f64 {
    let judged = cells.known_means().into_iter().filter(|m| cells.middle(m.0) >= from);
    let mut means: Vec<f64> = judged.map(|m| m.1).collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| means.get(((means.len() as f64 - 1.0) * part) as usize).copied();
    at(0.95).unwrap_or(0.0) - at(0.05).unwrap_or(0.0)
}
