//! What a page shows, as the data that its scripts draw.

use seepmeter_chart::{Axis, Bin, Chart, Curve, NoChart};
use seepmeter_record::Unit;
use seepmeter_verdict::{Conclusion, MetricConclusion, MetricOutcome, RunSeries, Verdict};
use serde::{Serialize, Serializer};

use crate::compared::{ComparedData, ComparedRuns};
use crate::escape;
use crate::flame::{self, FlameData};
use crate::growth::{self, Growth};
use crate::run_facts::RunFacts;

/// Bins of the thin lines of several processes.
const PART_BINS: usize = 256;

/// Of shares and of parts that were not sampled to the end, so many are in the verdict that a page has as JSON.
const MOST_SHARES: usize = 256;

/// What a report is made from.
#[derive(Clone, Copy)]
pub struct ReportContent<'a> {
    /// What the stream says beside the verdict.
    pub facts: &'a RunFacts,
    /// The verdicts.
    pub conclusion: &'a Conclusion,
    /// The series that the verdicts on the metric were made from; those of another metric are left out.
    pub series: &'a [RunSeries],
    /// The metric that is shown; without it the main one.
    pub metric: Option<&'a str>,
    /// The runs that it is compared with, of the metric that is shown.
    pub compared: Option<&'a ComparedRuns>,
}

/// A number as JSON has it: a whole one without a point, and `null` of what is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Number {
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(number) = *self;
        if !number.is_finite() {
            serializer.serialize_none()
        } else if number.fract() == 0.0 && number.abs() < 9e15 {
            serializer.serialize_i64(number as i64)
        } else {
            serializer.serialize_f64(number)
        }
    }
}

/// An amount with what of it can be seen: of bytes and counts a large number has no fraction.
pub(crate) fn amount(value: f64) -> Number {
    Number(if value.abs() >= 1000.0 { value.round() } else { (value * 1e3).round() / 1e3 })
}

/// A time in seconds.
fn seconds(ns: u64) -> Number {
    Number(ns as f64 / 1e9)
}

/// What the scripts draw. Times are in seconds since the start of the run, values in the metric's base units.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageData {
    metric: String,
    unit: Unit,
    classification: &'static str,
    name: String,
    /// From and to of the axes.
    times: [Number; 2],
    values: [Number; 2],
    curve: Bins,
    judged: Option<[Number; 2]>,
    warm_up_end: Option<Number>,
    gaps: Vec<[Number; 2]>,
    /// Time, value, and 1 if it was judged.
    floors: Vec<(Number, Number, u8)>,
    fit: Option<Fit>,
    cycle_ends: Vec<Number>,
    limit: Option<Limit>,
    marks: Vec<(Number, String)>,
    processes: Vec<Line>,
    growth: Growth,
    compared: Option<ComparedData>,
    stacks: Option<FlameData>,
}

/// A curve in bins, from the lowest to the highest value of each; `null` where nothing was sampled.
#[derive(Serialize)]
struct Bins {
    start: Number,
    width: Number,
    end: Number,
    min: Vec<Option<Number>>,
    mean: Vec<Option<Number>>,
    max: Vec<Option<Number>>,
}

/// A thin line.
#[derive(Serialize)]
struct Line {
    name: String,
    start: Number,
    width: Number,
    end: Number,
    mean: Vec<Option<Number>>,
}

/// The fitted line: at `pivot` it is `height` high, and its band is narrowest.
#[derive(Serialize)]
struct Fit {
    span: [Number; 2],
    pivot: Number,
    height: Number,
    /// The lower end of the interval of the slope, the slope, the upper end; a second.
    rate: [Number; 3],
}

#[derive(Serialize)]
struct Limit {
    label: String,
    value: Option<Number>,
    reached: Option<Number>,
}

impl<'a> ReportContent<'a> {
    pub(crate) fn chart(&self) -> Result<Chart, NoChart> {
        Chart::of(self.conclusion, self.metric, &self.facts.marks)
    }

    /// What is concluded from the metric that is shown.
    pub(crate) fn shown(&self) -> Option<&'a MetricConclusion> {
        let is_shown = |it: &&MetricConclusion| self.metric.is_none_or(|name| it.metric == name);
        self.conclusion.metrics.iter().find(is_shown)
    }

    /// The verdict that is shown; there is one if there is a chart.
    pub(crate) fn verdict(&self) -> Option<&'a Verdict> {
        self.shown()?.verdict().ok()
    }

    /// The verdict as JSON for machines, with the largest shares only, and how many were left out.
    pub(crate) fn document(&self) -> (String, usize) {
        let Some(verdict) = self.verdict() else { return ("{}".to_owned(), 0) };
        let mut verdict = verdict.clone();
        let mut left_out = verdict.stale.len().saturating_sub(MOST_SHARES);
        verdict.stale.truncate(MOST_SHARES);
        if let Some(shares) = &mut verdict.shares {
            left_out += shares.len().saturating_sub(MOST_SHARES);
            shares.truncate(MOST_SHARES);
        }
        let metric = verdict.metric.clone();
        let only = MetricConclusion::new(&metric, MetricOutcome::Verdicts(vec![verdict]));
        let documents = only.documents(&self.conclusion.gates, None);
        (documents.ok().and_then(|mut all| all.pop()).unwrap_or_default(), left_out)
    }

    pub(crate) fn data(&self, chart: &Chart) -> PageData {
        let fit = chart.fit.map(|fit| Fit {
            span: [seconds(fit.span.from), seconds(fit.span.to)],
            pivot: Number(fit.pivot),
            height: amount(fit.at(fit.pivot).estimate),
            rate: [fit.rate.low, fit.rate.estimate, fit.rate.high].map(Number),
        });
        let limit = chart.limit.as_ref().map(|limit| Limit {
            label: limit.label.clone(),
            value: limit.value.map(amount),
            reached: limit.reached.map(seconds),
        });
        let floors = chart.floors.iter();
        let marks = chart.marks.iter();
        let axis = |axis: &Axis, scale: f64| [Number(axis.from / scale), Number(axis.to / scale)];
        let compared = self.compared.map(ComparedRuns::data);
        let (mut times, mut values) = (axis(&chart.times, 1e9), axis(&chart.values, 1.0));
        for run in compared.iter().flat_map(|compared| &compared.runs) {
            times[1] = times[1].max(run.end);
            let highest = run.mean.iter().flatten().copied().reduce(Number::max);
            let lowest = run.mean.iter().flatten().copied().reduce(Number::min);
            values[1] = highest.map_or(values[1], |it| values[1].max(Number(it.0 * 1.06)));
            values[0] = lowest.map_or(values[0], |it| values[0].min(it));
        }
        PageData {
            metric: self.shown().map_or_else(String::new, |shown| escape::name(&shown.metric)),
            unit: chart.unit,
            classification: chart.classification.as_str(),
            name: escape::name(&chart.name),
            times,
            values,
            curve: Bins::of(&chart.curve),
            judged: chart.judged.map(|span| [seconds(span.from), seconds(span.to)]),
            warm_up_end: chart.warm_up_end.map(seconds),
            gaps: chart.curve.gaps().iter().map(|gap| [gap.from, gap.to].map(seconds)).collect(),
            floors: floors
                .map(|floor| (seconds(floor.t), amount(floor.value), floor.is_judged.into()))
                .collect(),
            fit,
            cycle_ends: chart.troughs.iter().map(|t| seconds(*t)).collect(),
            limit,
            marks: marks.map(|mark| (seconds(mark.t), escape::name(&mark.label))).collect(),
            processes: chart.parts.iter().map(|part| Line::of(&part.name, &part.curve)).collect(),
            growth: growth::of(self),
            compared,
            stacks: flame::of(self),
        }
    }
}

/// One edge of all bins.
fn edge(curve: &Curve, of: fn(&Bin) -> f64) -> Vec<Option<Number>> {
    curve.bins.iter().map(|bin| bin.as_ref().map(|bin| amount(of(bin)))).collect()
}

impl Bins {
    fn of(curve: &Curve) -> Self {
        Self {
            start: seconds(curve.start),
            width: seconds(curve.width),
            end: seconds(curve.end),
            min: edge(curve, |bin| bin.min),
            mean: edge(curve, |bin| bin.mean),
            max: edge(curve, |bin| bin.max),
        }
    }
}

impl Line {
    fn of(name: &str, curve: &Curve) -> Self {
        let curve = curve.in_bins(PART_BINS);
        Self {
            name: escape::name(name),
            start: seconds(curve.start),
            width: seconds(curve.width),
            end: seconds(curve.end),
            mean: edge(&curve, |bin| bin.mean),
        }
    }
}
