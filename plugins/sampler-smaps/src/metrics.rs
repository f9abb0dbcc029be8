//! The metrics, and the sums of them that a subject has.

use seepmeter_plugin::Stream;
use seepmeter_plugin::record::{MetricId, Unit};

use crate::counts::Counts;
use seepmeter_maps::smaps::Figures;

/// How many metrics there are.
pub(crate) const METRICS: usize = 10;

/// Each metric's name and help. The first five are known after a sweep, the others after a whole read.
const ALL: [(&str, &str); METRICS] = [
    ("rss", "resident set"),
    ("anonymous", "resident pages that belong to no file"),
    ("swap", "swapped out"),
    ("thp", "mapped by transparent huge pages"),
    ("hugetlb", "resident in pages of hugetlbfs, which rss leaves out"),
    ("pss", "resident set, each page divided by how many processes map it"),
    ("private_dirty", "resident pages that were written and that no other process maps"),
    ("swap_pss", "swapped out, each page divided by how many processes have it"),
    ("lazyfree", "given back by MADV_FREE and not taken by the kernel yet"),
    ("locked", "locked into memory"),
];

/// The place of `rss` in [`Sums::values`].
pub(crate) const RSS: usize = 0;
const HUGETLB: usize = 4;
const FROM_READS: usize = 5;

/// The metrics' numbers in the stream.
pub(crate) fn define(stream: &mut dyn Stream) -> [MetricId; METRICS] {
    ALL.map(|(name, help)| stream.metric(name, Unit::Bytes, help))
}

/// What a subject's mappings have together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    counts: Counts,
    figures: Figures,
}

impl Sums {
    pub(crate) fn count(&mut self, counts: Counts) {
        self.counts.add(counts);
    }

    pub(crate) fn read(&mut self, figures: Figures) {
        let Figures { pss, private_dirty, swap_pss, lazyfree, locked, .. } = figures;
        self.figures.pss += pss;
        self.figures.private_dirty += private_dirty;
        self.figures.swap_pss += swap_pss;
        self.figures.lazyfree += lazyfree;
        self.figures.locked += locked;
    }

    /// The metrics' values, in their order; none where nothing is to be said: of those that only
    /// a whole read tells when there was none, of `hugetlb` where there is none of it.
    pub(crate) fn values(&self, after_read: bool) -> [Option<i64>; METRICS] {
        let Counts { rss, anonymous, swap, thp, hugetlb } = self.counts;
        let Figures { pss, private_dirty, swap_pss, lazyfree, locked, .. } = self.figures;
        let all =
            [rss, anonymous, swap, thp, hugetlb, pss, private_dirty, swap_pss, lazyfree, locked];
        let mut values = all.map(|value| Some(i64::try_from(value).unwrap_or(i64::MAX)));
        if !after_read {
            values[FROM_READS..].fill(None);
        }
        values[HUGETLB] = values[HUGETLB].filter(|value| *value > 0);
        values
    }
}
