//! Is a new version worse than a base?

use std::collections::{BTreeMap, BTreeSet};

use seepmeter_analysis::compare::Difference;
use seepmeter_analysis::thresholds::comparison::{LEAST_PART, PAGE};
use seepmeter_analysis::{Change, Comparison, Figures, Runs, Series};
use seepmeter_record::{Unit, human};
use serde_json::{Value, json};

use crate::run_series::RunSeries;
use crate::text::{AnswerText, reason, short};

/// No more subjects than this have lines of their own.
const MOST_SUBJECTS: usize = 10;

/// Why a run can't be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {next}")]
pub struct NotComparable {
    why: String,
    next: &'static str,
}

/// A run that is long enough to be compared.
#[derive(Clone, Debug)]
pub struct ComparableRun {
    run: RunSeries,
    whole: Figures,
    /// The series of each family of parts; none at all if no parts were sampled.
    families: BTreeMap<String, Series>,
}

impl ComparableRun {
    /// The figures of a run.
    ///
    /// # Errors
    /// It is too short to have any, or it is not all that there was.
    pub fn of(run: RunSeries) -> Result<Self, NotComparable> {
        let judgement = run.judge().judgement;
        if run.not_all_followed {
            let why = "not all of its processes were followed".to_owned();
            return Err(NotComparable {
                why,
                next: "its summary says why, and what to do about it",
            });
        }
        let whole = Figures::of(&judgement)
            .ok_or_else(|| NotComparable { why: reason(&judgement), next: "record longer runs" })?;
        Ok(Self { families: families(&run), run, whole })
    }

    /// The figures of a family: those of nothing if the run has no such part.
    fn of_family(&self, family: &str) -> Option<Figures> {
        let Some(series) = self.families.get(family) else {
            return Some(Figures::absent(self.whole.span));
        };
        // Before it came it was nothing, and that is a part of its run.
        let start = self.run.parts.iter().map(|known| known.series.start()).min().unwrap_or(0);
        let nothing = Series::from_pairs([(start, 0)]).with_end(series.end());
        Figures::of(&self.run.judge_series(&Series::sum(&[&nothing, series])))
    }
}

fn families(run: &RunSeries) -> BTreeMap<String, Series> {
    let mut families: BTreeMap<String, Vec<&Series>> = BTreeMap::new();
    for known in &run.parts {
        families.entry(known.part.family.clone()).or_default().push(&known.series);
    }
    let sum = |series: Vec<&Series>| match series[..] {
        [one] => one.clone(),
        _ => Series::sum(&series),
    };
    families.into_iter().map(|(family, series)| (family, sum(series))).collect()
}

/// How runs of a new version compare with runs of a base, by one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct RunComparison {
    /// The metric.
    pub metric: String,
    /// What its integers count.
    pub unit: Unit,
    /// How many runs of the base there are.
    pub base_runs: usize,
    /// How many runs of the new version there are.
    pub new_runs: usize,
    /// The whole.
    pub whole: Comparison,
    /// Every family of parts that matters in any of the runs, the largest difference first.
    pub subjects: Vec<(String, Comparison)>,
}

impl RunComparison {
    /// Compares runs by the metric that all of them are series of; none if a side has no run.
    #[must_use]
    pub fn of(base: &[ComparableRun], new: &[ComparableRun]) -> Option<Self> {
        let RunSeries { metric, unit, .. } = &base.first()?.run;
        let wholes = |runs: &[ComparableRun]| runs.iter().map(|run| run.whole).collect::<Vec<_>>();
        let wholes = Runs { base: wholes(base), new: wholes(new) };
        let whole = wholes.compare(resolution(*unit))?;
        let figures = |runs: &[ComparableRun], name: &str| {
            runs.iter().map(|run| run.of_family(name)).collect::<Option<Vec<_>>>()
        };
        let (names, parts): (Vec<String>, Vec<Runs>) = subjects(base, new)
            .into_iter()
            .filter_map(|name| {
                let parts = Runs { base: figures(base, &name)?, new: figures(new, &name)? };
                Some((name, parts))
            })
            .unzip();
        let compared = wholes.compare_parts(&parts, resolution(*unit))?;
        let mut subjects: Vec<(String, Comparison)> = names.into_iter().zip(compared).collect();
        let span = mean_span(&wholes.base);
        subjects.sort_by(|(_, a), (_, b)| weight(b, span).total_cmp(&weight(a, span)));
        let (base_runs, new_runs) = (base.len(), new.len());
        Some(Self { metric: metric.clone(), unit: *unit, base_runs, new_runs, whole, subjects })
    }

    /// Why there can be no answer, and what to do about it; none if there can.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        (self.base_runs < 2 || self.new_runs < 2).then_some(
            "one run does not show how much runs of one version differ; give three or, better, five of each",
        )
    }

    /// The comparison for people.
    #[must_use]
    pub fn text(&self) -> AnswerText {
        let Self { metric, unit, base_runs, new_runs, whole, .. } = self;
        let runs = human::count(*base_runs as u64, "base run");
        let mut details: Vec<String> =
            self.lack().map(|lack| format!("  {lack}")).into_iter().collect();
        details.extend(difference_lines(whole, *unit, "  "));
        let differs = |(_, comparison): &&(String, Comparison)| {
            matches!(comparison.change(), Change::Worse | Change::Better)
        };
        for (name, comparison) in self.subjects.iter().filter(differs).take(MOST_SUBJECTS) {
            details.push(format!("  {}  {}", comparison.change().as_str(), short(name)));
            details.extend(difference_lines(comparison, *unit, "    "));
        }
        let figures = format!("{metric} of {new_runs} new against {runs}");
        AnswerText { word: whole.change().as_str(), figures, details }
    }

    /// The comparison as a JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let subjects: serde_json::Map<String, Value> = self
            .subjects
            .iter()
            .map(|(name, comparison)| (name.clone(), comparison_json(comparison)))
            .collect();
        json!({
            "schema": "seepmeter.comparison/1", "metric": self.metric,
            "change": self.whole.change().as_str(), "lack": self.lack(),
            "base_runs": self.base_runs, "new_runs": self.new_runs,
            "whole": comparison_json(&self.whole), "subjects": subjects,
        })
    }
}

/// What values come in, in base units: memory in pages, and all else one by one.
fn resolution(unit: Unit) -> f64 {
    if unit == Unit::Bytes { PAGE } else { 1.0 }
}

/// The names of the families that hold enough of the whole in any run. If no parts were sampled in one
/// of the runs, they are not nothing there but unknown, and none are compared.
fn subjects(base: &[ComparableRun], new: &[ComparableRun]) -> BTreeSet<String> {
    let runs = || base.iter().chain(new);
    if runs().any(|run| run.families.is_empty()) {
        return BTreeSet::new();
    }
    let matters = |run: &ComparableRun, series: &Series| {
        series.peak().is_some_and(|peak| peak as f64 >= LEAST_PART * run.whole.peak)
    };
    runs()
        .flat_map(|run| run.families.iter().filter(|(_, series)| matters(run, series)))
        .map(|(name, _)| name.clone())
        .collect()
}

fn mean_span(runs: &[Figures]) -> f64 {
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

fn difference_lines(comparison: &Comparison, unit: Unit, indent: &str) -> [String; 3] {
    let Comparison { rate, level, peak } = comparison;
    let size = |value: f64| human::change(value, unit);
    let a_second = |value: f64| human::rate(value, unit);
    [
        line("rate", rate, indent, &a_second),
        line("level", level, indent, &size),
        line("peak", peak, indent, &size),
    ]
}

/// One figure; `signed` renders it with its sign.
fn line(
    name: &str,
    difference: &Difference,
    indent: &str,
    signed: &dyn Fn(f64) -> String,
) -> String {
    let Difference { change, base, estimate, interval, p_value } = difference;
    let unsigned = |value: f64| signed(value).trim_start_matches('+').to_owned();
    let interval = interval.map_or(String::new(), |interval| {
        format!(" (95 % CI {} to {})", unsigned(interval.low), unsigned(interval.high))
    });
    let p_value = p_value.map_or(String::new(), |p| {
        if p < 0.001 { ", p < 0.001".to_owned() } else { format!(", p = {p:.3}") }
    });
    format!(
        "{indent}{name:6} {:12} base {}, change {}{interval}{p_value}",
        change.as_str(),
        unsigned(*base),
        signed(*estimate)
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
        "interval": interval, "p_value": p_value,
    })
}
