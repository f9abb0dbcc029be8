//! A verdict for people.

use std::fmt;

use seepmeter_analysis::{Classification, Interval, Judgement, Override, Reason, Span};
use seepmeter_record::conventions::metric;
use seepmeter_record::{SubjectKind, Unit, human};

use crate::epoch::Epoch;
use crate::explanation::explanation;
use crate::limit::LimitForecast;
use crate::part::Part;
use crate::run_series::Scope;
use crate::verdict::{MaskedGrowth, StalePart, Verdict};

/// No more characters of a name than this stand in a line; JSON has all of it.
const LONGEST_NAME: usize = 60;

/// No shorter time than this, in ns, is worth waiting for.
const LEAST_WAIT: u64 = 1_000_000;

/// No more parts than this are named that were not sampled up to the end.
const MOST_STALE: usize = 3;

/// How a verdict is shown to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// A line for what each stage of the judging found.
    pub explain: bool,
    /// The target is named: there are several.
    pub name_target: bool,
}

/// An answer for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerText {
    /// The answer in one word: `growing`, `worse`, `leaks`.
    pub word: &'static str,
    /// What stands behind the word in the first line.
    pub figures: String,
    /// Further lines, which are indented.
    pub details: Vec<String>,
}

impl AnswerText {
    /// The lines, the first of them with this gap behind its word.
    #[must_use]
    pub fn lines(self, gap: &str) -> Vec<String> {
        let first = format!("{}{gap}{}", self.word, self.figures);
        std::iter::once(first).chain(self.details).collect()
    }
}

/// A line for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictLine {
    /// The line.
    pub text: String,
    /// Of the first line of a verdict: what it was judged to be, which is the word that the line begins with.
    pub verdict: Option<Classification>,
}

impl From<String> for VerdictLine {
    fn from(text: String) -> Self {
        Self { text, verdict: None }
    }
}

impl Verdict {
    /// Why a judgement is inconclusive, of the whole or a part of it, and how much longer a watch would help.
    pub(crate) fn why_inconclusive(&self, judgement: &Judgement) -> String {
        let answer = Answer { epoch: self.epoch.as_ref(), ..Answer::of(judgement, self.unit) };
        let (reason, wait) = answer.reason_and_wait();
        reason + &wait
    }

    /// True of an epoch that ended before there was enough data.
    pub(crate) fn ended_too_soon(&self) -> bool {
        let has_ended = self.epoch.as_ref().is_some_and(|epoch| epoch.end.is_some());
        has_ended && self.judgement.reason == Some(Reason::TooShort)
    }

    /// As [`Verdict::lines`], with what each line is.
    #[must_use]
    pub fn verdict_lines(&self, options: LineOptions) -> Vec<VerdictLine> {
        let lines = self.lines(options).into_iter().enumerate();
        let verdict = |place| (place == 0).then_some(self.judgement.classification);
        lines.map(|(place, text)| VerdictLine { text, verdict: verdict(place) }).collect()
    }

    /// The verdict in a few lines.
    #[must_use]
    pub fn lines(&self, options: LineOptions) -> Vec<String> {
        self.text(options).lines("  ")
    }

    /// The verdict for people. The last line of a growing one may be what to do next.
    #[must_use]
    pub fn text(&self, options: LineOptions) -> AnswerText {
        let of = match options.name_target || self.epoch.is_some() {
            true => self.of_target(),
            false => String::new(),
        };
        let figures = match &self.masked {
            Some(masked) => self.masked_headline(masked, &of),
            None => self.headline(&of),
        };
        let mut lines = Vec::new();
        lines.extend(self.masked.as_ref().and_then(|_| self.mask_line()));
        lines.extend(self.share_lines());
        lines.extend(self.cause_line());
        lines.extend(stale_line(&self.stale));
        // That a target which has ended would reach a limit is of no use.
        let has_ended = self.epoch.as_ref().is_some_and(|epoch| epoch.end.is_some());
        lines.extend(self.limit.as_ref().filter(|_| !has_ended).map(limit_line));
        lines.extend(self.next_step.map(|step| format!("  next: {}", step.in_words())));
        if options.explain {
            lines.extend(self.explanation().iter().map(|found| format!("  - {found}")));
        }
        AnswerText { word: self.judgement.classification.as_str(), figures, details: lines }
    }

    /// A line for what each stage of the judging found.
    fn explanation(&self) -> Vec<String> {
        let sum = self.summed_parts.map(|parts| {
            format!("{} is the sum of {}", self.metric, human::count(parts as u64, "part"))
        });
        sum.into_iter().chain(explanation(&self.judgement, self.unit)).collect()
    }

    /// ` of worker (pid 12)`, ` of 2 targets`, ` of nginx (pid 1234) in epoch 1`.
    fn of_target(&self) -> String {
        let epoch = self.epoch.as_ref().map(|epoch| format!(" in epoch {}", epoch.number));
        format!(" of {}{}", self.name(), epoch.unwrap_or_default())
    }

    /// What it is on, for people: `worker (pid 12)`, `2 targets`; in a tree `worker (3 processes)` and `5 processes`.
    #[must_use]
    pub fn name(&self) -> String {
        let count = self.processes.map(|count| human::count(count, "process"));
        match (self.scope, count) {
            (Scope::Role, Some(count)) => return format!("{} ({count})", short(&self.target)),
            (_, Some(count)) => return count,
            (_, None) => {}
        }
        match self.pid.filter(|_| self.scope.is_process()) {
            Some(pid) => format!("{} (pid {pid})", short(&self.target)),
            None => short(&self.target),
        }
    }

    fn headline(&self, of: &str) -> String {
        let answer =
            Answer { epoch: self.epoch.as_ref(), ..Answer::of(&self.judgement, self.unit) };
        let hint = self.hint.filter(|_| !answer.has_ended()).map_or(String::new(), |hint| {
            let interval = human::duration(hint.interval).replace(' ', "");
            format!(" (or `-i {interval}`: {})", human::duration(hint.takes))
        });
        format!("{}{of}{}{}{hint}", self.judged(), self.sum_words(), answer.figures())
    }

    /// What was judged: `rss`, or `rss + swap` if something was swapped out.
    fn judged(&self) -> String {
        let swap = if self.plus_swap { " + swap" } else { "" };
        format!("{}{swap}", self.metric)
    }

    /// Of a sum over processes, how pages count that several of them share.
    fn sum_words(&self) -> &'static str {
        if self.shared_once { " (shared pages once)" } else { "" }
    }

    /// Why the growth may be harmless, unless that stands behind one of the shares.
    fn cause_line(&self) -> Option<String> {
        let cause = self.cause?;
        let is_shown = self.shares.iter().flatten().any(|growth| growth.cause == Some(cause));
        (!is_shown).then(|| format!("  {}", cause.in_words()))
    }

    /// A part that grows, and the whole that does not show it: two rates that must not be taken for
    /// each other.
    fn masked_headline(&self, masked: &MaskedGrowth, of: &str) -> String {
        let rate =
            masked.rate.map_or(String::new(), |rate| format!(" {}", interval(rate, self.unit)));
        format!(
            "{}{of}{rate}{}; masked: total {} does not show it",
            masked.part.short_name(),
            over(masked.span),
            title(&self.metric),
        )
    }

    /// What masks the growth: the part that lost the most.
    fn mask_line(&self) -> Option<String> {
        let shares = self.shares.iter().flatten();
        let least = shares.min_by(|a, b| a.gain.total_cmp(&b.gain)).filter(|s| s.gain < 0.0)?;
        let lost = human::amount(-least.gain, self.unit);
        Some(format!("  masked by {}, which lost {lost} in that time", least.part.short_name()))
    }
}

/// An answer in one line: the rate, or the reason and how long it takes to be more.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    judgement: &'a Judgement,
    unit: Unit,
    /// What it is on, if that is not the whole run.
    epoch: Option<&'a Epoch>,
}

impl<'a> Answer<'a> {
    pub(crate) fn of(judgement: &'a Judgement, unit: Unit) -> Self {
        Self { judgement, unit, epoch: None }
    }

    /// No longer run would change it.
    fn has_ended(&self) -> bool {
        self.epoch.is_some_and(|epoch| epoch.end.is_some())
    }

    /// Why it is inconclusive, and how much longer a watch would help. None would of an epoch that has ended.
    fn reason_and_wait(&self) -> (String, String) {
        let short = self.judgement.reason == Some(Reason::TooShort);
        match self.has_ended() {
            true if short => ("it ended before there was enough data".to_owned(), String::new()),
            true => (reason(self.judgement), String::new()),
            false => (reason(self.judgement), wait(self.judgement)),
        }
    }

    /// What stands behind the word.
    fn figures(&self) -> String {
        let Judgement { classification, rate, span, warm_up_end, .. } = self.judgement;
        if let (Some(rate), true) = (rate, *classification != Classification::Inconclusive) {
            let begin = self.epoch.map_or(0, |epoch| epoch.begin);
            let after = warm_up_end.map_or(String::new(), |end| {
                format!(", after {} of warm-up", human::duration(end.saturating_sub(begin)))
            });
            return format!(" {}{}{after}", interval(*rate, self.unit), over(*span));
        }
        let short = self.judgement.reason == Some(Reason::TooShort);
        let (reason, wait) = self.reason_and_wait();
        let so_far = self.judgement.evidence.rate_so_far();
        // The wait that is named may be that of a part, and then so is the answer.
        let so_far = so_far.filter(|_| short && self.judgement.overruled.is_none());
        let so_far = so_far.map_or(String::new(), |so_far| {
            let rate = human::rate(so_far.rate, self.unit);
            let span = human::duration(so_far.span.length());
            format!(": {rate} over {span}{}", if self.has_ended() { "" } else { " so far" })
        });
        format!(": {reason}{so_far}{wait}")
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.judgement.classification, self.figures())
    }
}

/// How much longer a watch an inconclusive judgement takes, as it is printed behind the reason: a short one needs
/// so much, and a doubt may go then.
fn wait(judgement: &Judgement) -> String {
    let wait = judgement.needs_more.filter(|ns| *ns >= LEAST_WAIT).map(human::duration);
    match wait {
        None => String::new(),
        Some(wait) if judgement.reason == Some(Reason::TooShort) => format!("; needs {wait} more"),
        Some(wait) => format!("; about {wait} more would show it"),
    }
}

/// Why a judgement is inconclusive, as it is printed.
pub(crate) fn reason(judgement: &Judgement) -> String {
    let why = match judgement.reason {
        None => "no reason is known",
        Some(Reason::TooShort) => "not enough data yet",
        Some(Reason::FewCycles) => "too few cycles yet",
        Some(Reason::StillWarmingUp) => "it has not been settled for long enough after warm-up",
        Some(Reason::Slowing) => "it grows, but more and more slowly",
        Some(Reason::MayBeSlowing) => "it grows; whether the growth slows down is not clear yet",
        Some(Reason::Noise) => "the noise is larger than any trend",
        Some(Reason::NotAllSeen) => {
            "not all of its processes could be followed, and what the others hold is not known"
        }
        Some(Reason::Steps) => {
            let few = "it grew in a few steps".to_owned();
            let ago = |ago| format!("{few}, the most recent {} ago", human::duration(ago));
            return since_last_step(judgement).map_or(few.clone(), ago);
        }
    };
    why.to_owned()
}

/// How long before the end the last one-off step was, in ns: of the series itself, or of the parts that decided
/// in its place.
fn since_last_step(judgement: &Judgement) -> Option<u64> {
    let own = |judgement: &Judgement| {
        let evidence = &judgement.evidence;
        let last = evidence.tests.as_ref()?.steps.last()?;
        Some(evidence.span_from(last.at).length())
    };
    match judgement.overruled.as_deref() {
        None => own(judgement),
        Some(Override::SteppedParts { carriers, .. }) => {
            carriers.iter().filter_map(|carrier| own(&carrier.judgement)).min()
        }
        Some(Override::MaskedGrowth { part, .. } | Override::RisingPart { part, .. }) => own(part),
    }
}

/// A metric as it is written within a sentence.
fn title(name: &str) -> String {
    if metric::is_resident(name) { name.to_uppercase() } else { name.to_owned() }
}

pub(crate) fn interval(rate: Interval, unit: Unit) -> String {
    human::rate_with_interval(rate.estimate, rate.low, rate.high, unit)
}

fn over(span: Option<Span>) -> String {
    span.map_or(String::new(), |span| format!(" over {}", human::duration(span.length())))
}

/// A name that fits into a line: of a long path the beginning and the end.
pub(crate) fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return name.to_owned();
    }
    let begin: String = name.chars().take(LONGEST_NAME / 3).collect();
    let end: String = name.chars().skip(length - (LONGEST_NAME - LONGEST_NAME / 3 - 1)).collect();
    format!("{begin}…{end}")
}

impl Part {
    /// Its name as it fits into a line: of a stack, whose text begins with the outermost function, the end.
    pub(crate) fn short_name(&self) -> String {
        let (name, length) = (&self.name, self.name.chars().count());
        if self.kind != SubjectKind::Stack || length <= LONGEST_NAME {
            return short(name);
        }
        let inner: String = name.chars().skip(length - (LONGEST_NAME - 1)).collect();
        // Whole functions, however long one alone is.
        match inner.split_once(';') {
            Some((_, whole)) if !whole.is_empty() => format!("…;{whole}"),
            _ => name.rsplit(';').next().unwrap_or(name).to_owned(),
        }
    }
}

/// Which parts were not sampled up to the end, the largest by name.
fn stale_line(stale: &[StalePart]) -> Option<String> {
    let shortest = stale.iter().map(|part| part.unknown_for).min()?;
    let names: Vec<String> = stale.iter().map(|part| part.part.short_name()).collect();
    let (named, others) = names.split_at(names.len().min(MOST_STALE));
    let names = match others.len() as u64 {
        0 => named.join(", "),
        more => format!("{} and {}", named.join(", "), human::count(more, "other")),
    };
    Some(format!("  {names}: not sampled during the last {}", human::duration(shortest)))
}

fn limit_line(forecast: &LimitForecast) -> String {
    let LimitForecast { kind, amount, others: _, rate, time } = forecast;
    let limit = human::amount(*amount as f64, kind.unit());
    let when = human::duration(time.likely);
    match rate {
        Some(rate) => format!(
            "  {} grows by {}, and its limit of {limit} ({kind}) is reached in {when}",
            kind.subject(),
            interval(*rate, kind.unit())
        ),
        None => format!("  at this rate the limit of {limit} ({kind}) is reached in {when}"),
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;

    use super::*;
    use crate::RunSeries;

    fn short_verdict(reason: Reason, needs_more: Option<u64>) -> Verdict {
        let mut verdict = RunSeries::of_resident("a", Series::from_pairs([(0, 1)])).judge();
        verdict.judgement.reason = Some(reason);
        verdict.judgement.needs_more = needs_more;
        verdict
    }

    #[test]
    fn a_long_name_is_shown_by_its_beginning_and_its_end() {
        assert_eq!(short("heap"), "heap");
        let path = format!("/opt/{}/libé.so r-xp", "deep/".repeat(40));
        let shown = short(&path);
        assert_eq!(shown.chars().count(), LONGEST_NAME);
        assert!(shown.starts_with("/opt/deep/") && shown.ends_with("/libé.so r-xp"), "{shown}");
    }

    #[test]
    fn of_a_long_stack_the_innermost_functions_are_shown_and_each_whole() {
        let stack = |name: String| {
            let (family, kind) = (name.clone(), SubjectKind::Stack);
            Part { family, name, kind, class: None }.short_name()
        };
        let outer = "__libc_start_main_impl;".repeat(9);
        let shown = stack(format!("{outer}main;on_timer;append_row;mmap64"));
        assert!(shown.starts_with("…;"), "{shown}");
        assert!(shown.ends_with(";main;on_timer;append_row;mmap64"), "{shown}");
        assert!(shown.chars().count() <= LONGEST_NAME + 2);
        let long = "a_function_of_a_template".repeat(4);
        assert_eq!(stack(format!("main;{long}")), long);
        assert_eq!(stack("main;work".to_owned()), "main;work");
    }

    #[test]
    fn nobody_is_asked_to_wait_for_nothing_and_a_short_run_needs_at_least_so_much() {
        let lines =
            |reason, longer| short_verdict(reason, longer).lines(LineOptions::default()).remove(0);
        let noise = "inconclusive  rss: the noise is larger than any trend";
        assert_eq!(lines(Reason::Noise, Some(0)), noise);
        assert_eq!(lines(Reason::Noise, None), noise);
        let five = Some(5_000_000_000);
        assert_eq!(lines(Reason::Noise, five), format!("{noise}; about 5 s more would show it"));
        let needs = "inconclusive  rss: not enough data yet; needs 5 s more";
        assert_eq!(lines(Reason::TooShort, five), needs);
    }

    #[test]
    fn what_is_known_so_far_is_said_of_a_run_that_is_too_short() {
        let leak = (0..=200).map(|i| (i * 100_000_000, 1_000_000 + 100 * 1024 * i as i64));
        let verdict = RunSeries::of_resident("a", Series::from_pairs(leak)).judge();
        let line = "inconclusive  rss: not enough data yet: +1000 KiB/s over 20 s so far; needs 1 m 10 s more";
        assert_eq!(verdict.lines(LineOptions::default())[0], line);
    }
}
