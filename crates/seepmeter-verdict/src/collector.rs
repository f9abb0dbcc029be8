//! From a stream of records to the series that are judged.

mod target;

use std::collections::HashMap;
use std::sync::Arc;

use seepmeter_analysis::{Series, Settings};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{CurrentValues, Event, EventKind, Record, Sample, SubjectId, Unit};

pub(crate) use self::target::swap_of;
use self::target::{MetricCollector, SourceSeries, TargetCollector, WHOLE_BUCKETS};
use crate::conclusion::{Conclusion, JudgeOptions, NoVerdict};
use crate::growth_cause::GrowthCause;
use crate::limit::MemoryBounds;
use crate::part::Part;
use crate::part_table::PartRoom;
use crate::run_series::{CauseSeries, LimitedSeries, PartSeries, RunSeries, Scope};
use crate::sample_clock::SampleClock;
use crate::work::{Counters, NoCounter};

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
    /// In the order in which they came; those that have ended stay.
    targets: Vec<TargetCollector>,
    /// The place of each among them.
    places: HashMap<SubjectId, usize>,
    room: PartRoom,
    /// The sum of all targets, one for each metric of the options.
    sums: Vec<SourceSeries>,
    counters: Counters,
}

/// What all targets hold together at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentTotal {
    /// The metric.
    pub metric: String,
    /// Its value, in base units.
    pub value: i64,
    /// What that counts.
    pub unit: Unit,
}

impl Collector {
    /// Collects what it takes to judge the metrics of the options. With `rss`, `pss`, `anonymous` and
    /// `private_dirty`, what is swapped out counts in, of the whole and of parts: swapping hides growth.
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
            counters: Counters::default(),
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

    /// Begins to collect of a subject if it is a target, once.
    fn add_target(&mut self, id: SubjectId) {
        let known = self.places.contains_key(&id);
        if let (false, true, Some(subject)) =
            (known, self.values.is_target(id), self.values.subject(id))
        {
            let coarser = if self.targets.len() < FINE_TARGETS { 1 } else { COARSER };
            self.places.insert(id, self.targets.len());
            let subject = Arc::clone(subject);
            self.targets.push(TargetCollector::new(subject, &self.options, coarser));
        }
    }

    fn observe_event(&mut self, event: &Event) {
        if let EventKind::Marker { number: Some(number), text } = &event.kind {
            self.counters.push(&text.to_string(), event.t, *number);
        }
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
        for target in &mut self.targets {
            ended.iter().for_each(|part| target.end_part(event.t, *part, &mut self.room));
        }
    }

    fn observe_sample(&mut self, sample: &Sample) {
        let Self { values, clock, targets, places, room, .. } = self;
        clock.observe(sample);
        for point in values.points(sample) {
            let target = values.target_of(point.subject.id);
            if let Some(place) = target.and_then(|target| places.get(&target)) {
                targets[*place].observe(&point, sample, values, room);
            }
        }
        for target in targets.iter_mut().filter(|target| !target.ended) {
            target.end_sample(sample);
        }
        self.sum_up(sample);
    }

    /// The sum of all targets after a sample.
    fn sum_up(&mut self, sample: &Sample) {
        if self.targets.len() < 2 {
            return;
        }
        for (place, sum) in self.sums.iter_mut().enumerate() {
            let metrics = || self.targets.iter().map(|target| &target.metrics[place]);
            if !metrics().any(|metric| metric.whole.source == Some(sample.sampler)) {
                continue;
            }
            // A target that has come or gone holds nothing, but one whose value is not known yet would
            // make the sum wrong.
            let unknown = |t: &TargetCollector| !t.ended && t.metrics[place].current.is_none();
            if !self.targets.iter().any(unknown) {
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

    /// What all targets hold together now, of the main metric; none if that is not known of one of them, or none is
    /// left.
    #[must_use]
    pub fn current(&self) -> Option<CurrentTotal> {
        let name = self.options.metrics.first()?;
        let unit = self.values.metrics().find(|known| *known.name == **name)?.unit;
        let running = self.targets.iter().filter(|target| !target.ended);
        let totals: Option<Vec<i64>> =
            running.map(|target| target.metrics.first()?.total()).collect();
        let value = totals?.into_iter().reduce(i64::saturating_add)?;
        Some(CurrentTotal { metric: name.clone(), value, unit })
    }

    /// What is concluded from all that was observed so far.
    #[must_use]
    pub fn conclude(&self) -> Conclusion {
        Conclusion::of(&self.options, |metric| self.series(metric))
    }

    /// The series of a counter, of which the run has marks.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn counter(&self, name: &str) -> Result<Series, NoCounter> {
        self.counters.series(name)
    }

    /// The series of one of the options' metrics: one for each target and, if there are several, that of
    /// their sum as the last. A run that ended before its first sample has one with no points.
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
        let each: Vec<_> = self.targets.iter().map(of_target).collect();
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
        let cause = |(cause, source): (&GrowthCause, &SourceSeries)| {
            let (series, sampler) = source.series(clock).zip(source.source)?;
            Some(CauseSeries { cause: *cause, series: clock.extended(series, sampler) })
        };
        let mut run = RunSeries {
            pid: target.subject.get(attribute::PID).map(i64::from),
            whole: own.or(sum).unwrap_or_default(),
            summed_parts,
            parts: collected.parts.series(clock),
            kernel_peak: collected.kernel_peak,
            bounds: MemoryBounds::of(&target.subject),
            threads: target.threads.series(clock),
            plus_swap: collected.has_swapped,
            causes: collected.causes.iter().filter_map(cause).collect(),
            asked_interval: collected.whole.source.and_then(|it| clock.longest_asked(it)),
            ..self.empty(&target.subject.name.to_string(), place, unit)
        };
        if run.is_resident() {
            run.limited = target.limited.series(clock);
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
            bounds: MemoryBounds::default(),
            threads: None,
            limited: LimitedSeries::default(),
            plus_swap: false,
            causes: Vec::new(),
            asked_interval: None,
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
        let name = format!("{} targets", self.targets.len());
        Some(RunSeries {
            scope: Scope::AllTargets,
            whole: self.sums[place].series(&self.clock)?,
            plus_swap: each.iter().any(|(_, run)| run.plus_swap),
            parts: each.iter().map(part).collect(),
            ..self.empty(&name, place, unit)
        })
    }
}
