//! Thinning in one pass and bounded memory, keeping every floor and peak that matters.

use crate::Series;

/// One bucket: the first and last point seen in it, its floor and its peak, each (ns, value).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: u64,
    first: (u64, i64),
    floor: (u64, i64),
    peak: (u64, i64),
    last: (u64, i64),
}

/// Takes any number of points in the order of time and keeps at most four for each of `capacity`
/// buckets: the first, the floor, the peak and the last.
///
/// When the buckets run out their width doubles and neighbours merge, so the whole watch is always
/// covered evenly, whatever its length (the scheme of Jugel et al., "M4: a visualization-oriented
/// time series data aggregation", VLDB 2014, made incremental). With the default capacity about
/// 2 MB are held, be it after ten points or ten million.
#[derive(Debug, Clone)]
pub struct Thinner {
    buckets: Vec<Bucket>,
    capacity: usize,
    width_log2: u32,
    looks: u64,
    usual_spacing: f64,
    gaps: Vec<(u64, u64)>,
}

/// Gaps beyond this many are no longer listed one by one; a watch so torn has other troubles.
const MOST_GAPS: usize = 4096;

impl Default for Thinner {
    fn default() -> Self {
        Self::new(16_384)
    }
}

impl Thinner {
    /// A thinner of `capacity` buckets, at least 16.
    pub fn new(capacity: usize) -> Self {
        Self {
            buckets: Vec::new(),
            capacity: capacity.max(16),
            width_log2: 0,
            looks: 0,
            usual_spacing: 0.0,
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
        self.looks += 1;
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
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// The thinned series; it stands for all the looks that were taken.
    pub fn finish(self) -> Series {
        let mut points = Vec::with_capacity(self.buckets.len() * 4);
        for b in &self.buckets {
            let mut four = [b.first, b.floor, b.peak, b.last];
            four.sort_by_key(|p| p.0);
            points.extend(four);
        }
        Series::from_pairs(points).with_looks(self.looks).with_gaps(self.gaps)
    }

    /// The usual spacing is followed slowly, so that one gap does not make itself usual.
    fn note_spacing(&mut self, before: u64, time: u64) {
        let spacing = (time - before) as f64;
        if self.looks > 8 && spacing > 20.0 * self.usual_spacing && self.usual_spacing > 0.0 {
            if self.gaps.len() < MOST_GAPS {
                self.gaps.push((before + self.usual_spacing as u64, time));
            }
            return;
        }
        let weight = 1.0 / (self.looks.min(256) as f64);
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
        Self { number, first: point, floor: point, peak: point, last: point }
    }

    fn merge(&mut self, later: &Bucket) {
        if later.floor.1 < self.floor.1 {
            self.floor = later.floor;
        }
        if later.peak.1 > self.peak.1 {
            self.peak = later.peak;
        }
        self.last = later.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_series_passes_through_whole() {
        let mut t = Thinner::new(64);
        (0..40).for_each(|i| t.push(i, i as i64 % 7));
        assert_eq!(t.finish(), Series::from_pairs((0..40).map(|i| (i, i as i64 % 7))));
    }

    #[test]
    fn a_single_low_and_a_single_high_look_in_a_million_are_kept() {
        let mut t = Thinner::new(256);
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
        assert_eq!(s.looks(), 1_000_000);
        assert_eq!(s.at(123_457_000), Some(3));
        assert_eq!(s.at(765_431_000), Some(9_999));
        assert_eq!(s.end(), 999_999_000);
    }

    #[test]
    fn a_gap_is_remembered_through_thinning() {
        let mut t = Thinner::new(16);
        (0..1000).for_each(|i| t.push(i * 10, 1));
        (0..1000).for_each(|i| t.push(50_000 + i * 10, 1));
        assert_eq!(t.finish().gaps(), [(10_000, 50_000)]);
    }
}
