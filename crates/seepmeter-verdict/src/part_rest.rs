//! The parts that are not kept one by one: as one sum for each kind and class.

use std::collections::{BTreeMap, HashMap};

use seepmeter_analysis::{Downsampler, Series};
use seepmeter_record::{MappingClass, Sample, SamplerId, Subject, SubjectId, SubjectKind};

use crate::part::Part;
use crate::run_series::PartSeries;
use crate::sample_clock::SampleClock;

/// Buckets for each sum.
const BUCKETS: usize = 256;

/// So many sums have a kind and a class of their own; what comes then is one more sum.
const MOST_SUMS: usize = 64;

type Key = (SubjectKind, Option<MappingClass>);

/// What all parts that are not kept one by one are together.
#[derive(Debug, Default)]
pub(crate) struct PartRest {
    sums: BTreeMap<Key, RestSum>,
    living: HashMap<SubjectId, Member>,
    /// How many parts were taken in.
    count: usize,
}

/// A part that lives.
#[derive(Debug)]
struct Member {
    key: Key,
    current: i64,
    /// False for a part of a part, which has been counted with that.
    counted: bool,
}

#[derive(Debug)]
struct RestSum {
    part: Part,
    /// Of those that live: what they hold, and whether that has changed in this sample.
    current: i128,
    changed: bool,
    source: SamplerId,
    last_point: u64,
    living: Downsampler,
    /// Of those that were kept until they had ended.
    ended: Series,
}

impl RestSum {
    fn new((kind, class): &Key) -> Self {
        let name = match (kind, class) {
            (SubjectKind::Process, _) => "other processes".to_owned(),
            (kind, Some(class)) => format!("other parts ({kind}, {})", class.as_str()),
            (kind, None) => format!("other parts ({kind})"),
        };
        let family = match Part::family_of(kind, class.as_ref()) {
            Some(family) => family.to_owned(),
            None => name.clone(),
        };
        Self {
            part: Part { name, family, kind: kind.clone(), class: class.clone() },
            current: 0,
            changed: false,
            source: SamplerId(0),
            last_point: 0,
            living: Downsampler::new(BUCKETS),
            ended: Series::default(),
        }
    }
}

impl PartRest {
    /// How many parts there are and were.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn contains(&self, subject: SubjectId) -> bool {
        self.living.contains_key(&subject)
    }

    /// What a part has at present.
    pub(crate) fn current(&self, part: SubjectId) -> Option<i64> {
        self.living.get(&part).map(|member| member.current)
    }

    fn sum(&mut self, part: &Part) -> (Key, &mut RestSum) {
        let mut key = (part.kind.clone(), part.class.clone());
        if self.sums.len() >= MOST_SUMS && !self.sums.contains_key(&key) {
            key = (SubjectKind::Other("any".into()), None);
        }
        let sum = self.sums.entry(key.clone()).or_insert_with(|| RestSum::new(&key));
        (key, sum)
    }

    /// Takes in a part that lives, and holds nothing yet.
    pub(crate) fn add(&mut self, subject: &Subject, counted: bool) {
        let (key, _) = self.sum(&Part::of(subject));
        self.living.insert(subject.id, Member { key, current: 0, counted });
        self.count += 1;
    }

    /// A part has a new value: by how much the sum of all parts that are counted changes. None if it is none
    /// of these.
    pub(crate) fn set(&mut self, subject: SubjectId, value: i64, sample: &Sample) -> Option<i128> {
        let member = self.living.get_mut(&subject)?;
        let change = i128::from(value) - i128::from(member.current);
        member.current = value;
        if let Some(sum) = self.sums.get_mut(&member.key) {
            sum.current += change;
            sum.changed = true;
            sum.source = sample.sampler;
            sum.last_point = sample.t;
        }
        Some(if member.counted { change } else { 0 })
    }

    /// Another part counts for this one from here on: what it was counted with until now.
    pub(crate) fn uncount(&mut self, subject: SubjectId) -> i64 {
        let counted = self.living.get_mut(&subject).filter(|member| member.counted);
        counted.map_or(0, |member| {
            member.counted = false;
            member.current
        })
    }

    /// A part ends: what it was counted with.
    pub(crate) fn end(&mut self, subject: SubjectId) -> i64 {
        let Some(member) = self.living.remove(&subject) else { return 0 };
        if let Some(sum) = self.sums.get_mut(&member.key) {
            sum.current -= i128::from(member.current);
            sum.changed = true;
        }
        if member.counted { member.current } else { 0 }
    }

    /// All points of a sample have been set.
    pub(crate) fn end_sample(&mut self, sample: &Sample) {
        for sum in self.sums.values_mut().filter(|sum| sum.changed) {
            sum.changed = false;
            let current = sum.current.clamp(i64::MIN.into(), i64::MAX.into());
            sum.living.push(sample.t, i64::try_from(current).unwrap_or(i64::MAX));
        }
    }

    /// Takes in parts that were kept one by one until they had ended.
    pub(crate) fn merge(&mut self, ended: Vec<(Part, Series)>) {
        self.count += ended.len();
        let mut by_key: BTreeMap<Key, Vec<Series>> = BTreeMap::new();
        for (part, series) in ended {
            let (key, sum) = self.sum(&part);
            let before = std::mem::take(&mut sum.ended);
            let of_key = by_key.entry(key).or_default();
            of_key.extend([before, series].into_iter().filter(|series| !series.is_empty()));
        }
        for (key, series) in by_key {
            let Some(sum) = self.sums.get_mut(&key) else { continue };
            let mut merged = Downsampler::new(BUCKETS);
            let whole = Series::sum(&series.iter().collect::<Vec<_>>());
            whole.points().iter().for_each(|&(t, value)| merged.push(t, value));
            sum.ended = merged.finish();
        }
    }

    /// The sums as parts.
    pub(crate) fn series(&self, clock: &SampleClock) -> impl Iterator<Item = PartSeries> {
        self.sums.values().map(|sum| {
            // What lives holds its last value to the end.
            let living = sum.living.clone().finish().with_end(clock.end());
            let both = [&living, &sum.ended].into_iter().filter(|series| !series.is_empty());
            let series = Series::sum(&both.collect::<Vec<_>>());
            let last_observed = match sum.current {
                0 => clock.end(),
                _ => clock.last_observed(sum.last_point, sum.source),
            };
            PartSeries {
                part: sum.part.clone(),
                series: clock.extended(series, sum.source),
                causes: Vec::new(),
                last_observed,
            }
        })
    }
}
