//! `seepmeter report`: a page of why a recording was judged so, and of how it differs from a base.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_plugin::ErrorKind;
use seepmeter_record::conventions::metric;
use seepmeter_record::{Record, StackProfile};
use seepmeter_sink_html::{ComparedRuns, OtherRun, Redactor, ReportContent, RunFacts};
use seepmeter_verdict::{Conclusion, JudgeOptions, RunComparison, RunFile, RunSeries};

use super::compare::{check_files, comparable};
use super::judge::{notice_doubts, notice_epochs};
use crate::flags::ReportFlags;
use crate::messages::shown;
use crate::outcome::Outcome;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::sinks::{Destination, Output};
use crate::watch::{TargetPolicy, Watch};

/// What opens a file in the program that the user's desktop has for it (xdg-utils).
const OPENER: &str = "xdg-open";

/// `seepmeter report`.
///
/// # Errors
/// A recording that can't be read or has nothing to show, or a report that can't be written.
pub fn report(flags: &ReportFlags) -> Result<Outcome> {
    let room = OutputRoom::new();
    Watch::while_pending(TargetPolicy::NoRun, room.clone(), || write(flags, &room))?;
    if flags.open {
        open(&flags.output)?;
    }
    Ok(Outcome::Success)
}

fn write(flags: &ReportFlags, room: &OutputRoom) -> Result<()> {
    let ReportFlags { recordings, new, output, .. } = flags;
    let all = || recordings.iter().chain(new);
    all().for_each(|file| room.protect(file, "a recording of the report"));
    check_files(all())?;
    let pending = PendingOutputs::of(room);
    let mut output = Output::open(room, &Destination::of(Some(output)), "the report")?;
    let (base, new) = sides(recordings, new)?;
    let page = page(flags, base, new)?;
    pending.begin();
    let written = output.print(|out| out.write_all(page.as_bytes()));
    match written.and_then(|()| output.flush()).and_then(|()| output.check_at_end()) {
        // Whoever reads standard output has had enough.
        Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
        written => Ok(written?),
    }
}

/// The runs of the base, and those of the new version; the report is on the first of these.
fn sides<'a>(
    recordings: &'a [PathBuf],
    new: &'a [PathBuf],
) -> Result<(&'a [PathBuf], &'a [PathBuf])> {
    match (recordings, new) {
        ([_], []) => Ok((&[], recordings)),
        ([_, _], []) => Ok(recordings.split_at(1)),
        (_, []) => {
            bail!("which of them are of the new version? Write `--` between: BASE... -- NEW...")
        }
        _ => Ok((recordings, new)),
    }
}

/// The run that is reported on.
struct ReportedRun {
    facts: RunFacts,
    conclusion: Conclusion,
    series: Vec<RunSeries>,
    compared: Option<ComparedRuns>,
}

fn page(flags: &ReportFlags, base: &[PathBuf], new: &[PathBuf]) -> Result<String> {
    let mut redactor = flags.redact.then(Redactor::default);
    let [reported, more @ ..] = new else { bail!("there is no recording to report on") };
    let cannot = || format!("cannot report on {}", shown(reported));
    let mut facts = RunFacts::default();
    let observe = |record: &Record| facts.observe(record);
    let run = read(reported, flags, redactor.as_mut(), observe).with_context(cannot)?;
    let conclusion = run.conclude();
    let metrics = conclusion.metrics.iter();
    let series = metrics.flat_map(|metric| run.all_series(&metric.metric).unwrap_or_default());
    let series = series.collect();
    let compared = match base {
        [] => None,
        base => {
            let reported = OneRun { name: shown(reported), run, stacks: StackProfile::default() };
            Some(compared_with(flags, reported, (base, more), redactor.as_mut())?)
        }
    };
    let mut run = ReportedRun { facts, conclusion, series, compared };
    if let Some(redactor) = &mut redactor {
        redactor.conclusion(&mut run.conclusion);
        redactor.series(&mut run.series);
        run.compared.iter_mut().for_each(|compared| redactor.compared(compared));
    }
    let content = ReportContent {
        facts: &run.facts,
        conclusion: &run.conclusion,
        series: &run.series,
        metric: None,
        compared: run.compared.as_ref(),
    };
    content.page().with_context(cannot)
}

/// Reads a run, and `observe` is shown its records, redacted if that is asked for.
fn read(
    file: &Path,
    flags: &ReportFlags,
    mut redactor: Option<&mut Redactor>,
    mut observe: impl FnMut(&Record),
) -> Result<RunFile> {
    let (name, table) = (shown(file), flags.table.options());
    let observe = |record: &Record| match &mut redactor {
        Some(redactor) => observe(&redactor.record(record)),
        None => observe(record),
    };
    let run = RunFile::read_observed(file, (&name, &table), options(flags), observe)?;
    notice_doubts(&run, &name);
    Ok(run)
}

fn metric_of(flags: &ReportFlags) -> &str {
    flags.metric.as_deref().unwrap_or(metric::RSS.name)
}

fn options(flags: &ReportFlags) -> JudgeOptions {
    JudgeOptions { metrics: vec![metric_of(flags).to_owned()], ..JudgeOptions::default() }
}

/// A run that is compared.
struct OneRun {
    name: String,
    run: RunFile,
    stacks: StackProfile,
}

impl OneRun {
    fn named(&self) -> (&String, &RunFile) {
        (&self.name, &self.run)
    }
}

/// The run that is reported on, and more of its version, beside those of a base.
fn compared_with(
    flags: &ReportFlags,
    reported: OneRun,
    (base, more): (&[PathBuf], &[PathBuf]),
    mut redactor: Option<&mut Redactor>,
) -> Result<ComparedRuns> {
    let metric = metric_of(flags);
    let mut read_all = |files: &[PathBuf]| -> Result<Vec<OneRun>> {
        let read_one = |file: &PathBuf| {
            let (name, mut stacks) = (shown(file), StackProfile::default());
            let run = read(file, flags, redactor.as_deref_mut(), |record| stacks.apply(record))
                .with_context(|| format!("cannot judge {name}"))?;
            notice_epochs(&run, &name);
            Ok(OneRun { name, run, stacks })
        };
        files.iter().map(read_one).collect()
    };
    let (base, more) = (read_all(base)?, read_all(more)?);
    let new = std::iter::once(&reported).chain(&more);
    let (base_runs, new_runs) = (
        comparable(base.iter().map(OneRun::named), metric)?,
        comparable(new.map(OneRun::named), metric)?,
    );
    let comparison = RunComparison::of(&base_runs, &new_runs)
        .ok_or_else(|| anyhow!("there is nothing to compare"))?;
    let sides = base.into_iter().map(|run| (run, true));
    let sides = sides.chain(more.into_iter().map(|run| (run, false)));
    let other = |(OneRun { name, run, stacks }, is_base): (OneRun, bool)| {
        let series = run.series(metric).map_err(|why| anyhow!("cannot judge {name}: {why}"))?;
        Ok(OtherRun { name, is_base, series: series.whole, stacks })
    };
    Ok(ComparedRuns { comparison, others: sides.map(other).collect::<Result<_>>()? })
}

/// Shows a file as the user's desktop does.
fn open(file: &Path) -> Result<()> {
    let name = shown(file);
    let opened = Command::new(OPENER).arg(file).status().with_context(|| {
        format!(
            "the report is in {name}, and cannot be opened: {OPENER} (of xdg-utils) does not run; open the file in a browser"
        )
    })?;
    if !opened.success() {
        bail!(
            "the report is in {name}, and {OPENER} cannot open it ({opened}); open the file in a browser"
        );
    }
    Ok(())
}
