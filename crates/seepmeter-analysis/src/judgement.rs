//! The result of judging: one of three words, and what it rests on.

use crate::Unit;
use crate::words;

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// It grows, and nothing seen says that the growth will end by itself.
    Growing,
    /// It does not grow, or so little that it does not matter.
    Steady,
    /// What was seen does not tell.
    Inconclusive,
}

impl Word {
    /// The word as it is printed and written to JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Word::Growing => "growing",
            Word::Steady => "steady",
            Word::Inconclusive => "inconclusive",
        }
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an answer is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too few looks, or too short a watch.
    TooShort,
    /// Too few cycles have been seen.
    FewCycles,
    /// The program has not settled, or settled too lately.
    StillWarmingUp,
    /// It grows, and more slowly all the time: a plateau may follow.
    Slowing,
    /// It grows, and whether the growth slows down can't be told yet.
    MayBeSlowing,
    /// It grew by a few steps, the last of them lately.
    Steps,
    /// The noise hides whatever there is.
    Noise,
}

impl Reason {
    /// A stable name for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::TooShort => "too-short",
            Reason::FewCycles => "few-cycles",
            Reason::StillWarmingUp => "still-warming-up",
            Reason::Slowing => "slowing",
            Reason::MayBeSlowing => "may-be-slowing",
            Reason::Steps => "steps",
            Reason::Noise => "noise",
        }
    }

    /// The reason in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Reason::TooShort => "too short a watch",
            Reason::FewCycles => "too few cycles seen",
            Reason::StillWarmingUp => "it has not settled long enough after warm-up",
            Reason::Slowing => "it grows, but ever more slowly",
            Reason::MayBeSlowing => "it grows; whether the growth slows down can't be told yet",
            Reason::Steps => "it grew by a few steps, the last of them lately",
            Reason::Noise => "the noise hides whatever there is",
        }
    }
}

/// An estimate and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The best guess.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// All of it moved by this much.
    pub(crate) fn shifted(self, by: f64) -> Self {
        Self { estimate: self.estimate + by, low: self.low + by, high: self.high + by }
    }
}

/// What a series was judged to be. Times are ns since the start of the watch, rates are base units
/// (bytes) a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub word: Word,
    /// Why, when inconclusive.
    pub reason: Option<Reason>,
    /// How much longer a watch it would take (ns), when inconclusive and it can be guessed.
    pub watch_longer: Option<u64>,
    /// The slope over the judged span, base units a second.
    pub rate: Option<Interval>,
    /// The span that was judged: (from, to) in ns.
    pub span: Option<(u64, u64)>,
    /// When warm-up ended (ns); `None` when none was found.
    pub warm_up_end: Option<u64>,
    /// How many floors the judgement rests on.
    pub floors_used: usize,
    /// The length of a cycle (ns), where there are cycles.
    pub cycle: Option<u64>,
    /// The chance that noise alone looks like this, two-sided, autocorrelation taken into account.
    pub p_value: Option<f64>,
    /// The level at the end of the watch: where its floor lies, in base units.
    pub level: Option<f64>,
    /// The highest value seen.
    pub peak: Option<i64>,
    /// What each stage found, in words, in order.
    pub explanation: Vec<String>,
}

/// No shorter time than this (ns) is promised to tell.
const LEAST_TOLD: u64 = 1_000_000;

/// When a limit will be reached at the present rate, in ns from the end of the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToLimit {
    /// At the upper end of the rate's interval.
    pub soonest: u64,
    /// At the rate itself.
    pub likely: u64,
    /// At the lower end; `None` when that end does not grow, so that it may never happen.
    pub latest: Option<u64>,
}

impl Judgement {
    /// When `limit` (base units) will be reached, from [`level`](Self::level) at
    /// [`rate`](Self::rate); `None` unless it is growing.
    ///
    /// The floor is extrapolated, the swing above it rides on top: what has to fit under the limit
    /// is the floor and the `headroom` (base units) that the peaks need above it; pass 0 for none.
    pub fn time_to_limit(&self, limit: f64, headroom: f64) -> Option<TimeToLimit> {
        if self.word != Word::Growing {
            return None;
        }
        time_to_limit(self.level?, self.rate?, limit - headroom)
    }

    /// Behind a reason, about how much longer a watch would tell; nothing where that is not known or
    /// nothing that a watch could wait for. Of one that is too short only the least is known.
    pub fn longer_in_words(&self) -> String {
        match self.watch_longer.filter(|ns| *ns >= LEAST_TOLD) {
            None => String::new(),
            Some(ns) if self.reason == Some(Reason::TooShort) => {
                format!("; it takes at least {} more", words::duration(ns))
            }
            Some(ns) => format!("; about {} more would tell", words::duration(ns)),
        }
    }

    /// One line without the target's name: the word, then the rate or the reason.
    pub fn summary(&self, unit: Unit) -> String {
        let after = match self.warm_up_end {
            Some(end) => format!(", after {} of warm-up", words::duration(end)),
            None => String::new(),
        };
        let over = self
            .span
            .map_or(String::new(), |(a, b)| format!(" over {}{after}", words::duration(b - a)));
        match (self.word, self.rate) {
            (Word::Growing, Some(rate)) => {
                format!("growing {}{over}", words::rate_interval(rate, unit))
            }
            (Word::Steady, Some(rate)) => {
                format!("steady {}{over}", words::rate_interval(rate, unit))
            }
            _ => {
                let why = self.reason.map_or("", Reason::in_words);
                format!("{}: {why}{}", self.word, self.longer_in_words())
            }
        }
    }
}

/// When a level that grows at `rate` (base units a second) reaches `limit`; `None` when it does not
/// grow. A level already over the limit reaches it at once.
pub fn time_to_limit(level: f64, rate: Interval, limit: f64) -> Option<TimeToLimit> {
    if rate.estimate <= 0.0 {
        return None;
    }
    let room = (limit - level).max(0.0);
    // `as` saturates: a limit a thousand years away stays a large number.
    let at = |rate: f64| (room / rate * 1e9) as u64;
    Some(TimeToLimit {
        soonest: at(rate.high.max(rate.estimate)),
        likely: at(rate.estimate),
        latest: (rate.low > 0.0).then(|| at(rate.low)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_far_as_the_room_divided_by_the_rate() {
        let rate = Interval { estimate: 10.0, low: 5.0, high: 20.0 };
        let t = time_to_limit(100.0, rate, 200.0).unwrap();
        let s = 1_000_000_000;
        assert_eq!((t.soonest, t.likely, t.latest), (5 * s, 10 * s, Some(20 * s)));
    }

    #[test]
    fn no_watch_is_told_to_go_on_for_nothing_and_a_short_one_to_go_on_at_least() {
        let judged = |reason, watch_longer| {
            let short = crate::Series::from_pairs([(0, 1)]);
            let judgement = crate::judge(&short, &crate::Settings::default());
            Judgement { reason: Some(reason), watch_longer, ..judgement }.longer_in_words()
        };
        assert_eq!(judged(Reason::Noise, Some(0)), "");
        assert_eq!(judged(Reason::Noise, None), "");
        assert_eq!(judged(Reason::Noise, Some(5_000_000_000)), "; about 5.0 s more would tell");
        assert_eq!(judged(Reason::TooShort, Some(5_000_000_000)), "; it takes at least 5.0 s more");
    }

    #[test]
    fn what_does_not_grow_reaches_no_limit_and_what_may_not_grow_has_no_latest() {
        let falls = Interval { estimate: -1.0, low: -2.0, high: 0.5 };
        assert_eq!(time_to_limit(100.0, falls, 200.0), None);
        let may = Interval { estimate: 1.0, low: -0.5, high: 2.0 };
        assert_eq!(time_to_limit(100.0, may, 200.0).unwrap().latest, None);
    }

    #[test]
    fn a_level_over_the_limit_is_there_already() {
        let rate = Interval { estimate: 1.0, low: 0.9, high: 1.1 };
        assert_eq!(time_to_limit(300.0, rate, 200.0).unwrap().likely, 0);
    }
}
