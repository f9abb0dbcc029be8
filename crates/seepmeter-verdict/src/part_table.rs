//! The parts of a target: a series of each, and one of their sum.

use std::collections::{BTreeMap, HashMap, HashSet};

use seepmeter_analysis::{Series, Thinner};
use seepmeter_record::{Catalog, Point, Sample, SamplerId, Subject, SubjectId};

use crate::collector::SampleClock;
use crate::growth_cause::GrowthCause;
use crate::part::Part;
use crate::run_series::{CauseSeries, PartSeries};

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
    causes: HashMap<(SubjectId, GrowthCause), Thinner>,
    sum: Sum,
}

#[derive(Debug)]
struct Entry {
    series: Thinner,
    source: SamplerId,
    current: i64,
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
    series: Option<Thinner>,
    /// Every subject that has parts that are counted.
    ancestors: HashSet<SubjectId>,
}

impl PartTable {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A part has a new value.
    pub(crate) fn set(&mut self, point: &Point, sample: &Sample, catalog: &Catalog) {
        let Point { subject, value, .. } = *point;
        if !self.entries.contains_key(&subject) {
            self.add(subject, sample.sampler, catalog);
        }
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        entry.series.push(sample.t, value);
        if entry.counted {
            self.sum.current += i128::from(value) - i128::from(entry.current);
        }
        entry.current = value;
    }

    /// So many bytes of a part have a cause that is usually no leak.
    pub(crate) fn set_cause(&mut self, t: u64, subject: SubjectId, cause: GrowthCause, bytes: i64) {
        if bytes != 0 || self.causes.contains_key(&(subject, cause)) {
            let new = || Thinner::new(COARSE_BUCKETS);
            self.causes.entry((subject, cause)).or_insert_with(new).push(t, bytes);
        }
    }

    fn add(&mut self, subject: SubjectId, source: SamplerId, catalog: &Catalog) {
        let ancestors = ancestors(subject, catalog);
        let counted = !ancestors.iter().any(|ancestor| self.entries.contains_key(ancestor));
        if self.sum.ancestors.contains(&subject) {
            // From here on its own value stands for those of its parts.
            for (id, entry) in &mut self.entries {
                if entry.counted && self::ancestors(*id, catalog).contains(&subject) {
                    entry.counted = false;
                    self.sum.current -= i128::from(entry.current);
                }
            }
        }
        self.sum.ancestors.extend(ancestors);
        self.sum.source.get_or_insert(source);
        let many = self.entries.len() >= FINE_PARTS;
        let series = Thinner::new(if many { COARSE_BUCKETS } else { PART_BUCKETS });
        self.entries.insert(subject, Entry { series, source, current: 0, counted });
    }

    /// All points of a sample have been set.
    pub(crate) fn end_sample(&mut self, sample: &Sample) {
        if self.sum.source == Some(sample.sampler) {
            let current = self.sum.current.clamp(i64::MIN.into(), i64::MAX.into());
            let series = self.sum.series.get_or_insert_with(|| Thinner::new(SUM_BUCKETS));
            series.push(sample.t, i64::try_from(current).unwrap_or(i64::MAX));
        }
    }

    /// A part ends, and holds nothing any more.
    pub(crate) fn end(&mut self, t: u64, subject: SubjectId) {
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.series.push(t, 0);
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
        self.sum.series.clone().map(Thinner::finish)
    }

    /// The parts in the order of their names, those of one name taken together: to whoever reads of
    /// it, or names it in a gate, it is one thing. Processes are told apart by their pids.
    pub(crate) fn series(&self, catalog: &Catalog, clock: &SampleClock) -> Vec<PartSeries> {
        let mut causes: HashMap<SubjectId, Vec<CauseSeries>> = HashMap::new();
        for ((id, cause), thinner) in &self.causes {
            if let Some(entry) = self.entries.get(id) {
                let series = clock.extended(thinner.clone().finish(), entry.source);
                causes.entry(*id).or_default().push(CauseSeries { cause: *cause, series });
            }
        }
        let mut named: BTreeMap<Part, Vec<(&Subject, PartSeries)>> = BTreeMap::new();
        for (id, entry) in &self.entries {
            let Some(subject) = catalog.subject(*id) else { continue };
            let part = Part::of(subject);
            let series = clock.extended(entry.series.clone().finish(), entry.source);
            let causes = causes.remove(id).unwrap_or_default();
            let known = PartSeries { part: part.clone(), series, causes };
            named.entry(part).or_default().push((subject, known));
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
        let causes = of_one_name.into_iter().flat_map(|(_, known)| known.causes).collect();
        return vec![PartSeries { part, series, causes }];
    }
    of_one_name.sort_by_key(|(subject, _)| subject.process_key());
    let with_pid = |(subject, known): (&Subject, PartSeries)| match subject.process_key() {
        Some((pid, _)) => PartSeries { part: known.part.with_pid(pid), ..known },
        None => known,
    };
    of_one_name.into_iter().map(with_pid).collect()
}

/// What a subject is a part of, and what that is a part of, and so on.
fn ancestors(subject: SubjectId, catalog: &Catalog) -> Vec<SubjectId> {
    let parent = |id: &SubjectId| catalog.subject(*id)?.parent;
    std::iter::successors(parent(&subject), parent).take(DEEPEST).collect()
}

#[cfg(test)]
mod tests {
    use seepmeter_record::{MetricId, Record, subject_kind};

    use super::*;

    fn catalog(parents: &[(u32, Option<u32>)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (id, parent) in parents {
            catalog.learn(&Record::Subject(Subject {
                id: SubjectId(*id),
                parent: parent.map(SubjectId),
                kind: subject_kind::MAPPING.into(),
                name: format!("part {id}").as_str().into(),
                attrs: Vec::new(),
            }));
        }
        catalog
    }

    /// A sample of these values of parts.
    fn observe(
        parts: &mut PartTable,
        (t, sampler): (u64, u16),
        values: &[(u32, i64)],
        catalog: &Catalog,
    ) {
        let point = |&(subject, value): &(u32, i64)| {
            let (subject, metric) = (SubjectId(subject), MetricId(0));
            Point { subject, metric, value }
        };
        let points = values.iter().map(point).collect();
        let sample = Sample { t, sampler: SamplerId(sampler), took: 0, points };
        sample.points.iter().for_each(|point| parts.set(point, &sample, catalog));
        parts.end_sample(&sample);
    }

    fn sum_of(values: &[(u32, i64)], catalog: &Catalog) -> i64 {
        let mut parts = PartTable::default();
        observe(&mut parts, (1, 0), values, catalog);
        parts.sum().unwrap().at(1).unwrap()
    }

    #[test]
    fn a_part_of_a_part_is_counted_once_whichever_is_emitted_first() {
        let catalog = catalog(&[(0, None), (1, Some(0)), (2, Some(1)), (3, Some(0))]);
        assert_eq!(sum_of(&[(1, 50), (2, 20), (3, 7)], &catalog), 57);
        assert_eq!(sum_of(&[(2, 20), (1, 50), (3, 7)], &catalog), 57);
        assert_eq!(sum_of(&[(2, 20), (3, 7)], &catalog), 27);
    }

    #[test]
    fn a_circle_of_parents_does_no_harm() {
        let catalog = catalog(&[(1, Some(2)), (2, Some(1))]);
        assert_eq!(sum_of(&[(1, 5)], &catalog), 5);
    }

    #[test]
    fn a_part_that_ends_leaves_the_sum() {
        let catalog = catalog(&[(0, None), (1, Some(0)), (2, Some(0))]);
        let mut parts = PartTable::default();
        observe(&mut parts, (1, 3), &[(1, 10), (2, 5)], &catalog);
        parts.end(2, SubjectId(1));
        // A sample of another sampler is none of the sum.
        observe(&mut parts, (2, 0), &[], &catalog);
        observe(&mut parts, (3, 3), &[], &catalog);
        assert_eq!(parts.sum().unwrap().points(), [(1, 15), (3, 5)]);
    }
}
