//! A verdict for people.

use seepmeter_analysis::{Interval, Reason, Word};
use seepmeter_record::{Unit, human};

use crate::limit::LimitForecast;
use crate::names::metric;
use crate::verdict::{MaskedGrowth, Verdict};

/// No more characters of a name than this stand in a line; JSON has all of it.
const LONGEST_NAME: usize = 60;

/// No shorter time than this, in ns, is worth waiting for.
const LEAST_WAIT: u64 = 1_000_000;

impl Verdict {
    /// The verdict in a few lines. The first begins with growing, steady or inconclusive.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let headline = match &self.masked {
            Some(masked) => self.masked_headline(masked),
            None => self.headline(),
        };
        let mut lines = vec![headline];
        lines.extend(self.masked.as_ref().and_then(|_| self.mask_line()));
        lines.extend(self.share_lines());
        lines.extend(self.limit.as_ref().map(limit_line));
        lines
    }

    /// The same, and a line for what each stage of the judging found.
    #[must_use]
    pub fn explained_lines(&self) -> Vec<String> {
        let mut lines = self.lines();
        let sum = self.summed_parts.map(|parts| {
            format!("{} is the sum of {}", self.metric, human::count(parts as u64, "part"))
        });
        let stages = sum.iter().chain(&self.judgement.explanation);
        lines.extend(stages.map(|found| format!("  - {found}")));
        lines
    }

    fn headline(&self) -> String {
        let Self { judgement, metric, unit, .. } = self;
        let word = judgement.word;
        let Some(rate) = judgement.rate.filter(|_| word != Word::Inconclusive) else {
            return format!("{word}  {metric}: {}", self.reason());
        };
        let after = judgement
            .warm_up_end
            .map_or(String::new(), |end| format!(", after {} of warm-up", human::duration(end)));
        let over = over(judgement.span);
        format!("{word}  {metric} {}{over}{after}", interval(rate, *unit))
    }

    /// Why it is inconclusive, and how long it takes to be more.
    fn reason(&self) -> String {
        let wait = self.judgement.watch_longer.filter(|ns| *ns >= LEAST_WAIT).map(human::duration);
        let Some(reason) = self.judgement.reason else { return "no reason is known".to_owned() };
        let why = in_words(reason);
        match (wait, reason) {
            (None, _) => why.to_owned(),
            (Some(wait), Reason::TooShort) => {
                let hint = self.hint.map_or(String::new(), |hint| {
                    let interval = human::duration(hint.interval).replace(' ', "");
                    format!(" (or `-i {interval}`: {})", human::duration(hint.takes))
                });
                format!("{why}: needs {wait} more{hint}")
            }
            (Some(wait), _) => format!("{why}; about {wait} more would show it"),
        }
    }

    /// A part that grows, and the whole that does not show it: two rates that must not be taken for
    /// each other.
    fn masked_headline(&self, masked: &MaskedGrowth) -> String {
        let Self { judgement, metric, unit, .. } = self;
        let rate = masked.rate.map_or(String::new(), |rate| format!(" {}", interval(rate, *unit)));
        format!(
            "{}  {}{rate}{}; masked: total {} does not show it",
            judgement.word,
            short(&masked.part.name),
            over(masked.span),
            title(metric),
        )
    }

    /// What masks the growth: the part that lost the most.
    fn mask_line(&self) -> Option<String> {
        let shares = self.shares.iter().flatten();
        let least = shares.min_by(|a, b| a.gain.total_cmp(&b.gain)).filter(|s| s.gain < 0.0)?;
        let lost = human::amount(-least.gain, self.unit);
        Some(format!("  masked by {}, which lost {lost} in that time", short(&least.part.name)))
    }
}

/// A reason as it is printed.
pub(crate) fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::TooShort => "not enough data yet",
        Reason::FewCycles => "too few cycles yet",
        Reason::StillWarmingUp => "it has not been settled for long enough after warm-up",
        Reason::Slowing => "it grows, but more and more slowly",
        Reason::MayBeSlowing => "it grows; whether the growth slows down is not clear yet",
        Reason::Steps => "it grew in a few steps, the most recent not long ago",
        Reason::Noise => "the noise is larger than any trend",
    }
}

/// A metric as it is written within a sentence.
fn title(name: &str) -> String {
    match name {
        metric::RSS | metric::PSS => name.to_uppercase(),
        _ => name.to_owned(),
    }
}

fn interval(rate: Interval, unit: Unit) -> String {
    human::rate_with_interval(rate.estimate, rate.low, rate.high, unit)
}

fn over(span: Option<(u64, u64)>) -> String {
    span.map_or(String::new(), |(from, to)| {
        format!(" over {}", human::duration(to.saturating_sub(from)))
    })
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

fn limit_line(forecast: &LimitForecast) -> String {
    let LimitForecast { kind, bytes, others: _, rate, time } = forecast;
    let limit = human::amount(*bytes as f64, Unit::Bytes);
    let when = human::duration(time.likely);
    match rate {
        Some(rate) => format!(
            "  the {kind} grows by {}, and its limit of {limit} is reached in {when}",
            interval(*rate, Unit::Bytes)
        ),
        None => format!("  at this rate the limit of {limit} ({kind}) is reached in {when}"),
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;

    use super::*;
    use crate::RunSeries;

    fn short_verdict(reason: Reason, watch_longer: Option<u64>) -> Verdict {
        let mut verdict = RunSeries::of_resident("a", Series::from_pairs([(0, 1)])).judge();
        verdict.judgement.reason = Some(reason);
        verdict.judgement.watch_longer = watch_longer;
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
    fn nobody_is_asked_to_wait_for_nothing_and_a_short_run_needs_at_least_so_much() {
        let lines = |reason, longer| short_verdict(reason, longer).lines().remove(0);
        let noise = "inconclusive  rss: the noise is larger than any trend";
        assert_eq!(lines(Reason::Noise, Some(0)), noise);
        assert_eq!(lines(Reason::Noise, None), noise);
        let five = Some(5_000_000_000);
        assert_eq!(lines(Reason::Noise, five), format!("{noise}; about 5 s more would show it"));
        let needs = "inconclusive  rss: not enough data yet: needs 5 s more";
        assert_eq!(lines(Reason::TooShort, five), needs);
    }
}
