//! What a recording contains, for a benchmark to check.

use std::path::Path;

use anyhow::{Context, Result, bail};
use seepmeter_record::conventions::metric;
use seepmeter_record::{CurrentValues, EventKind, Footer, Record, jsonl};

/// One recording, read whole.
pub(crate) struct Recording {
    /// When each sample began, in nanoseconds.
    pub(crate) sample_times: Vec<u64>,
    /// The target's resident set in bytes, and since when it stood.
    pub(crate) rss: Vec<(u64, i64)>,
    /// Late and missed ticks, added up from the events.
    pub(crate) late: u64,
    pub(crate) missed: u64,
    pub(crate) footer: Footer,
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut input = jsonl::open(path)?;
        let mut values = CurrentValues::default();
        let (mut sample_times, mut rss, mut late, mut missed) = (Vec::new(), Vec::new(), 0, 0);
        while let Some(record) = input.next_record()? {
            values.apply(&record);
            match record {
                Record::Sample(sample) => {
                    sample_times.push(sample.t);
                    let of_target = values.points(&sample).filter(|point| {
                        values.is_target(point.subject.id)
                            && *point.metric.name == *metric::RSS.name
                    });
                    rss.extend(of_target.map(|point| (sample.t, point.value)));
                }
                Record::Event(event) => match event.kind {
                    EventKind::Late { samples } => late += samples,
                    EventKind::Missed { ticks } => missed += ticks,
                    _ => {}
                },
                Record::Footer(footer) => {
                    return Ok(Self { sample_times, rss, late, missed, footer });
                }
                _ => {}
            }
        }
        bail!("{} has no footer", path.display())
    }

    /// Samples that were taken and that the recording lacks.
    pub(crate) fn dropped(&self) -> u64 {
        self.footer.samples.saturating_sub(self.sample_times.len() as u64)
    }

    /// Ticks without a sample, found from the times of the samples alone.
    pub(crate) fn holes(&self, interval: u64) -> Result<u64> {
        let first = *self.sample_times.first().context("there is no sample")?;
        let last = *self.sample_times.last().context("there is no sample")?;
        let ticks = (last - first + interval / 2) / interval + 1;
        Ok(ticks.saturating_sub(self.sample_times.len() as u64))
    }
}
