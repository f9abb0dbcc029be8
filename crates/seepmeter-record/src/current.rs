//! What a stream has defined so far, and which values stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{
    EventKind, Metric, MetricId, Point, Points, Record, Sample, SamplerId, Subject, SubjectId,
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
    metrics: Vec<(Arc<Metric>, Vec<MetricId>)>,
    subjects: BTreeMap<SubjectId, State>,
    targets: Vec<SubjectId>,
    failed: BTreeSet<SamplerId>,
    /// When each sampler last observed all its subjects.
    complete: BTreeMap<SamplerId, u64>,
    /// Ended by the last record.
    ended: Option<SubjectId>,
}

/// What stands of one subject.
#[derive(Debug)]
struct State {
    subject: Arc<Subject>,
    parts: Vec<SubjectId>,
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
                self.targets.extend(header.targets.iter().map(|target| target.subject));
            }
            Record::Metric(metric) => self.define_metric(metric),
            Record::Subject(subject) => self.define_subject(subject),
            Record::Sample(sample) => self.apply_sample(sample),
            Record::Event(event) => match (&event.kind, event.subject, event.sampler) {
                (EventKind::Attached {}, Some(subject), _) if !self.is_target(subject) => {
                    self.targets.push(subject);
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

    fn define_metric(&mut self, metric: &Arc<Metric>) {
        let same =
            |other: &Metric| other.name == metric.name && other.subject_kind == metric.subject_kind;
        let mut preferred = Vec::new();
        for (other, others_preferred) in &mut self.metrics {
            if !same(other) {
                continue;
            }
            if other.sampler < metric.sampler {
                preferred.push(other.id);
            } else if other.sampler > metric.sampler {
                others_preferred.push(metric.id);
            }
        }
        self.metrics.push((Arc::clone(metric), preferred));
    }

    fn define_subject(&mut self, subject: &Arc<Subject>) {
        if let Some(parent) = subject.parent.and_then(|parent| self.subjects.get_mut(&parent)) {
            parent.parts.push(subject.id);
        }
        let state = State { subject: Arc::clone(subject), parts: Vec::new(), values: Vec::new() };
        self.subjects.insert(subject.id, state);
    }

    fn apply_sample(&mut self, sample: &Sample) {
        if !sample.partial {
            self.complete.insert(sample.sampler, sample.t);
        }
        for point in &sample.points {
            let Some(state) = self.subjects.get_mut(&point.subject) else { continue };
            let value = Value { value: point.value, t: sample.t };
            match state.values.iter_mut().find(|(metric, _)| *metric == point.metric) {
                Some((_, stands)) => *stands = value,
                None => state.values.push((point.metric, value)),
            }
        }
    }

    fn forget(&mut self, subject: SubjectId) {
        let Some(state) = self.subjects.remove(&subject) else { return };
        let parent = state.subject.parent.and_then(|parent| self.subjects.get_mut(&parent));
        if let Some(parent) = parent {
            parent.parts.retain(|part| *part != subject);
        }
        self.targets.retain(|target| *target != subject);
        // A list and not a recursion: how deep subjects are nested is not ours to say.
        let mut parts = state.parts;
        while let Some(part) = parts.pop() {
            if let Some(state) = self.subjects.remove(&part) {
                // A process outlives the process that forked it.
                if state.subject.kind == crate::SubjectKind::Process {
                    self.subjects.insert(part, state);
                } else {
                    parts.extend(state.parts);
                }
            }
        }
    }

    /// The points of a sample whose source counts, after the sample was [applied](Self::apply). Points of
    /// a subject that has ended, or of a kind that their metric is not for, are left out.
    pub fn points<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = CurrentPoint<'a>> {
        sample.points.iter().filter_map(|point| {
            let state = self.subjects.get(&point.subject)?;
            let (metric, preferred) = self.entry(point.metric)?;
            let counts = metric.subject_kind == state.subject.kind
                && !preferred.iter().any(|other| self.speaks(state, *other));
            let subject = &state.subject;
            counts.then_some(CurrentPoint { subject, metric, value: point.value })
        })
    }

    /// The value of the metric of this name that stands; none where none was emitted.
    #[must_use]
    pub fn value(&self, subject: SubjectId, metric: &str) -> Option<i64> {
        self.standing(subject, metric).map(|(_, value)| value.value)
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
        let state = self.subjects.get(&subject)?;
        let of_name = state.values.iter().filter_map(|(id, value)| {
            let (metric, _) = self.entry(*id)?;
            (&*metric.name == name && metric.subject_kind == state.subject.kind)
                .then_some((metric, *value))
        });
        // Of a sampler that has failed, what it emitted last is better than nothing.
        of_name.min_by_key(|(metric, _)| (self.failed.contains(&metric.sampler), metric.sampler))
    }

    /// True where a metric has a value of a subject, and its sampler has not failed.
    fn speaks(&self, state: &State, metric: MetricId) -> bool {
        state.values.iter().any(|(id, _)| *id == metric)
            && self.entry(metric).is_some_and(|(m, _)| !self.failed.contains(&m.sampler))
    }

    fn entry(&self, id: MetricId) -> Option<&(Arc<Metric>, Vec<MetricId>)> {
        // Metrics are numbered from 0 in the order of their definitions, so this is nearly always it.
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        let there = self.metrics.get(place).filter(|(metric, _)| metric.id == id);
        there.or_else(|| self.metrics.iter().find(|(metric, _)| metric.id == id))
    }

    /// A metric by its number.
    #[must_use]
    pub fn metric(&self, id: MetricId) -> Option<&Arc<Metric>> {
        self.entry(id).map(|(metric, _)| metric)
    }

    /// All metrics that were defined, in the order of their definitions.
    pub fn metrics(&self) -> impl Iterator<Item = &Arc<Metric>> {
        self.metrics.iter().map(|(metric, _)| metric)
    }

    /// A subject that has not ended, by its number.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&Arc<Subject>> {
        self.subjects.get(&id).map(|state| &state.subject)
    }

    /// All subjects that have not ended, in the order of their numbers.
    pub fn subjects(&self) -> impl Iterator<Item = &Arc<Subject>> {
        self.subjects.values().map(|state| &state.subject)
    }

    /// All values that stand, by the sampler that has emitted them.
    pub(crate) fn standing_points(&self) -> BTreeMap<SamplerId, Points> {
        let mut points: BTreeMap<SamplerId, Vec<Point>> = BTreeMap::new();
        for (subject, state) in &self.subjects {
            for (metric, Value { value, .. }) in &state.values {
                let Some((definition, _)) = self.entry(*metric) else { continue };
                let point = Point { subject: *subject, metric: *metric, value: *value };
                points.entry(definition.sampler).or_default().push(point);
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
        self.targets.contains(&subject)
    }

    /// The target that a subject is a part of, or is; none where it is none's.
    #[must_use]
    pub fn target_of(&self, subject: SubjectId) -> Option<SubjectId> {
        /// No subject is nested more deeply; whoever says so goes round in a circle.
        const DEEPEST: usize = 64;
        let parent = |id: &SubjectId| self.subjects.get(id)?.subject.parent;
        let above = std::iter::successors(Some(subject), parent).take(DEEPEST);
        above.into_iter().find(|id| self.is_target(*id))
    }
}
