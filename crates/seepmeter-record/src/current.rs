//! What a stream has defined so far, and which values stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::conventions::metric;
use crate::subject_tree::SubjectTree;
use crate::{
    Bytes, EventKind, Metric, MetricId, MetricKind, Point, Points, Record, Sample, SamplerId,
    Subject, SubjectId, SubjectKind, Unit,
};

/// The values that stand, and what they are of: what every reader of a stream asks, whether it prints,
/// sums up or judges.
///
/// It decides between sources. If two samplers measure a metric of one name of the same subject, the
/// one that the user named first counts, as soon as it has emitted a value and for as long as it has
/// not failed. All readers ask here, so all show the same.
///
/// A subject is forgotten when it ends, with all that is a part of it: by the record after its end, so
/// that whoever shows the end can still name it.
///
/// ```
/// use seepmeter_record::{CurrentValues, Record, conventions::metric};
///
/// fn print_rss(values: &mut CurrentValues, record: &Record) {
///     values.apply(record);
///     let Record::Sample(sample) = record else { return };
///     for point in values.points(sample) {
///         if values.is_target(point.subject.id) && &*point.metric.name == metric::RSS.name {
///             println!("{}: {} bytes", point.subject.name, point.value);
///         }
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct CurrentValues {
    /// In the order of their definitions.
    metrics: Vec<KnownMetric>,
    metric_places: BTreeMap<MetricId, usize>,
    /// By their names and the kind of subject that they are for.
    quantities: HashMap<(Box<str>, SubjectKind), usize>,
    /// Of each quantity, the first sampler that measures it.
    first_samplers: Vec<SamplerId>,
    subjects: SubjectTree<State>,
    /// In the order in which they came, and the same to be asked.
    targets: Vec<SubjectId>,
    target_set: BTreeSet<SubjectId>,
    failed: BTreeSet<SamplerId>,
    /// When each sampler last observed all its subjects.
    complete: BTreeMap<SamplerId, u64>,
    /// Ended by the last record.
    ended: Option<SubjectId>,
}

/// A metric, and what it measures: several samplers may measure the same.
#[derive(Debug)]
struct KnownMetric {
    metric: Arc<Metric>,
    quantity: usize,
}

/// What stands of one subject.
#[derive(Debug)]
struct State {
    subject: Arc<Subject>,
    values: Vec<(MetricId, Value)>,
}

/// A value that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    value: i64,
    /// When it was last emitted.
    t: u64,
}

/// A point of the source that counts.
#[derive(Clone, Copy, Debug)]
pub struct CurrentPoint<'a> {
    /// Of what.
    pub subject: &'a Arc<Subject>,
    /// Which metric.
    pub metric: &'a Arc<Metric>,
    /// How much, in the metric's unit.
    pub value: i64,
}

impl CurrentValues {
    /// Takes in a record.
    pub fn apply(&mut self, record: &Record) {
        self.forget_ended();
        match record {
            Record::Header(header) => {
                header.targets.iter().for_each(|target| self.add_target(target.subject));
            }
            Record::Metric(metric) => self.define_metric(metric),
            Record::Subject(subject) => self.define_subject(subject),
            Record::Sample(sample) => self.apply_sample(sample),
            Record::Event(event) => match (&event.kind, event.subject, event.sampler) {
                (EventKind::Attached {}, Some(subject), _) => self.add_target(subject),
                (EventKind::Exec { name: Some(name) }, Some(subject), _) => {
                    self.rename(subject, name);
                }
                (kind, Some(subject), _) if kind.ends_subject() => self.ended = Some(subject),
                (EventKind::SamplerFailed { .. }, _, Some(sampler)) => {
                    self.failed.insert(sampler);
                }
                _ => {}
            },
            Record::Image(_) | Record::Frame(_) | Record::Stack(_) | Record::Footer(_) => {}
        }
    }

    /// Forgets what the last record has ended.
    pub(crate) fn forget_ended(&mut self) {
        if let Some(ended) = self.ended.take() {
            self.forget(ended);
        }
    }

    fn add_target(&mut self, subject: SubjectId) {
        if self.target_set.insert(subject) {
            self.targets.push(subject);
        }
    }

    fn define_metric(&mut self, metric: &Arc<Metric>) {
        let key = (metric.name.clone(), metric.subject_kind.clone());
        let quantity = *self.quantities.entry(key).or_insert(self.first_samplers.len());
        match self.first_samplers.get_mut(quantity) {
            Some(first) => *first = metric.sampler.min(*first),
            None => self.first_samplers.push(metric.sampler),
        }
        self.metric_places.insert(metric.id, self.metrics.len());
        self.metrics.push(KnownMetric { metric: Arc::clone(metric), quantity });
    }

    fn define_subject(&mut self, subject: &Arc<Subject>) {
        let state = State { subject: Arc::clone(subject), values: Vec::new() };
        self.subjects.insert(subject, state);
    }

    fn rename(&mut self, subject: SubjectId, name: &Bytes) {
        if let Some(state) = self.subjects.get_mut(subject) {
            let name = name.clone();
            state.subject = Arc::new(Subject { name, ..Subject::clone(&state.subject) });
        }
    }

    fn apply_sample(&mut self, sample: &Sample) {
        if !sample.partial {
            self.complete.insert(sample.sampler, sample.t);
        }
        for point in &sample.points {
            let Some(state) = self.subjects.get_mut(point.subject) else { continue };
            let value = Value { value: point.value, t: sample.t };
            match state.values.iter_mut().find(|(metric, _)| *metric == point.metric) {
                Some((_, stands)) => *stands = value,
                None => state.values.push((point.metric, value)),
            }
        }
    }

    fn forget(&mut self, subject: SubjectId) {
        self.subjects.end(subject, |_, _| {});
        if self.target_set.remove(&subject) {
            self.targets.retain(|target| *target != subject);
        }
    }

    /// What is a part of a subject and of nothing between, and lives.
    pub fn parts(&self, subject: SubjectId) -> impl Iterator<Item = SubjectId> {
        self.subjects.parts(subject)
    }

    /// A subject, and all that is a part of it and ends with it.
    #[must_use]
    pub fn with_parts(&self, subject: SubjectId) -> Vec<SubjectId> {
        self.subjects.with_parts(subject)
    }

    /// The points of a sample whose source counts, after the sample was [applied](Self::apply). Points of
    /// a subject that has ended, or of a kind that their metric is not for, are left out.
    pub fn points<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = CurrentPoint<'a>> {
        sample.points.iter().filter_map(|point| {
            let state = self.subjects.get(point.subject)?;
            let known = self.entry(point.metric)?;
            let (metric, subject) = (&known.metric, &state.subject);
            let counts = metric.subject_kind == subject.kind && !self.another_counts(state, known);
            counts.then_some(CurrentPoint { subject, metric, value: point.value })
        })
    }

    /// The value of the metric of this name that stands; none where none was emitted.
    #[must_use]
    pub fn value(&self, subject: SubjectId, metric: &str) -> Option<i64> {
        self.standing(subject, metric).map(|(_, value)| value.value)
    }

    /// The same, with the metric whose source counts.
    #[must_use]
    pub fn standing_metric(&self, subject: SubjectId, metric: &str) -> Option<(&Arc<Metric>, i64)> {
        self.standing(subject, metric).map(|(metric, value)| (metric, value.value))
    }

    /// When the metric of this name of this subject was last observed, whether it had changed or not, in
    /// nanoseconds since the stream's start.
    #[must_use]
    pub fn observed_at(&self, subject: SubjectId, metric: &str) -> Option<u64> {
        let (metric, value) = self.standing(subject, metric)?;
        let complete = self.complete.get(&metric.sampler).copied().unwrap_or(0);
        Some(value.t.max(complete))
    }

    fn standing(&self, subject: SubjectId, name: &str) -> Option<(&Arc<Metric>, Value)> {
        let state = self.subjects.get(subject)?;
        let of_name = state.values.iter().filter_map(|(id, value)| {
            let metric = self.metric(*id)?;
            (&*metric.name == name && metric.subject_kind == state.subject.kind)
                .then_some((metric, *value))
        });
        // Of a sampler that has failed, what it emitted last is better than nothing.
        of_name.min_by_key(|(metric, _)| (self.failed.contains(&metric.sampler), metric.sampler))
    }

    /// True if a sampler that was named before this metric's has a value of the same, and has not failed.
    fn another_counts(&self, state: &State, known: &KnownMetric) -> bool {
        let KnownMetric { metric, quantity } = known;
        let counts = |other: &KnownMetric| {
            let sampler = other.metric.sampler;
            other.quantity == *quantity
                && sampler < metric.sampler
                && !self.failed.contains(&sampler)
        };
        self.first_samplers[*quantity] < metric.sampler
            && state.values.iter().any(|(id, _)| self.entry(*id).is_some_and(counts))
    }

    fn entry(&self, id: MetricId) -> Option<&KnownMetric> {
        // Metrics are numbered from 0 in the order of their definitions, so this is nearly always it.
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        let there = self.metrics.get(place).filter(|known| known.metric.id == id);
        there.or_else(|| self.metrics.get(*self.metric_places.get(&id)?))
    }

    /// A metric by its number.
    #[must_use]
    pub fn metric(&self, id: MetricId) -> Option<&Arc<Metric>> {
        self.entry(id).map(|known| &known.metric)
    }

    /// All metrics that were defined, in the order of their definitions.
    pub fn metrics(&self) -> impl Iterator<Item = &Arc<Metric>> + Clone {
        self.metrics.iter().map(|known| &known.metric)
    }

    /// The metric that stands for the run where nobody has chosen one: `rss` of processes, or if no sampler has
    /// that, the first level of a process or of a cgroup that is in bytes or a count.
    #[must_use]
    pub fn main_metric(&self) -> Option<&Arc<Metric>> {
        let of_wholes = |metric: &&Arc<Metric>| {
            [SubjectKind::Process, SubjectKind::Cgroup].contains(&metric.subject_kind)
        };
        let is_level = |metric: &&Arc<Metric>| {
            metric.kind == MetricKind::Gauge && [Unit::Bytes, Unit::Count].contains(&metric.unit)
        };
        let mut wholes = self.metrics().filter(of_wholes);
        let rss = wholes.clone().find(|metric| *metric.name == *metric::RSS.name);
        rss.or_else(|| wholes.find(is_level))
    }

    /// A subject that has not ended, by its number.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&Arc<Subject>> {
        self.subjects.get(id).map(|state| &state.subject)
    }

    /// All subjects that have not ended, in the order of their numbers.
    pub fn subjects(&self) -> impl Iterator<Item = &Arc<Subject>> {
        self.subjects.iter().map(|(_, state)| &state.subject)
    }

    /// All values that stand, by the sampler that has emitted them.
    pub(crate) fn standing_points(&self) -> BTreeMap<SamplerId, Points> {
        let mut points: BTreeMap<SamplerId, Vec<Point>> = BTreeMap::new();
        for (subject, state) in self.subjects.iter() {
            for (metric, Value { value, .. }) in &state.values {
                let Some(known) = self.entry(*metric) else { continue };
                let point = Point { subject, metric: *metric, value: *value };
                points.entry(known.metric.sampler).or_default().push(point);
            }
        }
        points
            .into_iter()
            .map(|(sampler, points)| (sampler, points.into_iter().collect()))
            .collect()
    }

    /// The targets that have not ended, in the order in which they came.
    #[must_use]
    pub fn targets(&self) -> &[SubjectId] {
        &self.targets
    }

    /// True of a target that has not ended.
    #[must_use]
    pub fn is_target(&self, subject: SubjectId) -> bool {
        self.target_set.contains(&subject)
    }

    /// The target that a subject is a part of, or is; none where it is none's.
    #[must_use]
    pub fn target_of(&self, subject: SubjectId) -> Option<SubjectId> {
        /// No subject is nested more deeply; whoever says so goes round in a circle.
        const DEEPEST: usize = 64;
        let parent = |id: &SubjectId| self.subjects.parent(*id);
        let above = std::iter::successors(Some(subject), parent).take(DEEPEST);
        above.into_iter().find(|id| self.is_target(*id))
    }
}
