//! What a stream has defined so far.

use std::collections::HashMap;

use crate::{Metric, MetricId, Record, Sample, Subject, SubjectId};

/// The metrics and subjects that a stream has defined so far, for a sink that wants their names.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    metrics: HashMap<MetricId, Metric>,
    subjects: HashMap<SubjectId, Subject>,
}

/// A point of something that was never defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dangling {
    /// Its metric was not defined before it.
    #[error("a point of metric {}, which was not defined before it", .0.0)]
    Metric(MetricId),
    /// Its subject was not defined before it.
    #[error("a point of subject {}, which was not defined before it", .0.0)]
    Subject(SubjectId),
}

impl Catalog {
    /// Takes in a definition; other records pass.
    pub fn learn(&mut self, record: &Record) {
        match record {
            Record::Metric(metric) => {
                self.metrics.insert(metric.id, metric.clone());
            }
            Record::Subject(subject) => {
                self.subjects.insert(subject.id, subject.clone());
            }
            _ => {}
        }
    }

    /// A metric by its number.
    #[must_use]
    pub fn metric(&self, id: MetricId) -> Option<&Metric> {
        self.metrics.get(&id)
    }

    /// A subject by its number.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&Subject> {
        self.subjects.get(&id)
    }

    /// The number of the metric of this name.
    #[must_use]
    pub fn metric_named(&self, name: &str) -> Option<MetricId> {
        self.metrics.values().find(|metric| &*metric.name == name).map(|metric| metric.id)
    }

    /// All metrics, in the order of their numbers.
    #[must_use]
    pub fn metrics(&self) -> Vec<&Metric> {
        let mut all: Vec<_> = self.metrics.values().collect();
        all.sort_unstable_by_key(|metric| metric.id);
        all
    }

    /// Checks that all a sample speaks of was defined before it.
    pub fn check(&self, sample: &Sample) -> Result<(), Dangling> {
        for point in &sample.points {
            if !self.metrics.contains_key(&point.metric) {
                return Err(Dangling::Metric(point.metric));
            }
            if !self.subjects.contains_key(&point.subject) {
                return Err(Dangling::Subject(point.subject));
            }
        }
        Ok(())
    }
}
