//! `seepmeter report`: a page of why a recording was judged so.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use seepmeter_record::Record;
use seepmeter_record::conventions::metric;
use seepmeter_sink_html::{Redactor, ReportContent, RunFacts};
use seepmeter_verdict::{JudgeOptions, RunFile};

use crate::commands::judge::notice_doubts;
use crate::flags::ReportFlags;
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::sinks::{Destination, Output};
use crate::watch::Watch;

/// What opens a file in the program that the user's desktop has for it (xdg-utils).
const OPENER: &str = "xdg-open";

/// `seepmeter report`.
///
/// # Errors
/// A recording that can't be read or has nothing to show, or a report that can't be written.
pub fn report(flags: &ReportFlags) -> Result<Outcome> {
    let room = OutputRoom::new();
    Watch::while_judging(room.clone(), || write(flags, &room))?;
    if flags.open {
        open(&flags.output)?;
    }
    Ok(Outcome::Success)
}

fn write(flags: &ReportFlags, room: &OutputRoom) -> Result<()> {
    let ReportFlags { recording, output, .. } = flags;
    room.protect(recording, "the recording of the report");
    let pending = PendingOutputs::of(room);
    let mut output = Output::open(room, &Destination::of(Some(output)), "the report")?;
    let page = page(flags)?;
    pending.begin();
    output.print(|out| out.write_all(page.as_bytes()))?;
    output.flush()?;
    Ok(output.check_at_end()?)
}

fn page(flags: &ReportFlags) -> Result<String> {
    let file = shown(&flags.recording);
    let cannot = || format!("cannot report on {file}");
    let metric = flags.metric.clone().unwrap_or_else(|| metric::RSS.name.to_owned());
    let options = JudgeOptions { metrics: vec![metric], ..JudgeOptions::default() };
    let mut facts = RunFacts::default();
    let table = flags.table.options();
    let mut redactor = flags.redact.then(Redactor::default);
    let observe = |record: &Record| match &mut redactor {
        Some(redactor) => facts.observe(&redactor.record(record)),
        None => facts.observe(record),
    };
    let run = RunFile::read_observed(&flags.recording, (&file, &table), options, observe);
    let run = run.with_context(cannot)?;
    notice_doubts(&run, &file);
    let mut conclusion = run.conclude();
    let metrics = conclusion.metrics.iter();
    let series = metrics.flat_map(|metric| run.all_series(&metric.metric).unwrap_or_default());
    let mut series: Vec<_> = series.collect();
    if let Some(redactor) = &mut redactor {
        redactor.conclusion(&mut conclusion);
        redactor.series(&mut series);
    }
    let content =
        ReportContent { facts: &facts, conclusion: &conclusion, series: &series, metric: None };
    content.page().with_context(cannot)
}

/// Shows a file as the user's desktop does.
fn open(file: &Path) -> Result<()> {
    let file_name = shown(file);
    let opened = Command::new(OPENER).arg(file).status();
    match opened {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            bail!("cannot show {file_name}: {OPENER}: {status}; open the file in a browser")
        }
        Err(error) => {
            messages::notice(&format!(
                "the report is in {file_name}; to open it, install {OPENER} (xdg-utils), or open the file in a browser"
            ));
            Err(error).with_context(|| format!("cannot run {OPENER}"))
        }
    }
}
