//! `seepmeter compare`: is a new version worse than a base?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use seepmeter_analysis::compare::Difference;
use seepmeter_analysis::words::amount;
use seepmeter_analysis::{Change, Comparison, Figures, Runs, Series, explain, judge};
use seepmeter_record::Unit;
use serde_json::{Value, json};

use crate::commands::{Outcome, print, shown};
use crate::flags::{ColumnFlags, CompareFlags, FailOn};
use crate::judging::verdict_on;
use crate::verdict::{RSS, Verdict, format_of, rate_in_words, settings_of, short};

/// No more subjects than this are told of in words.
const MOST_SUBJECTS: usize = 10;

/// A subject that never holds this part of the whole, in no run, is not compared.
const LEAST_PART: f64 = 1e-3;

/// `seepmeter compare`.
///
/// # Errors
/// A file that can't be read, or is too short to be compared, or is given twice.
pub fn compare(flags: &CompareFlags) -> Result<Outcome> {
    let named = flags.metric.iter().map(|metric| Some(metric.as_str()));
    let metrics: Vec<_> = if flags.metric.is_empty() { vec![None] } else { named.collect() };
    check_files(flags, metrics.len())?;
    let mut fails = false;
    for metric in metrics {
        let read = |files: &[PathBuf]| -> Result<Vec<Run>> {
            files.iter().map(|file| Run::read(file, metric, &flags.columns)).collect()
        };
        let (base, new) = (read(&flags.base)?, read(&flags.new)?);
        let compared =
            Compared::of(&base, &new).ok_or_else(|| anyhow!("there is nothing to compare"))?;
        let metric = metric.unwrap_or(RSS);
        let told =
            if flags.json { format!("{}\n", compared.json(metric)) } else { compared.told(metric) };
        print(told.as_bytes())?;
        fails |= fails_on(flags.fail_on, compared.whole.change());
    }
    Ok(if fails { Outcome::Gate(flags.fail_status) } else { Outcome::Well })
}

fn fails_on(fail_on: Option<FailOn>, change: Change) -> bool {
    match (fail_on, change) {
        (Some(_), Change::Worse) => true,
        (Some(FailOn::CannotTell), Change::CannotTell) => true,
        (Some(_), Change::Better | Change::Alike | Change::CannotTell) | (None, _) => false,
    }
}

/// A run that counts twice would be taken for two that agree. Standard input can be read once.
fn check_files(flags: &CompareFlags, metrics: usize) -> Result<()> {
    let mut seen: BTreeMap<(u64, u64), &Path> = BTreeMap::new();
    let mut inputs = 0;
    for file in flags.base.iter().chain(&flags.new) {
        if file == Path::new("-") {
            inputs += metrics;
            continue;
        }
        // One that can't be found is told when it is read.
        let Ok(found) = file.metadata() else { continue };
        if let Some(other) = seen.insert((found.dev(), found.ino()), file) {
            let (file, other) = (shown(file), shown(other));
            bail!("cannot compare: {file} and {other} are one file; give each run once");
        }
    }
    if inputs > 1 {
        bail!("cannot compare: standard input can be read only once; give files");
    }
    Ok(())
}

/// What is compared of one run.
struct Run {
    unit: Unit,
    whole: Figures,
    /// From when on it was looked at, in ns.
    start: u64,
    /// The parts by their families, or none where none were sampled.
    families: BTreeMap<String, Series>,
}

impl Run {
    fn read(file: &Path, metric: Option<&str>, columns: &ColumnFlags) -> Result<Self> {
        let verdict = verdict_on(file, metric, columns)?;
        let whole = Figures::of(&verdict.judgement).ok_or_else(|| {
            let why = verdict.judgement.reason.map_or("nothing could be judged", explain::reason);
            anyhow!("cannot compare {}: {why}; record longer runs", shown(file))
        })?;
        Ok(Self {
            unit: verdict.unit,
            whole,
            start: verdict.parts.iter().map(|(_, series)| series.start()).min().unwrap_or(0),
            families: families(verdict),
        })
    }

    /// The figures of a family: those of nothing where the run has no such part.
    fn figures(&self, family: &str) -> Option<Figures> {
        let Some(series) = self.families.get(family) else {
            return Some(Figures::absent(self.whole.span));
        };
        // Before it came it was nothing, and that is a part of its run.
        let nothing = Series::from_pairs([(self.start, 0)]).with_end(series.end());
        let series = Series::sum(&[&nothing, series]);
        Figures::of(&judge(&series, &settings_of(self.unit)))
    }
}

fn families(verdict: Verdict) -> BTreeMap<String, Series> {
    let mut families: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    for (part, series) in verdict.parts {
        families.entry(part.family().to_owned()).or_default().push(series);
    }
    let sum = |series: Vec<Series>| match <[Series; 1]>::try_from(series) {
        Ok([one]) => one,
        Err(several) => Series::sum(&several.iter().collect::<Vec<_>>()),
    };
    families.into_iter().map(|(family, series)| (family, sum(series))).collect()
}

/// The whole, and every subject that matters in any of the runs.
struct Compared {
    unit: Unit,
    runs: (usize, usize),
    whole: Comparison,
    /// The largest difference first.
    subjects: Vec<(String, Comparison)>,
}

impl Compared {
    fn of(base: &[Run], new: &[Run]) -> Option<Self> {
        let wholes = |runs: &[Run]| runs.iter().map(|run| run.whole).collect::<Vec<_>>();
        let unit = base.first()?.unit;
        let wholes = Runs { base: wholes(base), new: wholes(new) };
        let whole = wholes.compare(resolution(unit))?;
        let figures = |runs: &[Run], name: &str| {
            runs.iter().map(|run| run.figures(name)).collect::<Option<Vec<_>>>()
        };
        let (names, parts): (Vec<String>, Vec<_>) = subjects(base, new)
            .into_iter()
            .filter_map(|name| {
                let parts = Runs { base: figures(base, &name)?, new: figures(new, &name)? };
                Some((name, parts))
            })
            .unzip();
        let compared = wholes.compare_parts(&parts, resolution(unit))?;
        let mut subjects: Vec<(String, Comparison)> = names.into_iter().zip(compared).collect();
        let span = whole_span(&wholes.base);
        subjects.sort_by(|(_, a), (_, b)| weight(b, span).total_cmp(&weight(a, span)));
        let runs = (base.len(), new.len());
        Some(Self { unit, runs, whole, subjects })
    }

    /// Why nothing can be told, and what to do about it.
    fn lack(&self) -> Option<&'static str> {
        (self.runs.0 < 2 || self.runs.1 < 2).then_some(
            "one run does not tell how runs of one version differ; give several of each, three or better five",
        )
    }

    fn told(&self, metric: &str) -> String {
        let (base, new) = self.runs;
        let change = self.whole.change().as_str();
        let mut told = format!("{change}  {metric} of {new} new against {base} base runs\n");
        // Writing to a string can't fail.
        if let Some(lack) = self.lack() {
            let _ = writeln!(told, "  {lack}");
        }
        told.push_str(&tell(&self.whole, self.unit, "  "));
        let changed = self.subjects.iter().filter(|(_, comparison)| {
            matches!(comparison.change(), Change::Worse | Change::Better)
        });
        for (name, comparison) in changed.take(MOST_SUBJECTS) {
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
            "schema": "seepmeter.comparison/1", "metric": metric,
            "change": self.whole.change().as_str(), "lack": self.lack(),
            "base_runs": self.runs.0, "new_runs": self.runs.1,
            "whole": comparison_json(&self.whole), "subjects": subjects,
        })
    }
}

/// What values of a unit come in: memory in pages, a count by one.
fn resolution(unit: Unit) -> f64 {
    match unit {
        Unit::Bytes => 4096.0,
        _ => 1.0,
    }
}

/// The names of the families that hold enough of the whole in any run. Where a run has sampled no
/// parts at all, they are not nothing there but unknown, and none are compared.
fn subjects(base: &[Run], new: &[Run]) -> BTreeSet<String> {
    let runs = || base.iter().chain(new);
    if runs().any(|run| run.families.is_empty()) {
        return BTreeSet::new();
    }
    let matters = |run: &Run, series: &Series| {
        series.peak().is_some_and(|peak| peak as f64 >= LEAST_PART * run.whole.peak)
    };
    runs()
        .flat_map(|run| run.families.iter().filter(|(_, series)| matters(run, series)))
        .map(|(name, _)| name.clone())
        .collect()
}

fn whole_span(runs: &[Figures]) -> f64 {
    runs.iter().map(|run| run.span).sum::<f64>() / runs.len().max(1) as f64
}

/// By how much a subject differs, in base units: the most of its level, its peak, and what its rate
/// adds within a run.
fn weight(comparison: &Comparison, span: f64) -> f64 {
    let Comparison { rate, level, peak } = comparison;
    [rate.estimate * span, level.estimate, peak.estimate]
        .into_iter()
        .map(f64::abs)
        .fold(0.0, f64::max)
}

fn tell(comparison: &Comparison, unit: Unit, indent: &str) -> String {
    let Comparison { rate, level, peak } = comparison;
    let size = |value: f64| amount(value, format_of(unit));
    let a_second = |value: f64| rate_in_words(value, format_of(unit));
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
