//! What a summary keeps of the values of a target or of a cgroup.

use std::sync::Arc;

use seepmeter_record::{CurrentValues, Metric, MetricKind, Subject, SubjectId, human};

/// The time between the last sample of a target and its end is shown if it is more than this part of
/// the run: one in so many.
const UNSAMPLED_PART: u64 = 10;

/// The values of a target or of a cgroup.
pub(super) struct SubjectSummary {
    pub(super) subject: Arc<Subject>,
    metrics: Vec<MetricSummary>,
}

/// The first, the last and the largest value of a metric.
pub(super) struct MetricSummary {
    metric: Arc<Metric>,
    first_t: u64,
    /// When it was last sampled, of a subject that has ended.
    sampled: Option<u64>,
    first: i64,
    last: i64,
    largest: i64,
}

impl SubjectSummary {
    pub(super) fn new(subject: &Arc<Subject>) -> Self {
        Self { subject: Arc::clone(subject), metrics: Vec::new() }
    }

    pub(super) fn apply(&mut self, metric: &Arc<Metric>, t: u64, value: i64) {
        match self.metrics.iter_mut().find(|known| known.metric.name == metric.name) {
            Some(known) => {
                known.last = value;
                known.largest = known.largest.max(value);
            }
            None => self.metrics.push(MetricSummary {
                metric: Arc::clone(metric),
                first_t: t,
                sampled: None,
                first: value,
                last: value,
                largest: value,
            }),
        }
    }

    /// It has ended, and soon is not known any more.
    pub(super) fn end(&mut self, t: u64, values: &CurrentValues) {
        for known in &mut self.metrics {
            let sampled = values.observed_at(self.subject.id, &known.metric.name);
            known.sampled = sampled.map(|sampled| sampled.min(t));
        }
    }

    /// Forgets the values so far.
    pub(super) fn clear(&mut self) {
        self.metrics.clear();
    }

    pub(super) fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.iter().find(|known| *known.metric.name == *name)
    }
}

impl MetricSummary {
    /// The values, and the rate between the first and the last; `peak` is one that was not sampled.
    pub(super) fn line(
        &self,
        subject: SubjectId,
        values: &CurrentValues,
        peak: Option<i64>,
    ) -> String {
        let Self { metric, first_t, first, last, .. } = self;
        let amount = |value: i64| human::amount(value as f64, metric.unit);
        let mut line = format!("first {}, last {}", amount(*first), amount(*last));
        // What only grows is largest at the end.
        if metric.kind == MetricKind::Gauge {
            let peak = peak.map_or(self.largest, |peak| peak.max(self.largest));
            line.push_str(&format!(", peak {}", amount(peak)));
        }
        let sampled = self.sampled.or_else(|| values.observed_at(subject, &metric.name));
        if let Some(sampled) = sampled.filter(|sampled| sampled > first_t) {
            let seconds = (sampled - first_t) as f64 / 1e9;
            let rate = last.saturating_sub(*first) as f64 / seconds;
            line.push_str(&format!("; average {}", human::rate(rate, metric.unit)));
        }
        line
    }

    /// With the target goes the kernel's mark of its peak, so what came after the last sample is not known.
    pub(super) fn unsampled(&self, ended: Option<u64>) -> String {
        let (Some(sampled), Some(ended)) = (self.sampled, ended) else { return String::new() };
        let unsampled = ended.saturating_sub(sampled);
        if unsampled <= ended / UNSAMPLED_PART {
            return String::new();
        }
        format!("; not sampled in its last {}", human::duration(unsampled))
    }
}
