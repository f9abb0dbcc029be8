//! The parts of a target: a series of each, and one of their sum.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use seepmeter_analysis::{Downsampler, Series};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{CurrentPoint, CurrentValues, Sample, SamplerId, Subject, SubjectId};

use crate::growth_cause::GrowthCause;
use crate::part::Part;
use crate::run_series::{CauseSeries, PartSeries};
use crate::sample_clock::SampleClock;

/// Buckets for each of the first parts: attribution needs an eighth as many.
const PART_BUCKETS: usize = 256;

/// So many parts are kept as finely as that, and all later ones as finely as attribution needs: so ten
/// thousand parts that all change all the time take 30 MB. Parts that do not change take next to nothing.
const FINE_PARTS: usize = 512;
const COARSE_BUCKETS: usize = 32;

/// Buckets for the sum.
const SUM_BUCKETS: usize = 2048;

/// No subject is nested more deeply; one that is has itself as an ancestor.
const DEEPEST: usize = 64;

/// The judged metric of every subject but the target itself.
#[derive(Debug, Default)]
pub(crate) struct PartTable {
    entries: HashMap<SubjectId, Entry>,
    /// What of a part has a cause that is usually no leak; of most parts nothing has.
    causes: HashMap<(SubjectId, GrowthCause), Downsampler>,
    sum: Sum,
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
        self.entries.len()
    }

    /// A part has a new value.
    pub(crate) fn set(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
    ) {
        let id = point.subject.id;
        if !self.entries.contains_key(&id) {
            self.add(point.subject, sample.sampler, values);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.series.push(sample.t, point.value);
        entry.last_point = sample.t;
        entry.source = sample.sampler;
        if entry.counted {
            self.sum.current += i128::from(point.value) - i128::from(entry.current);
        }
        entry.current = point.value;
    }

    /// So many bytes of a part have a cause that is usually no leak.
    pub(crate) fn set_cause(&mut self, t: u64, subject: SubjectId, cause: GrowthCause, bytes: i64) {
        if bytes != 0 || self.causes.contains_key(&(subject, cause)) {
            let new = || Downsampler::new(COARSE_BUCKETS);
            self.causes.entry((subject, cause)).or_insert_with(new).push(t, bytes);
        }
    }

    fn add(&mut self, subject: &Arc<Subject>, source: SamplerId, values: &CurrentValues) {
        let ancestors = ancestors(subject.id, values);
        let counted = !ancestors.iter().any(|ancestor| self.entries.contains_key(ancestor));
        if self.sum.ancestors.contains(&subject.id) {
            // From here on its own value stands for those of its parts.
            for (id, entry) in &mut self.entries {
                if entry.counted && self::ancestors(*id, values).contains(&subject.id) {
                    entry.counted = false;
                    self.sum.current -= i128::from(entry.current);
                }
            }
        }
        self.sum.ancestors.extend(ancestors);
        self.sum.source.get_or_insert(source);
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

    /// All points of a sample have been set.
    pub(crate) fn end_sample(&mut self, sample: &Sample) {
        if self.sum.source == Some(sample.sampler) {
            let current = self.sum.current.clamp(i64::MIN.into(), i64::MAX.into());
            let series = self.sum.series.get_or_insert_with(|| Downsampler::new(SUM_BUCKETS));
            series.push(sample.t, i64::try_from(current).unwrap_or(i64::MAX));
        }
    }

    /// A part ends, and holds nothing any more.
    pub(crate) fn end(&mut self, t: u64, subject: SubjectId) {
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.series.push(t, 0);
            entry.ended = true;
            if entry.counted {
                self.sum.current -= i128::from(entry.current);
            }
            entry.current = 0;
        }
        for cause in GrowthCause::MEASURED {
            self.set_cause(t, subject, cause, 0);
        }
    }

    /// The sum of all; none if there was no part.
    pub(crate) fn sum(&self) -> Option<Series> {
        self.sum.series.clone().map(Downsampler::finish)
    }

    /// The parts in the order of their names, those of one name taken together: to whoever reads of
    /// it, or names it in a gate, it is one thing. Processes are told apart by their pids.
    pub(crate) fn series(&self, clock: &SampleClock) -> Vec<PartSeries> {
        let mut causes: HashMap<SubjectId, Vec<CauseSeries>> = HashMap::new();
        for ((id, cause), downsampler) in &self.causes {
            if let Some(entry) = self.entries.get(id) {
                let series = clock.extended(downsampler.clone().finish(), entry.source);
                causes.entry(*id).or_default().push(CauseSeries { cause: *cause, series });
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
        named.into_values().flat_map(together).collect()
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
        let rss = rss();
        for &(subject, value) in points {
            let subject = values.subject(SubjectId(subject)).unwrap();
            parts.set(&CurrentPoint { subject, metric: &rss, value }, &sample, values);
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
        parts.end(2, SubjectId(1));
        // A sample of another sampler is none of the sum.
        observe(&mut parts, (2, 0), &[], &values);
        observe(&mut parts, (3, 3), &[], &values);
        assert_eq!(parts.sum().unwrap().points(), [(1, 15), (3, 5)]);
    }
}
