//! The parts of a target: a series for each, and one of all together.

use std::collections::{BTreeMap, HashMap, HashSet};

use seepmeter_analysis::{Downsampler, Series};
use seepmeter_record::{Attr, Catalog, SamplerId, Subject, SubjectId, subject_kind};

use super::{Nature, Part};

/// Buckets for each of the first parts: attribution looks at an eighth as many.
const PART_BUCKETS: usize = 256;

/// So many parts are kept as finely as that, and all later ones as finely as attribution looks: so ten
/// thousand parts that all change all the time take 30 MB. Parts that stand still take next to nothing.
const FINE_PARTS: usize = 512;
const COARSE_BUCKETS: usize = 32;

/// Buckets for the sum.
const SUM_BUCKETS: usize = 2048;

/// No subject is nested more deeply; whoever says so goes round in a circle.
const DEEPEST: usize = 64;

/// What was told of the judged metric by all but the target itself.
#[derive(Debug, Default)]
pub(super) struct Parts {
    series: HashMap<SubjectId, PartSeries>,
    /// What of a part is of a nature that is usually no leak; of most parts nothing is.
    natures: HashMap<(SubjectId, Nature), Downsampler>,
    sum: Sum,
}

#[derive(Debug)]
struct PartSeries {
    series: Downsampler,
    sampler: SamplerId,
    stands: i64,
    /// False for a part of a part, which has been counted with that.
    counted: bool,
}

/// The sum of what stands, for a metric that the target itself has none of. It is kept as the stream
/// goes: the parts are too coarse to be summed at the end.
#[derive(Debug, Default)]
struct Sum {
    stands: i128,
    /// The first sampler to tell of a part: each of its looks is one at the sum.
    heard: Option<SamplerId>,
    series: Option<Downsampler>,
    /// Whatever has parts that are counted.
    above: HashSet<SubjectId>,
}

impl Parts {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Takes a value of a part.
    pub(super) fn take(
        &mut self,
        (t, sampler): (u64, SamplerId),
        (subject, value): (SubjectId, i64),
        catalog: &Catalog,
    ) {
        if !self.series.contains_key(&subject) {
            self.meet(subject, sampler, catalog);
        }
        let Some(part) = self.series.get_mut(&subject) else { return };
        part.series.push(t, value);
        if part.counted {
            self.sum.stands += i128::from(value) - i128::from(part.stands);
        }
        part.stands = value;
    }

    /// Takes how much of a part is of a nature (bytes).
    pub(super) fn take_nature(&mut self, t: u64, subject: SubjectId, nature: Nature, bytes: i64) {
        if bytes != 0 || self.natures.contains_key(&(subject, nature)) {
            let new = || Downsampler::new(COARSE_BUCKETS);
            self.natures.entry((subject, nature)).or_insert_with(new).push(t, bytes);
        }
    }

    /// What was gained of each nature by the parts of each name, where anything was; `gain` says how
    /// much a series has gained.
    pub(super) fn natures(
        &self,
        catalog: &Catalog,
        end: u64,
        gain: impl Fn(&Series) -> f64,
    ) -> BTreeMap<(Part, Nature), f64> {
        let mut gains = BTreeMap::new();
        for ((id, nature), thinner) in &self.natures {
            if let Some(part) = catalog.subject(*id).map(part) {
                let series = thinner.clone().finish().with_end(end);
                *gains.entry((part, *nature)).or_default() += gain(&series);
            }
        }
        gains
    }

    /// A part is seen for the first time.
    fn meet(&mut self, subject: SubjectId, sampler: SamplerId, catalog: &Catalog) {
        let above = above(subject, catalog);
        let counted = !above.iter().any(|above| self.series.contains_key(above));
        if self.sum.above.contains(&subject) {
            // It speaks for its own parts from here on.
            for (id, part) in &mut self.series {
                if part.counted && self::above(*id, catalog).contains(&subject) {
                    part.counted = false;
                    self.sum.stands -= i128::from(part.stands);
                }
            }
        }
        self.sum.above.extend(above);
        self.sum.heard.get_or_insert(sampler);
        let many = self.series.len() >= FINE_PARTS;
        let series = Downsampler::new(if many { COARSE_BUCKETS } else { PART_BUCKETS });
        self.series.insert(subject, PartSeries { series, sampler, stands: 0, counted });
    }

    /// A look of a sampler is over.
    pub(super) fn looked(&mut self, t: u64, sampler: SamplerId) {
        if self.sum.heard == Some(sampler) {
            let stands = self.sum.stands.clamp(i64::MIN.into(), i64::MAX.into());
            let series = self.sum.series.get_or_insert_with(|| Downsampler::new(SUM_BUCKETS));
            series.push(t, i64::try_from(stands).unwrap_or(i64::MAX));
        }
    }

    /// A part ends, and holds nothing any more.
    pub(super) fn end(&mut self, t: u64, subject: SubjectId) {
        if let Some(part) = self.series.get_mut(&subject) {
            part.series.push(t, 0);
            if part.counted {
                self.sum.stands -= i128::from(part.stands);
            }
            part.stands = 0;
        }
        for nature in [Nature::HugePages, Nature::LazyFree] {
            self.take_nature(t, subject, nature, 0);
        }
    }

    /// The sum of all; none where there was no part.
    pub(super) fn sum(&self) -> Option<Series> {
        self.sum.series.clone().map(Downsampler::finish)
    }

    /// The parts in the order of their names, those of one name taken together: to whoever reads of
    /// it, or names it in a gate, it is one thing. Processes are told apart by their pids.
    ///
    /// `looks` says how many looks each sampler took, and `end` when the last was (ns).
    pub(super) fn named(
        &self,
        catalog: &Catalog,
        looks: &HashMap<SamplerId, u64>,
        end: u64,
    ) -> Vec<(Part, Series)> {
        let mut named: BTreeMap<Part, Vec<(SubjectId, Series)>> = BTreeMap::new();
        for (id, told) in &self.series {
            if let Some(part) = catalog.subject(*id).map(part) {
                let looks = looks.get(&told.sampler).copied().unwrap_or(0);
                let series = told.series.clone().finish().with_samples(looks).with_end(end);
                named.entry(part).or_default().push((*id, series));
            }
        }
        let mut parts = Vec::with_capacity(named.len());
        for (part, mut series) in named {
            if series.len() == 1 {
                parts.extend(series.pop().map(|(_, series)| (part, series)));
            } else if part.kind == subject_kind::PROCESS {
                parts.extend(series.into_iter().map(|(id, series)| {
                    let key = catalog.subject(id).and_then(Subject::process_key);
                    let pid = key.map_or(String::new(), |(pid, _)| format!(" (pid {pid})"));
                    (Part { name: format!("{}{pid}", part.name), ..part.clone() }, series)
                }));
            } else {
                let of_one_name: Vec<&Series> = series.iter().map(|(_, series)| series).collect();
                parts.push((part, Series::sum(&of_one_name)));
            }
        }
        parts
    }
}

fn part(subject: &Subject) -> Part {
    let class = match subject.attr("class") {
        Some(Attr::Text(class)) => Some(class.to_string()),
        _ => None,
    };
    Part { name: subject.name.to_string(), kind: subject.kind.to_string(), class }
}

/// What a subject is a part of, and what that is a part of, and so on.
fn above(subject: SubjectId, catalog: &Catalog) -> Vec<SubjectId> {
    let parent = |id: &SubjectId| catalog.subject(*id)?.parent;
    std::iter::successors(parent(&subject), parent).take(DEEPEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seepmeter_record::Record;

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

    fn sum_of(points: &[(u32, i64)], catalog: &Catalog) -> i64 {
        let mut parts = Parts::default();
        let sampler = SamplerId(0);
        for (subject, value) in points {
            parts.take((1, sampler), (SubjectId(*subject), *value), catalog);
        }
        parts.looked(1, sampler);
        parts.sum().unwrap().at(1).unwrap()
    }

    #[test]
    fn a_part_of_a_part_is_counted_once_whichever_is_told_first() {
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
        let mut parts = Parts::default();
        let sampler = SamplerId(3);
        parts.take((1, sampler), (SubjectId(1), 10), &catalog);
        parts.take((1, sampler), (SubjectId(2), 5), &catalog);
        parts.looked(1, sampler);
        parts.end(2, SubjectId(1));
        // Another sampler's look is none at the sum.
        parts.looked(2, SamplerId(0));
        parts.looked(3, sampler);
        assert_eq!(parts.sum().unwrap().points(), [(1, 15), (3, 5)]);
    }
}
