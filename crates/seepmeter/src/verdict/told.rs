//! A verdict in words.

use seepmeter_analysis::words::{NumberFormat, amount, duration, rate_interval};
use seepmeter_analysis::{Classification, Interval, explain};

use super::{Hidden, Nearest, Verdict, format_of};

/// What others use of a limit is told from one part in so many on.
const LEAST_OF_LIMIT: u64 = 100;

/// No more characters of a name than this are told in words; JSON has all of it.
const LONGEST_NAME: usize = 60;

impl Verdict {
    /// The verdict in a few lines: the first begins with the word.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let unit = format_of(self.unit);
        let mut lines = match &self.hidden {
            Some(hidden) => vec![self.hidden_headline(hidden, unit)],
            None => vec![self.headline(unit)],
        };
        lines.extend(self.hidden.as_ref().and_then(|_| self.tell_hider(unit)));
        lines.extend(self.tell_shares());
        lines.extend(self.limit.as_ref().map(tell_limit));
        lines
    }

    /// The same, and what each stage of the judging found.
    #[must_use]
    pub fn told(&self, explain: bool) -> Vec<String> {
        let mut lines = self.lines();
        if explain {
            lines.extend(self.explanation().iter().map(|found| format!("  - {found}")));
        }
        lines
    }

    fn headline(&self, unit: NumberFormat) -> String {
        let judgement = &self.judgement;
        let over = judgement.span.map_or(String::new(), |span| {
            let after = judgement
                .warm_up_end
                .map_or(String::new(), |end| format!(", after {} of warm-up", duration(end)));
            format!(" over {}{after}", duration(span.length()))
        });
        let metric = &self.metric;
        match (judgement.classification, judgement.rate) {
            (Classification::Inconclusive, _) | (_, None) => {
                let why = judgement.reason.map_or("it can't be told", explain::reason);
                let longer = explain::needs_more(&judgement.decision());
                format!("{}  {metric}: {why}{longer}", judgement.classification)
            }
            (word, Some(rate)) => format!("{word}  {metric} {}{over}", rate_interval(rate, unit)),
        }
    }

    /// A part that grows, and the whole that does not show it: two rates that must not be taken for
    /// each other.
    fn hidden_headline(&self, hidden: &Hidden, unit: NumberFormat) -> String {
        let Self { judgement, metric, .. } = self;
        let rate = |rate: Option<Interval>| rate.map_or(String::new(), |r| rate_interval(r, unit));
        let over =
            hidden.span.map_or(String::new(), |span| format!(" over {}", duration(span.length())));
        let whole = match hidden.alone {
            Classification::Steady => format!("which stands still ({})", rate(judgement.rate)),
            Classification::Growing | Classification::Inconclusive => {
                "whose own rate can't be told".to_owned()
            }
        };
        let name = short(&hidden.name);
        format!(
            "{}  {name} {}{over}, hidden in {metric}, {whole}",
            judgement.classification,
            rate(hidden.rate)
        )
    }

    /// What the growth is hidden behind: the part that lost the most.
    fn tell_hider(&self, unit: NumberFormat) -> Option<String> {
        let shares = self.attribution.iter().flat_map(|attribution| &attribution.shares);
        let least = shares.min_by(|a, b| a.gain.total_cmp(&b.gain)).filter(|s| s.gain < 0.0)?;
        let lost = amount(-least.gain, unit);
        Some(format!("  hidden behind {}, which lost {lost} meanwhile", short(&least.id.name)))
    }
}

/// A name that fits into a line: a long path is told by its beginning and its end.
pub(crate) fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return name.to_owned();
    }
    let begin: String = name.chars().take(LONGEST_NAME / 3).collect();
    let end: String = name.chars().skip(length - (LONGEST_NAME - LONGEST_NAME / 3 - 1)).collect();
    format!("{begin}…{end}")
}

fn tell_limit(nearest: &Nearest) -> String {
    let Nearest { name, bytes, others, rate, time } = nearest;
    let limit = amount(*bytes as f64, NumberFormat::Bytes);
    let when = duration(time.likely);
    if let Some(rate) = rate {
        let rate = rate_interval(*rate, NumberFormat::Bytes);
        return format!(
            "  the {name} grows by {rate}, and its limit of {limit} is reached in {when}"
        );
    }
    let others = others.filter(|others| *others >= bytes / LEAST_OF_LIMIT).map(|others| {
        format!(
            ", of which others used {} at the start,",
            amount(others as f64, NumberFormat::Bytes)
        )
    });
    let others = others.unwrap_or_default();
    format!("  at this rate the limit of {limit} ({name}){others} is reached in {when}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_told_by_its_beginning_and_its_end() {
        assert_eq!(short("heap"), "heap");
        let path = format!("/opt/{}/libé.so r-xp", "deep/".repeat(40));
        let told = short(&path);
        assert_eq!(told.chars().count(), LONGEST_NAME);
        assert!(told.starts_with("/opt/deep/") && told.ends_with("/libé.so r-xp"), "{told}");
    }
}
