//! When each sampler took its samples.

use std::collections::BTreeMap;

use seepmeter_analysis::Series;
use seepmeter_record::{Header, Sample, SamplerId};

/// When each sampler took its samples. All times are in nanoseconds since the stream's start.
#[derive(Debug, Default)]
pub(crate) struct SampleClock {
    /// From tick to tick of each sampler, as the user asked for; the first, if they become longer.
    intervals: Vec<u64>,
    /// The same, the last.
    longest: Vec<u64>,
    samplers: BTreeMap<SamplerId, SamplerTimes>,
    end: u64,
    backwards: u64,
}

#[derive(Debug, Default)]
struct SamplerTimes {
    samples: u64,
    last: u64,
    /// Its last sample that covered all its subjects.
    last_complete: u64,
}

impl SampleClock {
    /// The stream begins.
    pub(crate) fn begin(&mut self, header: &Header) {
        self.longest = header.samplers.iter().map(|sampler| sampler.interval).collect();
        self.intervals = header
            .samplers
            .iter()
            .map(|sampler| sampler.first_interval.unwrap_or(sampler.interval))
            .collect();
    }

    pub(crate) fn observe(&mut self, sample: &Sample) {
        self.end = self.end.max(sample.t);
        let times = self.samplers.entry(sample.sampler).or_default();
        self.backwards += u64::from(times.last > sample.t);
        times.samples += 1;
        times.last = sample.t;
        if !sample.partial {
            times.last_complete = sample.t;
        }
    }

    /// From here on, only the samples of the next epoch count.
    pub(crate) fn begin_epoch(&mut self) {
        self.samplers.values_mut().for_each(|times| times.samples = 0);
    }

    /// A series with a point in every sample of a sampler.
    pub(crate) fn scheduled(&self, series: Series, source: SamplerId) -> Series {
        match self.intervals.get(usize::from(source.0)) {
            Some(interval) => series.with_scheduled_interval(*interval),
            None => series,
        }
    }

    /// The longest from tick to tick of a sampler that was asked for.
    pub(crate) fn longest_asked(&self, source: SamplerId) -> Option<u64> {
        self.longest.get(usize::from(source.0)).copied()
    }

    /// A series of what a sampler emits only if it changes: each of its samples counts.
    pub(crate) fn extended(&self, series: Series, source: SamplerId) -> Series {
        let samples = self.samplers.get(&source).map_or(0, |times| times.samples);
        self.scheduled(series.with_samples(samples).with_end(self.end), source)
    }

    /// When a subject whose last point was then was last observed by a sampler, changed or not.
    pub(crate) fn last_observed(&self, point: u64, source: SamplerId) -> u64 {
        self.samplers.get(&source).map_or(point, |times| point.max(times.last_complete))
    }

    /// When the last sample was.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn all_samples(&self) -> u64 {
        self.samplers.values().map(|times| times.samples).sum()
    }

    pub(crate) fn backwards(&self) -> u64 {
        self.backwards
    }
}
