//! What is known of a mapping's pages after a sweep.

use seepmeter_maps::smaps::Figures;

/// What a sweep can tell of a mapping, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rss: u64,
    pub(crate) anonymous: u64,
    pub(crate) swap: u64,
    pub(crate) thp: u64,
    pub(crate) hugetlb: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        let Self { rss, anonymous, swap, thp, hugetlb } = other;
        self.rss += rss;
        self.anonymous += anonymous;
        self.swap += swap;
        self.thp += thp;
        self.hugetlb += hugetlb;
    }

    /// The part of them that `part` bytes of `whole` have, were they spread evenly.
    pub(crate) fn share(self, part: u64, whole: u64) -> Self {
        let scaled = |value: u64| {
            let scaled = u128::from(value) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(scaled).unwrap_or(value)
        };
        let Self { rss, anonymous, swap, thp, hugetlb } = self;
        Self {
            rss: scaled(rss),
            anonymous: scaled(anonymous),
            swap: scaled(swap),
            thp: scaled(thp),
            hugetlb: scaled(hugetlb),
        }
    }
}

impl From<Figures> for Counts {
    fn from(figures: Figures) -> Self {
        let Figures { rss, anonymous, swap, thp, hugetlb, .. } = figures;
        Self { rss, anonymous, swap, thp, hugetlb }
    }
}
