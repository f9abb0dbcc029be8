//! Gates: what must not be, in a small language.
//!
//! ```text
//! gate     = classification | term operator value
//! classification = "growing" | "steady" | "inconclusive"
//! term     = [ "subject(" NAME ")." ] ( "rate" | "level" | "peak" | "share" | "time-to-limit" )
//!          | "per-unit"
//! operator = ">" | ">=" | "<" | "<="
//! value    = a size per time (rate: 1MiB/min, 0), a size (level, peak: 512MiB; per-unit: 16B),
//!            a percentage (share: 50%), or a duration (time-to-limit: 2h)
//! ```
//!
//! A gate on a rate asks for the whole confidence interval; all other figures are exact. None fires
//! if the verdict is inconclusive: what is not known is no reason to fail. `peak` is what was sampled,
//! and so always known, and so is a `time-to-limit` if there is one. `inconclusive` itself fires.
//!
//! A [`WorkVerdict`] has no time: its gates are `per-unit` and the classifications, of which `growing` means that
//! it leaks, and `steady` that it is constant.

use std::fmt;
use std::str::FromStr;

use seepmeter_analysis::{Classification, Judgement};
use seepmeter_record::Unit;
use seepmeter_record::human::{self, parse_duration, parse_size};
use serde::{Deserialize, Serialize};

use crate::conclusion::NoVerdict;
use crate::limit::{self, NoForecast};
use crate::run_series::{RunSeries, Scope};
use crate::text::{reason, wait};
use crate::verdict::Verdict;
use crate::work::{WorkAnswer, WorkVerdict};

/// No more names than this are listed if one is wrong.
const MOST_NAMES: usize = 20;

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    text: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Is(Classification),
    Compare { subject: Option<String>, quantity: Quantity, operator: Operator, value: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Rate,
    Level,
    Peak,
    Share,
    TimeToLimit,
    PerUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Over,
    AtLeast,
    Under,
    AtMost,
}

/// What a gate found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOutcome {
    /// The gate as it was written.
    pub gate: String,
    /// The metric that it was evaluated on.
    pub metric: String,
    /// True if what must not be is.
    pub fired: bool,
    /// False if there is nothing of the name that the gate gives, or no verdict at all.
    pub checked: bool,
    /// False if the gate might fire in a longer run: the verdict that it asks for is inconclusive.
    pub decided: bool,
    /// The figure that decided, or why it is not known, for people.
    pub why: String,
}

/// What the outcome of a gate comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateResult {
    /// What must not be is not.
    Passed,
    /// It is, or it is not known and that counts as such.
    Failed,
    /// A longer run may show it.
    Undecided,
    /// There is nothing of the name that the gate gives, or no verdict at all.
    NotEvaluated,
}

impl GateOutcome {
    /// What it comes to; if `strict`, what is not known fails.
    #[must_use]
    pub fn result(&self, strict: bool) -> GateResult {
        match (self.fired, self.checked, self.decided) {
            (true, ..) => GateResult::Failed,
            (false, true, true) => GateResult::Passed,
            (false, ..) if strict => GateResult::Failed,
            (false, false, _) => GateResult::NotEvaluated,
            (false, true, false) => GateResult::Undecided,
        }
    }
}

/// What is wrong with a gate, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateError {
    text: String,
    /// Where in the text, in bytes.
    at: usize,
    what: String,
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, at, what } = self;
        let indent = text[..*at].chars().count();
        write!(f, "{what}\n  {text}\n  {:indent$}^", "")
    }
}

impl std::error::Error for GateError {}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let condition = Parser { text, at: 0 }.condition()?;
        Ok(Self { text: text.trim().to_owned(), condition })
    }
}

/// Reads a gate from left to right, and knows where it is.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn bad<T>(&self, at: usize, what: impl Into<String>) -> Result<T, GateError> {
        Err(GateError { text: self.text.to_owned(), at, what: what.into() })
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// The letters and dashes that come next.
    fn word(&mut self) -> &'a str {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn condition(&mut self) -> Result<Condition, GateError> {
        self.skip_blanks();
        let begin = self.at;
        let mut word = self.word();
        let subject = if word == "subject" {
            let name = self.subject_name()?;
            let begin = self.at;
            word = self.word();
            if word.is_empty() {
                return self
                    .bad(begin, "after the subject, write a quantity: rate, level, peak or share");
            }
            Some(name)
        } else {
            None
        };
        let at = self.at - word.len();
        if subject.is_none() {
            for known in Classification::ALL {
                if word == known.as_str() {
                    self.end()?;
                    return Ok(Condition::Is(known));
                }
            }
        }
        let quantity = match word {
            "rate" => Quantity::Rate,
            "level" => Quantity::Level,
            "peak" => Quantity::Peak,
            "share" if subject.is_some() => Quantity::Share,
            "share" => {
                return self.bad(begin, "only a subject has a share: subject(NAME).share>50%");
            }
            "time-to-limit" if subject.is_none() => Quantity::TimeToLimit,
            "per-unit" if subject.is_none() => Quantity::PerUnit,
            _ if subject.is_some() => {
                return self.bad(at, "a gate on a subject needs one of: rate, level, peak, share");
            }
            _ => {
                return self.bad(
                    at,
                    "a gate begins with one of: growing, steady, inconclusive, rate, level, peak, time-to-limit, per-unit, subject(NAME)",
                );
            }
        };
        let operator = self.operator()?;
        let value = self.value(quantity)?;
        Ok(Condition::Compare { subject, quantity, operator, value })
    }

    /// `(NAME).`, where the name may have balanced parentheses in it.
    fn subject_name(&mut self) -> Result<String, GateError> {
        let Some(inner) = self.rest().strip_prefix('(') else {
            return self
                .bad(self.at, "after `subject`, write a name in parentheses: subject(heap)");
        };
        let mut depth = 1;
        let close = inner.char_indices().find_map(|(at, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        let Some(close) = close else {
            return self.bad(self.at, "this parenthesis is not closed");
        };
        if inner[..close].trim().is_empty() {
            return self
                .bad(self.at + 1, "the name of the subject is missing: subject(heap).rate>0");
        }
        self.at += close + 2;
        if !self.rest().starts_with('.') {
            return self.bad(self.at, "a dot and a quantity are missing: subject(heap).rate>0");
        }
        self.at += 1;
        Ok(inner[..close].to_owned())
    }

    fn operator(&mut self) -> Result<Operator, GateError> {
        self.skip_blanks();
        if let Some((operator, after)) = Operator::split(self.rest()) {
            self.at = self.text.len() - after.len();
            return Ok(operator);
        }
        self.bad(self.at, "an operator is missing: > >= < <=")
    }

    fn value(&mut self, quantity: Quantity) -> Result<f64, GateError> {
        self.skip_blanks();
        let at = self.at;
        let text = self.rest().trim_end();
        self.at = self.text.len();
        if text.is_empty() {
            let example = match quantity {
                Quantity::Rate => "1MiB/min",
                Quantity::Level | Quantity::Peak => "512MiB",
                Quantity::Share => "50%",
                Quantity::TimeToLimit => "2h",
                Quantity::PerUnit => "16B",
            };
            return self.bad(at, format!("a value is missing, such as {example}"));
        }
        let read = match quantity {
            Quantity::Rate => rate(text),
            Quantity::Level | Quantity::Peak | Quantity::PerUnit => {
                parse_size(text).map(|size| size.0 as f64)
            }
            Quantity::Share => percentage(text),
            Quantity::TimeToLimit => parse_duration(text).map(|time| time.as_secs_f64()),
        };
        read.or_else(|what| self.bad(at, what))
    }

    fn end(&mut self) -> Result<(), GateError> {
        self.skip_blanks();
        if self.rest().is_empty() { Ok(()) } else { self.bad(self.at, "the gate should end here") }
    }
}

/// Bytes a second: `1MiB/min`, `-4KiB/s`, `0`.
fn rate(text: &str) -> Result<f64, String> {
    if text == "0" {
        return Ok(0.0);
    }
    let wanted = "a rate is a size per time: 1MiB/min, 4KiB/s, 100MB/h, or 0";
    let (size, time) =
        text.split_once('/').ok_or_else(|| format!("`{text}` is not a rate; {wanted}"))?;
    let seconds = match time.trim() {
        "s" | "sec" | "second" => 1.0,
        "min" | "m" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        other => return Err(format!("`{other}` is not one of s, min, h, d; {wanted}")),
    };
    let (sign, size) = size.trim().strip_prefix('-').map_or((1.0, size), |size| (-1.0, size));
    Ok(sign * parse_size(size)?.0 as f64 / seconds)
}

fn percentage(text: &str) -> Result<f64, String> {
    let number =
        text.strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    let number = number.filter(|percent| percent.is_finite());
    number
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("`{text}` is not a percentage: 50%"))
}

impl Gate {
    /// Evaluates the gate on a verdict; `run` is what the verdict was made from.
    #[must_use]
    pub fn evaluate(&self, verdict: &Verdict, run: &RunSeries) -> GateOutcome {
        let outcome = GateOutcome {
            gate: self.text.clone(),
            metric: verdict.metric.clone(),
            fired: false,
            checked: true,
            decided: true,
            why: String::new(),
        };
        let (subject, quantity, operator, value) = match &self.condition {
            Condition::Is(classification) => {
                let is = verdict.judgement.classification;
                let fired = is == *classification;
                let decided = fired || is != Classification::Inconclusive;
                let why = match decided {
                    true => format!("the verdict is {is}"),
                    false => inconclusive(&verdict.judgement),
                };
                return GateOutcome { fired, decided, why, ..outcome };
            }
            Condition::Compare { subject, quantity, operator, value } => {
                (subject.as_deref(), *quantity, operator, *value)
            }
        };
        match bounds_of(verdict, run, subject, quantity) {
            Ok(bounds) => {
                let why = bounds.in_words(quantity, verdict.unit);
                GateOutcome {
                    fired: operator.is_true_of(bounds.low, bounds.high, value),
                    why,
                    ..outcome
                }
            }
            Err(NoBounds::NoSuchPart(why)) => GateOutcome { checked: false, why, ..outcome },
            Err(NoBounds::Undecided(why)) => GateOutcome { decided: false, why, ..outcome },
            Err(NoBounds::Absent(why)) => GateOutcome { why: why.to_owned(), ..outcome },
        }
    }

    /// Evaluates the gate on a verdict that has work in place of time.
    #[must_use]
    pub fn evaluate_work(&self, verdict: &WorkVerdict) -> GateOutcome {
        let outcome = |fired: bool, why: String| GateOutcome {
            gate: self.text.clone(),
            metric: verdict.metric.clone(),
            fired,
            checked: true,
            decided: fired || verdict.answer != WorkAnswer::Inconclusive,
            why,
        };
        let is = match verdict.answer {
            WorkAnswer::Leaks => Classification::Growing,
            WorkAnswer::Constant => Classification::Steady,
            WorkAnswer::Inconclusive => Classification::Inconclusive,
        };
        let inconclusive = || {
            let reason = verdict.reason.as_deref().unwrap_or("no reason is known");
            format!("the verdict is inconclusive ({reason})")
        };
        match (&self.condition, verdict.per_unit) {
            (Condition::Compare { quantity: Quantity::PerUnit, .. }, _)
                if verdict.masked.is_some() =>
            {
                let name = verdict.masked.as_deref().unwrap_or_default();
                let why =
                    format!("only {name} was judged; what the whole gains per unit is not known");
                GateOutcome { decided: false, ..outcome(false, why) }
            }
            (Condition::Is(asked), _) => {
                let why = match verdict.answer {
                    WorkAnswer::Leaks => "each unit of work leaves memory behind".to_owned(),
                    WorkAnswer::Constant => "it is constant".to_owned(),
                    WorkAnswer::Inconclusive => inconclusive(),
                };
                outcome(is == *asked, why)
            }
            (
                Condition::Compare { quantity: Quantity::PerUnit, operator, value, .. },
                Some(rate),
            ) if is != Classification::Inconclusive => {
                let why = Bounds { low: rate.low, high: rate.high }
                    .in_words(Quantity::PerUnit, verdict.unit);
                outcome(operator.is_true_of(rate.low, rate.high, *value), why)
            }
            (Condition::Compare { quantity: Quantity::PerUnit, .. }, _) => {
                let why = match verdict.answer {
                    WorkAnswer::Inconclusive => inconclusive(),
                    WorkAnswer::Leaks | WorkAnswer::Constant => "the rate is not known".to_owned(),
                };
                GateOutcome { decided: false, ..outcome(false, why) }
            }
            (Condition::Compare { .. }, _) => {
                let why =
                    "with --per there are the gates growing, steady, inconclusive and per-unit";
                GateOutcome { checked: false, ..outcome(false, why.to_owned()) }
            }
        }
    }

    /// The outcome if there is no verdict on the metric.
    #[must_use]
    pub fn unknown(&self, metric: &str, why: &NoVerdict) -> GateOutcome {
        GateOutcome {
            gate: self.text.clone(),
            metric: metric.to_owned(),
            fired: false,
            checked: false,
            decided: true,
            why: why.to_string(),
        }
    }
}

/// Why a quantity is not known, for people.
enum NoBounds {
    /// There is no subject of the name, or no limit.
    NoSuchPart(String),
    /// A longer run may show it.
    Undecided(String),
    /// There is none, and that is an answer.
    Absent(&'static str),
}

/// What is known of a quantity: the ends of its interval.
#[derive(Clone, Copy)]
struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    fn exactly(value: f64) -> Self {
        Self { low: value, high: value }
    }

    fn in_words(self, quantity: Quantity, unit: Unit) -> String {
        let in_words = |value: f64| match quantity {
            Quantity::Rate => format!("{}/min", human::amount(value * 60.0, unit)),
            Quantity::Level | Quantity::Peak | Quantity::PerUnit => human::amount(value, unit),
            Quantity::Share => human::percent(value),
            Quantity::TimeToLimit => human::duration((value * 1e9) as u64),
        };
        if self.low == self.high {
            format!("it is {}", in_words(self.low))
        } else {
            format!("it is between {} and {}", in_words(self.low), in_words(self.high))
        }
    }
}

impl Operator {
    /// The operator that a text begins with, and what is behind it.
    pub(crate) fn split(text: &str) -> Option<(Self, &str)> {
        let signs =
            [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Over), ("<", Self::Under)];
        signs.into_iter().find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    }

    /// True if the whole interval is on the far side of the value.
    pub(crate) fn is_true_of(self, low: f64, high: f64, value: f64) -> bool {
        match self {
            Self::Over => low > value,
            Self::AtLeast => low >= value,
            Self::Under => high < value,
            Self::AtMost => high <= value,
        }
    }
}

/// The bounds of a quantity of the whole, or of a subject.
///
/// # Errors
/// Why they are not known.
fn bounds_of(
    verdict: &Verdict,
    run: &RunSeries,
    subject: Option<&str>,
    quantity: Quantity,
) -> Result<Bounds, NoBounds> {
    if quantity == Quantity::PerUnit {
        let why = "there is no work to judge by; choose a counter: `seepmeter judge --per COUNTER`";
        return Err(NoBounds::NoSuchPart(why.to_owned()));
    }
    let judge_part = |name: &str| {
        let series = run.series_named(name);
        let series = series.ok_or_else(|| NoBounds::NoSuchPart(no_such_part(run, name)))?;
        Ok(run.judge_series(&series))
    };
    let of_part = subject.map(judge_part).transpose()?;
    let judgement = of_part.as_ref().unwrap_or(&verdict.judgement);
    if let (Quantity::Peak, Some(peak)) = (quantity, judgement.peak) {
        return Ok(Bounds::exactly(peak as f64));
    }
    // It is known if there is one, even of the address space beside a metric that does not grow.
    if let (Quantity::TimeToLimit, Some(limit)) = (quantity, &verdict.limit) {
        return Ok(Bounds::exactly(limit.time.likely as f64 / 1e9));
    }
    if quantity == Quantity::TimeToLimit {
        no_limit(verdict, run)?;
    }
    if let (None, Some(masked)) = (subject, &verdict.masked)
        && masked.whole == Classification::Inconclusive
    {
        let name = &masked.part.name;
        let why = format!("only {name} was judged; the rate of the whole is not known");
        return Err(NoBounds::Undecided(why));
    }
    if judgement.classification == Classification::Inconclusive {
        return Err(NoBounds::Undecided(inconclusive(judgement)));
    }
    match quantity {
        Quantity::Rate => {
            let rate = judgement.rate.ok_or(NoBounds::Absent("there is no rate"))?;
            Ok(Bounds { low: rate.low, high: rate.high })
        }
        Quantity::Level => {
            judgement.level.map(Bounds::exactly).ok_or(NoBounds::Absent("there is no level"))
        }
        Quantity::Share => {
            let grows = verdict.shares.iter().flatten().any(|growth| growth.share.is_some());
            let share = subject.filter(|_| grows);
            let share = share.and_then(|name| run.share_of(name, &verdict.judgement));
            share
                .map(Bounds::exactly)
                .ok_or(NoBounds::Absent("nothing grows, so there are no shares"))
        }
        Quantity::TimeToLimit => Err(NoBounds::Absent("no limit will be reached")),
        Quantity::Peak | Quantity::PerUnit => Err(NoBounds::Absent("nothing was sampled")),
    }
}

/// A gate on the time to a limit, if there is no forecast: nothing if what it applies to does not grow.
///
/// # Errors
/// Why no time can be known.
fn no_limit(verdict: &Verdict, run: &RunSeries) -> Result<(), NoBounds> {
    let why = match (run.scope, limit::why_none(run, &verdict.judgement)) {
        (Scope::AllTargets, _) => {
            "several targets have no limit in common; watch one alone, or gate on its level: \
             subject(NAME).level>1GiB"
        }
        (_, NoForecast::NoLimit) => {
            "no limit is known of what was judged: none was recorded, or the metric has none; `level` and \
             `rate` need none"
        }
        (_, NoForecast::Shared) => {
            "most of the growth is pages of files or shared memory, of which it is not known who had them \
             first; `--metric anonymous` (-s smaps) leaves them out"
        }
        (_, NoForecast::Swapped) => {
            "a part of it was swapped out, which the limits of what is resident do not count; `level` and `rate` \
             do"
        }
        (_, NoForecast::NoGrowth) => return Ok(()),
    };
    Err(NoBounds::NoSuchPart(why.to_owned()))
}

fn inconclusive(judgement: &Judgement) -> String {
    format!("the verdict is inconclusive ({}{})", reason(judgement), wait(judgement))
}

fn no_such_part(run: &RunSeries, name: &str) -> String {
    if run.parts.is_empty() {
        return format!(
            "no parts were sampled, so there is no `{name}`; `--sampler smaps` samples mappings"
        );
    }
    let mut parts: Vec<_> = run.parts.iter().collect();
    parts.sort_by_key(|known| std::cmp::Reverse(known.series.peak()));
    let names = parts.iter().take(MOST_NAMES).map(|known| known.part.short_name());
    let names: Vec<String> = names.collect();
    let more = if parts.len() > MOST_NAMES { ", …" } else { "" };
    let mut classes: Vec<&str> =
        run.parts.iter().filter_map(|known| Some(known.part.class.as_ref()?.as_str())).collect();
    classes.sort_unstable();
    classes.dedup();
    let classes = match classes[..] {
        [] => String::new(),
        _ => format!("; classes: {}", classes.join(", ")),
    };
    format!(
        "there was no subject `{name}`{classes}; there were, largest first: {}{more}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests;
