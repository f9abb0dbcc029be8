//! The parts of a target: a series of each, and one of their sum. However many come and go, what is kept is
//! bounded: parts beyond a number, and the small ones of those that have ended, are one sum of their class.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use seepmeter_analysis::{Downsampler, Series};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{CurrentPoint, CurrentValues, Sample, SamplerId, Subject, SubjectId};

use crate::growth_cause::GrowthCause;
use crate::next_step::NextStep;
use crate::part::Part;
use crate::part_rest::PartRest;
use crate::run_series::{CauseSeries, PartSeries};
use crate::sample_clock::SampleClock;

/// Buckets for each of the first parts: attribution needs an eighth as many.
const PART_BUCKETS: usize = 256;

/// So many parts are kept as finely as that, and all later ones as finely as attribution needs: so as many
/// as [`PartRoom`] has room for take 30 MB if they all change all the time.
const FINE_PARTS: usize = 512;
const COARSE_BUCKETS: usize = 32;

/// So many parts that have ended are kept one by one; then the smaller half of them becomes one sum.
const MOST_ENDED: usize = 1024;

/// Buckets for the sum.
const SUM_BUCKETS: usize = 2048;

/// No subject is nested more deeply; one that is has itself as an ancestor.
const DEEPEST: usize = 64;

/// How many parts may still be kept one by one, of all targets and all metrics together.
#[derive(Debug)]
pub(crate) struct PartRoom {
    left: usize,
}

impl Default for PartRoom {
    fn default() -> Self {
        Self { left: 10_000 }
    }
}

impl PartRoom {
    /// True if there is room for one more, which is taken.
    fn take(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left -= usize::from(is_left);
        is_left
    }
}

/// The judged metric of every subject but the target itself.
#[derive(Debug, Default)]
pub(crate) struct PartTable {
    entries: HashMap<SubjectId, Entry>,
    /// What of a part has a cause that is usually no leak; of most parts nothing has.
    causes: HashMap<PartCause, Downsampler>,
    sum: Sum,
    /// The parts that have ended, of those above.
    ended: Vec<SubjectId>,
    /// All others.
    rest: PartRest,
    /// See [`RunSeries::runtime`](crate::RunSeries::runtime).
    pub(crate) runtime: Option<NextStep>,
}

/// What of a part has one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartCause {
    pub(crate) part: SubjectId,
    pub(crate) cause: GrowthCause,
}

#[derive(Debug)]
struct Entry {
    subject: Arc<Subject>,
    series: Downsampler,
    source: SamplerId,
    current: i64,
    /// When its last point was, in nanoseconds since the stream's start.
    last_point: u64,
    ended: bool,
    /// False for a part of a part, which has been counted with that.
    counted: bool,
}

/// The sum of the current values, for a metric that the target itself has none of. It is kept as the
/// stream goes: the parts' series are too coarse to be added up at the end.
#[derive(Debug, Default)]
struct Sum {
    current: i128,
    /// The first sampler to emit a part: each of its samples is one of the sum.
    source: Option<SamplerId>,
    series: Option<Downsampler>,
    /// Every subject that has parts that are counted.
    ancestors: HashSet<SubjectId>,
}

impl PartTable {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.rest.count()
    }

    /// Gives back the room of all.
    pub(crate) fn give_back(&self, room: &mut PartRoom) {
        room.left += self.entries.len() + self.causes.len();
    }

    /// A part has a new value.
    pub(crate) fn set(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let id = point.subject.id;
        if !self.contains(id) {
            self.add(point.subject, sample.sampler, values, room);
        }
        let Some(entry) = self.entries.get_mut(&id) else {
            self.sum.current += self.rest.set(id, point.value, sample).unwrap_or(0);
            return;
        };
        entry.series.push(sample.t, point.value);
        entry.last_point = sample.t;
        entry.source = sample.sampler;
        if entry.counted {
            self.sum.current += i128::from(point.value) - i128::from(entry.current);
        }
        entry.current = point.value;
    }

    /// What a part has at present.
    pub(crate) fn current(&self, part: SubjectId) -> Option<i64> {
        let entry = self.entries.get(&part).map(|entry| entry.current);
        entry.or_else(|| self.rest.current(part))
    }

    /// So many bytes of a part have a cause that is usually no leak.
    pub(crate) fn set_cause(&mut self, t: u64, key: PartCause, bytes: i64, room: &mut PartRoom) {
        let is_known = self.causes.contains_key(&key);
        if is_known || (bytes != 0 && !self.rest.contains(key.part) && room.take()) {
            let new = || Downsampler::new(COARSE_BUCKETS);
            self.causes.entry(key).or_insert_with(new).push(t, bytes);
        }
    }

    fn contains(&self, subject: SubjectId) -> bool {
        self.entries.contains_key(&subject) || self.rest.contains(subject)
    }

    fn add(
        &mut self,
        subject: &Arc<Subject>,
        source: SamplerId,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let ancestors = ancestors(subject.id, values);
        let counted = !ancestors.iter().any(|ancestor| self.contains(*ancestor));
        if self.sum.ancestors.contains(&subject.id) {
            self.uncount_parts_of(subject.id, values);
        }
        self.sum.ancestors.extend(ancestors);
        self.sum.source.get_or_insert(source);
        self.runtime = self.runtime.or_else(|| NextStep::of_runtime(subject));
        if !room.take() {
            return self.rest.add(subject, counted);
        }
        let many = self.entries.len() >= FINE_PARTS;
        let entry = Entry {
            subject: Arc::clone(subject),
            series: Downsampler::new(if many { COARSE_BUCKETS } else { PART_BUCKETS }),
            source,
            current: 0,
            last_point: 0,
            ended: false,
            counted,
        };
        self.entries.insert(subject.id, entry);
    }

    /// From here on its own value stands for those of its parts.
    fn uncount_parts_of(&mut self, subject: SubjectId, values: &CurrentValues) {
        let mut below: Vec<SubjectId> = values.parts(subject).collect();
        let mut known = HashSet::from([subject]);
        while let Some(part) = below.pop() {
            if !known.insert(part) {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(&part) {
                if std::mem::take(&mut entry.counted) {
                    self.sum.current -= i128::from(entry.current);
                }
            } else if self.rest.contains(part) {
                self.sum.current -= i128::from(self.rest.uncount(part));
            } else {
                // What is below a part has been counted with that.
                below.extend(values.parts(part));
            }
        }
    }

    /// All points of a sample have been set.
    pub(crate) fn end_sample(&mut self, sample: &Sample) {
        self.rest.end_sample(sample);
        if self.sum.source == Some(sample.sampler) {
            let current = self.sum.current.clamp(i64::MIN.into(), i64::MAX.into());
            let series = self.sum.series.get_or_insert_with(|| Downsampler::new(SUM_BUCKETS));
            series.push(sample.t, i64::try_from(current).unwrap_or(i64::MAX));
        }
    }

    /// A part ends, and holds nothing any more.
    pub(crate) fn end(&mut self, t: u64, subject: SubjectId, room: &mut PartRoom) {
        self.sum.ancestors.remove(&subject);
        for cause in GrowthCause::MEASURED {
            self.set_cause(t, PartCause { part: subject, cause }, 0, room);
        }
        let Some(entry) = self.entries.get_mut(&subject) else {
            self.sum.current -= i128::from(self.rest.end(subject));
            return;
        };
        entry.series.push(t, 0);
        if entry.counted {
            self.sum.current -= i128::from(entry.current);
        }
        entry.current = 0;
        if !std::mem::replace(&mut entry.ended, true) {
            self.ended.push(subject);
            self.merge_ended(room);
        }
    }

    /// If many have ended, the smaller half of them becomes one sum.
    fn merge_ended(&mut self, room: &mut PartRoom) {
        if self.ended.len() < MOST_ENDED {
            return;
        }
        let entries = &self.entries;
        self.ended.sort_by_cached_key(|id| entries.get(id).and_then(|it| it.series.peak()));
        let mut merged = Vec::with_capacity(MOST_ENDED / 2);
        for id in self.ended.drain(..MOST_ENDED / 2) {
            let causes =
                GrowthCause::MEASURED.into_iter().map(|cause| PartCause { part: id, cause });
            let causes = causes.filter(|key| self.causes.remove(key).is_some()).count();
            if let Some(entry) = self.entries.remove(&id) {
                merged.push((Part::of(&entry.subject), entry.series.finish()));
                room.left += 1 + causes;
            }
        }
        self.rest.merge(merged);
    }

    /// The sum of all; none if there was no part.
    pub(crate) fn sum(&self) -> Option<Series> {
        self.sum.series.clone().map(Downsampler::finish)
    }

    /// The parts in the order of their names, those of one name taken together: to whoever reads of
    /// it, or names it in a gate, it is one thing. Processes are told apart by their pids.
    pub(crate) fn series(&self, clock: &SampleClock) -> Vec<PartSeries> {
        let mut causes: HashMap<SubjectId, Vec<CauseSeries>> = HashMap::new();
        for (PartCause { part, cause }, downsampler) in &self.causes {
            if let Some(entry) = self.entries.get(part) {
                let series = clock.extended(downsampler.clone().finish(), entry.source);
                causes.entry(*part).or_default().push(CauseSeries { cause: *cause, series });
            }
        }
        let mut named: BTreeMap<Part, Vec<(&Subject, PartSeries)>> = BTreeMap::new();
        for (id, entry) in &self.entries {
            let part = Part::of(&entry.subject);
            let series = clock.extended(entry.series.clone().finish(), entry.source);
            let causes = causes.remove(id).unwrap_or_default();
            let last_observed = match entry.ended {
                true => clock.end(),
                false => clock.last_observed(entry.last_point, entry.source),
            };
            let known = PartSeries { part: part.clone(), series, causes, last_observed };
            named.entry(part).or_default().push((&entry.subject, known));
        }
        named.into_values().flat_map(together).chain(self.rest.series(clock)).collect()
    }
}

/// Parts of one name as one, or each by its pid if they are processes.
fn together(mut of_one_name: Vec<(&Subject, PartSeries)>) -> Vec<PartSeries> {
    let several = of_one_name.len() > 1;
    let Some((_, first)) = of_one_name.first().filter(|_| several) else {
        return of_one_name.into_iter().map(|(_, known)| known).collect();
    };
    if !first.part.is_process() {
        let part = first.part.clone();
        let each: Vec<&Series> = of_one_name.iter().map(|(_, known)| &known.series).collect();
        let series = Series::sum(&each);
        let oldest = of_one_name.iter().map(|(_, known)| known.last_observed).min();
        let last_observed = oldest.unwrap_or_default();
        let causes = of_one_name.into_iter().flat_map(|(_, known)| known.causes).collect();
        return vec![PartSeries { part, series, causes, last_observed }];
    }
    let pid = |subject: &Subject| subject.get(attribute::PID).map(i64::from);
    of_one_name.sort_by_key(|(subject, _)| pid(subject));
    let with_pid = |(subject, known): (&Subject, PartSeries)| PartSeries {
        part: known.part.clone().with_pid(pid(subject)),
        ..known
    };
    of_one_name.into_iter().map(with_pid).collect()
}

/// What a subject is a part of, and what that is a part of, and so on.
fn ancestors(subject: SubjectId, values: &CurrentValues) -> Vec<SubjectId> {
    let parent = |id: &SubjectId| values.subject(*id)?.parent;
    std::iter::successors(parent(&subject), parent).take(DEEPEST).collect()
}

#[cfg(test)]
mod tests {
    use seepmeter_record::conventions::metric;
    use seepmeter_record::{Attributes, Metric, MetricId, Record, SubjectKind};

    use super::*;

    fn values(parents: &[(u32, Option<u32>)]) -> CurrentValues {
        let mut values = CurrentValues::default();
        for (id, parent) in parents {
            let subject = Subject {
                id: SubjectId(*id),
                parent: parent.map(SubjectId),
                kind: SubjectKind::Mapping,
                name: format!("part {id}").as_str().into(),
                attributes: Attributes::new(),
            };
            values.apply(&Record::Subject(subject.into()));
        }
        values
    }

    fn rss() -> Arc<Metric> {
        Arc::new(Metric {
            id: MetricId(0),
            name: metric::RSS.name.into(),
            unit: metric::RSS.unit,
            kind: metric::RSS.kind,
            subject_kind: SubjectKind::Mapping,
            sampler: SamplerId(0),
            help: metric::RSS.help.into(),
        })
    }

    /// A sample of these values of parts.
    fn observe(
        parts: &mut PartTable,
        (t, sampler): (u64, u16),
        points: &[(u32, i64)],
        values: &CurrentValues,
    ) {
        let (sampler, points_of_none) = (SamplerId(sampler), Default::default());
        let sample = Sample { t, sampler, duration: 0, partial: false, points: points_of_none };
        let (rss, mut room) = (rss(), PartRoom::default());
        for &(subject, value) in points {
            let subject = values.subject(SubjectId(subject)).unwrap();
            parts.set(&CurrentPoint { subject, metric: &rss, value }, &sample, values, &mut room);
        }
        parts.end_sample(&sample);
    }

    fn sum_of(points: &[(u32, i64)], values: &CurrentValues) -> i64 {
        let mut parts = PartTable::default();
        observe(&mut parts, (1, 0), points, values);
        parts.sum().unwrap().at(1).unwrap()
    }

    #[test]
    fn a_part_of_a_part_is_counted_once_whichever_is_emitted_first() {
        let values = values(&[(0, None), (1, Some(0)), (2, Some(1)), (3, Some(0))]);
        assert_eq!(sum_of(&[(1, 50), (2, 20), (3, 7)], &values), 57);
        assert_eq!(sum_of(&[(2, 20), (1, 50), (3, 7)], &values), 57);
        assert_eq!(sum_of(&[(2, 20), (3, 7)], &values), 27);
    }

    #[test]
    fn a_circle_of_parents_does_no_harm() {
        let values = values(&[(1, Some(2)), (2, Some(1))]);
        assert_eq!(sum_of(&[(1, 5)], &values), 5);
    }

    #[test]
    fn a_part_that_ends_leaves_the_sum() {
        let values = values(&[(0, None), (1, Some(0)), (2, Some(0))]);
        let mut parts = PartTable::default();
        observe(&mut parts, (1, 3), &[(1, 10), (2, 5)], &values);
        parts.end(2, SubjectId(1), &mut PartRoom::default());
        // A sample of another sampler is none of the sum.
        observe(&mut parts, (2, 0), &[], &values);
        observe(&mut parts, (3, 3), &[], &values);
        assert_eq!(parts.sum().unwrap().points(), [(1, 15), (3, 5)]);
    }

    #[test]
    fn of_parts_that_have_ended_the_sum_of_the_small_ones_is_kept_and_the_large_ones_by_name() {
        let mut parts = PartTable::default();
        let (mut room, rss, mut values) = (PartRoom::default(), rss(), values(&[(0, None)]));
        let clock = SampleClock::default();
        let ids = 1..=10_000_u32;
        for id in ids.clone() {
            let (name, attributes) = (format!("part {id}").as_str().into(), Attributes::new());
            let (kind, parent) = (SubjectKind::Mapping, Some(SubjectId(0)));
            let subject = Arc::new(Subject { id: SubjectId(id), parent, kind, name, attributes });
            values.apply(&Record::Subject(Arc::clone(&subject)));
            let t = u64::from(id) * 10;
            let points = Default::default();
            let sample = Sample { t, sampler: SamplerId(0), duration: 0, partial: false, points };
            let value = if id % 2_500 == 0 { 1_000_000 } else { 100 };
            let point = CurrentPoint { subject: &subject, metric: &rss, value };
            parts.set(&point, &sample, &values, &mut room);
            parts.end_sample(&sample);
            parts.end(t + 5, subject.id, &mut room);
        }
        assert!(parts.entries.len() <= MOST_ENDED, "{}", parts.entries.len());
        assert_eq!(parts.len(), ids.count());
        assert_eq!(parts.sum.current, 0);
        let series = parts.series(&clock);
        let named = |name: &str| series.iter().find(|known| known.part.name == name);
        for large in [2_500, 5_000, 7_500, 10_000] {
            assert!(named(&format!("part {large}")).is_some(), "{large}");
        }
        let rest = &named("other parts (mapping)").unwrap().series;
        assert_eq!(rest.peak(), Some(100));
    }

    #[test]
    fn parts_beyond_the_room_for_them_are_one_sum_and_count_all_the_same() {
        let tree: Vec<(u32, Option<u32>)> = (0..50).map(|id| (id, (id > 0).then_some(0))).collect();
        let values = values(&tree);
        let (mut parts, mut room, rss) = (PartTable::default(), PartRoom { left: 20 }, rss());
        for (t, value) in [(1, 10), (2, 30)] {
            let points = Default::default();
            let sample = Sample { t, sampler: SamplerId(0), duration: 0, partial: false, points };
            for id in 1..50 {
                let subject = values.subject(SubjectId(id)).unwrap();
                let point = CurrentPoint { subject, metric: &rss, value };
                parts.set(&point, &sample, &values, &mut room);
            }
            parts.end_sample(&sample);
        }
        (40..50).for_each(|id| parts.end(3, SubjectId(id), &mut room));
        assert_eq!((parts.entries.len(), parts.len()), (20, 49));
        assert_eq!(parts.sum.current, 39 * 30);
        let series = parts.series(&SampleClock::default());
        let rest = series.iter().find(|known| known.part.name == "other parts (mapping)").unwrap();
        assert_eq!((rest.series.at(1), rest.series.at(2)), (Some(290), Some(870)));
        // A part that they are all parts of counts in their place.
        let points = Default::default();
        let sample = Sample { t: 4, sampler: SamplerId(0), duration: 0, partial: false, points };
        let whole = values.subject(SubjectId(0)).unwrap();
        let point = CurrentPoint { subject: whole, metric: &rss, value: 5 };
        parts.set(&point, &sample, &values, &mut room);
        assert_eq!(parts.sum.current, 5);
    }
}
