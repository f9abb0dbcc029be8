//! `seepmeter compare`: is a new version worse than a base?

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{Change, ComparableRun, JudgeOptions, RunComparison, RunFile, VerdictLine};

use super::judge::{notice_doubts, read_run};
use crate::flags::{CompareFlags, FailOn};
use crate::messages::{print_json, print_lines, shown};
use crate::outcome::Outcome;
use crate::terminal::INDENT;

/// `seepmeter compare`.
///
/// # Errors
/// A file that can't be read, or is too short to be compared, or is given twice.
pub fn compare(flags: &CompareFlags) -> Result<Outcome> {
    check_files(flags)?;
    let mut metrics = flags.metric.clone();
    if metrics.is_empty() {
        metrics.push(metric::RSS.name.to_owned());
    }
    let read = |files: &[PathBuf]| -> Result<Vec<(String, RunFile)>> {
        let read = |file: &PathBuf| {
            let options = JudgeOptions { metrics: metrics.clone(), gates: Vec::new() };
            Ok((shown(file), read_run(file, options, &flags.table)?))
        };
        files.iter().map(read).collect()
    };
    let (base, new) = (read(&flags.base)?, read(&flags.new)?);
    for (file, run) in base.iter().chain(&new) {
        notice_doubts(run, file);
    }
    let mut fails = false;
    for metric in &metrics {
        let (base, new) = (comparable(&base, metric)?, comparable(&new, metric)?);
        let comparison =
            RunComparison::of(&base, &new).ok_or_else(|| anyhow!("there is nothing to compare"))?;
        match flags.json {
            true => print_json(&format!("{}\n", comparison.json())),
            false => {
                print_lines(comparison.lines().into_iter().map(VerdictLine::from).collect(), INDENT)
            }
        }?;
        fails |= fails_on(flags.fail_on, comparison.whole.change());
    }
    Ok(if fails { Outcome::Gate(flags.fail_status) } else { Outcome::Success })
}

fn comparable(files: &[(String, RunFile)], metric: &str) -> Result<Vec<ComparableRun>> {
    let comparable = |(file, run): &(String, RunFile)| {
        let series = run.series(metric).map_err(|why| anyhow!("cannot judge {file}: {why}"))?;
        ComparableRun::of(series).with_context(|| format!("cannot compare {file}"))
    };
    files.iter().map(comparable).collect()
}

fn fails_on(fail_on: Option<FailOn>, change: Change) -> bool {
    match (fail_on, change) {
        (Some(_), Change::Worse) => true,
        (Some(FailOn::Inconclusive), Change::Inconclusive) => true,
        (Some(_), Change::Better | Change::Alike | Change::Inconclusive) | (None, _) => false,
    }
}

/// A run that counts twice would be taken for two that agree. Standard input can be read once.
fn check_files(flags: &CompareFlags) -> Result<()> {
    let mut known: BTreeMap<(u64, u64), &Path> = BTreeMap::new();
    let mut inputs = 0;
    for file in flags.base.iter().chain(&flags.new) {
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
