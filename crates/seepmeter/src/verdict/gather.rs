//! A series of any length, gathered from somebody else's lines in bounded memory.

use anyhow::{Result, bail};
use seepmeter_analysis::{Downsampler, Series};

/// So many pairs are kept as they are, in whatever order they come: 2 MB. From there on they are thinned
/// as they come, which asks for their order.
const KEPT: usize = 1 << 17;

/// No time is farther from 0 than this, in seconds: 146 years, and as many nanoseconds as half of 64 bits
/// hold. Seconds since 1970 are well within it, milliseconds are not.
const MOST_SECONDS: f64 = 4.6e9;

/// No value is farther from 0 than this: more bytes than any address space has.
const MOST_BYTES: f64 = 9.2e18;

/// Pairs of a time in seconds and a value in bytes.
#[derive(Default)]
pub(super) struct Gathered {
    kept: Vec<(f64, f64)>,
    thinned: Option<Thinned>,
}

struct Thinned {
    thinner: Downsampler,
    start: f64,
    last: f64,
}

impl Gathered {
    /// Takes the next pair.
    ///
    /// # Errors
    /// A number that is out of range, or a time before the last one where there are too many pairs to
    /// be sorted.
    pub(super) fn push(&mut self, time: f64, value: f64) -> Result<()> {
        if time.abs() > MOST_SECONDS {
            bail!("the time {time:e} is out of range; it should be in seconds");
        }
        if value.abs() > MOST_BYTES {
            bail!("the value {value:e} is out of range; it should be in bytes");
        }
        if let Some(thinned) = &mut self.thinned {
            return thinned.push(time, value);
        }
        self.kept.push((time, value));
        if self.kept.len() == KEPT {
            self.thinned = Some(self.thin()?);
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn thin(&mut self) -> Result<Thinned> {
        self.sort();
        let start = self.kept[0].0;
        let mut thinned = Thinned { thinner: Downsampler::default(), start, last: start };
        for (time, value) in self.kept.drain(..) {
            thinned.push(time, value)?;
        }
        self.kept.shrink_to_fit();
        Ok(thinned)
    }

    /// The series, whose time begins with its first point.
    ///
    /// # Errors
    /// There is none where there was no pair.
    pub(super) fn series(mut self) -> Result<Series> {
        if let Some(thinned) = self.thinned {
            return Ok(thinned.thinner.finish());
        }
        self.sort();
        let Some((start, _)) = self.kept.first().copied() else {
            bail!("there is not one line with a time and a value in it");
        };
        let pairs = self.kept.into_iter();
        Ok(Series::from_pairs(pairs.map(|(time, value)| point(time - start, value))))
    }
}

impl Thinned {
    fn push(&mut self, time: f64, value: f64) -> Result<()> {
        if time < self.last {
            bail!(
                "its time {time} is before {}, the time of the line before it; sort the lines by their times",
                self.last
            );
        }
        self.last = time;
        let (time, value) = point(time - self.start, value);
        self.thinner.push(time, value);
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

    fn gathered(pairs: impl IntoIterator<Item = (f64, f64)>) -> Result<Series> {
        let mut gathered = Gathered::default();
        for (time, value) in pairs {
            gathered.push(time, value)?;
        }
        gathered.series()
    }

    #[test]
    fn few_pairs_are_kept_as_they_are_and_sorted() {
        let series = gathered([(7.0, 30.0), (5.0, 10.0), (6.0, 20.4)]).unwrap();
        let second = 1_000_000_000;
        assert_eq!(series.points(), [(0, 10), (second, 20), (2 * second, 30)]);
    }

    #[test]
    fn many_pairs_are_thinned_and_all_their_looks_count() {
        let count = KEPT as u64 * 3;
        let spike = |i: u64| if i == 300_000 { 9e9 } else { 1e6 };
        let series = gathered((0..count).map(|i| (i as f64, spike(i)))).unwrap();
        assert_eq!((series.samples(), series.peak()), (count, Some(9_000_000_000)));
        assert!(series.points().len() < KEPT);
    }

    #[test]
    fn many_pairs_that_go_back_in_time_are_not_judged_as_if_they_did_not() {
        let back = (0..KEPT + 5).map(|i| (if i == KEPT + 3 { 1.0 } else { i as f64 }, 1.0));
        let error = gathered(back).unwrap_err().to_string();
        assert!(error.contains("sort the lines by their times"), "{error}");
    }

    #[test]
    fn what_is_out_of_range_is_told_and_not_cut_to_fit() {
        for (time, value, word) in
            [(1e300, 1.0, "time"), (-5e9, 1.0, "time"), (0.0, 1e300, "value")]
        {
            let error = gathered([(time, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the {word} ")), "{error}");
        }
    }
}
