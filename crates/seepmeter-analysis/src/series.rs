//! A series: a step function of time, as a sampler saw it.

use crate::interval::Span;
use crate::thresholds::series::{GAP_SPACINGS, LEAST_SPACINGS};

/// A step function of time: a point stands until the next point, the last one until the end.
///
/// Times are nanoseconds since the start of the watch, values integers in base units (bytes, a
/// count). Points may be unevenly spaced. Outside its first point and its end a series is 0: a
/// mapping or a process that is not there holds no memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    points: Vec<(u64, i64)>,
    end: u64,
    samples: u64,
    /// The usual time between two samples, ns, where it is known.
    interval: Option<u64>,
    gaps: Vec<Span>,
}

impl Series {
    /// A series from (time in ns, value) pairs, in any order; of two at one time the later stands.
    ///
    /// Every pair counts as one sample, and a spacing of more than twenty median spacings is a gap
    /// (a suspended machine, a sampler that stopped). For a series that holds only the changes say so
    /// with [`with_samples`](Self::with_samples), which forgets the gaps so guessed.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u64, i64)>) -> Self {
        let mut points: Vec<_> = pairs.into_iter().collect();
        if !points.is_sorted_by_key(|p| p.0) {
            points.sort_by_key(|p| p.0);
        }
        points.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        let end = points.last().map_or(0, |p| p.0);
        let samples = points.len() as u64;
        let mut spacings: Vec<u64> = points.windows(2).map(|w| w[1].0 - w[0].0).collect();
        let interval = median(&mut spacings);
        let usual = interval.filter(|_| spacings.len() >= LEAST_SPACINGS);
        let gaps = usual.map_or(vec![], |usual| find_gaps(&points, usual));
        Self { points, end, samples, interval, gaps }
    }

    /// Says until when (ns) the last point stood; never before the last point.
    #[must_use]
    pub fn with_end(mut self, end: u64) -> Self {
        self.end = end.max(self.points.last().map_or(0, |p| p.0));
        self
    }

    /// Says how many samples were taken, for a series that holds only the changes. What was guessed
    /// from the points' spacings, gaps and interval, is forgotten.
    #[must_use]
    pub fn with_samples(mut self, samples: u64) -> Self {
        self.samples = samples;
        self.interval = None;
        self.gaps.clear();
        self
    }

    /// Says how much time (ns) usually lies between two samples.
    #[must_use]
    pub fn with_interval(mut self, interval: u64) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Says how much time (ns) should lie between two samples, for a series with too few of them to
    /// show it: the first sample of a watch is often late.
    #[must_use]
    pub fn with_scheduled_interval(self, interval: u64) -> Self {
        let few = self.interval.is_none() || self.samples <= LEAST_SPACINGS as u64;
        if few { self.with_interval(interval) } else { self }
    }

    /// Says in which spans nothing was sampled; the value there is unknown.
    #[must_use]
    pub fn with_gaps(mut self, gaps: impl IntoIterator<Item = Span>) -> Self {
        self.gaps = gaps.into_iter().collect();
        self.gaps.sort_unstable();
        self
    }

    /// The points, ordered by time (ns), one a time.
    pub fn points(&self) -> &[(u64, i64)] {
        &self.points
    }

    /// The spans in which nothing was sampled.
    pub fn gaps(&self) -> &[Span] {
        &self.gaps
    }

    /// How many samples stand behind the series.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The usual time between two samples, in ns: the median of their spacings, or where those are not
    /// known the mean; `None` for fewer than two samples.
    pub fn interval(&self) -> Option<u64> {
        let mean = || (self.samples > 1).then(|| self.span() / (self.samples - 1));
        self.interval.or_else(mean)
    }

    /// The time of the first point, in ns.
    pub fn start(&self) -> u64 {
        self.points.first().map_or(0, |p| p.0)
    }

    /// Until when the last point stands, in ns.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// From the first point to the end, in ns.
    pub fn span(&self) -> u64 {
        self.end - self.start()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The value at a time (ns); `None` before the first point and after the end.
    pub fn at(&self, time: u64) -> Option<i64> {
        if time > self.end {
            return None;
        }
        let after = self.points.partition_point(|p| p.0 <= time);
        after.checked_sub(1).map(|i| self.points[i].1)
    }

    /// The highest value.
    pub fn peak(&self) -> Option<i64> {
        self.points.iter().map(|p| p.1).max()
    }

    /// The sum of several step functions, such as resident set and swap, or a tree of processes.
    ///
    /// A part counts as 0 before its start and after its end, unless it ends with the last of them.
    /// The samples are those of the part with the most.
    pub fn sum(parts: &[&Series]) -> Series {
        let end = parts.iter().map(|s| s.end).max().unwrap_or(0);
        let mut deltas: Vec<(u64, i128)> = Vec::new();
        for part in parts {
            let mut before = 0i128;
            for &(time, value) in &part.points {
                let value = i128::from(value);
                deltas.push((time, value - before));
                before = value;
            }
            if part.end < end && !part.is_empty() {
                deltas.push((part.end, -before));
            }
        }
        deltas.sort_by_key(|d| d.0);
        let mut total = 0i128;
        let running = deltas.iter().map(|&(time, delta)| {
            total += delta;
            (time, total.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
        });
        let mut sum = Series::from_pairs(running.collect::<Vec<_>>()).with_end(end);
        let most = parts.iter().max_by_key(|s| s.samples);
        sum.samples = most.map_or(0, |s| s.samples);
        sum.interval = most.and_then(|s| s.interval);
        sum.gaps = most.map_or(vec![], |s| s.gaps.clone());
        sum
    }
}

/// The median; none of nothing.
pub(crate) fn median(values: &mut [u64]) -> Option<u64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable(middle).1)
}

/// Spacings far wider than the usual one (ns).
fn find_gaps(points: &[(u64, i64)], usual: u64) -> Vec<Span> {
    let wide = usual.saturating_mul(GAP_SPACINGS);
    // The point before a gap stands for one usual spacing; from there on nothing is known.
    points
        .windows(2)
        .filter(|w| w[1].0 - w[0].0 > wide)
        .map(|w| Span { from: w[0].0 + usual, to: w[1].0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_stands_until_the_next_one() {
        let s = Series::from_pairs([(10, 1), (20, 5)]).with_end(30);
        assert_eq!([s.at(9), s.at(10), s.at(19), s.at(20)], [None, Some(1), Some(1), Some(5)]);
        assert_eq!((s.at(30), s.at(31)), (Some(5), None));
    }

    #[test]
    fn pairs_in_any_order_make_one_series_and_the_later_of_two_stands() {
        let s = Series::from_pairs([(20, 5), (10, 1), (20, 7)]);
        assert_eq!(s.points(), [(10, 1), (20, 7)]);
    }

    #[test]
    fn a_spacing_far_beyond_the_usual_is_a_gap() {
        let s = Series::from_pairs((0..10).chain(500..510).map(|t| (t, 1)));
        assert_eq!(s.gaps(), [Span { from: 10, to: 500 }]);
    }

    #[test]
    fn a_sum_counts_a_part_only_while_it_is_there() {
        let a = Series::from_pairs([(0, 10), (5, 20)]).with_end(10);
        let b = Series::from_pairs([(2, 1)]).with_end(6);
        let sum = Series::sum(&[&a, &b]);
        assert_eq!(sum.points(), [(0, 10), (2, 11), (5, 21), (6, 20)]);
        assert_eq!(sum.end(), 10);
    }

    #[test]
    fn the_interval_is_the_median_of_the_spacings_and_the_schedule_where_those_are_few() {
        let s = 1_000_000_000;
        let late = Series::from_pairs([(0, 1), (660_000_000, 1)]);
        assert_eq!(late.interval(), Some(660_000_000));
        assert_eq!(late.with_scheduled_interval(s).interval(), Some(s));
        let slowed = Series::from_pairs((0..9).map(|i| (i * 2 * s + i % 2, 1)));
        assert!(slowed.with_scheduled_interval(s).interval().unwrap() >= 2 * s - 1);
        let changes = Series::from_pairs([(0, 1), (7 * s, 2)]).with_samples(11).with_end(10 * s);
        assert_eq!(changes.interval(), Some(s));
        assert_eq!(Series::from_pairs([(5, 1)]).interval(), None);
    }
}
