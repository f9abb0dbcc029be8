//! Downsampling in one pass and bounded memory, keeping every low and high that matters.

use crate::interval::Span;
use crate::series::{self, Series};
use crate::thresholds::series::{GAP_SPACINGS, MOST_GAPS, SETTLED_SAMPLES, USUAL_SAMPLES};

/// One bucket: the first and last point seen in it, the lowest and the highest, each (ns, value).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: u64,
    first: (u64, i64),
    low: (u64, i64),
    high: (u64, i64),
    last: (u64, i64),
}

/// Takes any number of points in the order of time and keeps at most four for each of `capacity`
/// buckets: the first, the lowest, the highest and the last.
///
/// When the buckets run out their width doubles and neighbours merge, so the whole watch is always
/// covered evenly, whatever its length (the scheme of Jugel et al., "M4: a visualization-oriented
/// time series data aggregation", VLDB 2014, made incremental). With the default capacity about
/// 2 MB are held, after ten points as after ten million.
#[derive(Debug, Clone)]
pub struct Downsampler {
    buckets: Vec<Bucket>,
    capacity: usize,
    width_log2: u32,
    samples: u64,
    usual_spacing: f64,
    latest_spacings: [u64; SPACINGS],
    gaps: Vec<Span>,
}

/// So many of the latest spacings are kept: their median is the interval.
const SPACINGS: usize = 15;
/// The capacity by default, and the least.
const CAPACITY: usize = 16_384;
const LEAST_CAPACITY: usize = 16;

impl Default for Downsampler {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl Downsampler {
    /// One of `capacity` buckets, at least 16.
    pub fn new(capacity: usize) -> Self {
        Self {
            buckets: Vec::new(),
            capacity: capacity.max(LEAST_CAPACITY),
            width_log2: 0,
            samples: 0,
            usual_spacing: 0.0,
            latest_spacings: [0; SPACINGS],
            gaps: Vec::new(),
        }
    }

    /// Takes the next point (ns, value). A point earlier than the last one is taken as at its time.
    pub fn push(&mut self, time: u64, value: i64) {
        let before = self.buckets.last().map(|b| b.last.0);
        let time = before.map_or(time, |t| time.max(t));
        if let Some(before) = before {
            self.note_spacing(before, time);
        }
        self.samples += 1;
        while self.needs_wider(time) {
            self.widen();
        }
        let point = (time, value);
        let number = time >> self.width_log2;
        match self.buckets.last_mut() {
            Some(b) if b.number == number => b.merge(&Bucket::of(number, point)),
            _ => self.buckets.push(Bucket::of(number, point)),
        }
    }

    /// How many points were taken.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The largest value that was taken; none of nothing.
    pub fn peak(&self) -> Option<i64> {
        self.buckets.iter().map(|bucket| bucket.high.1).max()
    }

    /// The downsampled series; it stands for all the samples that were taken.
    pub fn finish(mut self) -> Series {
        let mut points = Vec::with_capacity(self.buckets.len() * 4);
        for b in &self.buckets {
            let mut four = [b.first, b.low, b.high, b.last];
            four.sort_by_key(|p| p.0);
            points.extend(four);
        }
        let series = Series::from_pairs(points).with_samples(self.samples).with_gaps(self.gaps);
        let spacings = (self.samples.saturating_sub(1) as usize).min(SPACINGS);
        match series::median(&mut self.latest_spacings[..spacings]) {
            Some(interval) => series.with_interval(interval),
            None => series,
        }
    }

    /// The usual spacing is followed slowly, so that one gap does not make itself usual.
    fn note_spacing(&mut self, before: u64, time: u64) {
        // The first spacing comes with the second sample.
        let slot = (self.samples - 1) as usize % SPACINGS;
        self.latest_spacings[slot] = time - before;
        let spacing = (time - before) as f64;
        let wide = GAP_SPACINGS as f64 * self.usual_spacing;
        if self.samples > SETTLED_SAMPLES && spacing > wide && wide > 0.0 {
            if self.gaps.len() < MOST_GAPS {
                let from = before + self.usual_spacing as u64;
                self.gaps.push(Span { from, to: time });
            }
            return;
        }
        let weight = 1.0 / (self.samples.min(USUAL_SAMPLES) as f64);
        self.usual_spacing += (spacing - self.usual_spacing) * weight;
    }

    fn needs_wider(&self, time: u64) -> bool {
        let Some(first) = self.buckets.first() else { return false };
        (time >> self.width_log2) - first.number >= self.capacity as u64
    }

    fn widen(&mut self) {
        self.width_log2 += 1;
        // In place: memory that is given back and asked for again leaves holes, and who watches for growth
        // should not grow.
        let mut kept = 0;
        for i in 0..self.buckets.len() {
            let b = Bucket { number: self.buckets[i].number >> 1, ..self.buckets[i] };
            if kept > 0 && self.buckets[kept - 1].number == b.number {
                self.buckets[kept - 1].merge(&b);
            } else {
                self.buckets[kept] = b;
                kept += 1;
            }
        }
        self.buckets.truncate(kept);
    }
}

impl Bucket {
    fn of(number: u64, point: (u64, i64)) -> Self {
        Self { number, first: point, low: point, high: point, last: point }
    }

    fn merge(&mut self, later: &Bucket) {
        if later.low.1 < self.low.1 {
            self.low = later.low;
        }
        if later.high.1 > self.high.1 {
            self.high = later.high;
        }
        self.last = later.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_series_passes_through_whole() {
        let mut t = Downsampler::new(64);
        (0..40).for_each(|i| t.push(i, i as i64 % 7));
        assert_eq!(t.finish(), Series::from_pairs((0..40).map(|i| (i, i as i64 % 7))));
    }

    #[test]
    fn a_single_low_and_a_single_high_sample_in_a_million_are_kept() {
        let mut t = Downsampler::new(256);
        for i in 0..1_000_000u64 {
            let value = match i {
                123_457 => 3,
                765_431 => 9_999,
                _ => 500 + (i % 10) as i64,
            };
            t.push(i * 1_000, value);
        }
        let s = t.finish();
        assert!(s.points().len() <= 4 * 256);
        assert_eq!(s.samples(), 1_000_000);
        assert_eq!(s.at(123_457_000), Some(3));
        assert_eq!(s.at(765_431_000), Some(9_999));
        assert_eq!(s.end(), 999_999_000);
    }

    #[test]
    fn a_gap_is_remembered_through_downsampling() {
        let mut t = Downsampler::new(16);
        (0..1000).for_each(|i| t.push(i * 10, 1));
        (0..1000).for_each(|i| t.push(50_000 + i * 10, 1));
        assert_eq!(t.finish().gaps(), [Span { from: 10_000, to: 50_000 }]);
    }

    #[test]
    fn the_interval_is_the_median_of_the_latest_spacings() {
        let mut t = Downsampler::new(16);
        let second = 1_000_000_000;
        t.push(0, 1);
        assert_eq!(t.clone().finish().interval(), None);
        // The second sample of a watch came early, and one in between late.
        for time in [660, 1_660, 2_660, 4_160, 4_660, 5_660] {
            t.push(time * second / 1_000, 1);
        }
        assert_eq!(t.finish().interval(), Some(second));
    }
}
