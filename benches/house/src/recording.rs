//! What a recording tells, for a benchmark to check.

use std::path::Path;

use anyhow::{Context, Result, bail};
use seepmeter_record::jsonl;
use seepmeter_record::{EventKind, Footer, MetricId, Record};

/// One recording, read whole.
pub(crate) struct Recording {
    /// When each look began, in nanoseconds.
    pub(crate) looks: Vec<u64>,
    /// The resident set, and since when it stood.
    pub(crate) rss: Vec<(u64, i64)>,
    /// Late and missed ticks as events told them.
    pub(crate) late: u64,
    pub(crate) missed: u64,
    pub(crate) footer: Footer,
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut input = jsonl::open(path)?;
        let mut rss_metric: Option<MetricId> = None;
        let (mut looks, mut rss, mut late, mut missed) = (Vec::new(), Vec::new(), 0, 0);
        while let Some(record) = input.next_record()? {
            match record {
                Record::Metric(metric) if &*metric.name == "rss" => rss_metric = Some(metric.id),
                Record::Sample(sample) => {
                    looks.push(sample.t);
                    let points = sample.points.iter();
                    let points = points.filter(|point| Some(point.metric) == rss_metric);
                    rss.extend(points.map(|point| (sample.t, point.value)));
                }
                Record::Event(event) => {
                    let value = u64::try_from(event.value.unwrap_or(0)).unwrap_or(0);
                    match event.kind {
                        EventKind::Late => late += value,
                        EventKind::Missed => missed += value,
                        _ => {}
                    }
                }
                Record::Footer(footer) => return Ok(Self { looks, rss, late, missed, footer }),
                _ => {}
            }
        }
        bail!("{} has no footer", path.display())
    }

    /// Samples that the recording lacks though they were taken.
    pub(crate) fn lost(&self) -> u64 {
        self.footer.samples.saturating_sub(self.looks.len() as u64)
    }

    /// Ticks without a look, found from the times of the looks alone.
    pub(crate) fn holes(&self, interval: u64) -> Result<u64> {
        let first = *self.looks.first().context("there is no look")?;
        let last = *self.looks.last().context("there is no look")?;
        let ticks = (last - first + interval / 2) / interval + 1;
        Ok(ticks.saturating_sub(self.looks.len() as u64))
    }
}
