//! What a sampler knows of its subjects.

use std::collections::HashMap;
use std::hash::Hash;

use crate::record::{Event, EventKind, MetricId, SubjectId};
use crate::{NewSubject, SampleBuilder, Stream};

/// The subjects of a sampler, by keys of its own, and what was last emitted of each: so that only what
/// changed is emitted, and that a subject ends when it is not observed any more.
///
/// ```
/// use seepmeter_plugin::record::{MetricId, SubjectKind};
/// use seepmeter_plugin::{NewSubject, SampleBuilder, SubjectTable};
///
/// struct Threads {
///     table: SubjectTable<i32>,
/// }
///
/// impl Threads {
///     fn sample(&mut self, cpu_times: &[(i32, i64)], sample: &mut SampleBuilder<'_>) {
///         self.table.begin();
///         for (tid, cpu_time) in cpu_times {
///             self.table.observe(tid, &[Some(*cpu_time)], sample, |tid| NewSubject {
///                 parent: None,
///                 kind: SubjectKind::Thread,
///                 name: format!("thread {tid}").into(),
///                 attributes: Default::default(),
///             });
///         }
///         self.table.end_unobserved(sample.stream());
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SubjectTable<K> {
    metrics: Vec<MetricId>,
    entries: HashMap<K, Entry>,
    /// Which observation of all subjects this is.
    round: u64,
}

#[derive(Debug)]
struct Entry {
    subject: SubjectId,
    last_emitted: Box<[Option<i64>]>,
    observed: u64,
}

impl<K: Clone + Eq + Hash> SubjectTable<K> {
    /// A table of subjects that all have these metrics.
    #[must_use]
    pub fn new(metrics: Vec<MetricId>) -> Self {
        Self { metrics, entries: HashMap::new(), round: 0 }
    }

    /// Begins an observation of all subjects: none is observed yet.
    pub fn begin(&mut self) {
        self.round += 1;
    }

    /// A subject was observed: emits those of its values that have changed, in the order of the metrics;
    /// in a [partial](SampleBuilder::partial) sample, all of them. A value that is not known is `None`,
    /// and nothing is emitted of it. A subject of a new key is defined by `define`.
    pub fn observe(
        &mut self,
        key: &K,
        values: &[Option<i64>],
        sample: &mut SampleBuilder<'_>,
        define: impl FnOnce(&K) -> NewSubject,
    ) -> SubjectId {
        let metrics = self.metrics.len();
        let is_partial = sample.facts().partial;
        let entry = self.entries.entry(key.clone()).or_insert_with_key(|key| Entry {
            subject: sample.stream().subject(define(key)),
            last_emitted: vec![None; metrics].into_boxed_slice(),
            observed: 0,
        });
        entry.observed = self.round;
        let emitted = entry.last_emitted.iter_mut();
        for ((value, last_emitted), metric) in values.iter().zip(emitted).zip(&self.metrics) {
            if let Some(value) = value
                && (is_partial || *last_emitted != Some(*value))
            {
                *last_emitted = Some(*value);
                sample.point(entry.subject, *metric, *value);
            }
        }
        entry.subject
    }

    /// True if a value is known and is not the one that was last emitted.
    #[must_use]
    pub fn has_changed(&self, key: &K, values: &[Option<i64>]) -> bool {
        let Some(entry) = self.entries.get(key) else { return true };
        let mut values = values.iter().zip(&entry.last_emitted);
        values.any(|(value, last_emitted)| value.is_some() && value != last_emitted)
    }

    /// Ends the subjects that were not observed since [`SubjectTable::begin`].
    pub fn end_unobserved(&mut self, stream: &mut dyn Stream) {
        let round = self.round;
        for (_, entry) in self.entries.extract_if(|_, entry| entry.observed != round) {
            stream.event(Event::new(stream.now(), EventKind::Gone {}).of(entry.subject));
        }
    }

    /// The subject of a key.
    #[must_use]
    pub fn subject(&self, key: &K) -> Option<SubjectId> {
        self.entries.get(key).map(|entry| entry.subject)
    }

    /// How many subjects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
