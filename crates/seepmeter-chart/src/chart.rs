//! What is to be seen of a verdict.

use seepmeter_analysis::{Classification, Interval, Reason, Span, evidence::FittedLine};
use seepmeter_record::{Unit, human};
use seepmeter_verdict::{
    Conclusion, LimitForecast, LineOptions, MetricConclusion, NoVerdict, Scope, Verdict,
};

use crate::axis::Axis;
use crate::curve::Curve;
use crate::marks::{ChartMark, MarkLog};

/// No more thin lines than this are drawn beside the curve.
pub(crate) const MOST_PARTS: usize = 8;

/// A limit is drawn to scale if it is no higher than so many times what was seen.
const LIMIT_IN_SIGHT: f64 = 2.5;

/// The axis of time goes on up to the limit if that takes no longer than so many times the run.
const CROSSING_IN_SIGHT: f64 = 1.0;

/// A growing curve that moves in less than this part of its height is drawn from near its lowest value on.
const ZOOMED: f64 = 0.25;

/// The ticks of both axes, at most.
const MOST_TIMES: usize = 8;
const MOST_VALUES: usize = 5;

/// Part of the height that stays free above the highest value.
const HEADROOM: f64 = 0.06;

/// What is to be seen of one metric of a run. Times are in ns since the start of the run, values in the metric's
/// base units. Names in it are as they came from the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What the metric was judged to be.
    pub classification: Classification,
    /// The verdict's first line, without the classification.
    pub headline: String,
    /// The verdict's other lines.
    pub details: Vec<String>,
    /// Which processes and marks the chart leaves out.
    pub notes: Vec<String>,
    /// Whose the curve is.
    pub name: String,
    /// What values count.
    pub unit: Unit,
    /// The axis of time.
    pub times: Axis,
    /// The axis of values.
    pub values: Axis,
    /// The curve that was judged.
    pub curve: Curve,
    /// How many samples it is of.
    pub samples: u64,
    /// Of a sum, its largest processes, or if there are many its roles; those of other series that have no sum.
    pub parts: Vec<NamedCurve>,
    /// How many more of those there are.
    pub parts_left_out: usize,
    /// The span that was judged.
    pub judged: Option<Span>,
    /// When warm-up ended.
    pub warm_up_end: Option<u64>,
    /// The floors, in order of time.
    pub floors: Vec<ChartFloor>,
    /// The fitted line, whose slope is the verdict's rate.
    pub fit: Option<FittedLine>,
    /// Where cycles turn, if there are regular ones.
    pub troughs: Vec<u64>,
    /// The limit that is reached first.
    pub limit: Option<ChartLimit>,
    /// What happened, but for what came after the last sample.
    pub marks: Vec<ChartMark>,
}

/// A thin line.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCurve {
    /// Whose it is.
    pub name: String,
    /// The series.
    pub curve: Curve,
}

/// A floor, which the tests are about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChartFloor {
    /// When.
    pub t: u64,
    /// How high.
    pub value: f64,
    /// True if it was judged, and not before that.
    pub is_judged: bool,
}

/// A limit, and when it is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartLimit {
    /// In words: `limit 64 MiB (cgroup) in 3 m 20 s`.
    pub label: String,
    /// How high the curve may become, if the limit bounds the curve and is in sight.
    pub value: Option<f64>,
    /// When it is reached at the verdict's rate, if that is in sight too.
    pub reached: Option<u64>,
}

/// Why there is no chart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChart {
    /// There is no verdict.
    #[error("there is nothing to draw: {0}")]
    NoVerdict(NoVerdict),
    /// The metric is none of those that were judged.
    #[error("the metric `{metric}` was not judged; add --metric {metric}, or draw one of: {}", judged.join(", "))]
    NotJudged {
        /// The metric.
        metric: String,
        /// Those that were.
        judged: Vec<String>,
    },
}

impl Chart {
    /// The chart of a metric, or of the main one.
    ///
    /// # Errors
    /// Why there is none. Of a target that ended before its first sample there is one without a curve.
    pub fn of(
        conclusion: &Conclusion,
        metric: Option<&str>,
        marks: &MarkLog,
    ) -> Result<Self, NoChart> {
        let metric = chosen(conclusion, metric)?;
        let verdict = metric.verdict().map_err(|why| NoChart::NoVerdict(why.clone()))?;
        let all = metric.beside_main().map_err(|why| NoChart::NoVerdict(why.clone()))?;
        let (parts, parts_left_out) = parts_of(verdict, all);
        let (headline, details) = words(verdict, all.len() > 1);
        let evidence = &verdict.judgement.evidence;
        let curve = Curve::of(evidence);
        let limit = verdict.limit.as_ref().map(|limit| limit_of(limit, &curve));
        let tests = evidence.tests.as_ref();
        let first = tests.map_or(0, |tests| tests.first);
        let floors = evidence.floors.iter().enumerate().map(|(i, floor)| ChartFloor {
            t: (floor.time * 1e9) as u64,
            value: floor.value,
            is_judged: i >= first,
        });
        let regular = evidence.cycles.as_ref().filter(|cycles| cycles.regular());
        let troughs = regular.iter().flat_map(|cycles| &cycles.troughs);
        Ok(Self {
            classification: verdict.judgement.classification,
            headline,
            details,
            notes: notes(parts_left_out, marks),
            name: verdict.name(),
            unit: verdict.unit,
            times: times(&curve, &parts, limit.as_ref()),
            values: values(verdict, &curve, &parts, limit.as_ref()),
            judged: verdict.judgement.span,
            warm_up_end: verdict.judgement.warm_up_end,
            // Of too few floors there is no test, and they say nothing.
            floors: floors.filter(|_| tests.is_some()).collect(),
            fit: tests.map(|tests| tests.line).filter(|_| has_rate(verdict)),
            troughs: troughs.map(|cell| evidence.cells.middle(*cell)).collect(),
            marks: marks.marks().into_iter().filter(|mark| mark.t < curve.end).collect(),
            samples: evidence.sampling.samples,
            curve,
            parts,
            parts_left_out,
            limit,
        })
    }

    /// The fitted line with its band at a time; none before its span.
    #[must_use]
    pub fn fit_at(&self, t: u64) -> Option<Interval> {
        let fit = self.fit.filter(|fit| t >= fit.span.from)?;
        Some(fit.at(t as f64 / 1e9))
    }
}

/// False of too few samples: a line through them would claim what the verdict does not.
fn has_rate(verdict: &Verdict) -> bool {
    verdict.judgement.rate.is_some() && verdict.judgement.reason != Some(Reason::TooShort)
}

fn chosen<'a>(
    conclusion: &'a Conclusion,
    metric: Option<&str>,
) -> Result<&'a MetricConclusion, NoChart> {
    let of_name = |known: &&MetricConclusion| metric.is_none_or(|name| known.metric == name);
    match (conclusion.metrics.iter().find(of_name), metric) {
        (Some(found), _) => Ok(found),
        (None, None) => Err(NoChart::NoVerdict(NoVerdict::NothingSampled)),
        (None, Some(metric)) => Err(NoChart::NotJudged {
            metric: metric.to_owned(),
            judged: conclusion.metrics.iter().map(|known| known.metric.clone()).collect(),
        }),
    }
}

/// The lines beside that of `main`, those with the largest peaks, and how many more there are.
fn parts_of(main: &Verdict, all: &[Verdict]) -> (Vec<NamedCurve>, usize) {
    let is_sampled = |verdict: &&Verdict| Curve::of(&verdict.judgement.evidence).range().is_some();
    let others = || all.iter().filter(|it| !std::ptr::eq(*it, main)).filter(is_sampled);
    let processes = others().filter(|it| it.scope != Scope::Role).count();
    let roles = others().filter(|it| it.scope == Scope::Role).count();
    // Processes and the roles that they have are the same memory.
    let by_role = processes > MOST_PARTS && roles > 0;
    let mut parts: Vec<&Verdict> =
        others().filter(|it| (it.scope == Scope::Role) == by_role).collect();
    parts.sort_by_key(|it| std::cmp::Reverse(it.judgement.peak));
    let left_out = parts.len().saturating_sub(MOST_PARTS);
    parts.truncate(MOST_PARTS);
    let curve = |it: &Verdict| Curve::of(&it.judgement.evidence);
    let named = |it: &&Verdict| NamedCurve { name: it.name(), curve: curve(it) };
    (parts.iter().map(named).collect(), left_out)
}

/// The headline without its first word, and the other lines.
fn words(verdict: &Verdict, has_others: bool) -> (String, Vec<String>) {
    let options = LineOptions { explain: false, name_target: has_others || verdict.pid.is_some() };
    let mut lines = verdict.lines(options).into_iter();
    let first = lines.next().unwrap_or_default();
    let word = verdict.judgement.classification.as_str();
    let headline = first.strip_prefix(word).unwrap_or(&first).trim_start().to_owned();
    (headline, lines.map(|line| line.trim_start().to_owned()).collect())
}

/// What is not drawn.
fn notes(left_out: usize, marks: &MarkLog) -> Vec<String> {
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!("{left_out} smaller ones are not drawn"));
    }
    let drawn = marks.marks().len() as u64;
    if marks.count() > drawn {
        notes.push(format!("{drawn} of {} are drawn", human::count(marks.count(), "mark")));
    }
    notes
}

fn limit_of(forecast: &LimitForecast, curve: &Curve) -> ChartLimit {
    let LimitForecast { kind, amount, others, rate, time } = forecast;
    let label = format!(
        "limit {} ({kind}) in {}",
        human::amount(*amount as f64, kind.unit()),
        human::duration(time.likely)
    );
    // What others have of it is not there for the curve.
    let room = amount.saturating_sub(others.unwrap_or(0)) as f64;
    let highest = curve.range().map_or(0.0, |(_, highest)| highest);
    let value = Some(room).filter(|room| rate.is_none() && *room <= LIMIT_IN_SIGHT * highest);
    let span = curve.end.saturating_sub(curve.start) as f64;
    let is_in_sight = value.is_some() && time.likely as f64 <= CROSSING_IN_SIGHT * span;
    let reached = is_in_sight.then(|| curve.end.saturating_add(time.likely));
    ChartLimit { label, value, reached }
}

/// From the first sample to the last, or to the limit.
fn times(curve: &Curve, parts: &[NamedCurve], limit: Option<&ChartLimit>) -> Axis {
    let all = || std::iter::once(curve).chain(parts.iter().map(|part| &part.curve));
    let from = all().map(|curve| curve.start).min().unwrap_or(0);
    let to = all().map(|curve| curve.end).max().unwrap_or(0);
    // The first sample is a little later than the start.
    let from = if from < to / 50 { 0 } else { from };
    let to = match limit.and_then(|limit| limit.reached) {
        Some(reached) => to.max(reached.saturating_add(reached.saturating_sub(from) / 20)),
        None => to,
    };
    Axis::of_time(from, to, MOST_TIMES)
}

/// From 0, or of growth that is small beside the level from near the lowest value, up to the highest or the limit.
fn values(
    verdict: &Verdict,
    curve: &Curve,
    parts: &[NamedCurve],
    limit: Option<&ChartLimit>,
) -> Axis {
    let all = std::iter::once(curve).chain(parts.iter().map(|part| &part.curve));
    let range = all.filter_map(Curve::range).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (low, high) = range.unwrap_or((0.0, 1.0));
    let high = limit.and_then(|limit| limit.value).map_or(high, |value| value.max(high));
    let grows = verdict.judgement.classification == Classification::Growing;
    let is_small = high - low < ZOOMED * high;
    let from =
        if grows && is_small { (low - HEADROOM * (high - low)).max(0.0) } else { low.min(0.0) };
    let to = high + HEADROOM * (high - from);
    Axis::of_values(from, to, verdict.unit, MOST_VALUES)
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::{Series, TimeToLimit};
    use seepmeter_verdict::{LimitKind, MetricOutcome, RunSeries};

    use super::*;
    use crate::{Picture, PictureSize};

    const SECOND: u64 = 1_000_000_000;
    const MIB: i64 = 1 << 20;

    fn series(samples: u64, value: impl Fn(i64) -> i64) -> Series {
        Series::from_pairs((0..samples).map(|i| (i * SECOND, value(i as i64))))
    }

    fn verdict(name: &str, series: Series) -> Verdict {
        RunSeries::of_resident(name, series).judge()
    }

    fn conclusion(verdicts: Vec<Verdict>) -> Conclusion {
        let outcome = MetricOutcome::Verdicts(verdicts);
        let metrics = vec![MetricConclusion::new("rss", outcome)];
        Conclusion { metrics, gates: Vec::new(), strict: false }
    }

    fn chart(verdicts: Vec<Verdict>) -> Chart {
        Chart::of(&conclusion(verdicts), None, &MarkLog::default()).unwrap()
    }

    fn leak() -> Verdict {
        verdict("worker", series(600, |i| 50 * MIB + 60_000 * i))
    }

    #[test]
    fn the_chart_of_a_leak_has_its_floors_and_the_line_through_them() {
        let chart = chart(vec![leak()]);
        assert_eq!(chart.classification, Classification::Growing);
        assert!(chart.headline.starts_with("rss +"), "{}", chart.headline);
        let middle = chart.fit_at(300 * SECOND).unwrap();
        let expected = (50 * MIB + 60_000 * 300) as f64;
        assert!((middle.estimate / expected - 1.0).abs() < 0.01, "{middle:?}");
        assert!(chart.floors.len() >= 10 && chart.floors.iter().any(|floor| floor.is_judged));
        assert!(chart.values.from.abs() < 1.0 && chart.values.to > chart.curve.range().unwrap().1);
    }

    #[test]
    fn little_growth_on_a_high_level_can_be_seen_and_a_steady_level_stands_on_zero() {
        let grows = chart(vec![verdict("a", series(600, |i| 9000 * MIB + 600_000 * i))]);
        assert_eq!(grows.classification, Classification::Growing);
        assert!(grows.values.from > 8000.0 * MIB as f64);
        let steady = chart(vec![verdict("a", series(600, |i| 9000 * MIB + i % 7 * 4096))]);
        assert_eq!(steady.classification, Classification::Steady);
        assert!(steady.values.from.abs() < 1.0);
    }

    #[test]
    fn a_limit_that_is_near_is_drawn_to_scale_and_one_that_is_far_is_named() {
        let with_limit = |amount: u64, likely: u64| {
            let time = TimeToLimit { soonest: likely, likely, latest: None };
            let forecast =
                LimitForecast { kind: LimitKind::Cgroup, amount, others: None, rate: None, time };
            chart(vec![Verdict { limit: Some(forecast), ..leak() }])
        };
        let near = with_limit(100 << 20, 300 * SECOND);
        let limit = near.limit.unwrap();
        assert_eq!(limit.label, "limit 100 MiB (cgroup) in 5 m");
        assert_eq!((limit.value, limit.reached), (Some((100 * MIB) as f64), Some(899 * SECOND)));
        assert!(near.times.to > 899.0 * 1e9 && near.values.to > (100 * MIB) as f64);
        let far = with_limit(64 << 30, 86_400 * SECOND);
        assert_eq!(far.limit.as_ref().map(|it| (it.value, it.reached)), Some((None, None)));
        assert!(far.values.to < (120 * MIB) as f64);
    }

    #[test]
    fn of_many_processes_the_largest_are_drawn_and_the_others_are_counted() {
        let process = |i: i64| Verdict {
            scope: Scope::Target,
            ..verdict(&format!("w{i}"), series(120, move |_| (i + 1) * MIB))
        };
        let sum = Verdict {
            scope: Scope::AllTargets,
            ..verdict("12 targets", series(120, |_| 78 * MIB))
        };
        let chart = chart((0..12).map(process).chain([sum]).collect());
        assert_eq!((chart.parts.len(), chart.parts_left_out), (MOST_PARTS, 4));
        assert_eq!(chart.parts[0].name, "w11");
        assert!(
            chart.notes.contains(&"4 smaller ones are not drawn".to_owned()),
            "{:?}",
            chart.notes
        );
    }

    #[test]
    fn a_million_samples_keep_their_one_peak_and_say_in_how_many_bins_they_are() {
        let value = |i: i64| if i == 765_431 { 900 * MIB } else { 50 * MIB + i % 9 * 4096 };
        let chart = chart(vec![verdict("a", series(1_000_000, value))]);
        assert!(chart.curve.bins.len() <= 1024);
        assert_eq!(chart.curve.in_bins(100).range().unwrap().1, (900 * MIB) as f64);
        let picture = Picture::of(&chart, PictureSize::default());
        let said = picture.description.join("\n");
        assert!(said.contains("1000000 samples in ") && said.contains("to its highest"), "{said}");
        assert!(picture.svg().len() < 60_000, "{}", picture.svg().len());
    }

    #[test]
    fn a_gap_stays_a_gap_and_a_run_without_samples_has_no_curve() {
        let gap = Series::from_pairs((0..300).chain(3_000..3_300).map(|i| (i * SECOND, MIB)));
        let gap = chart(vec![verdict("a", gap)]);
        assert!(gap.curve.bins.iter().any(Option::is_none));
        let none = chart(vec![verdict("a", Series::default())]);
        assert_eq!((none.classification, none.curve.range()), (Classification::Inconclusive, None));
        assert!(none.floors.is_empty() && none.fit.is_none());
    }

    #[test]
    fn a_metric_that_was_not_judged_is_an_error_that_names_those_that_were() {
        let conclusion = conclusion(vec![leak()]);
        let error = Chart::of(&conclusion, Some("pss"), &MarkLog::default()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("--metric pss") && message.ends_with("rss"), "{message}");
    }
}
