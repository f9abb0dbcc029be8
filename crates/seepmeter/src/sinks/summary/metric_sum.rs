//! The sum of a metric of all processes, over a run.

use seepmeter_record::{CurrentValues, Sample, human};

use super::super::process_sum::{ProcessSum, SumPoint};

/// The first, the last and the largest sum of a metric of all processes.
#[derive(Debug)]
pub(super) struct MetricSum {
    pub(super) sum: ProcessSum,
    first: Option<i64>,
    last: Option<SumPoint>,
    /// How many processes there were then.
    living: u64,
    /// The largest, and of how many processes that was.
    peak: Option<(i64, u64)>,
    /// When the oldest value in the last was observed, in ns since the stream's start.
    pub(super) oldest: u64,
}

impl MetricSum {
    pub(super) fn new(metric: &str) -> Self {
        Self {
            sum: ProcessSum::new(metric),
            first: None,
            last: None,
            living: 0,
            peak: None,
            oldest: 0,
        }
    }

    /// Of so many processes as are `living`. False if the sample has observed none of a process.
    pub(super) fn observe(&mut self, sample: &Sample, values: &CurrentValues, living: u64) -> bool {
        let Some(point) = self.sum.observe(sample, values, true) else { return false };
        self.first.get_or_insert(point.total);
        self.peak = self.peak.max(Some((point.total, point.processes)));
        self.living = living;
        self.last = Some(point);
        true
    }

    /// A single process has had so much, of which a sample need not know.
    pub(super) fn note_peak(&mut self, value: i64) {
        self.peak = self.peak.map(|(peak, processes)| (peak.max(value), processes));
    }

    /// True if there was a value.
    pub(super) fn is_known(&self) -> bool {
        self.first.is_some()
    }

    /// `first 1 MiB, last 13 MiB, peak 31 MiB in 3 processes`; none if there was no value.
    pub(super) fn line(&self) -> Option<String> {
        let (peak, of_peak) = self.peak?;
        let SumPoint { total, unit, processes, .. } = self.last?;
        let amount = |value: i64| human::amount(value as f64, unit);
        let known = match processes < self.living {
            true => format!(" in {processes} of {} processes", self.living),
            false => String::new(),
        };
        Some(format!(
            "first {}, last {}{known}, peak {} in {}",
            amount(self.first?),
            amount(total),
            amount(peak),
            human::count(of_peak, "process"),
        ))
    }
}
