//! The subcommands that judge what has been recorded: `judge` and `compare`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use seepmeter_analysis::compare::Difference;
use seepmeter_analysis::words::{amount, rate_interval};
use seepmeter_analysis::{Change, Comparison, Figures, Interval, Unit, compare as compare_runs};
use seepmeter_record::jsonl::{self, Ending};
use serde_json::{Value, json};

use crate::commands::{Outcome, print, shown};
use crate::flags::{CompareFlags, FailOn, JudgeFlags, SeriesFlags};
use crate::messages;
use crate::verdict::foreign::{self, Columns};
use crate::verdict::{Collector, Verdict, short, unit_of};

/// No more subjects than this are told of in words.
const MOST_SUBJECTS: usize = 10;

/// A subject that never holds this part of the whole is not compared.
const LEAST_PART: f64 = 1e-3;

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
    let verdict = verdict_on(file, &flags.series)?;
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

/// `seepmeter compare`.
///
/// # Errors
/// A file that can't be read, or is too short to be compared.
pub fn compare(flags: &CompareFlags) -> Result<Outcome> {
    let read = |files: &[std::path::PathBuf]| {
        files.iter().map(|file| Run::read(file, &flags.series)).collect::<Result<Vec<_>>>()
    };
    let (base, new) = (read(&flags.base)?, read(&flags.new)?);
    let compared =
        Compared::of(&base, &new).ok_or_else(|| anyhow!("there is nothing to compare"))?;
    let told = if flags.json {
        format!("{}\n", compared.json(&flags.series.metric))
    } else {
        compared.told(&flags.series.metric)
    };
    print(told.as_bytes())?;
    let fails = match (flags.fail_on, compared.change()) {
        (Some(_), Change::Worse) => true,
        (Some(FailOn::CannotTell), Change::CannotTell) => true,
        (Some(_), Change::Better | Change::Alike | Change::CannotTell) | (None, _) => false,
    };
    Ok(if fails { Outcome::Gate(flags.fail_status) } else { Outcome::Well })
}

/// The verdict on a file: a recording, or somebody else's series.
fn verdict_on(file: &Path, flags: &SeriesFlags) -> Result<Verdict> {
    let cannot = || format!("cannot judge {}", shown(file));
    let columns = match (&flags.time, &flags.value) {
        (Some(time), Some(value)) => Some(Columns { time: time.clone(), value: value.clone() }),
        _ => None,
    };
    let mut input = foreign::Input::open(file).with_context(cannot)?;
    if let Some(series) = input.series(columns.as_ref()).with_context(cannot)? {
        return Ok(Verdict::of_series(&shown(file), &flags.metric, &series));
    }
    let mut recording = jsonl::read(Box::new(input)).with_context(cannot)?;
    let mut collector = Collector::new(&flags.metric);
    while let Some(record) = recording.next_record().with_context(cannot)? {
        collector.take(&record);
    }
    if let Ending::CutOff { line } = recording.ending() {
        messages::notice(&format!("{}: line {line} is cut off and was left out", shown(file)));
    }
    let verdict = collector.verdict();
    verdict.ok_or_else(|| anyhow!("cannot judge {}: {}", shown(file), collector.lack()))
}

/// What is compared of one run.
struct Run {
    unit: Unit,
    whole: Figures,
    parts: BTreeMap<String, Figures>,
}

impl Run {
    fn read(file: &Path, flags: &SeriesFlags) -> Result<Self> {
        let verdict = verdict_on(file, flags)?;
        let whole = Figures::of(&verdict.judgement).ok_or_else(|| {
            let why = verdict.judgement.reason.map_or("nothing could be judged", |r| r.in_words());
            anyhow!("cannot compare {}: {why}; record longer runs", shown(file))
        })?;
        let parts = verdict
            .parts
            .iter()
            .filter(|(_, series)| {
                series.peak().is_some_and(|peak| peak as f64 >= LEAST_PART * whole.peak)
            })
            .filter_map(|(part, series)| {
                Some((part.name.clone(), Figures::of(&verdict.judge(series))?))
            })
            .collect();
        Ok(Self { unit: unit_of(verdict.unit), whole, parts })
    }
}

/// The whole, and every subject that all the runs have.
struct Compared {
    unit: Unit,
    runs: (usize, usize),
    whole: Comparison,
    subjects: Vec<(String, Comparison)>,
}

impl Compared {
    fn of(base: &[Run], new: &[Run]) -> Option<Self> {
        let wholes = |runs: &[Run]| runs.iter().map(|run| run.whole).collect::<Vec<_>>();
        let part = |runs: &[Run], name: &str| {
            runs.iter().map(|run| run.parts.get(name).copied()).collect::<Option<Vec<_>>>()
        };
        let names = base.first()?.parts.keys();
        let subjects = names
            .filter_map(|name| {
                let comparison = compare_runs(&part(base, name)?, &part(new, name)?)?;
                Some((name.clone(), comparison))
            })
            .collect();
        let whole = compare_runs(&wholes(base), &wholes(new))?;
        Some(Self { unit: base.first()?.unit, runs: (base.len(), new.len()), whole, subjects })
    }

    fn change(&self) -> Change {
        self.whole.change()
    }

    fn told(&self, metric: &str) -> String {
        let (base, new) = self.runs;
        let mut told =
            format!("{}  {metric} of {new} new against {base} base runs\n", self.change().as_str());
        told.push_str(&tell(&self.whole, self.unit, "  "));
        let changed = self.subjects.iter().filter(|(_, comparison)| {
            matches!(comparison.change(), Change::Worse | Change::Better)
        });
        for (name, comparison) in changed.take(MOST_SUBJECTS) {
            // Writing to a string can't fail.
            let _ = writeln!(told, "  {}  {}", comparison.change().as_str(), short(name));
            told.push_str(&tell(comparison, self.unit, "    "));
        }
        told
    }

    fn json(&self, metric: &str) -> Value {
        let subjects: serde_json::Map<String, Value> = self
            .subjects
            .iter()
            .map(|(name, comparison)| (name.clone(), comparison_json(comparison)))
            .collect();
        json!({
            "schema": "seepmeter.comparison/1", "metric": metric, "change": self.change().as_str(),
            "base_runs": self.runs.0, "new_runs": self.runs.1,
            "whole": comparison_json(&self.whole), "subjects": subjects,
        })
    }
}

fn tell(comparison: &Comparison, unit: Unit, indent: &str) -> String {
    let Comparison { rate, level, peak } = comparison;
    let size = |value: f64| amount(value, unit);
    let a_second = |value: f64| {
        let exactly = Interval { estimate: value, low: value, high: value };
        let told = rate_interval(exactly, unit);
        told.split(" (").next().unwrap_or_default().to_owned()
    };
    [
        line("rate", rate, indent, &a_second),
        line("level", level, indent, &size),
        line("peak", peak, indent, &size),
    ]
    .concat()
}

fn line(name: &str, difference: &Difference, indent: &str, tell: &dyn Fn(f64) -> String) -> String {
    let Difference { change, base, estimate, interval, p_value } = difference;
    let sign = if *estimate > 0.0 { "+" } else { "" };
    let estimate = tell(*estimate);
    let estimate = estimate.strip_prefix('+').unwrap_or(&estimate);
    let interval = interval.map_or(String::new(), |interval| {
        format!(" (95 % CI {} to {})", tell(interval.low), tell(interval.high))
    });
    let p_value = p_value.map_or(String::new(), |p| {
        if p < 0.001 { ", p < 0.001".to_owned() } else { format!(", p = {p:.3}") }
    });
    format!(
        "{indent}{name:6} {:11} base {}, change {sign}{estimate}{interval}{p_value}\n",
        change.as_str(),
        tell(*base)
    )
}

fn comparison_json(comparison: &Comparison) -> Value {
    let Comparison { rate, level, peak } = comparison;
    json!({
        "change": comparison.change().as_str(), "rate": difference_json(rate),
        "level": difference_json(level), "peak": difference_json(peak),
    })
}

fn difference_json(difference: &Difference) -> Value {
    let Difference { change, base, estimate, interval, p_value } = difference;
    json!({
        "change": change.as_str(), "base": base, "difference": estimate,
        "interval": interval.map(crate::verdict::interval_json), "p_value": p_value,
    })
}
