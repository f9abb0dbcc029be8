//! Gates: what must not be, in a little language.
//!
//! ```text
//! gate     = word | term operator value
//! word     = "growing" | "steady" | "inconclusive"
//! term     = [ "subject(" NAME ")." ] ( "rate" | "level" | "peak" | "share" | "time-to-limit" )
//! operator = ">" | ">=" | "<" | "<="
//! value    = a size a time (rate: 1MiB/min, 0), a size (level, peak: 512MiB),
//!            a percentage (share: 50%), or a duration (time-to-limit: 2h)
//! ```
//!
//! A gate on a rate asks for the whole confidence interval; all other figures are exact. None fires
//! where the verdict is inconclusive: what is not known is no reason to fail. `peak` is what was seen,
//! and so always known, and so is a `time-to-limit` where there is one.

use std::fmt;
use std::str::FromStr;

use seepmeter_analysis::words::{NumberFormat, amount, duration};
use seepmeter_analysis::{Classification, Judgement, Share, explain};
use seepmeter_plugin::{parse_duration, parse_size};

use super::{Part, Verdict, format_of, short};

/// No more names than this are told where one is wrong.
const MOST_NAMES: usize = 20;

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    text: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Word(Classification),
    Compare { subject: Option<String>, quantity: Quantity, operator: Operator, value: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Rate,
    Level,
    Peak,
    Share,
    TimeToLimit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Over,
    AtLeast,
    Under,
    AtMost,
}

/// What a gate said to a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The gate as it was written.
    pub gate: String,
    /// Which metric it was held against.
    pub metric: String,
    /// True where what must not be is.
    pub fired: bool,
    /// The figure that decided, in words.
    pub why: String,
    /// True where there is nothing of the name that the gate gives, or no verdict at all.
    pub unknown: bool,
}

/// What is wrong with a gate, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadGate {
    text: String,
    /// Where in the text, in bytes.
    at: usize,
    what: String,
}

impl fmt::Display for BadGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, at, what } = self;
        let indent = text[..*at].chars().count();
        write!(f, "{what}\n  {text}\n  {:indent$}^", "")
    }
}

impl std::error::Error for BadGate {}

impl FromStr for Gate {
    type Err = BadGate;

    fn from_str(text: &str) -> Result<Self, BadGate> {
        let mut reader = Reader { text, at: 0 };
        let condition = reader.condition()?;
        Ok(Self { text: text.trim().to_owned(), condition })
    }
}

/// Reads a gate from left to right, and knows where it is.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn bad<T>(&self, at: usize, what: impl Into<String>) -> Result<T, BadGate> {
        Err(BadGate { text: self.text.to_owned(), at, what: what.into() })
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

    fn condition(&mut self) -> Result<Condition, BadGate> {
        self.skip_blanks();
        let begin = self.at;
        let mut word = self.word();
        let subject = if word == "subject" {
            let name = self.subject_name()?;
            let begin = self.at;
            word = self.word();
            if word.is_empty() {
                return self
                    .bad(begin, "behind the subject comes a quantity: rate, level, peak or share");
            }
            Some(name)
        } else {
            None
        };
        let at = self.at - word.len();
        if subject.is_none() {
            for known in
                [Classification::Growing, Classification::Steady, Classification::Inconclusive]
            {
                if word == known.as_str() {
                    self.end()?;
                    return Ok(Condition::Word(known));
                }
            }
        }
        let quantity = match word {
            "rate" => Quantity::Rate,
            "level" => Quantity::Level,
            "peak" => Quantity::Peak,
            "share" if subject.is_some() => Quantity::Share,
            "share" => return self.bad(begin, "a share is a subject's: subject(NAME).share>50%"),
            "time-to-limit" if subject.is_none() => Quantity::TimeToLimit,
            _ if subject.is_some() => {
                return self.bad(at, "here a subject's gate has one of: rate, level, peak, share");
            }
            _ => {
                return self.bad(
                    at,
                    "here a gate has one of: growing, steady, inconclusive, rate, level, peak, time-to-limit, subject(NAME)",
                );
            }
        };
        let operator = self.operator()?;
        let value = self.value(quantity)?;
        Ok(Condition::Compare { subject, quantity, operator, value })
    }

    /// `(NAME).`, where the name may have balanced parentheses in it.
    fn subject_name(&mut self) -> Result<String, BadGate> {
        let Some(inner) = self.rest().strip_prefix('(') else {
            return self
                .bad(self.at, "behind `subject` comes a name in parentheses: subject(heap)");
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
            return self.bad(self.at + 1, "here comes a subject's name: subject(heap).rate>0");
        }
        self.at += close + 2;
        if !self.rest().starts_with('.') {
            return self.bad(self.at, "here comes a dot and a quantity: subject(heap).rate>0");
        }
        self.at += 1;
        Ok(inner[..close].to_owned())
    }

    fn operator(&mut self) -> Result<Operator, BadGate> {
        self.skip_blanks();
        for (sign, operator) in [
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            (">", Operator::Over),
            ("<", Operator::Under),
        ] {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return Ok(operator);
            }
        }
        self.bad(self.at, "here comes one of > >= < <=")
    }

    fn value(&mut self, quantity: Quantity) -> Result<f64, BadGate> {
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
            };
            return self.bad(at, format!("here comes a value, such as {example}"));
        }
        let read = match quantity {
            Quantity::Rate => rate(text),
            Quantity::Level | Quantity::Peak => parse_size(text).map(|size| size.0 as f64),
            Quantity::Share => percentage(text),
            Quantity::TimeToLimit => parse_duration(text).map(|time| time.as_secs_f64()),
        };
        read.or_else(|what| self.bad(at, what))
    }

    fn end(&mut self) -> Result<(), BadGate> {
        self.skip_blanks();
        if self.rest().is_empty() { Ok(()) } else { self.bad(self.at, "nothing can stand here") }
    }
}

/// Bytes a second: `1MiB/min`, `-4KiB/s`, `0`.
fn rate(text: &str) -> Result<f64, String> {
    if text == "0" {
        return Ok(0.0);
    }
    let wanted = "a rate is a size a time: 1MiB/min, 4KiB/s, 100MB/h, or 0";
    let (size, time) =
        text.split_once('/').ok_or_else(|| format!("`{text}` is no rate; {wanted}"))?;
    let seconds = match time.trim() {
        "s" | "sec" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        other => return Err(format!("`{other}` is none of s, min, h, d; {wanted}")),
    };
    let (sign, size) = size.trim().strip_prefix('-').map_or((1.0, size), |size| (-1.0, size));
    Ok(sign * parse_size(size)?.0 as f64 / seconds)
}

fn percentage(text: &str) -> Result<f64, String> {
    let number =
        text.strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    let number = number.filter(|percent| percent.is_finite());
    number.map(|percent| percent / 100.0).ok_or_else(|| format!("`{text}` is no percentage: 50%"))
}

impl Gate {
    /// Holds the gate against a verdict.
    #[must_use]
    pub fn check(&self, verdict: &Verdict) -> Outcome {
        let mut unknown = false;
        let (fired, why) = match &self.condition {
            Condition::Word(word) => {
                let is = verdict.judgement.classification;
                (is == *word, format!("the verdict is {is}"))
            }
            Condition::Compare { subject, quantity, operator, value } => {
                match figure(verdict, subject.as_deref(), *quantity) {
                    Ok(figure) => {
                        let told = figure.told(*quantity, format_of(verdict.unit));
                        (operator.holds(figure, *value), told)
                    }
                    Err(why) => {
                        unknown =
                            subject.as_ref().is_some_and(|name| verdict.named(name).is_empty());
                        (false, why)
                    }
                }
            }
        };
        Outcome { gate: self.text.clone(), metric: verdict.metric.clone(), fired, why, unknown }
    }

    /// What is said where there is no verdict, and why there is none.
    #[must_use]
    pub fn unchecked(&self, metric: &str, lack: &str) -> Outcome {
        let (gate, metric, why) = (self.text.clone(), metric.to_owned(), lack.to_owned());
        Outcome { gate, metric, fired: false, why, unknown: true }
    }
}

/// What is known of a quantity: the ends of its interval.
#[derive(Clone, Copy)]
struct Figure {
    low: f64,
    high: f64,
}

impl Figure {
    fn told(self, quantity: Quantity, unit: NumberFormat) -> String {
        let tell = |value: f64| match quantity {
            Quantity::Rate => format!("{}/min", amount(value * 60.0, unit)),
            Quantity::Level | Quantity::Peak => amount(value, unit),
            Quantity::Share => format!("{:.0} %", value * 100.0),
            Quantity::TimeToLimit => duration((value * 1e9) as u64),
        };
        if self.low == self.high {
            format!("it is {}", tell(self.low))
        } else {
            format!("it is between {} and {}", tell(self.low), tell(self.high))
        }
    }
}

impl Operator {
    /// True where the whole interval is on the far side of the value.
    fn holds(self, figure: Figure, value: f64) -> bool {
        match self {
            Self::Over => figure.low > value,
            Self::AtLeast => figure.low >= value,
            Self::Under => figure.high < value,
            Self::AtMost => figure.high <= value,
        }
    }
}

fn figure(verdict: &Verdict, subject: Option<&str>, quantity: Quantity) -> Result<Figure, String> {
    let exactly = |value: f64| Figure { low: value, high: value };
    let judgement = match subject {
        None => verdict.judgement.clone(),
        Some(name) => part(verdict, name)?,
    };
    if let (Quantity::Peak, Some(peak)) = (quantity, judgement.peak) {
        return Ok(exactly(peak as f64));
    }
    // It is known where there is one, be it of the address space beside a metric that stands still.
    if let (Quantity::TimeToLimit, Some(limit)) = (quantity, &verdict.limit) {
        return Ok(exactly(limit.time.likely as f64 / 1e9));
    }
    if let (None, Some(hidden)) = (subject, &verdict.hidden)
        && hidden.alone == Classification::Inconclusive
    {
        return Err(format!("only {} was judged, and nothing is known of the whole", hidden.name));
    }
    if judgement.classification == Classification::Inconclusive {
        let why = judgement.reason.map_or("", explain::reason);
        return Err(format!("the verdict is inconclusive ({why}), so nothing is known of it"));
    }
    match quantity {
        Quantity::Rate => {
            let rate = judgement.rate.ok_or("there is no rate")?;
            Ok(Figure { low: rate.low, high: rate.high })
        }
        Quantity::Level => {
            judgement.level.map(exactly).ok_or_else(|| "there is no level".to_owned())
        }
        Quantity::Share => {
            let parts = subject.map(|name| verdict.named(name)).unwrap_or_default();
            let is_one = |share: &&Share<Part>| parts.iter().any(|(part, _)| *part == share.id);
            let shares = verdict.attribution.iter().flat_map(|attribution| &attribution.shares);
            let shares: Option<Vec<f64>> = shares.filter(is_one).map(|s| s.share).collect();
            let share = shares.filter(|shares| !shares.is_empty()).map(|s| s.iter().sum());
            share.map(exactly).ok_or_else(|| "nothing grows that could be shared".to_owned())
        }
        Quantity::TimeToLimit => Err("no limit will be reached".to_owned()),
        Quantity::Peak => Err("nothing was sampled".to_owned()),
    }
}

fn part(verdict: &Verdict, name: &str) -> Result<Judgement, String> {
    verdict.part(name).ok_or_else(|| {
        if verdict.parts.is_empty() {
            format!("no parts were sampled, so there is no `{name}`; a sampler of mappings is `--sampler smaps`")
        } else {
            let mut parts: Vec<_> = verdict.parts.iter().collect();
            parts.sort_by_key(|(_, series)| std::cmp::Reverse(series.peak()));
            let names = parts.iter().take(MOST_NAMES).map(|(part, _)| short(&part.name));
            let names: Vec<String> = names.collect();
            let more = if parts.len() > MOST_NAMES { ", …" } else { "" };
            format!(
                "there was no subject `{name}`; there were, the largest first: {}{more}",
                names.join(", ")
            )
        }
    })
}

#[cfg(test)]
mod tests;
