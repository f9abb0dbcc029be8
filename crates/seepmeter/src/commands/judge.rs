//! `seepmeter judge`: the verdict on what has been recorded.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use seepmeter_record::conventions::metric;
use seepmeter_record::human;
use seepmeter_verdict::{
    JudgeOptions, NoVerdict, Report, ReportBody, ReportSection, RunFile, ScalingAnswer, Scope,
    WorkVerdict,
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
    let work = |reports: &Reports| judge_files(flags, reports);
    let (reports, judged) = Reports::with(&flags.format, flags.json, &flags.files, work)?;
    let JudgedFiles { sections, fired, failed } = judged;
    reports.complete(&report(flags, sections))?;
    Ok(match (failed, fired) {
        (true, _) => Outcome::OwnFailure,
        (false, true) => Outcome::Gate(flags.gates.fail_status),
        (false, false) => Outcome::Success,
    })
}

/// What there is to say of all files.
#[derive(Default)]
struct JudgedFiles {
    sections: Vec<ReportSection>,
    /// A gate has fired.
    fired: bool,
    /// A file can't be judged.
    failed: bool,
}

/// Judges one file after the other, and prints what can be printed of each.
fn judge_files(flags: &JudgeFlags, reports: &Reports) -> Result<JudgedFiles> {
    let mut all = JudgedFiles::default();
    for path in &flags.files {
        let judged = match &flags.per {
            Some(counter) => judge_by_work(path, counter, flags),
            None => judge_file(path, flags),
        };
        let body = match &judged {
            Ok(body) => body.clone(),
            Err(error) => ReportBody::Failure(format!("{error:#}")),
        };
        let section = ReportSection { file: Some(shown(path)), body };
        reports.print_part(&report(flags, vec![section.clone()]))?;
        all.sections.push(section);
        match judged.and_then(|body| gates_fire(&body, &shown(path))) {
            Ok(any) => all.fired |= any,
            Err(error) => {
                messages::error(&error);
                all.failed = true;
            }
        }
    }
    Ok(all)
}

fn report(flags: &JudgeFlags, sections: Vec<ReportSection>) -> Report {
    Report { sections, explain: flags.explain, name_files: flags.files.len() > 1 }
}

/// Judges one file.
fn judge_file(path: &Path, flags: &JudgeFlags) -> Result<ReportBody> {
    let options = JudgeOptions {
        gates: flags.gates.fail_on.clone(),
        strict: flags.gates.strict,
        ..options(flags)
    };
    let run = read_run(path, options, &flags.table)?;
    let conclusion = run.conclude();
    let file = shown(path);
    let missing = conclusion.metrics.iter().find_map(|metric| metric.lines(false).err());
    if let Some(why) = missing {
        return Err(anyhow!("cannot judge {file}: {why}"));
    }
    notice_doubts(&run, &file);
    Ok(ReportBody::Run(conclusion))
}

/// Judges one file with a counter as the axis.
fn judge_by_work(path: &Path, counter: &str, flags: &JudgeFlags) -> Result<ReportBody> {
    let options = options(flags);
    let metric = options.metrics[0].clone();
    let run = read_run(path, options, &flags.table)?;
    let file = shown(path);
    let verdicts = run.judge_by_work(&metric, counter);
    let mut verdicts = verdicts.with_context(|| format!("cannot judge {file}"))?;
    let has_main = verdicts.len() == 1
        || verdicts.last().is_some_and(|verdict| verdict.scope == Scope::AllTargets);
    if !has_main && !flags.gates.fail_on.is_empty() {
        return Err(anyhow!("cannot evaluate the gates on {file}: {}", NoVerdict::NoSum));
    }
    if has_main {
        // That on the sum first.
        verdicts.rotate_right(1);
    }
    let mut gates = Vec::new();
    if let Some(of_all) = verdicts.first_mut() {
        gates = flags.gates.fail_on.iter().map(|gate| gate.evaluate_work(of_all)).collect();
        of_all.gates.clone_from(&gates);
    }
    // Of a tree that on the sum, and those on the processes and roles that leak.
    if verdicts.iter().any(|verdict| verdict.scope.is_of_tree()) {
        let leaks = |verdict: &WorkVerdict| verdict.answer == ScalingAnswer::Leaks;
        verdicts.retain(|it| it.scope == Scope::AllTargets || leaks(it));
    }
    notice_doubts(&run, &file);
    notice_epochs(&run, &file);
    Ok(ReportBody::Work { verdicts, gates, strict: flags.gates.strict })
}

/// What is judged, before any gates.
fn options(flags: &JudgeFlags) -> JudgeOptions {
    let metric = flags.metric.as_deref().unwrap_or(metric::RSS.name);
    JudgeOptions { metrics: vec![metric.to_owned()], gates: Vec::new(), strict: false }
}

/// Reports what the gates found; true if one fails.
fn gates_fire(body: &ReportBody, file: &str) -> Result<bool> {
    let (gates, strict) = match body {
        ReportBody::Run(conclusion) => {
            if let (Err(why), false) = (conclusion.main(), conclusion.gates.is_empty()) {
                return Err(anyhow!("cannot evaluate the gates on {file}: {why}"));
            }
            (&conclusion.gates, conclusion.strict)
        }
        ReportBody::Work { gates, strict, .. } => (gates, *strict),
        _ => return Ok(false),
    };
    Ok(messages::gates(gates.iter(), strict))
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

/// Says of a file whose target was started again that only the last epoch counts, where that is so.
pub(crate) fn notice_epochs(run: &RunFile, file: &str) {
    let restarts = run.restarts();
    if restarts > 0 {
        let times = human::count(restarts, "time");
        messages::notice(&format!(
            "{file}: its target was started again {times}; what came before the last time is left out here, and \
             `seepmeter judge {file}` judges it"
        ));
    }
}
