//! A report on a new version beside a base: their curves over each other, and what differs.

use seepmeter_analysis::cells::Cells;
use seepmeter_analysis::compare::Difference;
use seepmeter_analysis::{Comparison, Series};
use seepmeter_record::StackProfile;
use seepmeter_verdict::RunComparison;
use serde::Serialize;

use crate::content::{Number, amount};
use crate::escape;

/// Bins of the curves of the other runs.
const RUN_BINS: usize = 256;

/// No more runs than this are drawn, those of the base first, and no more subjects are compared in the page.
const MOST_RUNS: usize = 16;
const MOST_SUBJECTS: usize = 12;

/// Runs of a new version beside those of a base.
#[derive(Debug)]
pub struct ComparedRuns {
    /// What differs.
    pub comparison: RunComparison,
    /// All runs but the one that is reported on.
    pub others: Vec<OtherRun>,
}

/// A run beside the one that is reported on.
#[derive(Debug)]
pub struct OtherRun {
    /// What it is called: its file.
    pub name: String,
    /// True of a run of the base, false of another one of the new version.
    pub is_base: bool,
    /// Its series, as it is compared.
    pub series: Series,
    /// The stacks of its threads, and what they have mapped.
    pub stacks: StackProfile,
}

/// What the scripts draw of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparedData {
    pub(crate) runs: Vec<RunLine>,
    figures: Vec<FigureData>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunLine {
    name: String,
    is_base: bool,
    start: Number,
    width: Number,
    pub(crate) end: Number,
    pub(crate) mean: Vec<Option<Number>>,
}

/// A figure that differs, or does not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FigureData {
    /// The part that it is of; empty of the whole.
    subject: String,
    figure: &'static str,
    is_rate: bool,
    change: &'static str,
    base: Number,
    difference: Number,
    /// The 95 % interval of the difference; none with one run on a side.
    interval: Option<[Number; 2]>,
}

impl ComparedRuns {
    /// The comparison as lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.comparison.text().lines("  ")
    }

    pub(crate) fn data(&self) -> ComparedData {
        let mut others: Vec<&OtherRun> = self.others.iter().collect();
        others.sort_by_key(|run| !run.is_base);
        let subjects = self.comparison.subjects.iter().take(MOST_SUBJECTS);
        let of_subject = |(name, comparison): &(String, Comparison)| figures(name, comparison);
        ComparedData {
            runs: others.into_iter().take(MOST_RUNS).map(OtherRun::line).collect(),
            figures: figures("", &self.comparison.whole)
                .into_iter()
                .chain(subjects.flat_map(of_subject))
                .collect(),
        }
    }
}

fn figures(subject: &str, comparison: &Comparison) -> [FigureData; 3] {
    let Comparison { rate, level, peak } = comparison;
    let of = |figure: &'static str, difference: &Difference| FigureData {
        subject: escape::name(subject),
        figure,
        is_rate: figure == "rate",
        change: difference.change.as_str(),
        base: Number(difference.base),
        difference: Number(difference.estimate),
        interval: difference.interval.map(|it| [it.low, it.high].map(Number)),
    };
    [of("rate", rate), of("level", level), of("peak", peak)]
}

impl OtherRun {
    fn line(&self) -> RunLine {
        let cells = Cells::between(&self.series, self.series.start(), self.series.end(), RUN_BINS);
        let seconds = |ns: u64| Number(ns as f64 / 1e9);
        RunLine {
            name: escape::name(&self.name),
            is_base: self.is_base,
            start: seconds(cells.start),
            width: seconds(cells.width),
            end: seconds(self.series.end()),
            mean: cells.cells.iter().map(|cell| cell.map(|cell| amount(cell.mean))).collect(),
        }
    }
}
