//! The points of a series of any length, in bounded memory.

use seepmeter_analysis::{Downsampler, Series};

use super::error::SeriesError;

/// So many pairs are kept as they are, in whatever order they come: 2 MB. From there on they are downsampled
/// as they come, which needs them in order.
const KEPT: usize = 1 << 17;

/// No time is farther from 0 than this, in seconds: 146 years, and as many nanoseconds as half of 64 bits
/// hold. Seconds since 1970 are well within it, milliseconds are not.
const MOST_SECONDS: f64 = 4.6e9;

/// No value is farther from 0 than this: more bytes than any address space has.
const MOST_BYTES: f64 = 9.2e18;

/// Pairs of a time in seconds and a value in bytes.
#[derive(Default)]
pub(super) struct PointBuffer {
    kept: Vec<(f64, f64)>,
    downsampled: Option<SortedPoints>,
}

/// A series, and what is odd about it.
pub(super) struct ReadSeries {
    pub series: Series,
    /// The time of its first point, in seconds as they were given.
    pub start: f64,
    /// How many pairs have the time of another.
    pub repeated: u64,
}

/// Points in the order of their times, downsampled.
struct SortedPoints {
    downsampler: Downsampler,
    start: f64,
    last: f64,
    repeated: u64,
}

impl PointBuffer {
    /// Takes the next pair.
    ///
    /// # Errors
    /// A number that is out of range, or a time before the last one if there are too many pairs to be
    /// sorted.
    pub(super) fn push(&mut self, time: f64, value: f64) -> Result<(), SeriesError> {
        if time.abs() > MOST_SECONDS {
            return Err(SeriesError::TimeOutOfRange(time));
        }
        if value.abs() > MOST_BYTES {
            return Err(SeriesError::ValueOutOfRange(value));
        }
        if let Some(sorted) = &mut self.downsampled {
            return sorted.push(time, value);
        }
        self.kept.push((time, value));
        if self.kept.len() == KEPT {
            self.downsampled = Some(self.downsample()?);
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn downsample(&mut self) -> Result<SortedPoints, SeriesError> {
        self.sort();
        let start = self.kept[0].0;
        let downsampler = Downsampler::default();
        let mut sorted = SortedPoints { downsampler, start, last: f64::NEG_INFINITY, repeated: 0 };
        for (time, value) in self.kept.drain(..) {
            sorted.push(time, value)?;
        }
        self.kept.shrink_to_fit();
        Ok(sorted)
    }

    /// The series, whose time begins with its first point.
    ///
    /// # Errors
    /// There was no pair.
    pub(super) fn series(mut self) -> Result<ReadSeries, SeriesError> {
        if let Some(SortedPoints { downsampler, start, repeated, .. }) = self.downsampled {
            return Ok(ReadSeries { series: downsampler.finish(), start, repeated });
        }
        self.sort();
        let Some((start, _)) = self.kept.first().copied() else {
            return Err(SeriesError::NoPoints);
        };
        let repeated = self.kept.windows(2).filter(|two| two[0].0 == two[1].0).count() as u64;
        let pairs = self.kept.into_iter();
        let series = Series::from_pairs(pairs.map(|(time, value)| point(time - start, value)));
        Ok(ReadSeries { series, start, repeated })
    }
}

impl ReadSeries {
    /// What it is with another added, which was read of the same rows.
    pub(super) fn plus(&self, other: &Self) -> Series {
        /// The times of one row are so far apart by rounding, at most (ns).
        const ROUNDING: u64 = 1_000;
        let own = self.series.points();
        let later = |t: u64| {
            let t = (t as f64 + (other.start - self.start) * 1e9).round().max(0.0) as u64;
            let at = own.partition_point(|(own, _)| own + ROUNDING < t);
            own.get(at).map(|(own, _)| *own).filter(|own| own.abs_diff(t) <= ROUNDING).unwrap_or(t)
        };
        let points = other.series.points().iter().map(|(t, value)| (later(*t), *value));
        let other = Series::from_pairs(points);
        // Each has its last value to the end.
        let end = self.series.end().max(other.end());
        let samples = self.series.samples();
        let both = [self.series.clone().with_end(end), other.with_end(end)];
        Series::sum(&[&both[0], &both[1]]).with_samples(samples)
    }
}

impl SortedPoints {
    fn push(&mut self, time: f64, value: f64) -> Result<(), SeriesError> {
        if time < self.last {
            return Err(SeriesError::NotSorted { time, before: self.last });
        }
        self.repeated += u64::from(time == self.last);
        self.last = time;
        let (time, value) = point(time - self.start, value);
        self.downsampler.push(time, value);
        Ok(())
    }
}

/// Both numbers are in range, and so nothing is lost but fractions.
fn point(seconds: f64, bytes: f64) -> (u64, i64) {
    ((seconds * 1e9) as u64, bytes.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series_of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Result<Series, SeriesError> {
        let mut points = PointBuffer::default();
        for (time, value) in pairs {
            points.push(time, value)?;
        }
        points.series().map(|read| read.series)
    }

    #[test]
    fn few_pairs_are_kept_as_they_are_and_sorted() {
        let series = series_of([(7.0, 30.0), (5.0, 10.0), (6.0, 20.4)]).unwrap();
        let second = 1_000_000_000;
        assert_eq!(series.points(), [(0, 10), (second, 20), (2 * second, 30)]);
    }

    #[test]
    fn many_pairs_are_downsampled_and_each_counts() {
        let count = KEPT as u64 * 3;
        let spike = |i: u64| if i == 300_000 { 9e9 } else { 1e6 };
        let series = series_of((0..count).map(|i| (i as f64, spike(i)))).unwrap();
        assert_eq!((series.samples(), series.peak()), (count, Some(9_000_000_000)));
        assert!(series.points().len() < KEPT);
    }

    #[test]
    fn many_pairs_that_go_back_in_time_are_not_judged_as_if_they_did_not() {
        let back = (0..KEPT + 5).map(|i| (if i == KEPT + 3 { 1.0 } else { i as f64 }, 1.0));
        let error = series_of(back).unwrap_err().to_string();
        assert!(error.contains("sort the lines by their times"), "{error}");
    }

    #[test]
    fn what_is_out_of_range_is_an_error_and_not_cut_to_fit() {
        for (time, value, word) in
            [(1e300, 1.0, "time"), (-5e9, 1.0, "time"), (0.0, 1e300, "value")]
        {
            let error = series_of([(time, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the {word} ")), "{error}");
        }
    }
}
