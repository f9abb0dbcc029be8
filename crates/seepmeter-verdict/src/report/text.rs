//! A report for people.

use seepmeter_record::printable;

use super::{Report, ReportBody, ReportSection};
use crate::text::VerdictLine;

pub(super) fn render(report: &Report) -> String {
    report.lines().iter().map(|line| format!("{}\n", printable(&line.text))).collect()
}

impl Report {
    /// The report for people, in lines that are not yet made printable.
    #[must_use]
    pub fn lines(&self) -> Vec<VerdictLine> {
        let mut all = Vec::new();
        for section in &self.sections {
            let mut lines = lines(section, self.explain);
            if let (Some(first), true, Some(file)) =
                (lines.first_mut(), self.name_files, &section.file)
            {
                first.text.insert_str(0, &format!("{file}: "));
            }
            all.extend(lines);
        }
        all
    }
}

fn lines(section: &ReportSection, explain: bool) -> Vec<VerdictLine> {
    let plain = |lines: Vec<String>| lines.into_iter().map(VerdictLine::from).collect();
    match &section.body {
        ReportBody::Run(conclusion) => {
            let of_metrics = conclusion.metrics.iter();
            of_metrics.filter_map(|metric| metric.verdict_lines(explain).ok()).flatten().collect()
        }
        ReportBody::Work { verdicts, .. } => {
            let texts = verdicts.iter().map(|verdict| verdict.text(verdicts.len() > 1));
            plain(texts.flat_map(|text| text.lines(" ")).collect())
        }
        ReportBody::Comparison { comparison, .. } => plain(comparison.text().lines("  ")),
        ReportBody::Scale { report, .. } => plain(report.text().lines(" ")),
        ReportBody::Failure(_) => Vec::new(),
    }
}
