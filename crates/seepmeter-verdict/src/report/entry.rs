//! What the formats for CI have in common: a report as answers, gates and failures, in their words.

use std::collections::BTreeMap;

use super::{ReportBody, ReportSection};
use crate::conclusion::Conclusion;
use crate::gate::{GateOutcome, GateResult};
use crate::text::{AnswerText, LineOptions, short};
use seepmeter_analysis::{Change, Classification, ScalingAnswer};

/// How much an entry matters to somebody who reads the result of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is good to know.
    Note,
    /// It should be looked at, and fails nothing.
    Warning,
    /// It fails the build.
    Failure,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Memory grows, or grows more.
    Bad,
    /// It does not.
    Good,
    /// The answer is inconclusive.
    Unknown,
}

/// An answer: a verdict, a comparison, or bytes for each unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnswerEntry {
    /// The metric that it is about.
    pub(super) metric: String,
    /// The process, if there are several, by a name that no other has.
    pub(super) target: Option<String>,
    pub(super) text: AnswerText,
    pub(super) finding: Finding,
}

/// A gate, and what it comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GateEntry<'a> {
    pub(super) outcome: &'a GateOutcome,
    pub(super) result: GateResult,
}

/// A section as its entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entries<'a> {
    pub(super) answers: Vec<AnswerEntry>,
    pub(super) gates: Vec<GateEntry<'a>>,
    /// Why there is no answer, of each that is missing.
    pub(super) failures: Vec<String>,
}

impl GateEntry<'_> {
    /// `failed`, `passed`, …
    pub(super) fn word(&self) -> &'static str {
        match self.result {
            GateResult::Passed => "passed",
            GateResult::Failed => "failed",
            GateResult::Undecided => "not decided",
            GateResult::NotEvaluated => "not evaluated",
        }
    }

    pub(super) fn weight(&self) -> Weight {
        match self.result {
            GateResult::Passed => Weight::Note,
            GateResult::Failed => Weight::Failure,
            GateResult::Undecided | GateResult::NotEvaluated => Weight::Warning,
        }
    }
}

impl<'a> Entries<'a> {
    pub(super) fn of(section: &'a ReportSection) -> Self {
        match &section.body {
            ReportBody::Run(conclusion) => Self::of_run(conclusion),
            ReportBody::Work { verdicts, gates, strict } => {
                let name_target = verdicts.len() > 1;
                let targets = verdicts.iter().map(|verdict| &*verdict.target);
                let answers = verdicts.iter().zip(numbered(targets)).map(|(verdict, target)| {
                    let finding = verdict.answer.into();
                    let target = name_target.then_some(target);
                    let text = verdict.text(name_target);
                    AnswerEntry { metric: verdict.metric.clone(), target, text, finding }
                });
                Self::with(answers.collect(), gates, *strict)
            }
            ReportBody::Comparison { comparison, gates } => {
                let finding = comparison.whole.change().into();
                let (metric, text) = (comparison.metric.clone(), comparison.text());
                let answer = AnswerEntry { metric, target: None, text, finding };
                Self::with(vec![answer], gates, false)
            }
            ReportBody::Scale { report, strict } => {
                let finding = report.scaling.answer.into();
                let (metric, text) = ("memory".to_owned(), report.text());
                let answer = AnswerEntry { metric, target: None, text, finding };
                Self::with(vec![answer], &report.gates, *strict)
            }
            ReportBody::Failure(why) => {
                Self { answers: Vec::new(), gates: Vec::new(), failures: vec![why.clone()] }
            }
        }
    }

    fn with(answers: Vec<AnswerEntry>, gates: &'a [GateOutcome], strict: bool) -> Self {
        let gate = |outcome: &'a GateOutcome| GateEntry { outcome, result: outcome.result(strict) };
        Self { answers, gates: gates.iter().map(gate).collect(), failures: Vec::new() }
    }

    fn of_run(conclusion: &'a Conclusion) -> Self {
        let mut answers = Vec::new();
        let mut failures = Vec::new();
        for metric in &conclusion.metrics {
            let verdicts = match metric.shown(false) {
                Ok(verdicts) => verdicts,
                Err(why) => {
                    failures.push(why.to_string());
                    continue;
                }
            };
            let options = LineOptions { explain: false, name_target: metric.names_targets() };
            let targets = numbered(verdicts.iter().map(|verdict| &*verdict.target));
            for (verdict, target) in verdicts.into_iter().zip(targets) {
                answers.push(AnswerEntry {
                    metric: metric.metric.clone(),
                    target: options.name_target.then_some(target),
                    text: verdict.text(options),
                    finding: verdict.judgement.classification.into(),
                });
            }
        }
        // There may be verdicts, but none that the gates apply to.
        let on_gates = conclusion.main().err().filter(|_| !conclusion.gates.is_empty());
        let on_gates = on_gates.map(ToString::to_string).filter(|why| !failures.contains(why));
        failures.extend(on_gates);
        Self { failures, ..Self::with(answers, &conclusion.gates, conclusion.strict) }
    }
}

/// Names of which no two are the same and none has a pid, so that they are those of the next run too.
fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    let number = |name: &'a str| {
        let count = before.entry(name).or_default();
        *count += 1;
        if *count == 1 { short(name) } else { format!("{} #{count}", short(name)) }
    };
    names.map(number).collect()
}

impl AnswerEntry {
    pub(super) fn weight(&self) -> Weight {
        match self.finding {
            Finding::Bad => Weight::Warning,
            Finding::Good | Finding::Unknown => Weight::Note,
        }
    }

    /// All that there is to say behind the word, a line each.
    pub(super) fn lines(&self) -> Vec<&str> {
        std::iter::once(&self.text.figures).chain(&self.text.details).map(|it| it.trim()).collect()
    }
}

impl From<Classification> for Finding {
    fn from(classification: Classification) -> Self {
        match classification {
            Classification::Growing => Self::Bad,
            Classification::Steady => Self::Good,
            Classification::Inconclusive => Self::Unknown,
        }
    }
}

impl From<ScalingAnswer> for Finding {
    fn from(answer: ScalingAnswer) -> Self {
        match answer {
            ScalingAnswer::Leaks => Self::Bad,
            ScalingAnswer::Constant => Self::Good,
            ScalingAnswer::Inconclusive => Self::Unknown,
        }
    }
}

impl From<Change> for Finding {
    fn from(change: Change) -> Self {
        match change {
            Change::Worse => Self::Bad,
            Change::Better | Change::Alike => Self::Good,
            Change::Inconclusive => Self::Unknown,
        }
    }
}
