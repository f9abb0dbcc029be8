//! The pipeline: a series goes in, a judgement comes out.

use crate::autocorrelation::Autocorrelation;
use crate::cells::Cells;
use crate::cycle::{self, Cycles};
use crate::decide::{self, Evidence, Stretch};
use crate::floors::{self, Buckets, Floor};
use crate::judgement::{Judgement, Reason, Word};
use crate::settings::Settings;
use crate::steps::{self, Steps};
use crate::warmup::{self, WarmUp};
use crate::{Series, autocorrelation, curve, drift, fit, gain, plateau, slope};
use crate::{standstill, trend, words};

/// Judges whether a series grows.
///
/// Costs one pass over the points and then about a millisecond, whatever their number.
pub fn judge(series: &Series, settings: &Settings) -> Judgement {
    let cells = Cells::of(series);
    let cycles = cycle::find(&cells);
    let (floors, buckets) = floors::choose(&cells, cycles.as_ref(), settings.least_floors);
    let (mut floors, step) = without_step(floors);
    let mut said = vec![
        cells.in_words(series),
        cycle::in_words(cycles.as_ref(), &cells),
        floors::in_words(&floors, &cells, buckets),
    ];
    if floors.len() < 4 {
        let few = Few { series, settings, cells: &cells, buckets, floors: floors.len() };
        return few.judge(cycles.as_ref(), said);
    }
    said.extend(step.as_ref().map(|s| s.in_words(settings.unit)));
    let warm_up = warmup::find(&floors);
    said.push(warm_up.in_words(&floors));
    let step = step.and_then(|s| s.on_a_line).map_or(0.0, |s| s.height);
    let mut given_back = 0.0;
    if let Some(fall) = steps::fall(&floors[warm_up.floors..]) {
        let height = words::amount(fall.height, settings.unit);
        said.push(format!("a fall of {height}, taken out before the trend is tested"));
        floors[warm_up.floors + fall.at..].iter_mut().for_each(|f| f.value -= fall.height);
        given_back = fall.height;
    }
    let found = Found {
        series,
        settings,
        cells: &cells,
        cycles,
        buckets,
        step,
        given_back,
        floors: &floors,
        warm_up,
    };
    found.judge(said)
}

/// What the first stages found.
struct Found<'a> {
    series: &'a Series,
    settings: &'a Settings,
    cells: &'a Cells,
    cycles: Option<Cycles>,
    buckets: Buckets,
    /// What was taken out as a one-off step, base units.
    step: f64,
    /// What was taken out as a fall, base units: 0 or less.
    given_back: f64,
    floors: &'a [Floor],
    warm_up: WarmUp,
}

impl Found<'_> {
    fn judge(&self, mut said: Vec<String>) -> Judgement {
        let unit = self.settings.unit;
        let after_warm_up = &self.floors[self.warm_up.floors..];
        let steps = Steps { on_a_line: None, ..steps::find(after_warm_up) };
        said.push(steps.in_words(unit));
        let still = hardly_moves(after_warm_up);
        // Steps too small to matter need not cut what is judged.
        let steps = if still { Steps::default() } else { steps };
        let first = self.first(&steps);
        let tail = &self.floors[first..];

        let noise = autocorrelation::of(tail);
        let trend = trend::mann_kendall(tail, noise.inflation);
        let Some(slope) = slope::theil_sen(tail, noise.inflation) else {
            let (series, settings, cells) = (self.series, self.settings, self.cells);
            let few =
                Few { series, settings, cells, buckets: self.buckets, floors: self.floors.len() };
            return few.judge(self.cycles.as_ref(), said);
        };
        let drift = drift::test(self.floors);
        let plateau = plateau::test(tail, &noise);
        said.push(noise.in_words(tail.len()));
        said.push(trend.in_words());
        said.push(slope.in_words(unit));
        said.extend(drift.map(|d| d.in_words()));
        said.extend(plateau.map(|p| p.in_words()));
        let curve = self.curve(first, &noise);
        said.extend(curve.map(|c| c.in_words()));
        let standstill = self.standstill(first);
        said.extend(standstill.map(|s| s.in_words()));

        let level = level(self.floors) + self.step + self.given_back;
        let stretches = [self.stretch(self.warm_up.floors), self.stretch(first)];
        said.extend(stretches[0].gain.map(|g| g.in_words(level, unit)));

        let evidence = Evidence {
            looks: self.series.looks(),
            watch: self.series.span() as f64 / 1e9,
            span: self.span_from(first),
            warm_up_part: self.warm_up.floors as f64 / self.floors.len() as f64,
            unsettled: self.warm_up.unsettled,
            floors: tail.len(),
            cycles_lack: self.cycles_lack(),
            stepped: !steps.steps.is_empty(),
            trend,
            slope,
            drift,
            hardly_moves: still,
            late_drift: drift::test(tail),
            walks: autocorrelation::of(self.floors).looks_like_walk(),
            plateau,
            curve,
            standstill,
            noise,
            level,
            swing: swing(self.cells, self.begin_of(first)),
            stretches,
            rises: rises(after_warm_up),
        };
        self.conclude(&evidence, first, said)
    }

    /// The number of the first floor to judge: after warm-up, after the last one-off step or from the
    /// onset of growth.
    fn first(&self, steps: &Steps) -> usize {
        let skip = self.warm_up.floors;
        match steps.steps.last() {
            Some(last) => skip + last.at,
            None => self.warm_up.onset.unwrap_or(skip),
        }
    }

    fn conclude(&self, e: &Evidence, first: usize, mut said: Vec<String>) -> Judgement {
        let decision = decide::decide(e, self.settings);
        // Where steps were weighed and found small, what is told is told of all since warm-up.
        let since_warm_up =
            decision.word == Word::Steady && e.stepped && e.is_little(&e.stretches[0]);
        let (first, rate) = if since_warm_up {
            (self.warm_up.floors, e.stretches[0].rate.unwrap_or(e.slope.rate))
        } else {
            (first, e.rate(decision.word))
        };
        // Whether it grows is asked without the fall; how fast, with it.
        let rate = rate.shifted(self.given_back / self.span_from(self.warm_up.floors).max(1.0));
        let watch_longer = decision.longer.map(|s| (s.max(0.0) * 1e9) as u64);
        let warm_up_end = (self.warm_up.floors > 0 && !self.warm_up.unsettled)
            .then(|| self.begin_of(self.warm_up.floors));
        let mut judgement = Judgement {
            word: decision.word,
            reason: decision.reason,
            watch_longer,
            rate: Some(rate),
            span: Some((self.begin_of(first), self.series.end())),
            warm_up_end,
            floors_used: self.floors.len() - first,
            cycle: self.cycle(),
            p_value: Some(e.p_value()),
            level: Some(e.level),
            peak: self.series.peak(),
            explanation: vec![],
        };
        said.push(format!("so: {}", judgement.summary(self.settings.unit)));
        judgement.explanation = said;
        judgement
    }

    /// All from a floor on.
    fn stretch(&self, from: usize) -> Stretch {
        let floors = &self.floors[from..];
        let noise = autocorrelation::of(floors);
        let settles = plateau::test(floors, &noise).is_some_and(|p| p.settles);
        Stretch {
            span: self.span_from(from),
            swing: swing(self.cells, self.begin_of(from)),
            gain: gain::of(floors),
            rate: slope::theil_sen(floors, noise.inflation).map(|s| s.rate),
            levels_off: settles || self.curve(from, &noise).is_none_or(|c| c.worse <= 0.0),
        }
    }

    /// Slowing curves against the line. After a quiet beginning there is no warm-up to fit.
    fn curve(&self, first: usize, noise: &Autocorrelation) -> Option<curve::Curve> {
        let from = if self.warm_up.onset == Some(first) { first } else { 0 };
        curve::test(&self.floors[from..], first - from, noise)
    }

    /// Whether growth has just ended. Where floors are long, few of them lie behind the corner: then it is
    /// looked for in short ones too, which a saw makes too noisy to have any.
    fn standstill(&self, first: usize) -> Option<standstill::Standstill> {
        let short = Buckets::short(self.cells);
        standstill::test(&self.floors[first..]).or_else(|| {
            let begin = self.begin_of(first) as f64 / 1e9;
            let mut fine = floors::of(self.cells, short);
            fine.retain(|f| f.time >= begin);
            standstill::test(&fine).filter(|_| self.buckets.cells > short.cells)
        })
    }

    /// Seconds until there are enough cycles, where there are cycles and too few of them.
    fn cycles_lack(&self) -> Option<f64> {
        let cycles = self.cycles.as_ref().filter(|c| c.regular())?;
        let whole = Buckets::of_cycles(self.cells, cycles);
        if whole.cells <= self.buckets.cells {
            return None;
        }
        let bucket = whole.cells as f64;
        let wanted = bucket * self.settings.least_floors.max(floors::LEAST_LOWEST) as f64;
        let lack = wanted - self.cells.cells.len() as f64;
        (lack > 0.0).then(|| lack * self.cells.width as f64 / 1e9)
    }

    fn cycle(&self) -> Option<u64> {
        let cycles = self.cycles.as_ref().filter(|c| c.regular())?;
        Some((cycles.length * self.cells.width as f64) as u64)
    }

    /// When the stretch of floor `i` begins, in ns: the first begins with the watch.
    fn begin_of(&self, i: usize) -> u64 {
        match i {
            0 => self.series.start(),
            i => ((self.floors[i - 1].time + self.floors[i].time) / 2.0 * 1e9) as u64,
        }
    }

    fn span_from(&self, first: usize) -> f64 {
        self.series.end().saturating_sub(self.begin_of(first)) as f64 / 1e9
    }
}

/// Whether all floors lie within a hundredth of their level and do not rise on the whole.
fn hardly_moves(floors: &[Floor]) -> bool {
    let values = || floors.iter().map(|f| f.value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let trend = trend::mann_kendall(floors, autocorrelation::of(floors).inflation);
    high - low <= 0.01 * low.abs() && (trend.s <= 0 || trend.p_value > 0.01)
}

/// Whether the floors rise for sure, as a trend or as a walk that keeps on.
fn rises(floors: &[Floor]) -> bool {
    let trend = trend::mann_kendall(floors, autocorrelation::of(floors).inflation);
    let drift = drift::test(floors).is_some_and(|d| d.t > 0.0 && d.p_value < 0.01 && d.keeps_on);
    drift || (trend.s > 0 && trend.p_value < 0.01)
}

/// Takes a one-off step on a line out, unless what is left is a walk that it does not dwarf: then the
/// step may be one of many, and taking the largest out would make the rest look more regular than it is.
fn without_step(floors: Vec<Floor>) -> (Vec<Floor>, Option<Steps>) {
    let steps = steps::find(&floors);
    // A step in the first tenth is warm-up's to find, and may be a bend.
    if steps.on_a_line.is_none_or(|s| s.at * 10 < floors.len()) {
        return (floors, None);
    }
    let rest = steps.taken_out(&floors);
    if autocorrelation::of(&rest).looks_like_walk() && !dwarfs(&steps, &rest) {
        return (floors, None);
    }
    (rest, Some(steps))
}

/// A step so many times as large as any other move between two floors is no part of a walk.
const DWARFS: f64 = 2.0;

/// Whether the step is far larger than all that moves beside it: then it is no part of the walk (a
/// level shift in the sense of Tsay, Journal of Forecasting 7, 1988).
fn dwarfs(steps: &Steps, rest: &[Floor]) -> bool {
    let largest = rest.windows(2).map(|w| (w[1].value - w[0].value).abs()).fold(0.0, f64::max);
    steps.on_a_line.is_some_and(|s| s.height > DWARFS * largest)
}

/// The level at the end: the median of the last fifth of the floors.
fn level(floors: &[Floor]) -> f64 {
    let n = floors.len();
    fit::median(floors[n - n.div_ceil(5)..].iter().map(|f| f.value).collect())
}

/// From the 5th to the 95th percentile of the cells' means from a time on (ns).
fn swing(cells: &Cells, from: u64) -> f64 {
    let judged = cells.known_means().into_iter().filter(|m| cells.middle(m.0) >= from);
    let mut means: Vec<f64> = judged.map(|m| m.1).collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| means.get(((means.len() as f64 - 1.0) * part) as usize).copied();
    at(0.95).unwrap_or(0.0) - at(0.05).unwrap_or(0.0)
}

/// A watch of too few floors for any test.
struct Few<'a> {
    series: &'a Series,
    settings: &'a Settings,
    cells: &'a Cells,
    buckets: Buckets,
    floors: usize,
}

impl Few<'_> {
    fn judge(&self, cycles: Option<&Cycles>, explanation: Vec<String>) -> Judgement {
        let width = self.cells.width as f64;
        let cycle = cycles.filter(|c| c.regular()).map(|c| (c.length * width) as u64);
        let enough = self.series.looks() >= self.settings.least_looks
            && self.series.span() >= self.settings.least_span;
        let few = cycle.is_some() && enough;
        let mut judgement = Judgement {
            word: Word::Inconclusive,
            reason: Some(if few { Reason::FewCycles } else { Reason::TooShort }),
            watch_longer: Some(self.lack(cycle)),
            rate: None,
            span: None,
            warm_up_end: None,
            floors_used: self.floors,
            cycle,
            p_value: None,
            level: self.series.points().last().map(|p| p.1 as f64),
            peak: self.series.peak(),
            explanation,
        };
        let said = format!("so: {}", judgement.summary(self.settings.unit));
        judgement.explanation.push(said);
        judgement
    }

    /// How much longer a watch it takes at least, in ns. Looks enough on both sides of a long gap make few
    /// floors all the same; then it is floors that lack, each of which takes a bucket.
    fn lack(&self, cycle: Option<u64>) -> u64 {
        let (series, settings) = (self.series, self.settings);
        let each = series.span() / series.looks().max(2).saturating_sub(1);
        let by_looks = settings.least_looks.saturating_sub(series.looks()).saturating_mul(each);
        let by_span = settings.least_span.saturating_sub(series.span());
        let floors = settings.least_floors.saturating_sub(self.floors) as u64;
        let bucket = (self.buckets.cells as u64).saturating_mul(self.cells.width);
        let by_floors = match cycle {
            Some(cycle) => cycle.saturating_mul(3 * floors) / 2,
            None if by_looks.max(by_span) == 0 => bucket.saturating_mul(floors),
            None => 0,
        };
        by_looks.max(by_span).max(by_floors)
    }
}
