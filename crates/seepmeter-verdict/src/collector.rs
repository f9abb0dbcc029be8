//! From a stream of records to the series that are judged.

use std::collections::HashMap;
use std::sync::Arc;

use seepmeter_analysis::{Downsampler, Series, Settings};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    CurrentPoint, CurrentValues, Event, EventKind, Metric, Record, Sample, SamplerId, Subject,
    SubjectId, SubjectKind, Unit,
};

use crate::conclusion::{Conclusion, JudgeOptions, NoVerdict};
use crate::growth_cause::GrowthCause;
use crate::limit::RecordedLimits;
use crate::part::Part;
use crate::part_table::{PartRoom, PartTable};
use crate::run_series::{PartSeries, RunSeries, Scope};
use crate::sample_clock::SampleClock;

/// Buckets for the whole: the judge lays a series on half as many cells.
const WHOLE_BUCKETS: usize = 2048;

/// Buckets for the address space.
const ADDRESS_SPACE_BUCKETS: usize = WHOLE_BUCKETS / 4;

/// Buckets for the number of threads.
const THREADS_BUCKETS: usize = WHOLE_BUCKETS / 8;

/// So many targets are kept as finely as that, in 50 MB at most. A series of any later one has an eighth of
/// the buckets, and parts have series of their own as long as there is room for them.
const FINE_TARGETS: usize = 256;
const COARSER: usize = 8;

/// Keeps of a stream what a verdict needs, in bounded memory.
#[derive(Debug)]
pub struct Collector {
    options: JudgeOptions,
    values: CurrentValues,
    clock: SampleClock,
    /// And the cgroups that are watched, in the order in which they came; those that have ended stay.
    targets: Vec<TargetCollector>,
    /// The place of each among them.
    places: HashMap<SubjectId, usize>,
    room: PartRoom,
    /// The sum of all targets, one for each metric of the options.
    sums: Vec<SourceSeries>,
}

/// A series and the sampler it comes from: the one that counts at present.
#[derive(Debug)]
struct SourceSeries {
    source: Option<SamplerId>,
    series: Option<Downsampler>,
    buckets: usize,
}

impl SourceSeries {
    fn new(buckets: usize) -> Self {
        Self { source: None, series: None, buckets }
    }

    fn push(&mut self, t: u64, value: i64) {
        self.series.get_or_insert_with(|| Downsampler::new(self.buckets)).push(t, value);
    }

    fn series(&self, clock: &SampleClock) -> Option<Series> {
        let series = self.series.clone()?.finish();
        Some(match self.source {
            Some(source) => clock.scheduled(series, source),
            None => series,
        })
    }
}

/// Keeps what it takes to judge one target, or one cgroup.
#[derive(Debug)]
struct TargetCollector {
    subject: Arc<Subject>,
    ended: bool,
    address_space: SourceSeries,
    threads: SourceSeries,
    /// One for each metric of the options.
    metrics: Vec<MetricCollector>,
}

/// Keeps what it takes to judge one metric of one target.
#[derive(Debug)]
struct MetricCollector {
    name: String,
    whole: SourceSeries,
    /// The target's current value.
    current: Option<i64>,
    /// What of the target is swapped out at present, as far as that is known.
    swap: i64,
    kernel_peak: Option<i64>,
    parts: PartTable,
    /// The sample that is observed now has a value of the target.
    observed: bool,
}

impl MetricCollector {
    fn new(name: &str, buckets: usize) -> Self {
        Self {
            name: name.to_owned(),
            whole: SourceSeries::new(buckets),
            current: None,
            swap: 0,
            kernel_peak: None,
            parts: PartTable::default(),
            observed: false,
        }
    }

    fn observe_target(&mut self, point: &CurrentPoint<'_>, sampler: SamplerId) {
        let name = &*point.metric.name;
        let of_rss = self.name == metric::RSS.name;
        if name == self.name {
            self.whole.source = Some(sampler);
            self.current = Some(point.value);
            self.observed = true;
        } else if of_rss && name == metric::SWAP.name {
            // Swapping hides growth.
            self.swap = point.value;
        } else if of_rss && name == metric::PEAK.name {
            self.kernel_peak = self.kernel_peak.max(Some(point.value));
        }
    }

    fn observe_part(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let name = &*point.metric.name;
        if name == self.name {
            self.parts.set(point, sample, values, room);
        } else if [metric::RSS.name, metric::PSS.name].contains(&&*self.name)
            && let Some(cause) = GrowthCause::measured_by(name)
        {
            self.parts.set_cause(sample.t, point.subject.id, cause, point.value, room);
        }
    }

    /// All points of a sample have been observed.
    fn end_sample(&mut self, sample: &Sample) {
        let of_source = self.whole.source == Some(sample.sampler);
        let observed = std::mem::take(&mut self.observed) || !sample.partial;
        if let (true, true, Some(total)) = (of_source, observed, self.total()) {
            self.whole.push(sample.t, total);
        }
        self.parts.end_sample(sample);
    }

    /// What the target holds at present.
    fn total(&self) -> Option<i64> {
        Some(self.current?.saturating_add(self.swap))
    }
}

impl TargetCollector {
    fn new(subject: Arc<Subject>, options: &JudgeOptions, coarser: usize) -> Self {
        let metric = |name: &String| MetricCollector::new(name, WHOLE_BUCKETS / coarser);
        Self {
            subject,
            ended: false,
            address_space: SourceSeries::new(ADDRESS_SPACE_BUCKETS / coarser),
            threads: SourceSeries::new(THREADS_BUCKETS / coarser),
            metrics: options.metrics.iter().map(metric).collect(),
        }
    }

    fn is_cgroup(&self) -> bool {
        self.subject.kind == SubjectKind::Cgroup
    }

    fn observe(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let of_target = point.subject.id == self.subject.id;
        for metric in &mut self.metrics {
            match of_target {
                true => metric.observe_target(point, sample.sampler),
                false => metric.observe_part(point, sample, values, room),
            }
        }
        if of_target && *point.metric.name == *metric::VSIZE.name {
            self.address_space.source = Some(sample.sampler);
            self.address_space.push(sample.t, point.value);
        }
        if of_target && *point.metric.name == *metric::THREADS.name {
            self.threads.push(sample.t, point.value);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        for metric in &mut self.metrics {
            metric.current = None;
            metric.swap = 0;
        }
    }
}

impl Collector {
    /// Collects what it takes to judge the metrics of the options. With `rss`, what is swapped out counts
    /// in: swapping hides growth.
    #[must_use]
    pub fn new(options: JudgeOptions) -> Self {
        let sums = options.metrics.iter().map(|_| SourceSeries::new(WHOLE_BUCKETS)).collect();
        Self {
            options,
            values: CurrentValues::default(),
            clock: SampleClock::default(),
            targets: Vec::new(),
            places: HashMap::new(),
            room: PartRoom::default(),
            sums,
        }
    }

    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        self.values.apply(record);
        match record {
            Record::Header(header) => self.clock.begin(header),
            Record::Subject(subject) => self.add_target(subject.id),
            Record::Sample(sample) => self.observe_sample(sample),
            Record::Event(event) => self.observe_event(event),
            Record::Metric(_)
            | Record::Image(_)
            | Record::Frame(_)
            | Record::Stack(_)
            | Record::Footer(_) => {}
        }
    }

    /// Begins to collect of a subject if it is a target, or a cgroup that is no part of one, once.
    fn add_target(&mut self, id: SubjectId) {
        if self.places.contains_key(&id) {
            return;
        }
        let Some(subject) = self.values.subject(id) else { return };
        let is_cgroup =
            || subject.kind == SubjectKind::Cgroup && self.values.target_of(id).is_none();
        if self.values.is_target(id) || is_cgroup() {
            let coarser = if self.targets.len() < FINE_TARGETS { 1 } else { COARSER };
            self.places.insert(id, self.targets.len());
            let subject = Arc::clone(subject);
            self.targets.push(TargetCollector::new(subject, &self.options, coarser));
        }
    }

    fn observe_event(&mut self, event: &Event) {
        let Some(subject) = event.subject else { return };
        if event.kind == (EventKind::Attached {}) {
            self.add_target(subject);
        }
        if !event.kind.ends_subject() {
            return;
        }
        let ended = match self.places.get(&subject) {
            // What the parts of a target held at its end is part of the verdict on it.
            Some(place) => {
                self.targets[*place].end();
                vec![subject]
            }
            None => self.values.with_parts(subject),
        };
        for metric in self.targets.iter_mut().flat_map(|target| &mut target.metrics) {
            ended.iter().for_each(|part| metric.parts.end(event.t, *part, &mut self.room));
        }
    }

    fn observe_sample(&mut self, sample: &Sample) {
        let Self { values, clock, targets, places, room, .. } = self;
        clock.observe(sample);
        for point in values.points(sample) {
            let whole = values.target_of(point.subject.id).unwrap_or(point.subject.id);
            if let Some(place) = places.get(&whole) {
                targets[*place].observe(&point, sample, values, room);
            }
        }
        for target in targets.iter_mut().filter(|target| !target.ended) {
            target.metrics.iter_mut().for_each(|metric| metric.end_sample(sample));
        }
        self.sum_up(sample);
    }

    /// The sum of all targets after a sample.
    fn sum_up(&mut self, sample: &Sample) {
        let targets = || self.targets.iter().filter(|target| !target.is_cgroup());
        if targets().count() < 2 {
            return;
        }
        for (place, sum) in self.sums.iter_mut().enumerate() {
            let metrics = || targets().map(|target| &target.metrics[place]);
            if !metrics().any(|metric| metric.whole.source == Some(sample.sampler)) {
                continue;
            }
            // A target that has come or gone holds nothing, but one whose value is not known yet would
            // make the sum wrong.
            let unknown = |t: &TargetCollector| !t.ended && t.metrics[place].current.is_none();
            if !targets().any(unknown) {
                let total =
                    metrics().filter_map(MetricCollector::total).fold(0, i64::saturating_add);
                sum.source = Some(sample.sampler);
                sum.push(sample.t, total);
            }
        }
    }

    /// How many samples have a time before that of the same sampler's sample before them, which no clock
    /// that only goes forwards has given. They are taken as at the time of that.
    #[must_use]
    pub fn backwards(&self) -> u64 {
        self.clock.backwards()
    }

    /// What is concluded from all that was observed so far.
    #[must_use]
    pub fn conclude(&self) -> Conclusion {
        Conclusion::of(&self.options, |metric| self.series(metric))
    }

    /// The series of one of the options' metrics: one for each target and, if there are several, that of
    /// their sum as the last; of a metric of cgroups, one for each cgroup. A run that ended before its first sample has one with no points.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, metric: &str) -> Result<Vec<RunSeries>, NoVerdict> {
        let known = || self.values.metrics().map(|known| &*known.name);
        let defined = self.values.metrics().find(|known| *known.name == *metric);
        let place = self.options.metrics.iter().position(|name| name == metric);
        let (Some(defined), Some(place)) = (defined, place) else {
            let mut known: Vec<String> = known().map(str::to_owned).collect();
            known.sort_unstable();
            known.dedup();
            return Err(match known.is_empty() {
                true => NoVerdict::NothingSampled,
                false => NoVerdict::NoSuchMetric { metric: metric.to_owned(), known },
            });
        };
        let of_target = |target| (target, self.series_of(target, place, defined.unit));
        let of_name = |known: &&Arc<Metric>| *known.name == *metric;
        let of_cgroups =
            self.values.metrics().filter(of_name).all(|it| it.subject_kind == SubjectKind::Cgroup);
        let targets = self.targets.iter().filter(|target| target.is_cgroup() == of_cgroups);
        let each: Vec<_> = targets.map(of_target).collect();
        let samples = self.clock.all_samples();
        let sampled = each.iter().any(|(_, run)| !run.whole.is_empty());
        if !sampled && samples >= Settings::default().least_samples {
            return Err(NoVerdict::NeverEmitted { metric: metric.to_owned(), samples });
        }
        let sum = self.sum_series(place, defined.unit, &each);
        let series: Vec<RunSeries> = each.into_iter().map(|(_, run)| run).chain(sum).collect();
        if series.is_empty() { Err(NoVerdict::NothingSampled) } else { Ok(series) }
    }

    /// The series of one target; it has no point if nothing was sampled of it.
    fn series_of(&self, target: &TargetCollector, place: usize, unit: Unit) -> RunSeries {
        let clock = &self.clock;
        let collected = &target.metrics[place];
        let own = collected.whole.series(clock);
        let sum = if own.is_none() { collected.parts.sum() } else { None };
        let summed_parts = sum.as_ref().map(|_| collected.parts.len());
        let mut run = RunSeries {
            pid: target.subject.get(attribute::PID).map(i64::from),
            whole: own.or(sum).unwrap_or_default(),
            scope: if target.is_cgroup() { Scope::Cgroup } else { Scope::Target },
            summed_parts,
            parts: collected.parts.series(clock),
            kernel_peak: collected.kernel_peak,
            bounds: RecordedLimits::of(&target.subject),
            threads: target.threads.series(clock),
            ..self.empty(&target.subject.name.to_string(), place, unit)
        };
        let space = target.address_space.series(clock).zip(target.address_space.source);
        if let (true, Some((series, source))) = (run.is_resident(), space) {
            run.address_space = Some(clock.extended(series, source));
        }
        run
    }

    /// A series without a point.
    fn empty(&self, target: &str, place: usize, unit: Unit) -> RunSeries {
        RunSeries {
            target: target.to_owned(),
            pid: None,
            scope: Scope::Target,
            metric: self.options.metrics[place].clone(),
            unit,
            end: self.clock.end(),
            whole: Series::default(),
            summed_parts: None,
            parts: Vec::new(),
            kernel_peak: None,
            bounds: RecordedLimits::default(),
            threads: None,
            address_space: None,
        }
    }

    /// The sum of all targets, whose parts are the targets; none if there is but one.
    fn sum_series(
        &self,
        place: usize,
        unit: Unit,
        each: &[(&TargetCollector, RunSeries)],
    ) -> Option<RunSeries> {
        let part = |(target, run): &(&TargetCollector, RunSeries)| PartSeries {
            part: Part::of(&target.subject).with_pid(run.pid),
            series: run.whole.clone(),
            causes: Vec::new(),
            last_observed: self.clock.end(),
        };
        let name = format!("{} targets", each.len());
        Some(RunSeries {
            scope: Scope::AllTargets,
            whole: self.sums[place].series(&self.clock)?,
            parts: each.iter().map(part).collect(),
            ..self.empty(&name, place, unit)
        })
    }
}
