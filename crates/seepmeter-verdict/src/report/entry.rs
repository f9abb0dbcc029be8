//! What the formats for CI have in common: a report as answers, gates and failures, in their words.

use std::collections::BTreeMap;

use super::{ReportBody, ReportSection};
use crate::conclusion::Conclusion;
use crate::gate::{GateOutcome, GateResult};
use crate::text::{LineOptions, short};
use crate::work::WorkAnswer;
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

/// An answer: a verdict, a comparison, or bytes for each unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnswerEntry {
    /// The metric that it is about.
    pub(super) metric: String,
    /// The process, if there are several, by a name that no other has.
    pub(super) target: Option<String>,
    /// `growing`, `worse`, `leaks`, …
    pub(super) word: &'static str,
    /// What stands behind the word, in one line.
    pub(super) figures: String,
    /// More lines.
    pub(super) details: Vec<String>,
    pub(super) weight: Weight,
    /// False if it is inconclusive.
    pub(super) is_known: bool,
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
                    let (word, weight) = match verdict.answer {
                        WorkAnswer::Leaks => ("leaks", Weight::Warning),
                        WorkAnswer::Constant => ("constant", Weight::Note),
                        WorkAnswer::Inconclusive => ("inconclusive", Weight::Note),
                    };
                    let lines = vec![verdict.line(name_target)];
                    let is_known = verdict.answer != WorkAnswer::Inconclusive;
                    let target = name_target.then_some(target);
                    let answer = AnswerEntry::new(&verdict.metric, word, lines);
                    AnswerEntry { target, weight, is_known, ..answer }
                });
                Self::with(answers.collect(), gates, *strict)
            }
            ReportBody::Comparison { comparison, gates } => {
                let change = comparison.whole.change();
                let answer =
                    AnswerEntry::new(&comparison.metric, change.as_str(), comparison.lines());
                let weight = match change {
                    Change::Worse => Weight::Warning,
                    Change::Better | Change::Alike | Change::Inconclusive => Weight::Note,
                };
                let answer =
                    AnswerEntry { weight, is_known: change != Change::Inconclusive, ..answer };
                Self::with(vec![answer], gates, false)
            }
            ReportBody::Scale { report, strict } => {
                let (word, weight) = match report.scaling.answer {
                    ScalingAnswer::Leaks => ("leaks", Weight::Warning),
                    ScalingAnswer::Constant => ("constant", Weight::Note),
                    ScalingAnswer::Inconclusive => ("inconclusive", Weight::Note),
                };
                let answer = AnswerEntry::new("memory", word, report.lines());
                let is_known = report.scaling.answer != ScalingAnswer::Inconclusive;
                let answer = AnswerEntry { weight, is_known, ..answer };
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
                let classification = verdict.judgement.classification;
                let lines = verdict.lines(options);
                let answer = AnswerEntry::new(&metric.metric, classification.as_str(), lines);
                answers.push(AnswerEntry {
                    target: options.name_target.then_some(target),
                    weight: match classification {
                        Classification::Growing => Weight::Warning,
                        Classification::Steady | Classification::Inconclusive => Weight::Note,
                    },
                    is_known: classification != Classification::Inconclusive,
                    ..answer
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
    /// An answer that is known and nothing but good to know. The first of its lines begins with its word.
    fn new(metric: &str, word: &'static str, lines: Vec<String>) -> Self {
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let figures = first.strip_prefix(word).unwrap_or(&first).trim().to_owned();
        Self {
            metric: metric.to_owned(),
            target: None,
            word,
            figures,
            details: lines.map(|line| line.trim().to_owned()).collect(),
            weight: Weight::Note,
            is_known: true,
        }
    }

    /// All that there is to say behind the word, a line each.
    pub(super) fn lines(&self) -> Vec<&str> {
        std::iter::once(&self.figures).chain(&self.details).map(String::as_str).collect()
    }
}
