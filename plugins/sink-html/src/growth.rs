//! Growth by part: a row of a table for each, and an area of the largest.

use std::collections::BTreeMap;

use seepmeter_analysis::cells::{Cell, Cells};
use seepmeter_analysis::{Interval, Reason, Series, Share, Span, attribute};
use seepmeter_record::{SubjectKind, human};
use seepmeter_verdict::{Part, RunSeries, Scope, Verdict};
use serde::{Serialize, Serializer};

use crate::content::{Number, ReportContent, amount};
use crate::escape;

/// No more rows are in a page, and no more bytes of them.
const MOST_ROWS: usize = 5_000;
const MOST_BYTES: usize = 1_300_000;

/// Parts of the area that have a layer of their own.
const MOST_LAYERS: usize = 7;

/// Bins of the area, and of the small curve of a row.
const AREA_BINS: usize = 240;
const SPARK_BINS: usize = 40;

/// The levels of a small curve: a letter each.
const LEVELS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Stands for a bin outside the life of a part, in which it holds nothing, and for one in which nothing is known.
const NOT_THERE: char = '.';
const UNKNOWN: char = '?';

/// What has grown.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Growth {
    /// Why there is none, if there is none.
    missing: Option<String>,
    /// Over which span gains and rates are, in seconds.
    span: Option<[Number; 2]>,
    /// False if rates would claim more than the verdict does.
    has_rates: bool,
    /// True if the parts are of several processes.
    has_owners: bool,
    rows: Vec<Row>,
    rows_left_out: usize,
    area: Option<Area>,
}

/// A part. In JSON it is an array of its fields, in their order.
struct Row {
    name: String,
    kind: String,
    /// Whose part it is.
    owner: String,
    /// What it holds at the end, and its highest value.
    last: Number,
    peak: Number,
    /// What it gained over the span.
    gain: Number,
    rate: Interval,
    /// Its part of the growth of the whole; none if that does not grow.
    share: Option<f64>,
    spark: Spark,
    /// Since when it is not known, why its growth may be harmless, or what it was judged to be.
    note: String,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, kind, owner, last, peak, gain, rate, share, spark, note } = self;
        let rate = [rate.low, rate.estimate, rate.high].map(figures);
        let share = share.map(figures);
        (name, kind, owner, last, peak, gain, rate, share, spark, note).serialize(serializer)
    }
}

/// Six figures are more than anybody reads.
fn figures(value: f64) -> Number {
    Number(format!("{value:.5e}").parse().unwrap_or(value))
}

/// The largest parts in layers, the first one at the bottom.
#[derive(Serialize)]
struct Area {
    start: Number,
    width: Number,
    end: Number,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    values: Vec<Option<Number>>,
}

/// A part with its series, before it is a row.
struct Candidate<'a> {
    name: String,
    kind: String,
    owner: String,
    series: &'a Series,
    /// What a process was judged to be.
    judged: Option<&'static str>,
    /// Why the growth of a part may be harmless.
    cause: Option<&'static str>,
    /// For how long before the end a part was not sampled, in ns.
    unknown_for: Option<u64>,
}

/// The growth of the parts of what is shown.
pub(crate) fn of(content: &ReportContent<'_>) -> Growth {
    match whole(content) {
        Ok((verdict, run)) => found(content, verdict, run),
        Err(why) => Growth { missing: Some(why), ..Growth::default() },
    }
}

/// The verdict that is shown, and the series that it was made from.
fn whole<'a>(content: &ReportContent<'a>) -> Result<(&'a Verdict, &'a RunSeries), String> {
    let nothing = || "nothing was sampled".to_owned();
    let verdict = content.verdict().ok_or_else(nothing)?;
    if verdict.epoch.as_ref().is_some_and(|epoch| epoch.end.is_some()) {
        return Err(
            "the verdict is on an epoch that has ended, of which no parts are kept".to_owned()
        );
    }
    let is_same = |run: &&RunSeries| {
        run.metric == verdict.metric
            && run.scope == verdict.scope
            && run.pid == verdict.pid
            && run.target == verdict.target
    };
    let run = content.series.iter().find(is_same).ok_or_else(|| {
        let metric = escape::name(&verdict.metric);
        format!(
            "no parts of {metric} were collected; name the metric for this sink: metric={metric}"
        )
    })?;
    if run.whole.is_empty() {
        return Err(nothing());
    }
    if run.parts.is_empty() && content.series.len() < 2 {
        return Err(format!(
            "no sampler of this run has {} of parts; `-s smaps` has it of each mapping",
            escape::name(&verdict.metric)
        ));
    }
    Ok((verdict, run))
}

fn found(content: &ReportContent<'_>, verdict: &Verdict, run: &RunSeries) -> Growth {
    let judged = verdict.judgement.span;
    let span = judged.unwrap_or(Span { from: run.whole.start(), to: run.whole.end() });
    let candidates = candidates(content, run);
    let series = candidates.iter().map(|it| it.series).enumerate();
    let cycle = verdict.judgement.cycle;
    let mut shares = attribute(&run.whole, series, span, cycle).shares;
    shares.sort_by(|a, b| b.gain.abs().total_cmp(&a.gain.abs()));
    let has_rates = judged.is_some() && verdict.judgement.reason != Some(Reason::TooShort);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for share in shares.iter().take(MOST_ROWS) {
        let row = row(&candidates[share.id], share, run);
        bytes += serde_json::to_string(&row).map_or(0, |text| text.len());
        if bytes > MOST_BYTES {
            break;
        }
        rows.push(row);
    }
    Growth {
        missing: None,
        span: Some([span.from, span.to].map(|t| Number(t as f64 / 1e9))),
        has_rates,
        has_owners: rows.iter().any(|row| !row.owner.is_empty()),
        rows_left_out: candidates.len() - rows.len(),
        rows,
        area: area(run, span, cycle),
    }
}

/// The processes and roles beside the whole, then the parts of each process.
fn candidates<'a>(content: &ReportContent<'a>, whole: &'a RunSeries) -> Vec<Candidate<'a>> {
    let verdicts = content.shown().and_then(|shown| shown.verdicts().ok()).unwrap_or_default();
    let others = || content.series.iter().filter(|run| !std::ptr::eq(*run, whole));
    let mut all: Vec<Candidate<'a>> = Vec::new();
    for run in others().filter(|run| !run.whole.is_empty()) {
        let is_of_run = |verdict: &&Verdict| {
            (verdict.scope, verdict.pid, &verdict.target) == (run.scope, run.pid, &run.target)
        };
        let verdict = verdicts.iter().find(is_of_run);
        let judged = verdict.map(|verdict| verdict.judgement.classification.as_str());
        let name = verdict.map_or_else(|| run.target.clone(), Verdict::name);
        let kind = if run.scope == Scope::Role { "role" } else { "process" };
        all.push(Candidate {
            name: escape::name(&name),
            kind: if run.scope == Scope::Cgroup { "cgroup" } else { kind }.to_owned(),
            owner: String::new(),
            series: &run.whole,
            judged,
            cause: None,
            unknown_for: None,
        });
        if run.scope != Scope::Role {
            all.extend(parts_of(run, verdict, &name));
        }
    }
    // The parts of a sum are the processes, which are there already.
    if whole.scope != Scope::AllTargets {
        all.extend(parts_of(whole, content.verdict(), ""));
    }
    all
}

fn parts_of<'a>(
    run: &'a RunSeries,
    verdict: Option<&'a Verdict>,
    owner: &str,
) -> impl Iterator<Item = Candidate<'a>> {
    let causes: BTreeMap<&str, &'static str> = verdict
        .into_iter()
        .flat_map(|verdict| verdict.shares.iter().flatten())
        .filter_map(|growth| Some((&*growth.part.name, growth.cause?.in_words())))
        .collect();
    let stale: BTreeMap<&str, u64> = verdict
        .into_iter()
        .flat_map(|verdict| &verdict.stale)
        .map(|stale| (&*stale.part.name, stale.unknown_for))
        .collect();
    let owner = escape::name(owner);
    run.parts.iter().map(move |known| {
        let Part { name, family, .. } = &known.part;
        let cause = causes.get(&**name).or_else(|| causes.get(&**family));
        let unknown_for = stale.get(&**name).or_else(|| stale.get(&**family)).copied();
        Candidate {
            name: escape::name(name),
            kind: kind_of(&known.part),
            owner: owner.clone(),
            series: &known.series,
            judged: None,
            cause: cause.copied(),
            unknown_for,
        }
    })
}

/// What a part is, in a word.
fn kind_of(part: &Part) -> String {
    match (&part.class, &part.kind) {
        (Some(class), _) => class.to_string(),
        (None, SubjectKind::Process) => "process".to_owned(),
        (None, kind) => kind.to_string(),
    }
}

fn row(candidate: &Candidate<'_>, share: &Share<usize>, run: &RunSeries) -> Row {
    let Candidate { name, kind, owner, series, judged, cause, unknown_for } = candidate;
    let note = judged.or(cause.filter(|_| share.gain > 0.0)).map(str::to_owned);
    let stale = |ns: u64| format!("not sampled during the last {}", human::duration(ns));
    let last = if series.end() >= run.whole.end() { series.points().last() } else { None };
    Row {
        name: name.clone(),
        kind: kind.clone(),
        owner: owner.clone(),
        // Outside its life a part holds nothing.
        last: Number(last.map_or(0.0, |point| point.1 as f64)),
        peak: Number(series.peak().map_or(0.0, |peak| peak as f64)),
        gain: amount(share.gain),
        rate: share.rate,
        share: share.share,
        spark: spark(series, run.whole.start(), run.whole.end()),
        note: unknown_for.map(stale).or(note).unwrap_or_default(),
    }
}

/// A small curve: what its lowest level is, how much higher the highest one is, and a letter for each bin.
#[derive(Serialize)]
struct Spark(Number, Number, String);

fn spark(series: &Series, from: u64, to: u64) -> Spark {
    let cells = Cells::between(series, from, to, SPARK_BINS);
    let means = || cells.cells.iter().flatten().map(|cell| cell.mean);
    let (low, high) = means().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| {
        (low.min(mean), high.max(mean))
    });
    let (low, range) = if low <= high { (low, high - low) } else { (0.0, 0.0) };
    let top = (LEVELS.len() - 1) as f64;
    let level = |mean: f64| ((mean - low) / range.max(f64::MIN_POSITIVE) * top).round() as usize;
    let letter = |(place, cell): (usize, &Option<Cell>)| match cell {
        Some(cell) => char::from(LEVELS[level(cell.mean).min(LEVELS.len() - 1)]),
        None if (series.start()..=series.end()).contains(&cells.middle(place)) => UNKNOWN,
        None => NOT_THERE,
    };
    let letters = cells.cells.iter().enumerate().map(letter).collect();
    Spark(figures(low), figures(range), letters)
}

/// The parts that gained most, each a layer, and all others as one.
fn area(run: &RunSeries, span: Span, cycle: Option<u64>) -> Option<Area> {
    let mut families: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
    for known in &run.parts {
        let part = &known.part;
        let name = if part.is_process() { &part.name } else { &part.family };
        families.entry(name).or_default().push(&known.series);
    }
    if families.is_empty() {
        return None;
    }
    let named: Vec<(&str, Series)> =
        families.into_iter().map(|(name, all)| (name, Series::sum(&all))).collect();
    let series = named.iter().map(|(_, series)| series).enumerate();
    let shares = attribute(&run.whole, series, span, cycle).shares;
    let (largest, others) = shares.split_at(shares.len().min(MOST_LAYERS));
    let gaps = Cells::between(&run.whole, run.whole.start(), run.whole.end(), AREA_BINS);
    let layer = |name: &str, series: &Series| Layer {
        name: escape::name(name),
        values: layer_values(series, &gaps, run.whole.end()),
    };
    let mut layers = Vec::new();
    if !others.is_empty() {
        let all: Vec<&Series> = others.iter().map(|share| &named[share.id].1).collect();
        let name = format!("{} others", others.len());
        layers.push(layer(&name, &Series::sum(&all)));
    }
    // What grew most lies on top, where its growth is seen.
    layers.extend(largest.iter().rev().map(|share| layer(named[share.id].0, &named[share.id].1)));
    let number = |ns: u64| Number(ns as f64 / 1e9);
    let (start, width, end) = (number(gaps.start), number(gaps.width), number(run.whole.end()));
    Some(Area { start, width, end, layers })
}

/// The means of a part in the bins of the whole: nothing outside its life, and unknown where the whole is.
fn layer_values(series: &Series, whole: &Cells, end: u64) -> Vec<Option<Number>> {
    let cells = Cells::between(series, whole.start, end, AREA_BINS);
    let value = |(place, known): (usize, &Option<Cell>)| {
        known.as_ref()?;
        let mean = cells.cells.get(place).copied().flatten().map_or(0.0, |cell| cell.mean);
        Some(amount(mean))
    };
    whole.cells.iter().enumerate().map(value).collect()
}
