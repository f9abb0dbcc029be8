//! A report for people.

use seepmeter_record::printable;

use super::{Report, ReportBody, ReportSection};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for section in &report.sections {
        let lines = lines(section, report.explain);
        for (number, line) in lines.iter().enumerate() {
            if let (0, true, Some(file)) = (number, report.name_files, &section.file) {
                text += &format!("{}: ", printable(file));
            }
            text += &printable(line);
            text.push('\n');
        }
    }
    text
}

fn lines(section: &ReportSection, explain: bool) -> Vec<String> {
    match &section.body {
        ReportBody::Run(conclusion) => {
            let lines = conclusion.metrics.iter().filter_map(|metric| metric.lines(explain).ok());
            lines.flatten().collect()
        }
        ReportBody::Comparison { comparison, .. } => comparison.lines(),
        ReportBody::Scale { report, .. } => report.lines(),
        ReportBody::Failure(_) => Vec::new(),
    }
}
