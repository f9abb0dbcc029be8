//! What was found, in the format that somebody asks for: one value, and one renderer for each format.
//!
//! Each renderer gives the text of a whole [`Report`]. All that comes from a target, a file or a user is
//! escaped by it for its format; what acts on a terminal is escaped in all of them.

mod entry;
mod github;
mod json;
mod junit;
mod markdown;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::str::FromStr;

use crate::comparison::RunComparison;
use crate::conclusion::Conclusion;
use crate::gate::GateOutcome;
use crate::scale::ScaleReport;
use crate::work::WorkVerdict;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs: an object for each answer, with a schema of its own kind.
    Json,
    /// Workflow commands of GitHub Actions, which it shows as annotations
    /// (docs.github.com, "Workflow commands for GitHub Actions").
    Github,
    /// JUnit's XML, with a case for each gate.
    Junit,
    /// A table in GitHub's Markdown, as for `$GITHUB_STEP_SUMMARY`.
    Markdown,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Json, Self::Github, Self::Junit, Self::Markdown];

    /// The name that flags take.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Github => "github",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        }
    }

    /// True if a report is one document, to which nothing can be appended.
    #[must_use]
    pub fn is_document(self) -> bool {
        matches!(self, Self::Junit | Self::Markdown)
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        let names = Self::ALL.map(Self::as_str).join(", ");
        known.ok_or_else(|| format!("`{text}` is not one of: {names}"))
    }
}

/// What was found, of one run, one file, one comparison or one command.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportBody {
    /// The verdicts on a run. Of a metric without one nothing is written as text or JSON.
    Run(Conclusion),
    /// The verdicts on a run by the work that a counter of it shows, that on all targets first.
    Work {
        /// The verdicts.
        verdicts: Vec<WorkVerdict>,
        /// What the gates make of the first.
        gates: Vec<GateOutcome>,
        /// True if a gate that can't decide fails.
        strict: bool,
    },
    /// How runs of two versions compare, by one metric, and what `--fail-on` makes of it.
    Comparison {
        /// The comparison.
        comparison: RunComparison,
        /// What `--fail-on` makes of it.
        gates: Vec<GateOutcome>,
    },
    /// Bytes for each unit of work.
    Scale {
        /// The answer, and the gates.
        report: ScaleReport,
        /// True if a gate that can't decide fails.
        strict: bool,
    },
    /// There is no answer, and why. As text and as JSON nothing is written of it.
    Failure(String),
}

/// A finding, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSection {
    /// The file, if it was one.
    pub file: Option<String>,
    /// What was found.
    pub body: ReportBody,
}

/// Findings that are reported together.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The findings, in their order.
    pub sections: Vec<ReportSection>,
    /// As text: what each stage of the analysis found as well.
    pub explain: bool,
    /// As text: each first line names its file, because there are several.
    pub name_files: bool,
}

impl Report {
    /// A report of one finding that is about no file.
    #[must_use]
    pub fn of(body: ReportBody) -> Self {
        let sections = vec![ReportSection { file: None, body }];
        Self { sections, explain: false, name_files: false }
    }

    /// The report in a format: whole lines.
    ///
    /// # Errors
    /// A figure that JSON has no number for.
    pub fn render(&self, format: ReportFormat) -> Result<String, serde_json::Error> {
        match format {
            ReportFormat::Text => Ok(text::render(self)),
            ReportFormat::Json => json::render(self),
            ReportFormat::Github => Ok(github::render(self)),
            ReportFormat::Junit => Ok(junit::render(self)),
            ReportFormat::Markdown => Ok(markdown::render(self)),
        }
    }
}
