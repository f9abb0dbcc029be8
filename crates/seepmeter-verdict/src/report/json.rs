//! A report for programs: an object on each line.

use seepmeter_record::printable_json;

use super::{Report, ReportBody, ReportSection};

pub(super) fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for section in &report.sections {
        for object in objects(section)? {
            text += &printable_json(&object);
            text.push('\n');
        }
    }
    Ok(text)
}

fn objects(section: &ReportSection) -> Result<Vec<String>, serde_json::Error> {
    match &section.body {
        ReportBody::Run(conclusion) => {
            let gates = &conclusion.gates;
            let of_metrics = conclusion.metrics.iter();
            let objects = of_metrics
                .filter_map(|metric| metric.documents(gates, section.file.as_deref()).ok());
            Ok(objects.flatten().collect())
        }
        ReportBody::Work { verdicts, .. } => {
            let file = section.file.as_deref().unwrap_or_default();
            verdicts.iter().map(|verdict| verdict.json(file)).collect()
        }
        ReportBody::Comparison { comparison, .. } => Ok(vec![comparison.json().to_string()]),
        ReportBody::Scale { report, .. } => Ok(vec![report.json()?]),
        ReportBody::Failure(_) => Ok(Vec::new()),
    }
}
