//! A report as JUnit's XML, in the part of it that all readers share: `testsuites`, `testsuite`, `testcase`,
//! `failure`, `error`, `skipped`, `system-out` (Ant's `junitreport`, and Jenkins' junit-10.xsd).
//!
//! A section is a suite. Each gate is a case: a failure if it fires, or with `--strict` if it can't decide;
//! skipped if it can't decide or was not evaluated. Without gates each answer is a case, which passes, since
//! nobody has said that anything must not be, and is skipped if it is inconclusive. What has no answer is a
//! case with an error.

use std::fmt::Write;

use seepmeter_record::printable;

use super::entry::{AnswerEntry, Entries, Finding};
use super::{Report, ReportSection};
use crate::gate::GateResult;

/// What the name of each class of cases begins with.
const CLASS: &str = "seepmeter";

/// A case.
struct Case {
    class: String,
    name: String,
    result: CaseResult,
}

/// What became of a case, with a message in one line.
enum CaseResult {
    Passed,
    Failed(String),
    Skipped(String),
    Error(String),
}

/// How many cases there are of each kind.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

pub(super) fn render(report: &Report) -> String {
    let mut suites = String::new();
    let mut all = Counts::default();
    for section in &report.sections {
        suites += &suite(section, &mut all);
    }
    let Counts { tests, failures, errors, .. } = all;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"seepmeter\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n"
    )
}

fn suite(section: &ReportSection, all: &mut Counts) -> String {
    let entries = Entries::of(section);
    let cases = cases(&entries);
    let mut counts = Counts::default();
    let mut body = String::new();
    for case in &cases {
        counts.add(&case.result);
        all.add(&case.result);
        body += &case.element();
    }
    let lines = entries.answers.iter().flat_map(|answer| {
        let first = format!("{}  {}", answer.text.word, answer.text.figures);
        std::iter::once(first)
            .chain(answer.text.details.iter().map(|line| format!("  {}", line.trim())))
    });
    let output: String = lines.map(|line| format!("{}\n", escaped(&line))).collect();
    let name = escaped(section.file.as_deref().unwrap_or("memory"));
    let Counts { tests, failures, errors, skipped } = counts;
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">\n{body}    <system-out>{output}</system-out>\n  </testsuite>\n"
    )
}

fn cases(entries: &Entries<'_>) -> Vec<Case> {
    let of_gates = entries.gates.iter().map(|gate| {
        let why = || gate.outcome.why.clone();
        let result = match gate.result {
            GateResult::Passed => CaseResult::Passed,
            GateResult::Failed => CaseResult::Failed(why()),
            GateResult::Undecided | GateResult::NotEvaluated => CaseResult::Skipped(why()),
        };
        let class = format!("{CLASS}.{}", gate.outcome.metric);
        Case { class, name: gate.outcome.gate.clone(), result }
    });
    let answers = if entries.gates.is_empty() { &entries.answers[..] } else { &[] };
    let of_answers = answers.iter().map(|answer| Case {
        class: format!("{CLASS}.{}", answer.metric),
        name: answer_name(answer),
        result: match answer.finding {
            Finding::Bad | Finding::Good => CaseResult::Passed,
            Finding::Unknown => {
                CaseResult::Skipped(format!("{}  {}", answer.text.word, answer.text.figures))
            }
        },
    });
    let of_failures = entries.failures.iter().map(|why| Case {
        class: CLASS.to_owned(),
        name: "verdict".to_owned(),
        result: CaseResult::Error(why.clone()),
    });
    of_gates.chain(of_answers).chain(of_failures).collect()
}

/// It stays the same from build to build, so that a reader can follow a case.
fn answer_name(answer: &AnswerEntry) -> String {
    match &answer.target {
        Some(target) => format!("{} of {target}", answer.metric),
        None => answer.metric.clone(),
    }
}

impl Case {
    fn element(&self) -> String {
        let mut element = format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"",
            escaped(&self.class),
            escaped(&self.name)
        );
        // Writing to a string can't fail.
        let _ = match &self.result {
            CaseResult::Passed => writeln!(element, "/>"),
            CaseResult::Failed(why) => writeln!(
                element,
                "><failure type=\"gate\" message=\"{}\"/></testcase>",
                escaped(why)
            ),
            CaseResult::Skipped(why) => {
                writeln!(element, "><skipped message=\"{}\"/></testcase>", escaped(why))
            }
            CaseResult::Error(why) => writeln!(
                element,
                "><error type=\"verdict\" message=\"{}\"/></testcase>",
                escaped(why)
            ),
        };
        element
    }
}

impl Counts {
    fn add(&mut self, result: &CaseResult) {
        self.tests += 1;
        match result {
            CaseResult::Passed => {}
            CaseResult::Failed(_) => self.failures += 1,
            CaseResult::Skipped(_) => self.skipped += 1,
            CaseResult::Error(_) => self.errors += 1,
        }
    }
}

/// Text for an attribute or between elements. Controls, which XML 1.0 has no way to write, are escaped as for
/// a terminal; so are the two characters at the end of a plane that it forbids.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}
