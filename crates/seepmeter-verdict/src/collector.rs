//! From a stream of records to the series that are judged.

use std::collections::HashMap;

use seepmeter_analysis::{Series, Settings, Thinner};
use seepmeter_record::{
    Catalog, Metric, MetricId, Point, Record, Sample, SamplerId, Subject, SubjectId, subject_kind,
};

use crate::conclusion::{Conclusion, JudgeOptions, NoVerdict};
use crate::growth_cause::GrowthCause;
use crate::limit::MemoryBounds;
use crate::names::metric;
use crate::part_table::PartTable;
use crate::run_series::{RunSeries, Scope};

/// Buckets for the whole: the judge lays a series on half as many cells.
const WHOLE_BUCKETS: usize = 2048;

/// Buckets for the address space.
const ADDRESS_SPACE_BUCKETS: usize = WHOLE_BUCKETS / 4;

/// Keeps of a stream what a verdict needs, in bounded memory.
#[derive(Debug)]
pub struct Collector {
    options: JudgeOptions,
    catalog: Catalog,
    ids: MetricIds,
    /// The first process of the stream.
    target: Option<SubjectId>,
    samples: SampleClock,
    address_space: SourceSeries,
    /// One for each metric of the options.
    metrics: Vec<MetricCollector>,
}

/// The metrics that are collected beside those that are judged.
#[derive(Debug, Default)]
struct MetricIds {
    swap: Option<MetricId>,
    peak: Option<MetricId>,
    address_space: Option<MetricId>,
    causes: [Option<MetricId>; GrowthCause::MEASURED.len()],
}

impl MetricIds {
    fn define(&mut self, metric: &Metric) {
        let place = match &*metric.name {
            metric::SWAP => &mut self.swap,
            metric::PEAK => &mut self.peak,
            metric::VSIZE => &mut self.address_space,
            name => {
                let cause = GrowthCause::MEASURED.iter().position(|c| c.metric() == Some(name));
                let Some(cause) = cause else { return };
                &mut self.causes[cause]
            }
        };
        *place = Some(metric.id);
    }

    /// The cause of growth that a metric of a part measures.
    fn cause(&self, metric: MetricId) -> Option<GrowthCause> {
        let place = self.causes.iter().position(|id| *id == Some(metric))?;
        Some(GrowthCause::MEASURED[place])
    }
}

/// When each sampler took its samples.
#[derive(Debug, Default)]
pub(crate) struct SampleClock {
    samplers: HashMap<SamplerId, SamplerTimes>,
    /// When the last sample was, in ns.
    end: u64,
    backwards: u64,
}

#[derive(Debug, Default)]
struct SamplerTimes {
    samples: u64,
    /// When its last sample was, in ns.
    last: u64,
}

impl SampleClock {
    fn observe(&mut self, sample: &Sample) {
        self.end = self.end.max(sample.t);
        let times = self.samplers.entry(sample.sampler).or_default();
        self.backwards += u64::from(times.last > sample.t);
        times.samples += 1;
        times.last = sample.t;
    }

    /// A series of what a sampler emits only if it changes: each of its samples counts.
    pub(crate) fn extended(&self, series: Series, source: SamplerId) -> Series {
        let samples = self.samplers.get(&source).map_or(0, |times| times.samples);
        series.with_looks(samples).with_end(self.end)
    }

    fn all_samples(&self) -> u64 {
        self.samplers.values().map(|times| times.samples).sum()
    }
}

/// A series and the sampler it comes from: of several that measure the same, the first to emit it.
#[derive(Debug, Default)]
struct SourceSeries {
    source: Option<SamplerId>,
    series: Option<Thinner>,
}

impl SourceSeries {
    /// True if what this sampler emits counts.
    fn accepts(&mut self, sampler: SamplerId) -> bool {
        *self.source.get_or_insert(sampler) == sampler
    }

    fn push(&mut self, t: u64, value: i64, buckets: usize) {
        self.series.get_or_insert_with(|| Thinner::new(buckets)).push(t, value);
    }

    fn series(&self) -> Option<Series> {
        self.series.clone().map(Thinner::finish)
    }
}

/// Keeps what it takes to judge one metric.
#[derive(Debug)]
struct MetricCollector {
    name: String,
    id: Option<MetricId>,
    whole: SourceSeries,
    /// The target's current value.
    current: Option<i64>,
    /// What of the target is swapped out at present.
    swap: i64,
    kernel_peak: Option<i64>,
    parts: PartTable,
}

impl MetricCollector {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: None,
            whole: SourceSeries::default(),
            current: None,
            swap: 0,
            kernel_peak: None,
            parts: PartTable::default(),
        }
    }

    fn observe_target(&mut self, point: &Point, sampler: SamplerId, ids: &MetricIds) {
        let metric = Some(point.metric);
        let of_rss = self.name == metric::RSS;
        if metric == self.id {
            if self.whole.accepts(sampler) {
                self.current = Some(point.value);
            }
        } else if of_rss && metric == ids.swap {
            // Swapping hides growth.
            self.swap = point.value;
        } else if of_rss && metric == ids.peak {
            self.kernel_peak = self.kernel_peak.max(Some(point.value));
        }
    }

    fn observe_part(&mut self, point: &Point, sample: &Sample, ids: &MetricIds, known: &Catalog) {
        if Some(point.metric) == self.id {
            self.parts.set(point, sample, known);
        } else if matches!(self.name.as_str(), metric::RSS | metric::PSS)
            && let Some(cause) = ids.cause(point.metric)
        {
            self.parts.set_cause(sample.t, point.subject, cause, point.value);
        }
    }

    /// All points of a sample have been observed.
    fn end_sample(&mut self, sample: &Sample) {
        if let (true, Some(current)) = (self.whole.source == Some(sample.sampler), self.current) {
            self.whole.push(sample.t, current.saturating_add(self.swap), WHOLE_BUCKETS);
        }
        self.parts.end_sample(sample);
    }
}

impl Collector {
    /// Collects what it takes to judge the metrics of the options. With `rss`, what is swapped out counts
    /// in: swapping hides growth.
    #[must_use]
    pub fn new(options: JudgeOptions) -> Self {
        let metrics = options.metrics.iter().map(|name| MetricCollector::new(name)).collect();
        Self {
            options,
            catalog: Catalog::default(),
            ids: MetricIds::default(),
            target: None,
            samples: SampleClock::default(),
            address_space: SourceSeries::default(),
            metrics,
        }
    }

    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        self.catalog.learn(record);
        match record {
            Record::Metric(defined) => {
                self.ids.define(defined);
                for metric in self.metrics.iter_mut().filter(|m| *m.name == *defined.name) {
                    metric.id = Some(defined.id);
                }
            }
            Record::Subject(subject)
                if self.target.is_none() && &*subject.kind == subject_kind::PROCESS =>
            {
                self.target = Some(subject.id);
            }
            Record::Sample(sample) => self.observe_sample(sample),
            Record::Event(event) if event.kind.ends_subject() => {
                for metric in &mut self.metrics {
                    event.subject.inspect(|subject| metric.parts.end(event.t, *subject));
                }
            }
            Record::Header(_) | Record::Subject(_) | Record::Event(_) | Record::Footer(_) => {}
        }
    }

    fn observe_sample(&mut self, sample: &Sample) {
        self.samples.observe(sample);
        let Self { catalog, ids, target, address_space, metrics, .. } = self;
        for metric in metrics {
            for point in &sample.points {
                if Some(point.subject) == *target {
                    metric.observe_target(point, sample.sampler, ids);
                } else {
                    metric.observe_part(point, sample, ids, catalog);
                }
            }
            metric.end_sample(sample);
        }
        let of_space =
            |p: &&Point| Some(p.subject) == *target && Some(p.metric) == ids.address_space;
        for point in sample.points.iter().filter(of_space) {
            if address_space.accepts(sample.sampler) {
                address_space.push(sample.t, point.value, ADDRESS_SPACE_BUCKETS);
            }
        }
    }

    /// How many samples have a time before that of the same sampler's sample before them, which no clock
    /// that only goes forwards has given. They are taken as at the time of that.
    #[must_use]
    pub fn backwards(&self) -> u64 {
        self.samples.backwards
    }

    /// What is concluded from all that was observed so far.
    #[must_use]
    pub fn conclude(&self) -> Conclusion {
        Conclusion::of(&self.options, |metric| self.series(metric))
    }

    /// The series of one of the options' metrics: one for each target and, if there are several, that of
    /// their sum as the last. A run that ended before its first sample has one with no points.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, metric: &str) -> Result<Vec<RunSeries>, NoVerdict> {
        let metrics = self.catalog.metrics();
        if metrics.is_empty() {
            return Err(NoVerdict::NothingSampled);
        }
        let collected = self.metrics.iter().find(|collected| collected.name == metric);
        let defined = collected.and_then(|collected| self.catalog.metric(collected.id?));
        let (Some(collected), Some(defined)) = (collected, defined) else {
            let known = metrics.iter().map(|known| known.name.to_string()).collect();
            return Err(NoVerdict::NoSuchMetric { metric: metric.to_owned(), known });
        };
        Ok(vec![self.series_of(collected, defined)?])
    }

    fn series_of(&self, of: &MetricCollector, defined: &Metric) -> Result<RunSeries, NoVerdict> {
        let own = of.whole.series();
        let sum = if own.is_none() { of.parts.sum() } else { None };
        let summed_parts = sum.as_ref().map(|_| of.parts.len());
        let whole = own.or(sum);
        let samples = self.samples.all_samples();
        if whole.is_none() && samples >= Settings::default().least_looks {
            return Err(NoVerdict::NeverEmitted { metric: of.name.clone(), samples });
        }
        let target = self.target.and_then(|id| self.catalog.subject(id));
        let mut run = RunSeries {
            target: target.map_or_else(|| "the target".to_owned(), |it| it.name.to_string()),
            pid: target.and_then(Subject::process_key).map(|(pid, _)| pid),
            scope: Scope::Target,
            metric: of.name.clone(),
            unit: defined.unit,
            whole: whole.unwrap_or_default(),
            summed_parts,
            parts: of.parts.series(&self.catalog, &self.samples),
            kernel_peak: of.kernel_peak,
            bounds: target.map_or_else(MemoryBounds::default, MemoryBounds::of),
            address_space: None,
        };
        let space = self.address_space.series().zip(self.address_space.source);
        if let (true, Some((series, source))) = (run.is_resident(), space) {
            run.address_space = Some(self.samples.extended(series, source));
        }
        Ok(run)
    }
}
