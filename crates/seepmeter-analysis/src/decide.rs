//! Stage 11: the answer.
//!
//! `growing` needs everything at once: enough of a watch, a significant trend, growth that keeps on
//! to the end, and no cheaper explanation. `steady` needs proof as well: an interval of the rate
//! whose upper end would not matter. What has neither is `inconclusive`. Comparing three zones
//! instead of two is the way of equivalence testing (Schuirmann, Journal of Pharmacokinetics and
//! Biopharmaceutics 15, 1987).

use crate::drift::Drift;
use crate::evidence::{Evidence, Stretch, Tests};
use crate::interval::Interval;
use crate::judgement::{Classification, Decision, Reason};
use crate::settings::Settings;
use crate::thresholds::decision::*;
use crate::thresholds::plateau::STILL;

impl Tests {
    /// The rate to report. A walk may grow for sure while the slope of its line is unsure; then it is
    /// the mean of its increments.
    pub(crate) fn rate(&self, classification: Classification) -> Interval {
        let grows = classification == Classification::Growing;
        match self.drift {
            Some(drift) if grows && self.slope.rate.low <= 0.0 => drift.rate,
            _ => self.slope.rate,
        }
    }
}

impl Stretch {
    /// Whether what was gained in it is too little to matter; `watch` is the length of all, in seconds, and
    /// `level` what the series is at in the end, base units.
    pub(crate) fn is_little(&self, watch: f64, level: f64) -> bool {
        let small = (SMALL_GAIN * level.abs()).max(SMALL_OF_AMPLITUDE * self.amplitude);
        let long = self.span >= LEAST_STEADY_PART * watch;
        long && self.gain.is_some_and(|gain| gain.high <= small)
    }
}

/// Weighs the evidence. `evidence` is that of the stages before the tests.
pub(crate) fn decide(evidence: &Evidence, tests: &Tests, settings: &Settings) -> Decision {
    Weighing {
        evidence,
        tests,
        settings,
        watch: evidence.watch(),
        warm_up_part: evidence.warm_up_part(&tests.warm_up),
    }
    .decide()
}

/// What is weighed.
struct Weighing<'a> {
    evidence: &'a Evidence,
    tests: &'a Tests,
    settings: &'a Settings,
    /// The length of the watch, in seconds.
    watch: f64,
    /// The part of the watch that warm-up took, 0 to 1.
    warm_up_part: f64,
}

impl Weighing<'_> {
    fn decide(&self) -> Decision {
        let (tests, settings) = (self.tests, self.settings);
        if !self.is_long_enough(1) {
            return Decision::not_yet(Reason::TooShort, self.missing(1));
        }
        let little =
            !tests.warm_up.unsettled && self.is_long_enough(LONGER) && self.gained_little();
        let floors = self.evidence.floors.len() - tests.first;
        if floors < settings.least_floors {
            return match tests.stepped() && little {
                true => Decision::sure(Classification::Steady),
                false => self.few_floors(floors),
            };
        }
        if self.grows() {
            return match self.grew_too_little() {
                true => Decision::not_yet(Reason::TooShort, self.missing(LONGER)),
                false => Decision::sure(Classification::Growing),
            };
        }
        let still = tests.hardly_moves && self.warm_up_part <= LONGEST_WARM_UP;
        let long = tests.judged.span >= LEAST_STEADY_PART * self.watch;
        let small = little || (!tests.warm_up.unsettled && long && self.hardly_grows());
        if still || (small && !self.leaks_perhaps()) {
            return Decision::sure(Classification::Steady);
        }
        let doubt = self.doubt();
        Decision::not_yet(doubt.reason, nanoseconds(doubt.seconds))
    }

    /// Whether it was watched for so many times the least.
    fn is_long_enough(&self, times: u64) -> bool {
        self.evidence.sampling.suffices(&self.settings.longer(times))
    }

    /// How much is missing to that, in ns.
    fn missing(&self, times: u64) -> u64 {
        self.evidence.sampling.missing(&self.settings.longer(times))
    }

    /// Too few floors are left to be judged.
    fn few_floors(&self, floors: usize) -> Decision {
        let stepped = self.tests.stepped();
        if let Some(lack) = self.tests.cycles_lack.filter(|_| stepped) {
            return Decision::not_yet(Reason::FewCycles, nanoseconds(lack));
        }
        let more = (self.settings.least_floors - floors) as f64;
        let each = self.tests.judged.span / floors.max(1) as f64;
        let seconds = (more * each).max(MORE_AFTER_FEW_FLOORS * self.watch);
        let reason = if stepped { Reason::Steps } else { Reason::StillWarmingUp };
        Decision::not_yet(reason, nanoseconds(seconds))
    }

    /// Whether it grows and goes on to grow, and visibly.
    fn grows(&self) -> bool {
        let settled = !self.tests.warm_up.unsettled && self.warm_up_part <= LONGEST_WARM_UP;
        let line = settled && (self.grows_about_a_line() || self.grows_as_a_walk_after_warm_up());
        let goes_on = !self.tests.stepped() && self.tests.plateau_onset.is_none();
        goes_on && self.shows() && (line || self.grows_as_a_walk())
    }

    /// Noise about a line: Mann–Kendall and the plateau tests carry the claim.
    ///
    /// Where the noise is a walk and a warm-up was cut off, there is no telling how much of the walk
    /// was cut: the rest of a curve that goes by random jumps then looks as straight as a line. Only
    /// where every slowing curve is excluded by far is that no worry: noise that forgets within a few
    /// floors looks like a walk too, and it is what most programs have.
    fn grows_about_a_line(&self) -> bool {
        let tests = self.tests;
        let cut_from_a_walk = tests.noise.looks_like_walk()
            && self.warm_up_part > SHORT_WARM_UP
            && !tests.curve.is_some_and(|c| c.excluded_by_far());
        !cut_from_a_walk
            && tests.trend.s > 0
            && tests.trend.p_value < self.settings.alpha / 2.0
            && tests.slope.rate.low > 0.0
            && tests.plateau.is_some_and(|p| p.keeps_on && !p.settles)
            && tests.curve.is_some_and(|c| c.excluded())
    }

    /// A walk that goes on for so long after warm-up that its drift dwarfs its wandering: a leak whose
    /// rate wavers. Neither its halves nor any slowing curve may cast doubt on it.
    fn grows_as_a_walk_after_warm_up(&self) -> bool {
        let tests = self.tests;
        let dwarfs = |d: Drift| d.t > DWARFS && d.keeps_on && d.late > EVEN * d.early;
        let last = STILL * tests.slope.rate.estimate;
        tests.late_drift.is_some_and(dwarfs)
            && tests.plateau.is_some_and(|p| !p.settles && p.last > last)
            && tests.curve.is_some_and(|c| c.excluded())
    }

    /// A walk: the drift test carries it, over the whole watch.
    fn grows_as_a_walk(&self) -> bool {
        let alpha = self.settings.alpha;
        let drifts = |d: Drift| d.t > 0.0 && d.p_value < alpha / 2.0 && d.keeps_on;
        self.tests.walks
            && self.tests.drift.is_some_and(drifts)
            && self.tests.slope.rate.estimate > 0.0
    }

    /// What the slope makes of the judged span, base units.
    fn gained(&self) -> f64 {
        self.tests.slope.rate.estimate * self.tests.judged.span
    }

    /// Whether the gain is visible beside the amplitude: samples that beat with a quick saw shift its
    /// floors by a little, and significantly so.
    fn shows(&self) -> bool {
        self.gained() > LEAST_OF_AMPLITUDE * self.tests.judged.amplitude
    }

    /// Whether so little was gained that only a longer watch can call it growth.
    fn grew_too_little(&self) -> bool {
        let least = (LEAST_OF_LEVEL * self.tests.level.abs()).max(self.settings.least_gain);
        !self.is_long_enough(LONGER) && self.gained() < least
    }

    /// Whether it surely grows, by so much in the time to come that `steady` would be wrong however little
    /// it was so far, and neither a settling nor a slowing curve explains it better than a line.
    ///
    /// A slow leak in a large program gains a hundredth of the level in minutes and all of it in a night,
    /// and noise that wanders keeps the trend test from showing it. So what is small is measured against
    /// the level *and* against time.
    fn leaks_perhaps(&self) -> bool {
        let ahead = DOUBLES_WITHIN.max(DOUBLES_WITHIN_WATCHES * self.watch);
        let doubles = |low: f64| low > 0.0 && low * ahead > self.tests.level.abs();
        // Where steps are found small, the rate since warm-up is reported, or else that of what is judged.
        let leaks = |s: &Stretch| !s.levels_off && s.rate.is_some_and(|rate| doubles(rate.low));
        leaks(&self.tests.since_warm_up) || leaks(&self.tests.judged)
    }

    /// Whether what was gained since warm-up, or since the last one-off step, is surely too little to
    /// matter, however it came. What rises for sure and keeps on rising is not called so, small as it
    /// may be: it is a leak that has not run for long.
    fn gained_little(&self) -> bool {
        let tests = self.tests;
        let line = tests.curve.is_some_and(|c| c.excluded()) && tests.slope.rate.estimate > 0.0;
        let keeps_rising = line || (tests.rises && !tests.stepped());
        // Between two steps of a leak it is flat too, so what came before them must be the smaller part.
        let since_step_only = tests.judged.span >= LEAST_SINCE_STEP * self.watch
            && !self.trend_rises()
            && self.is_little(&tests.judged);
        !keeps_rising && (self.is_little(&tests.since_warm_up) || since_step_only)
    }

    fn is_little(&self, stretch: &Stretch) -> bool {
        stretch.is_little(self.watch, self.tests.level)
    }

    fn trend_rises(&self) -> bool {
        self.tests.trend.s > 0 && self.tests.trend.p_value < RISES
    }

    /// Whether the rate's upper end would lift the level by so little that it does not matter.
    fn hardly_grows(&self) -> bool {
        let Stretch { span, amplitude, .. } = self.tests.judged;
        let most = self.tests.slope.rate.high * span;
        let small = (SMALL_OF_LEVEL * self.tests.level.abs()).max(SMALL_OF_AMPLITUDE * amplitude);
        let settled = self.tests.plateau.is_some_and(|p| p.settles);
        most <= small && (!self.trend_rises() || settled)
    }

    /// Seconds until a slope in so many of its standard errors shows: a slope's error falls with the span
    /// to the power 3/2.
    fn until(&self, wanted: f64) -> f64 {
        let slope = self.tests.slope;
        let z = slope.rate.estimate / slope.error.max(f64::MIN_POSITIVE);
        let times = libm::pow(wanted / z.abs().max(LEAST_Z), 2.0 / 3.0);
        self.tests.judged.span * (times - 1.0).clamp(LEAST_MORE, MOST_TIMES_MORE)
    }

    /// Why neither can be said.
    fn doubt(&self) -> Doubt {
        let (tests, watch) = (self.tests, self.watch);
        let doubt = |reason, seconds| Doubt { reason, seconds };
        let significant = tests.trend.s > 0 && tests.p_value() < self.settings.alpha;
        let surely_rises = tests.slope.rate.low > 0.0;
        let unsettled = tests.warm_up.unsettled;
        let settles = tests.plateau.is_some_and(|p| p.settles);
        if let Some(lack) = tests.cycles_lack.filter(|_| tests.stepped()) {
            // The teeth of a cycle that came round too seldom look like steps.
            doubt(Reason::FewCycles, lack)
        } else if tests.stepped() {
            doubt(Reason::Steps, watch.min(MORE_AFTER_STEPS * tests.judged.span))
        } else if unsettled && tests.slope.rate.estimate > 0.0 && significant {
            doubt(Reason::Slowing, watch)
        } else if unsettled || (significant && self.warm_up_part > LONGEST_WARM_UP) {
            // Growth after warm-up must outlast it one and a half times.
            let outlast = self.warm_up_part * watch / LONGEST_WARM_UP - watch;
            doubt(Reason::StillWarmingUp, outlast.max(MORE_AFTER_WARM_UP * watch))
        } else if (tests.plateau_onset.is_some() && (significant || surely_rises))
            || (surely_rises && settles)
        {
            doubt(Reason::Slowing, watch)
        } else if significant || self.leaks_perhaps() {
            let cycles = tests.cycles_lack.unwrap_or(0.0);
            doubt(Reason::MayBeSlowing, self.until(SHOWS_A_CURVE).max(cycles))
        } else if let Some(lack) = tests.cycles_lack {
            doubt(Reason::FewCycles, lack)
        } else {
            doubt(Reason::Noise, self.until(SHOWS_GROWTH).min(MOST_MORE * watch))
        }
    }
}

/// Why an answer is not known yet, and about how long until it is.
struct Doubt {
    reason: Reason,
    seconds: f64,
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e9) as u64
}
