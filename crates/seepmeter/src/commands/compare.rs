//! `seepmeter compare`: is a new version worse than a base?

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{
    Change, ComparableRun, GateOutcome, JudgeOptions, Report, ReportBody, ReportSection,
    RunComparison, RunFile,
};

use super::judge::{notice_doubts, notice_epochs, read_run};
use crate::flags::{CompareFlags, FailOn};
use crate::messages::shown;
use crate::outcome::Outcome;
use crate::reports::Reports;

/// `seepmeter compare`.
///
/// # Errors
/// A file that can't be read, or is too short to be compared, or is given twice.
pub fn compare(flags: &CompareFlags) -> Result<Outcome> {
    let inputs = [&flags.base[..], &flags.new].concat();
    let work = |_: &Reports| Ok(answer(flags));
    let (reports, answer) = Reports::with(&flags.format, flags.json, &inputs, work)?;
    reports.give_or_fail(answer)
}

fn answer(flags: &CompareFlags) -> Result<(Report, Outcome)> {
    check_files(flags.base.iter().chain(&flags.new))?;
    let mut metrics = flags.metric.clone();
    if metrics.is_empty() {
        metrics.push(metric::RSS.name.to_owned());
    }
    let read = |files: &[PathBuf]| -> Result<Vec<(String, RunFile)>> {
        let read = |file: &PathBuf| {
            let options = JudgeOptions { metrics: metrics.clone(), ..JudgeOptions::default() };
            Ok((shown(file), read_run(file, options, &flags.table)?))
        };
        files.iter().map(read).collect()
    };
    let (base, new) = (read(&flags.base)?, read(&flags.new)?);
    for (file, run) in base.iter().chain(&new) {
        notice_doubts(run, file);
        notice_epochs(run, file);
    }
    let compare = |metric: &String| {
        let (base, new) = (
            comparable(base.iter().map(named), metric)?,
            comparable(new.iter().map(named), metric)?,
        );
        let comparison =
            RunComparison::of(&base, &new).ok_or_else(|| anyhow!("there is nothing to compare"))?;
        let gates = flags.fail_on.map(|fail_on| gate(fail_on, &comparison));
        let body = ReportBody::Comparison { comparison, gates: gates.into_iter().collect() };
        Ok(ReportSection { file: None, body })
    };
    let sections = metrics.iter().map(compare).collect::<Result<Vec<_>>>()?;
    let fires = |section: &ReportSection| match &section.body {
        ReportBody::Comparison { gates, .. } => gates.iter().any(|gate| gate.fired),
        _ => false,
    };
    let outcome = match sections.iter().any(fires) {
        true => Outcome::Gate(flags.fail_status),
        false => Outcome::Success,
    };
    Ok((Report { sections, explain: false, name_files: false }, outcome))
}

pub(super) fn comparable<'a>(
    files: impl IntoIterator<Item = (&'a String, &'a RunFile)>,
    metric: &str,
) -> Result<Vec<ComparableRun>> {
    let comparable = |(file, run): (&String, &RunFile)| {
        let series = run.series(metric).map_err(|why| anyhow!("cannot judge {file}: {why}"))?;
        ComparableRun::of(series).with_context(|| format!("cannot compare {file}"))
    };
    files.into_iter().map(comparable).collect()
}

fn named((file, run): &(String, RunFile)) -> (&String, &RunFile) {
    (file, run)
}

/// What `--fail-on` makes of a comparison.
fn gate(fail_on: FailOn, comparison: &RunComparison) -> GateOutcome {
    let change = comparison.whole.change();
    let fired = match (fail_on, change) {
        (_, Change::Worse) | (FailOn::Inconclusive, Change::Inconclusive) => true,
        (FailOn::Worse, Change::Inconclusive) | (_, Change::Better | Change::Alike) => false,
    };
    let gate = match fail_on {
        FailOn::Worse => "worse",
        FailOn::Inconclusive => "inconclusive",
    };
    let lack = comparison.lack().map_or(String::new(), |lack| format!(": {lack}"));
    GateOutcome {
        gate: gate.to_owned(),
        metric: comparison.metric.clone(),
        fired,
        checked: true,
        decided: fired || change != Change::Inconclusive,
        why: format!("the new version is {}{lack}", change.as_str()),
    }
}

/// A run that counts twice would be taken for two that agree. Standard input can be read once.
pub(super) fn check_files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let mut known: BTreeMap<(u64, u64), &Path> = BTreeMap::new();
    let mut inputs = 0;
    for file in files {
        if file == Path::new("-") {
            inputs += 1;
            continue;
        }
        // Reading one that can't be found says so.
        let Ok(metadata) = file.metadata() else { continue };
        if let Some(other) = known.insert((metadata.dev(), metadata.ino()), file) {
            let (file, other) = (shown(file), shown(other));
            bail!("cannot compare: {file} and {other} are one file; give each run once");
        }
    }
    if inputs > 1 {
        bail!("cannot compare: standard input can be read only once; give files");
    }
    Ok(())
}
