//! A gate as a user writes it: see the [grammar](super).

use std::str::FromStr;

use seepmeter_analysis::Classification;
use seepmeter_record::human::{parse_duration, parse_size};

use super::{Condition, Gate, GateError, Operator, Quantity};

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
