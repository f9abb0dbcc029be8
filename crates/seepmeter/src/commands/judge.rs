//! `seepmeter judge`: the verdict on what has been recorded.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{
    Conclusion, JudgeOptions, MetricConclusion, Report, ReportBody, ReportSection, RunFile,
};

use crate::flags::{JudgeFlags, TableFlags};
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::reports::Reports;

/// `seepmeter judge`.
///
/// # Errors
/// An output that can't be written to. A file that can't be read, or has nothing to judge, is reported
/// already: the others may be good.
pub fn judge(flags: &JudgeFlags) -> Result<Outcome> {
    let reports = Reports::open(&flags.format, flags.json, &flags.files)?;
    let (mut fired, mut failed) = (false, false);
    let mut sections = Vec::new();
    for path in &flags.files {
        let judged = judge_file(path, flags);
        let file = Some(shown(path));
        let section = match &judged {
            Ok(conclusion) => ReportSection { file, body: ReportBody::Run(conclusion.clone()) },
            Err(error) => ReportSection { file, body: ReportBody::Failure(format!("{error:#}")) },
        };
        reports.print_part(&report(flags, vec![section.clone()]))?;
        sections.push(section);
        match judged.and_then(|conclusion| gates_fire(&conclusion, &shown(path))) {
            Ok(any) => fired |= any,
            Err(error) => {
                messages::error(&error);
                failed = true;
            }
        }
    }
    reports.complete(&report(flags, sections))?;
    Ok(match (failed, fired) {
        (true, _) => Outcome::OwnFailure,
        (false, true) => Outcome::Gate(flags.gates.fail_status),
        (false, false) => Outcome::Success,
    })
}

fn report(flags: &JudgeFlags, sections: Vec<ReportSection>) -> Report {
    Report { sections, explain: flags.explain, name_files: flags.files.len() > 1 }
}

/// Judges one file.
fn judge_file(path: &Path, flags: &JudgeFlags) -> Result<Conclusion> {
    let metric = flags.metric.as_deref().unwrap_or(metric::RSS.name);
    let options = JudgeOptions {
        metrics: vec![metric.to_owned()],
        gates: flags.gates.fail_on.clone(),
        strict: flags.gates.strict,
    };
    let run = read_run(path, options, &flags.table)?;
    let conclusion = run.conclude();
    let file = shown(path);
    let missing =
        conclusion.metrics.iter().find_map(|metric| MetricConclusion::verdicts(metric).err());
    if let Some(why) = missing {
        return Err(anyhow!("cannot judge {file}: {why}"));
    }
    notice_doubts(&run, &file);
    Ok(conclusion)
}

/// Reports what the gates found; true if one fails.
fn gates_fire(conclusion: &Conclusion, file: &str) -> Result<bool> {
    if let (Err(why), false) = (conclusion.main(), conclusion.gates.is_empty()) {
        return Err(anyhow!("cannot evaluate the gates on {file}: {why}"));
    }
    Ok(messages::gates(conclusion.gates.iter(), conclusion.strict))
}

/// Reads a recording, or a series of another tool.
///
/// # Errors
/// A file that can't be read or has nothing of what the options ask for.
pub(crate) fn read_run(file: &Path, options: JudgeOptions, flags: &TableFlags) -> Result<RunFile> {
    let name = shown(file);
    RunFile::read(file, &name, options, &flags.options())
        .with_context(|| format!("cannot judge {name}"))
}

/// Says what is odd about a file that was judged all the same.
pub(crate) fn notice_doubts(run: &RunFile, file: &str) {
    let doubts: Vec<String> = run.doubts.iter().map(ToString::to_string).collect();
    if !doubts.is_empty() {
        messages::notice(&format!("{file}: {}", doubts.join("; ")));
    }
}
