//! A series as it is drawn: the lowest and the highest value of each stretch of time.

use seepmeter_analysis::{Evidence, Span};

/// What a series was in a stretch of time, in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The lowest value.
    pub min: f64,
    /// The mean over time.
    pub mean: f64,
    /// The highest value.
    pub max: f64,
}

/// A series in bins of equal length. A bin in which nothing was sampled is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// When the first bin begins, in ns since the start of the run.
    pub start: u64,
    /// How long each is, in ns.
    pub width: u64,
    /// When the last one ends, which may be before its width is over, in ns since the start of the run.
    pub end: u64,
    /// The bins, in order of time.
    pub bins: Vec<Option<Bin>>,
}

impl Curve {
    /// The series of a judgement.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let cells = &evidence.cells;
        let bin = |cell: &seepmeter_analysis::cells::Cell| Bin {
            min: cell.min,
            mean: cell.mean,
            max: cell.max,
        };
        let bins = cells.cells.iter().map(|cell| cell.as_ref().map(bin)).collect();
        Self { start: cells.start, width: cells.width, end: evidence.sampling.span.to, bins }
    }

    /// The same in no more bins than this: neighbours become one, with the lowest and the highest value of both.
    #[must_use]
    pub fn in_bins(&self, most: usize) -> Self {
        let together = self.bins.len().div_ceil(most.max(1)).max(1);
        let bins = self.bins.chunks(together).map(merged).collect();
        Self { width: self.width.saturating_mul(together as u64), bins, ..*self }
    }

    /// When a bin begins, in ns since the start of the run.
    #[must_use]
    pub fn begin(&self, bin: usize) -> u64 {
        self.start.saturating_add((bin as u64).saturating_mul(self.width))
    }

    /// The middle of a bin, in ns since the start of the run.
    #[must_use]
    pub fn middle(&self, bin: usize) -> u64 {
        let begin = self.begin(bin);
        begin + (self.end.max(begin).min(begin.saturating_add(self.width)) - begin) / 2
    }

    /// The lowest and the highest value; none if nothing was sampled.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let all = self.bins.iter().flatten();
        all.map(|bin| (bin.min, bin.max)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// When nothing was sampled between its first and its last sample.
    #[must_use]
    pub fn gaps(&self) -> Vec<Span> {
        let stretches = self.stretches();
        let ends =
            stretches.windows(2).filter_map(|pair| Some((pair[0].last()?.0, pair[1].first()?.0)));
        ends.map(|(last, next)| Span { from: self.begin(last + 1), to: self.begin(next) }).collect()
    }

    /// The stretches without a gap, each as its bins with their numbers.
    pub(crate) fn stretches(&self) -> Vec<Vec<(usize, Bin)>> {
        let known = self.bins.iter().enumerate();
        let known: Vec<_> = known.filter_map(|(i, bin)| bin.map(|bin| (i, bin))).collect();
        known.chunk_by(|a, b| a.0 + 1 == b.0).map(<[_]>::to_vec).collect()
    }
}

/// One bin of several; what is known of some of them is known.
fn merged(bins: &[Option<Bin>]) -> Option<Bin> {
    let known = || bins.iter().flatten();
    let count = known().count();
    let sum = known().copied().reduce(|a, b| Bin {
        min: a.min.min(b.min),
        mean: a.mean + b.mean,
        max: a.max.max(b.max),
    })?;
    Some(Bin { mean: sum.mean / count as f64, ..sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f64) -> Option<Bin> {
        Some(Bin { min: value, mean: value, max: value })
    }

    #[test]
    fn fewer_bins_keep_the_lowest_the_highest_and_the_gaps() {
        let bins = vec![flat(1.0), flat(9.0), None, None, flat(4.0)];
        let curve = Curve { start: 0, width: 10, end: 47, bins }.in_bins(3);
        assert_eq!(curve.bins, [Some(Bin { min: 1.0, mean: 5.0, max: 9.0 }), None, flat(4.0)]);
        assert_eq!((curve.width, curve.middle(0), curve.middle(2)), (20, 10, 43));
        assert_eq!(curve.range(), Some((1.0, 9.0)));
        let of_stretches: Vec<usize> = curve.stretches().iter().map(Vec::len).collect();
        assert_eq!(of_stretches, [1, 1]);
        assert_eq!(curve.gaps(), [Span { from: 20, to: 40 }]);
    }
}
