//! Gates on memory for each unit of work.
//!
//! ```text
//! gate     = "growing" | "constant" | "inconclusive" | "per-unit" operator size
//! operator = ">" | ">=" | "<" | "<="
//! ```
//!
//! A gate on `per-unit` asks for the whole confidence interval, and fires on an answer only.

use std::str::FromStr;

use seepmeter_analysis::{ScalingAnswer, ScalingReason};
use seepmeter_record::Unit;
use seepmeter_record::human::{self, parse_size};

use crate::gate::{GateOutcome, Operator};
use crate::scale::ScaleReport;

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleGate {
    text: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Is(ScalingAnswer),
    PerUnit { operator: Operator, bytes: f64 },
}

impl FromStr for ScaleGate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let condition = match text {
            "growing" => Condition::Is(ScalingAnswer::Leaks),
            "constant" => Condition::Is(ScalingAnswer::Constant),
            "inconclusive" => Condition::Is(ScalingAnswer::Inconclusive),
            _ => {
                let wrong = "a gate is one of: growing, constant, inconclusive, or per-unit with an operator and a size, such as 'per-unit>16B'";
                let rest = text.strip_prefix("per-unit").ok_or(wrong)?.trim_start();
                let (operator, size) = Operator::split(rest).ok_or(wrong)?;
                Condition::PerUnit { operator, bytes: parse_size(size)?.0 as f64 }
            }
        };
        Ok(Self { text: text.to_owned(), condition })
    }
}

impl ScaleGate {
    /// What the gate finds.
    #[must_use]
    pub fn evaluate(&self, report: &ScaleReport) -> GateOutcome {
        let answer = report.scaling.answer;
        let outcome = |fired, checked, why| GateOutcome {
            gate: self.text.clone(),
            metric: "memory".to_owned(),
            fired,
            checked,
            decided: fired || answer != ScalingAnswer::Inconclusive,
            why,
        };
        let (operator, bytes) = match self.condition {
            Condition::Is(asked) => {
                let is = match (answer, report.scaling.reason) {
                    (ScalingAnswer::Leaks, ScalingReason::FasterThanLinear) => {
                        "memory grows faster than n"
                    }
                    (ScalingAnswer::Leaks, _) => "each unit of work leaves memory behind",
                    (ScalingAnswer::Constant, _) => "it is constant",
                    (ScalingAnswer::Inconclusive, _) => "it is inconclusive",
                };
                return outcome(asked == answer, true, is.to_owned());
            }
            Condition::PerUnit { operator, bytes } => (operator, bytes),
        };
        match (answer, report.scaling.per_unit) {
            (ScalingAnswer::Inconclusive, _) | (_, None) => {
                outcome(false, true, "it is inconclusive, so this is not known".to_owned())
            }
            (_, Some(rate)) => {
                let amount = |bytes| human::amount(bytes, Unit::Bytes);
                let why = format!("it is between {} and {}", amount(rate.low), amount(rate.high));
                outcome(operator.is_true_of(rate.low, rate.high, bytes), true, why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scale::ScaleRun;

    fn report(rate: u64) -> ScaleReport {
        let amounts = [1_000, 2_000, 4_000];
        let run = |round, amount| ScaleRun {
            amount,
            round,
            seconds: 1.0,
            memory: (4 << 20) + rate * amount,
            exact: true,
            peak_rss: None,
            classes: BTreeMap::new(),
            frees_at_exit: false,
            processes: 1,
        };
        let runs: Vec<ScaleRun> =
            (0..5).flat_map(|round| amounts.map(|amount| run(round, amount))).collect();
        ScaleReport::of(&runs, &amounts, 16.0)
    }

    fn fires(gate: &str, report: &ScaleReport) -> (bool, bool) {
        let outcome = gate.parse::<ScaleGate>().unwrap().evaluate(report);
        (outcome.fired, outcome.decided)
    }

    #[test]
    fn gates_fire_on_what_is_known_and_on_the_whole_interval() {
        let leak = report(40_960);
        for gate in ["growing", "per-unit>16B", "per-unit >= 39KiB", "per-unit<41KiB"] {
            assert_eq!(fires(gate, &leak), (true, true), "{gate}");
        }
        for gate in ["constant", "inconclusive", "per-unit>41KiB", "per-unit>40KiB"] {
            assert_eq!(fires(gate, &leak), (false, true), "{gate}");
        }
        let flat = report(0);
        assert_eq!(fires("growing", &flat), (false, true));
        assert_eq!(fires("per-unit>16B", &flat), (false, true));
        let unknown = ScaleReport::of(&flat.runs[..2], &[1_000, 2_000, 4_000], 16.0);
        assert_eq!(fires("per-unit>16B", &unknown), (false, false));
        assert_eq!(fires("inconclusive", &unknown), (true, true));
    }

    #[test]
    fn a_wrong_gate_says_what_there_is() {
        for wrong in ["rate>1MiB/min", "per-unit", "per-unit>", "per-unit>lots", "grows", ""] {
            let why = wrong.parse::<ScaleGate>().unwrap_err();
            assert!(
                why.contains("per-unit>16B") || why.contains("is not a size"),
                "{wrong}: {why}"
            );
        }
    }
}
