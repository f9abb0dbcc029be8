//! `seepmeter judge`: the verdict on what has been recorded.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{JudgeOptions, RunFile, VerdictLine, WorkVerdict};

use crate::flags::{JudgeFlags, TableFlags};
use crate::messages::{self, print_json, print_lines, shown};
use crate::outcome::Outcome;
use crate::terminal::INDENT;

/// `seepmeter judge`.
///
/// # Errors
/// A file that can't be read or has nothing to judge.
pub fn judge(flags: &JudgeFlags) -> Result<Outcome> {
    let (mut fired, mut failed) = (false, false);
    for file in &flags.files {
        let judged = match &flags.per {
            Some(counter) => judge_by_work(file, counter, flags),
            None => judge_file(file, flags),
        };
        match judged {
            Ok(any) => fired |= any,
            // The others may be good.
            Err(error) if flags.files.len() > 1 => {
                messages::error(&error);
                failed = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(match (failed, fired) {
        (true, _) => Outcome::OwnFailure,
        (false, true) => Outcome::Gate(flags.gates.fail_status),
        (false, false) => Outcome::Success,
    })
}

/// Judges one file; true if a gate fired.
fn judge_file(file: &Path, flags: &JudgeFlags) -> Result<bool> {
    let metric = flags.metric.as_deref().unwrap_or(metric::RSS.name);
    let gates = flags.gates.fail_on.clone();
    let options = JudgeOptions { metrics: vec![metric.to_owned()], gates };
    let run = read_run(file, options, &flags.table)?;
    let conclusion = run.conclude();
    let file = shown(file);
    let mut lines = Vec::new();
    for metric in &conclusion.metrics {
        let found = match flags.json {
            true => metric
                .documents(&conclusion.gates, Some(&file))
                .map(|lines| lines.into_iter().map(VerdictLine::from).collect()),
            false => metric.verdict_lines(flags.explain),
        };
        lines.extend(found.map_err(|why| anyhow!("cannot judge {file}: {why}"))?);
    }
    notice_doubts(&run, &file);
    print_verdicts(lines, &file, flags)?;
    if let (Err(why), false) = (conclusion.main(), conclusion.gates.is_empty()) {
        bail!("cannot evaluate the gates on {file}: {why}");
    }
    Ok(messages::gates(conclusion.gates.iter(), flags.gates.strict))
}

/// Judges one file with a counter as the axis; true if a gate fired.
fn judge_by_work(file: &Path, counter: &str, flags: &JudgeFlags) -> Result<bool> {
    let metric = flags.metric.as_deref().unwrap_or(metric::RSS.name);
    let options = JudgeOptions { metrics: vec![metric.to_owned()], gates: Vec::new() };
    let run = read_run(file, options, &flags.table)?;
    let file = shown(file);
    let verdicts = run.judge_by_work(metric, counter);
    let mut verdicts = verdicts.with_context(|| format!("cannot judge {file}"))?;
    let mut gates = Vec::new();
    if let Some(of_all) = verdicts.last_mut() {
        gates = flags.gates.fail_on.iter().map(|gate| gate.evaluate_work(of_all)).collect();
        of_all.gates.clone_from(&gates);
    }
    let several = verdicts.len() > 1;
    let line = |verdict: &WorkVerdict| match flags.json {
        true => verdict.json(&file).context("cannot write the verdict as JSON"),
        false => Ok(verdict.line(several)),
    };
    // That on the sum first.
    let lines = verdicts.iter().rev().map(|verdict| line(verdict).map(VerdictLine::from));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    notice_doubts(&run, &file);
    print_verdicts(lines, &file, flags)?;
    Ok(messages::gates(gates.iter(), flags.gates.strict))
}

/// Prints the verdicts on a file, which is named if there are others.
fn print_verdicts(mut lines: Vec<VerdictLine>, file: &str, flags: &JudgeFlags) -> Result<Outcome> {
    if flags.json {
        return print_json(&lines.into_iter().map(|line| line.text + "\n").collect::<String>());
    }
    if let (true, Some(first)) = (flags.files.len() > 1, lines.first_mut()) {
        first.text.insert_str(0, &format!("{file}: "));
    }
    print_lines(lines, INDENT)
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
