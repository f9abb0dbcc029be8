//! The result of judging: one of three answers, and what it rests on.

use crate::evidence::Evidence;
use crate::interval::{Interval, Span};
use crate::thresholds::parts;
use serde::{Deserialize, Serialize};

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// It grows, and nothing seen says that the growth will end by itself.
    Growing,
    /// It does not grow, or so little that it does not matter.
    Steady,
    /// What was seen does not decide.
    Inconclusive,
}

impl Classification {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Growing, Self::Steady, Self::Inconclusive];

    /// The word as it is printed and written to JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Steady => "steady",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl std::fmt::Display for Classification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an answer is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Too few samples, or too short a watch.
    TooShort,
    /// Too few cycles have been seen.
    FewCycles,
    /// The program has not settled, or settled too lately.
    StillWarmingUp,
    /// It grows, and more slowly all the time: a plateau may follow.
    Slowing,
    /// It grows, and whether the growth slows down is not known yet.
    MayBeSlowing,
    /// It grew in a few steps, the last of them lately.
    Steps,
    /// The noise hides whatever there is.
    Noise,
    /// What was seen does not grow, and it is not all that there was.
    NotAllSeen,
}

/// The answer, why, and how much longer a watch it would take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub classification: Classification,
    /// Why, when inconclusive.
    pub reason: Option<Reason>,
    /// How much longer a watch would decide (ns), when inconclusive and it can be estimated.
    #[serde(with = "crate::exact")]
    pub needs_more: Option<u64>,
}

impl Decision {
    /// Growing or steady.
    pub(crate) fn sure(classification: Classification) -> Self {
        Self { classification, reason: None, needs_more: None }
    }

    /// Inconclusive for this reason, for about so much longer (ns).
    pub(crate) fn not_yet(reason: Reason, needs_more: u64) -> Self {
        Self {
            classification: Classification::Inconclusive,
            reason: Some(reason),
            needs_more: Some(needs_more),
        }
    }
}

/// What a series was judged to be. Times are ns since the start of the watch, rates are base units
/// (bytes) a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The answer.
    pub classification: Classification,
    /// Why, when inconclusive.
    pub reason: Option<Reason>,
    /// How much longer a watch would decide (ns), when inconclusive and it can be estimated.
    #[serde(with = "crate::exact")]
    pub needs_more: Option<u64>,
    /// The slope over the judged span, base units a second.
    pub rate: Option<Interval>,
    /// The span that was judged.
    pub span: Option<Span>,
    /// When warm-up ended (ns); `None` when none was found.
    #[serde(with = "crate::exact")]
    pub warm_up_end: Option<u64>,
    /// How many floors the judgement rests on.
    pub floors_used: usize,
    /// The length of a cycle (ns), where there are cycles.
    #[serde(with = "crate::exact")]
    pub cycle: Option<u64>,
    /// The chance that noise alone looks like this, two-sided, autocorrelation taken into account.
    #[serde(with = "crate::exact")]
    pub p_value: Option<f64>,
    /// The level at the end of the watch: where its floor lies, in base units.
    #[serde(with = "crate::exact")]
    pub level: Option<f64>,
    /// The highest value seen.
    pub peak: Option<i64>,
    /// What the stages found in this series.
    pub evidence: Evidence,
    /// Why the answer is not the one that this evidence alone has: parts of the whole decided.
    pub overruled: Option<Box<Override>>,
}

/// Parts of a whole that decided in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Override {
    /// A part grows, and the whole does not show it.
    MaskedGrowth {
        /// The answer on the whole by itself.
        whole: Decision,
        /// The part.
        part: Judgement,
    },
    /// A part rises, and it may go on: a steady whole is not called so.
    RisingPart {
        /// The answer on the whole by itself.
        whole: Decision,
        /// The part.
        part: Judgement,
    },
    /// The parts that carry the whole's growth made one-off steps or have settled.
    SteppedParts {
        /// The answer on the whole by itself.
        whole: Decision,
        /// Those parts, the largest gain first.
        carriers: Vec<Carrier>,
    },
}

/// A part, or several that trade with each other, that carry some of the whole's growth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carrier {
    /// What it gained over the judged span, base units.
    #[serde(with = "crate::exact")]
    pub gain: f64,
    /// What it was judged to be.
    pub judgement: Judgement,
}

/// When a limit will be reached at the present rate, in ns from the end of the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeToLimit {
    /// At the upper end of the rate's interval.
    #[serde(with = "crate::exact")]
    pub soonest: u64,
    /// At the rate itself.
    #[serde(with = "crate::exact")]
    pub likely: u64,
    /// At the lower end; `None` when that end does not grow, so that it may never happen.
    #[serde(with = "crate::exact")]
    pub latest: Option<u64>,
}

impl Judgement {
    /// The answer alone.
    #[must_use]
    pub fn decision(&self) -> Decision {
        let Self { classification, reason, needs_more, .. } = *self;
        Decision { classification, reason, needs_more }
    }

    /// The answer that this evidence alone has, as if there were no parts.
    #[must_use]
    pub fn alone(&self) -> Self {
        let Decision { classification, reason, needs_more } = match self.overruled.as_deref() {
            None => self.decision(),
            Some(
                Override::MaskedGrowth { whole, .. }
                | Override::RisingPart { whole, .. }
                | Override::SteppedParts { whole, .. },
            ) => *whole,
        };
        Self { classification, reason, needs_more, overruled: None, ..self.clone() }
    }

    /// The same figures and evidence with another answer.
    #[must_use]
    pub(crate) fn overrule(mut self, decision: Decision, by: Override) -> Self {
        let Decision { classification, reason, needs_more } = decision;
        self.evidence.thresholds.extend_from_slice(parts::ALL);
        Self { classification, reason, needs_more, overruled: Some(Box::new(by)), ..self }
    }

    /// The same figures of a part of what there was, with what that says of all of it: growth is growth, but what
    /// was not seen may grow where this is steady.
    #[must_use]
    pub fn of_all(self) -> Self {
        if self.classification != Classification::Steady {
            return self;
        }
        let classification = Classification::Inconclusive;
        Self { classification, reason: Some(Reason::NotAllSeen), needs_more: None, ..self }
    }

    /// When `limit` (base units) will be reached, from [`level`](Self::level) at
    /// [`rate`](Self::rate); `None` unless it is growing.
    ///
    /// The floor is extrapolated, the amplitude above it rides on top: what has to fit under the limit
    /// is the floor and the `headroom` (base units) that the peaks need above it; pass 0 for none.
    pub fn time_to_limit(&self, limit: f64, headroom: f64) -> Option<TimeToLimit> {
        if self.classification != Classification::Growing {
            return None;
        }
        time_to_limit(self.level?, self.rate?, limit - headroom)
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
