//! Gates on a verdict that has work in place of time.

use seepmeter_analysis::{Classification, ScalingAnswer};

use super::{Bounds, Condition, Gate, GateOutcome, Quantity};
use crate::work::WorkVerdict;

impl Gate {
    /// Evaluates the gate on a verdict that has work in place of time.
    #[must_use]
    pub fn evaluate_work(&self, verdict: &WorkVerdict) -> GateOutcome {
        let outcome = |fired: bool, why: String| GateOutcome {
            gate: self.text.clone(),
            metric: verdict.metric.clone(),
            fired,
            checked: true,
            decided: fired || verdict.answer != ScalingAnswer::Inconclusive,
            why,
        };
        let is = match verdict.answer {
            ScalingAnswer::Leaks => Classification::Growing,
            ScalingAnswer::Constant => Classification::Steady,
            ScalingAnswer::Inconclusive => Classification::Inconclusive,
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
                    ScalingAnswer::Leaks => "each unit of work leaves memory behind".to_owned(),
                    ScalingAnswer::Constant => "it is constant".to_owned(),
                    ScalingAnswer::Inconclusive => inconclusive(),
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
                    ScalingAnswer::Inconclusive => inconclusive(),
                    ScalingAnswer::Leaks | ScalingAnswer::Constant => {
                        "the rate is not known".to_owned()
                    }
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
}
