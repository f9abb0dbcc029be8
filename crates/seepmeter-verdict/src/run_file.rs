//! `seepmeter judge`: the verdict on what has been recorded.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_record::jsonl::{self, Ending};

use crate::commands::{Outcome, print, shown};
use crate::flags::{ColumnFlags, JudgeFlags};
use crate::verdict::foreign::{self, Columns};
use crate::verdict::{Collector, RSS, Verdict};
use crate::{human, messages};

/// `seepmeter judge`.
///
/// # Errors
/// A file that can't be read or has nothing to judge.
pub fn judge(flags: &JudgeFlags) -> Result<Outcome> {
    let (mut fired, mut failed) = (false, false);
    for file in &flags.files {
        match judge_file(file, flags) {
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
        (false, false) => Outcome::Well,
    })
}

/// Judges one file; true where a gate fired.
fn judge_file(file: &Path, flags: &JudgeFlags) -> Result<bool> {
    let verdict = verdict_on(file, flags.metric.as_deref(), &flags.columns)?;
    let outcomes: Vec<_> = flags.gates.fail_on.iter().map(|gate| gate.check(&verdict)).collect();
    let told = if flags.json {
        let mut told = verdict.json(&outcomes);
        told["file"] = shown(file).into();
        format!("{told}\n")
    } else {
        let name = if flags.files.len() > 1 { format!("{}: ", shown(file)) } else { String::new() };
        format!("{name}{}\n", verdict.told(flags.explain).join("\n"))
    };
    print(told.as_bytes())?;
    Ok(messages::gates(&outcomes))
}

/// The verdict on a metric (`rss` unless it is named) of a file: a recording, or somebody else's series.
///
/// # Errors
/// A file that can't be read or has nothing to judge.
pub(crate) fn verdict_on(
    file: &Path,
    metric: Option<&str>,
    flags: &ColumnFlags,
) -> Result<Verdict> {
    let cannot = || format!("cannot judge {}", shown(file));
    let columns = match (&flags.time, &flags.value) {
        (Some(time), Some(value)) => Some(Columns { time: time.clone(), value: value.clone() }),
        _ => None,
    };
    let mut input = foreign::Input::open(file).with_context(cannot)?;
    if let Some(series) = input.series(columns.as_ref()).with_context(cannot)? {
        if let Some(other) = metric.filter(|metric| *metric != RSS) {
            let file = shown(file);
            bail!(
                "cannot judge {file}: it is one series, and has no metric `{other}`; leave --metric out"
            );
        }
        return Ok(Verdict::of_series(&shown(file), RSS, &series));
    }
    let mut recording = jsonl::read(Box::new(input)).with_context(cannot)?;
    let mut collector = Collector::new(metric.unwrap_or(RSS));
    while let Some(record) = recording.next_record().with_context(cannot)? {
        collector.take(&record);
    }
    let verdict = collector.verdict_or_lack();
    let verdict = verdict.map_err(|lack| anyhow!("cannot judge {}: {lack}", shown(file)))?;
    if let Some(doubt) = doubt(recording.ending(), collector.backwards()) {
        messages::notice(&format!("{}: {doubt}", shown(file)));
    }
    Ok(verdict)
}

/// What is odd about a recording that can be judged all the same.
fn doubt(ending: Ending, backwards: u64) -> Option<String> {
    let end = match ending {
        Ending::Whole => None,
        Ending::NoFooter => Some(
            "it has no footer, so whoever wrote it was killed or goes on; it is judged as far as it goes"
                .to_owned(),
        ),
        Ending::CutOff { line } => Some(format!("line {line} is cut off and was left out")),
    };
    let times = (backwards > 0).then(|| {
        let looks = human::count(backwards, "time");
        format!("{looks} it goes backwards in time; such a look is taken as at the time before it")
    });
    let all: Vec<String> = end.into_iter().chain(times).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
