//! What is known of memory after a scan of its page tables, and after a read of smaps.

use seepmeter_maps::smaps::SmapsFigures;
use seepmeter_process::system::page_size;

macro_rules! sums {
    ($($(#[$doc:meta])+ $name:ident { $($field:ident),+ })+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $field: u64,)+
        }

        impl $name {
            pub(crate) fn add(&mut self, other: Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }

            /// What `part` bytes of `whole` have of it if it is spread evenly.
            pub(crate) fn share(self, part: u64, whole: u64) -> Self {
                Self { $($field: share(self.$field, part, whole),)+ }
            }
        }

        impl From<SmapsFigures> for $name {
            fn from(figures: SmapsFigures) -> Self {
                Self { $($field: figures.$field,)+ }
            }
        }
    )+};
}

sums! {
    /// What a scan finds, and a read of smaps too, in bytes.
    Counts { rss, anonymous, swap, thp, hugetlb }
    /// What only a read of smaps or smaps_rollup finds, in bytes.
    ReadCounts { pss, private_dirty, swap_pss, lazyfree, locked }
}

impl Counts {
    /// How many pages a read of smaps visits: a huge page takes no longer than a small one.
    pub(crate) fn visited_pages(self) -> u64 {
        (self.rss.saturating_sub(self.thp) + self.swap) / page_size()
    }
}

fn share(value: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(value)
}
