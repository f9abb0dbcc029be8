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
//! A [`WorkVerdict`](crate::WorkVerdict) has no time: its gates are `per-unit` and the classifications, of which `growing` means that
//! it leaks, and `steady` that it is constant.

mod parser;
mod work;

use std::fmt;

use seepmeter_analysis::{Classification, Judgement, Series};
use seepmeter_record::Unit;
use seepmeter_record::human;
use serde::{Deserialize, Serialize};

use crate::conclusion::NoVerdict;
use crate::limit::{self, NoForecast};
use crate::part_group::sum_of;
use crate::run_series::{RunSeries, Scope};
use crate::verdict::Verdict;

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

impl Gate {
    /// Evaluates the gate on a verdict; `run` is what the verdict was made from.
    #[must_use]
    pub fn evaluate(&self, verdict: &Verdict, run: &RunSeries) -> GateOutcome {
        self.evaluate_on(&Judged { verdict, run, members: &[] })
    }

    /// As [`Gate::evaluate`]; what is judged may be a sum.
    pub(crate) fn evaluate_on(&self, judged: &Judged<'_>) -> GateOutcome {
        let Judged { verdict, run, .. } = *judged;
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
                    false => inconclusive(verdict, &verdict.judgement),
                };
                return GateOutcome { fired, decided, why, ..outcome };
            }
            Condition::Compare { subject, quantity, operator, value } => {
                (subject.as_deref(), *quantity, operator, *value)
            }
        };
        match judged.bounds_of(subject, quantity) {
            Ok(bounds) => {
                let why = bounds.in_words(quantity, verdict.unit);
                let fired = operator.is_true_of(bounds.low, bounds.high, value);
                // What was not followed holds more, and may grow.
                let decided = fired || subject.is_some() || !run.not_all_followed;
                let but = if decided { "" } else { ", and not all processes were followed" };
                GateOutcome { fired, decided, why: why + but, ..outcome }
            }
            Err(NoBounds::NoSuchPart(why)) => GateOutcome { checked: false, why, ..outcome },
            Err(NoBounds::Undecided(why)) => GateOutcome { decided: false, why, ..outcome },
            Err(NoBounds::Absent(why)) => GateOutcome { why: why.to_owned(), ..outcome },
        }
    }

    /// True if it fires for an epoch that has ended. That one was too short, or not clear for another reason, is no
    /// fault of the target, and nothing that a later one could mend.
    pub(crate) fn is_of_each_epoch(&self) -> bool {
        self.condition != Condition::Is(Classification::Inconclusive)
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

/// What a gate is evaluated on.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) verdict: &'a Verdict,
    /// What the verdict was made from.
    pub(crate) run: &'a RunSeries,
    /// Of a sum over processes, what is judged beside it: targets, descendants and roles.
    pub(crate) members: &'a [(&'a Verdict, &'a RunSeries)],
}

impl<'a> Judged<'a> {
    /// The bounds of a quantity of the whole, or of a subject.
    ///
    /// # Errors
    /// Why they are not known.
    fn bounds_of(&self, subject: Option<&str>, quantity: Quantity) -> Result<Bounds, NoBounds> {
        // A process or role has a verdict of its own, with the kernel's mark of its peak.
        match subject.and_then(|name| self.member(name)).filter(|_| quantity != Quantity::Share) {
            Some(member) => bounds_of(&member, None, quantity),
            None => bounds_of(self, subject, quantity),
        }
    }

    /// The role of a name, or else the only process of that name. A target that has no descendants is the whole, and
    /// has its name all the same: a gate must not depend on whether a program forks.
    fn member(&self, name: &str) -> Option<Judged<'a>> {
        let is_called =
            |(verdict, run): &(&Verdict, &RunSeries)| run.target == name || verdict.name() == name;
        let own = Some((self.verdict, self.run)).filter(|(_, run)| run.scope.is_process());
        let named: Vec<_> = self.members.iter().copied().chain(own).filter(is_called).collect();
        let role = named.iter().find(|(_, run)| run.scope == Scope::Role);
        let only = || if let [only] = &named[..] { Some(only) } else { None };
        let (verdict, run) = *role.or_else(only)?;
        Some(Judged { verdict, run, members: &[] })
    }

    /// The series of the parts of a name; none if there are none. A sum over processes has processes for parts: parts
    /// of these, such as their heaps, are added up.
    fn series_named(&self, name: &str) -> Option<Series> {
        let of_process = |(_, run): &&(&Verdict, &RunSeries)| run.scope.is_process();
        let of_members = || {
            let members = self.members.iter().filter(of_process);
            let named: Vec<_> = members.flat_map(|(_, run)| run.parts_named(name)).collect();
            (!named.is_empty()).then(|| sum_of(&named).into_owned())
        };
        let role_or_process = self.member(name).map(|member| member.run.whole.clone());
        role_or_process.or_else(|| self.run.series_named(name)).or_else(of_members)
    }
}

/// The bounds of a quantity of the whole, or of a part.
///
/// # Errors
/// Why they are not known.
fn bounds_of(
    judged: &Judged<'_>,
    subject: Option<&str>,
    quantity: Quantity,
) -> Result<Bounds, NoBounds> {
    if quantity == Quantity::PerUnit {
        let why = "there is no work to judge by; choose a counter: `seepmeter judge --per COUNTER`";
        return Err(NoBounds::NoSuchPart(why.to_owned()));
    }
    let Judged { verdict, run, .. } = *judged;
    let named = |name: &str| {
        judged.series_named(name).ok_or_else(|| NoBounds::NoSuchPart(no_such_part(run, name)))
    };
    let series = subject.map(named).transpose()?;
    let of_part = series.as_ref().map(|series| run.judge_series(series));
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
        return Err(NoBounds::Undecided(inconclusive(verdict, judgement)));
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
            let share = series.filter(|_| grows);
            let share = share.and_then(|series| run.share_of(&series, &verdict.judgement));
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
        (Scope::AllTargets, NoForecast::NoLimit) => {
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

fn inconclusive(verdict: &Verdict, judgement: &Judgement) -> String {
    format!("the verdict is inconclusive ({})", verdict.why_inconclusive(judgement))
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
