//! What all processes of a run have together: targets and their descendants.

use std::collections::HashMap;

use seepmeter_record::{CurrentValues, Sample, SubjectId, SubjectKind, Unit};

/// The values of a metric of all processes, added up: pages that several of them share count in each.
#[derive(Debug)]
pub(super) struct ProcessSum {
    metric: String,
    /// Of each that runs, its value.
    pub(super) current: HashMap<SubjectId, i64>,
    pub(super) total: i64,
    /// What was last shown, and when.
    last: Option<(u64, i64)>,
}

/// A sum at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SumPoint {
    pub(super) total: i64,
    pub(super) unit: Unit,
    /// Of how many processes.
    pub(super) processes: u64,
    /// The point before: when, in nanoseconds since the stream's start, and how much.
    pub(super) before: Option<(u64, i64)>,
}

impl ProcessSum {
    /// The sum of this metric.
    pub(super) fn new(metric: &str) -> Self {
        Self { metric: metric.to_owned(), current: HashMap::new(), total: 0, last: None }
    }

    /// The sum after a sample; none if the sample has observed none of a process. If it is shown, the next is
    /// compared with it.
    pub(super) fn observe(
        &mut self,
        sample: &Sample,
        values: &CurrentValues,
        is_shown: bool,
    ) -> Option<SumPoint> {
        let of_processes = values.points(sample).filter(|point| {
            point.subject.kind == SubjectKind::Process
                && *point.metric.name == *self.metric
                && values.is_target(point.subject.id)
        });
        for point in of_processes {
            let before = self.current.insert(point.subject.id, point.value).unwrap_or(0);
            self.total = self.total.saturating_add(point.value.saturating_sub(before));
        }
        // One that has not changed has no point.
        let observed = |id: &SubjectId| values.observed_at(*id, &self.metric) == Some(sample.t);
        let any = *self.current.keys().find(|id| observed(id))?;
        let (metric, _) = values.standing_metric(any, &self.metric)?;
        let before = self.last;
        if is_shown {
            self.last = Some((sample.t, self.total));
        }
        let processes = self.current.len() as u64;
        Some(SumPoint { total: self.total, unit: metric.unit, processes, before })
    }

    /// A process has ended. What it had is subtracted; none if that is not known.
    pub(super) fn end(&mut self, subject: SubjectId) -> Option<i64> {
        let had = self.current.remove(&subject)?;
        self.total = self.total.saturating_sub(had);
        Some(had)
    }

    /// When the value that is known for longest was observed, in ns since the stream's start.
    pub(super) fn oldest(&self, values: &CurrentValues) -> Option<u64> {
        self.current.keys().filter_map(|id| values.observed_at(*id, &self.metric)).min()
    }

    /// What a process has at present.
    pub(super) fn of(&self, subject: SubjectId) -> Option<i64> {
        self.current.get(&subject).copied()
    }
}
