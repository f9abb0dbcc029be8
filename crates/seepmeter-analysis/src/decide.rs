//! Stage 11: the answer.
//!
//! `growing` needs everything at once: enough of a watch, a significant trend, growth that keeps on
//! to the end, and no cheaper explanation. `steady` needs proof as well: an interval of the rate
//! whose upper end would not matter. What has neither is `inconclusive`. Comparing three zones
//! instead of two is the way of equivalence testing (Schuirmann, Journal of Pharmacokinetics and
//! Biopharmaceutics 15, 1987).

use crate::autocorrelation::Autocorrelation;
use crate::curve::Curve;
use crate::drift::Drift;
use crate::gain::Gain;
use crate::judgement::{Reason, Word};
use crate::plateau::Plateau;
use crate::settings::Settings;
use crate::slope::Slope;
use crate::standstill::Standstill;
use crate::trend::Trend;
use crate::{Interval, Unit};

/// Everything the stages found that the answer depends on. Spans are in seconds.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Looks in the whole watch.
    pub looks: u64,
    /// The length of the watch.
    pub watch: f64,
    /// The length of the span that is judged.
    pub span: f64,
    /// The part of the watch that warm-up took, 0 to 1.
    pub warm_up_part: f64,
    /// Whether it still settles at the end.
    pub unsettled: bool,
    /// How many floors are judged.
    pub floors: usize,
    /// How many more seconds would show enough cycles, if there are cycles and too few of them.
    pub cycles_lack: Option<f64>,
    /// Whether one-off steps explain the watch.
    pub stepped: bool,
    /// Mann–Kendall.
    pub trend: Trend,
    /// Theil–Sen.
    pub slope: Slope,
    /// The drift test, over the whole watch: a walk has no warm-up that could be told from it.
    pub drift: Option<Drift>,
    /// Whether all floors after warm-up lie within a hundredth of the level and do not rise.
    pub hardly_moves: bool,
    /// The drift test over what is judged alone.
    pub late_drift: Option<Drift>,
    /// Whether the noise over the whole watch is a walk.
    pub walks: bool,
    /// The plateau test.
    pub plateau: Option<Plateau>,
    /// The slowing curves.
    pub curve: Option<Curve>,
    /// Where growth has just ended.
    pub standstill: Option<Standstill>,
    /// The noise.
    pub noise: Autocorrelation,
    /// The level at the end, base units.
    pub level: f64,
    /// From the 5th to the 95th percentile within the judged span, base units.
    pub swing: f64,
    /// The stretch since warm-up, and the one that is judged.
    pub stretches: [Stretch; 2],
    /// Whether the floors since warm-up rise for sure, about a line or as a walk, and keep on.
    pub rises: bool,
}

/// A stretch of the watch that is weighed as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// How long, in seconds.
    pub span: f64,
    /// From the 5th to the 95th percentile within it, base units.
    pub swing: f64,
    /// What was gained.
    pub gain: Option<Gain>,
    /// The interval of its slope, base units a second.
    pub rate: Option<Interval>,
    /// Whether it settles, or a slowing curve explains it at least as well as a line.
    pub levels_off: bool,
}

/// The answer, why, and how much longer a watch it would take (seconds).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The word.
    pub word: Word,
    /// The reason, when inconclusive.
    pub reason: Option<Reason>,
    /// More seconds, when inconclusive.
    pub longer: Option<f64>,
}

/// Growth after a warm-up longer than this part of the watch is not called yet: a logarithm's last
/// part looks straight.
const LONGEST_WARM_UP: f64 = 0.42;
/// A warm-up of this part of the watch hides no curve.
const SHORT_WARM_UP: f64 = 0.06;
/// A drift of so many standard errors dwarfs the wandering: thirty-six equal jumps have it, and a rate that
/// wavers by half of itself and forgets within a twenty-fifth of the watch.
const DWARFS: f64 = 6.0;
/// And then the second half has at least this part of the first half's gain. The rest of a logarithm
/// has at most 0.65 of it once two fifths of the watch are cut off.
const EVEN: f64 = 0.7;
/// Steady needs this part of the watch.
const LEAST_STEADY_PART: f64 = 0.3;
/// Growth under this part of the level within the judged span does not matter.
const SMALL_OF_LEVEL: f64 = 0.03;
/// Nor does a gain under this part of the level.
const SMALL_GAIN: f64 = 0.04;
/// What is weighed since the last step alone takes this part of the watch.
const LEAST_SINCE_STEP: f64 = 0.5;
/// But a watch so many times as long as the least is asked for, to call what was gained little as well as
/// to call it growth: a leak that gains little in half of the watch that would show it gains twice as much
/// in the whole.
const LONGER: u64 = 2;
/// A shorter watch does not call growth what gained less than this part of the level: a heap that finds
/// its size still takes a page now and then after a minute, as regularly as a leak.
const LEAST_OF_LEVEL: f64 = 0.01;
/// Nor what gained less than sixteen pages of 4 KiB, the steps in which a small program's memory is told.
const LEAST_BYTES: f64 = 65_536.0;
/// What surely doubles the level within a day is not steady, be it little so far (seconds).
const DOUBLES_WITHIN: f64 = 86_400.0;
/// Nor is what doubles it within so many watches: who looks once a minute thinks in more than days.
const DOUBLES_WITHIN_WATCHES: f64 = 100.0;
/// Growth under this part of the usual swing does not show.
const LEAST_OF_SWING: f64 = 0.02;
/// Nor does growth under this part of the usual swing.
const SMALL_OF_SWING: f64 = 0.25;

impl Evidence {
    /// The chance that noise alone does this: of the trend test or, where the noise is a walk, of
    /// the better of the two (Bonferroni for two).
    pub fn p_value(&self) -> f64 {
        let walk = self.drift.filter(|_| self.walks).map_or(1.0, |d| d.p_value);
        (2.0 * self.trend.p_value.min(walk)).min(1.0)
    }

    /// The rate to tell. A walk may grow for sure while the slope of its line is unsure; then it is
    /// the mean of its increments that is told.
    pub fn rate(&self, word: Word) -> Interval {
        match self.drift {
            Some(d) if word == Word::Growing && self.slope.rate.low <= 0.0 => d.rate,
            _ => self.slope.rate,
        }
    }

    fn long_enough(&self, settings: &Settings) -> bool {
        self.looks >= settings.least_looks && self.watch * 1e9 >= settings.least_span as f64
    }

    /// Long enough to say of little what it is: growth, or nothing that matters.
    fn long_enough_for_little(&self, settings: &Settings) -> bool {
        self.long_enough(&longer(settings))
    }

    /// Noise about a line: Mann–Kendall and the plateau tests carry the claim.
    ///
    /// Where the noise is a walk and a warm-up was cut off, there is no telling how much of the walk
    /// was cut: the rest of a curve that goes by random jumps then looks as straight as a line. Only
    /// where every slowing curve is excluded by far is that no worry: noise that forgets within a few
    /// floors looks like a walk too, and it is what most programs have.
    fn grows_about_a_line(&self, alpha: f64) -> bool {
        let cut_from_a_walk = self.noise.looks_like_walk()
            && self.warm_up_part > SHORT_WARM_UP
            && !self.curve.is_some_and(|c| c.excluded_by_far());
        !cut_from_a_walk
            && self.trend.s > 0
            && self.trend.p_value < alpha / 2.0
            && self.slope.rate.low > 0.0
            && self.plateau.is_some_and(|p| p.keeps_on && !p.settles)
            && self.curve.is_some_and(|c| c.excluded())
    }

    /// A walk that goes on for so long after warm-up that its drift dwarfs its wandering: a leak whose
    /// rate wavers. Neither its halves nor any slowing curve may cast doubt on it.
    fn grows_as_a_walk_after_warm_up(&self) -> bool {
        let dwarfs = |d: Drift| d.t > DWARFS && d.keeps_on && d.late > EVEN * d.early;
        self.late_drift.is_some_and(dwarfs)
            && self.plateau.is_some_and(|p| !p.settles && p.last > 0.3 * self.slope.rate.estimate)
            && self.curve.is_some_and(|c| c.excluded())
    }

    /// A walk: the drift test carries it, over the whole watch.
    fn grows_as_a_walk(&self, alpha: f64) -> bool {
        let drifts = |d: Drift| d.t > 0.0 && d.p_value < alpha / 2.0 && d.keeps_on;
        self.walks && self.drift.is_some_and(drifts) && self.slope.rate.estimate > 0.0
    }

    /// Whether the gain is visible beside the swing: looks that beat with a quick saw shift its floors
    /// by a little, and significantly so.
    fn shows(&self) -> bool {
        self.slope.rate.estimate * self.span > LEAST_OF_SWING * self.swing
    }

    /// Whether so little was gained that only a longer watch can call it growth.
    fn grew_too_little(&self, settings: &Settings) -> bool {
        let pages = if settings.unit == Unit::Bytes { LEAST_BYTES } else { 0.0 };
        let least = (LEAST_OF_LEVEL * self.level.abs()).max(pages);
        !self.long_enough_for_little(settings) && self.slope.rate.estimate * self.span < least
    }

    /// Whether it surely grows, by so much in the time to come that `steady` would be the wrong word however
    /// little it was so far, and neither a settling nor a slowing curve explains it better than a line.
    ///
    /// A slow leak in a large program gains a hundredth of the level in minutes and all of it in a night, and
    /// noise that wanders keeps the trend test from telling. So what is small is measured against the level
    /// *and* against time.
    fn leaks_perhaps(&self) -> bool {
        let ahead = DOUBLES_WITHIN.max(DOUBLES_WITHIN_WATCHES * self.watch);
        let doubles = |low: f64| low > 0.0 && low * ahead > self.level.abs();
        // Where steps are found small, it is the rate since warm-up that is told, or else of what is judged.
        let leaks = |s: &Stretch| !s.levels_off && s.rate.is_some_and(|rate| doubles(rate.low));
        self.stretches.iter().any(leaks)
    }

    /// Whether what was gained since warm-up, or since the last one-off step, is surely too little to
    /// matter, however it came. What rises for sure and keeps on rising is not called so, small as it
    /// may be: it is a leak that has not run for long.
    fn gained_little(&self) -> bool {
        let line = self.curve.is_some_and(|c| c.excluded()) && self.slope.rate.estimate > 0.0;
        let keeps_rising = line || (self.rises && !self.stepped);
        let [since_warm_up, since_step] = &self.stretches;
        // Between two steps of a leak it is flat too, so what came before them must be the smaller part.
        let since_step_only = since_step.span >= LEAST_SINCE_STEP * self.watch
            && !(self.trend.s > 0 && self.trend.p_value < 0.01)
            && self.is_little(since_step);
        !keeps_rising && (self.is_little(since_warm_up) || since_step_only)
    }

    /// Whether what was gained in a stretch is too little to matter.
    pub fn is_little(&self, stretch: &Stretch) -> bool {
        let small = (SMALL_GAIN * self.level.abs()).max(SMALL_OF_SWING * stretch.swing);
        let long = stretch.span >= LEAST_STEADY_PART * self.watch;
        long && stretch.gain.is_some_and(|gain| gain.high <= small)
    }

    /// Whether the rate's upper end would lift the level by so little that it does not matter.
    fn hardly_grows(&self) -> bool {
        let most = self.slope.rate.high * self.span;
        let small = (SMALL_OF_LEVEL * self.level.abs()).max(SMALL_OF_SWING * self.swing);
        let rises = self.trend.s > 0 && self.trend.p_value < 0.01;
        let settled = self.plateau.is_some_and(|p| p.settles);
        most <= small && (!rises || settled)
    }
}

/// Weighs the evidence.
pub fn decide(e: &Evidence, settings: &Settings) -> Decision {
    let not_yet = |reason, longer: f64| Decision {
        word: Word::Inconclusive,
        reason: Some(reason),
        longer: Some(longer),
    };
    let sure = |word| Decision { word, reason: None, longer: None };
    if !e.long_enough(settings) {
        return not_yet(Reason::TooShort, missing(e, settings));
    }
    let still = e.hardly_moves && e.warm_up_part <= LONGEST_WARM_UP;
    let little = !e.unsettled && e.long_enough_for_little(settings) && e.gained_little();
    if e.floors < settings.least_floors && e.stepped && little {
        return sure(Word::Steady);
    }
    if e.floors < settings.least_floors {
        let more = (settings.least_floors - e.floors) as f64;
        let each = e.span / e.floors.max(1) as f64;
        if let Some(lack) = e.cycles_lack.filter(|_| e.stepped) {
            return not_yet(Reason::FewCycles, lack);
        }
        let reason = if e.stepped { Reason::Steps } else { Reason::StillWarmingUp };
        return not_yet(reason, (more * each).max(e.watch / 4.0));
    }
    let settled = !e.unsettled && e.warm_up_part <= LONGEST_WARM_UP;
    let line =
        settled && (e.grows_about_a_line(settings.alpha) || e.grows_as_a_walk_after_warm_up());
    let goes_on = !e.stepped && e.standstill.is_none();
    if goes_on && e.shows() && (line || e.grows_as_a_walk(settings.alpha)) {
        return match e.grew_too_little(settings) {
            true => not_yet(Reason::TooShort, missing(e, &longer(settings))),
            false => sure(Word::Growing),
        };
    }
    let long = e.span >= LEAST_STEADY_PART * e.watch;
    let small = little || (!e.unsettled && long && e.hardly_grows());
    if still || (small && !e.leaks_perhaps()) {
        return sure(Word::Steady);
    }
    let (reason, longer) = doubt(e, settings);
    not_yet(reason, longer)
}

/// What a watch takes that tells what is little.
fn longer(settings: &Settings) -> Settings {
    Settings {
        least_looks: LONGER.saturating_mul(settings.least_looks),
        least_span: LONGER.saturating_mul(settings.least_span),
        ..settings.clone()
    }
}

/// Seconds until the least looks and the least span are reached.
fn missing(e: &Evidence, settings: &Settings) -> f64 {
    let each = e.watch / (e.looks.max(2) - 1) as f64;
    let looks = settings.least_looks.saturating_sub(e.looks) as f64 * each;
    let span = settings.least_span as f64 / 1e9 - e.watch;
    looks.max(span)
}

/// Why neither word can be said, and about how long until one can (seconds).
fn doubt(e: &Evidence, settings: &Settings) -> (Reason, f64) {
    // A slope's error falls with the span to the power 3/2, so what is missing to a z tells the time.
    let until = |wanted: f64, z: f64| {
        let times = (wanted / z.abs().max(0.1)).powf(2.0 / 3.0);
        e.span * (times - 1.0).clamp(0.25, 10.0)
    };
    let z = e.slope.rate.estimate / e.slope.error.max(f64::MIN_POSITIVE);
    let significant = e.trend.s > 0 && e.p_value() < settings.alpha;
    let surely_rises = e.slope.rate.low > 0.0;
    if let Some(lack) = e.cycles_lack.filter(|_| e.stepped) {
        // The teeth of a cycle that came round too seldom look like steps.
        (Reason::FewCycles, lack)
    } else if e.stepped {
        (Reason::Steps, e.watch.min(2.0 * e.span))
    } else if e.unsettled && e.slope.rate.estimate > 0.0 && significant {
        (Reason::Slowing, e.watch)
    } else if e.unsettled || (significant && e.warm_up_part > LONGEST_WARM_UP) {
        // Growth after warm-up must outlast it one and a half times.
        let outlast = e.warm_up_part * e.watch / LONGEST_WARM_UP - e.watch;
        (Reason::StillWarmingUp, outlast.max(e.watch / 2.0))
    } else if (e.standstill.is_some() && (significant || surely_rises))
        || (surely_rises && e.plateau.is_some_and(|p| p.settles))
    {
        (Reason::Slowing, e.watch)
    } else if significant || e.leaks_perhaps() {
        // About 30 standard errors are needed to tell a line from a slowing curve.
        (Reason::MayBeSlowing, until(30.0, z).max(e.cycles_lack.unwrap_or(0.0)))
    } else if let Some(lack) = e.cycles_lack {
        (Reason::FewCycles, lack)
    } else {
        (Reason::Noise, until(5.0, z).min(3.0 * e.watch))
    }
}
