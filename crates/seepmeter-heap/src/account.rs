//! What the private memory of a process that is resident is made of.

use std::ops::Range;

use seepmeter_record::MappingClass;
use seepmeter_snapshot::{MemoryImage, Region, ResidentPages};

use crate::census::{Block, Census};
use crate::index::RangeKind;
use crate::mark::{Marks, Reachability};

/// A kind of private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AccountItem {
    /// Blocks in use of which it is not known whether they are reachable.
    InUse,
    /// Blocks that are reachable.
    Reachable,
    /// Blocks that are reachable by a pointer into the middle of one, or that may be by roots that are not known.
    PossiblyReachable,
    /// Blocks that no pointer leads to at this moment.
    Unreachable,
    /// What an allocator needs for itself: headers of chunks, and what blocks were rounded up by.
    Headers,
    /// Free chunks in glibc's bins.
    Bins,
    /// Free chunks in thread caches and fast bins.
    Cached,
    /// The last chunks of arenas, which new ones are cut from.
    Top,
    /// What is free in CPython's pools.
    Pools,
    /// Data of the program and its libraries that was written.
    Images,
    /// Stacks.
    Stacks,
    /// Anonymous memory that is none of these.
    Anonymous,
    /// Private memory of any other kind.
    Other,
}

impl AccountItem {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::InUse,
        Self::Reachable,
        Self::PossiblyReachable,
        Self::Unreachable,
        Self::Headers,
        Self::Bins,
        Self::Cached,
        Self::Top,
        Self::Pools,
        Self::Images,
        Self::Stacks,
        Self::Anonymous,
        Self::Other,
    ];
}

/// How much of the resident private memory is what. All of it together is exactly what the page tables have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    bytes: [u64; AccountItem::ALL.len()],
}

impl Account {
    /// The account of an image. Without a census, what the heaps have in it is anonymous memory; without marks,
    /// blocks are [in use](AccountItem::InUse).
    #[must_use]
    pub fn of(
        image: &MemoryImage<'_>,
        pages: &ResidentPages,
        census: Option<&Census>,
        marks: Option<&Marks>,
    ) -> Self {
        let mut account = Self::default();
        let mut heaps: Vec<Range<u64>> = Vec::new();
        if let Some(census) = census {
            heaps.extend(census.index.ranges().iter().map(|range| range.start..range.end));
            account.add_heaps(census, pages, marks);
        }
        let mut next = 0;
        for region in image.regions() {
            let mut bytes = pages.bytes_in(&region.range());
            while let Some(heap) = heaps.get(next).filter(|heap| heap.start < region.end) {
                let both = heap.start.max(region.start)..heap.end.min(region.end);
                bytes = bytes.saturating_sub(pages.bytes_in(&both));
                if heap.end > region.end {
                    break;
                }
                next += 1;
            }
            account.add(item_of(region), bytes);
        }
        account
    }

    /// How many bytes are this.
    #[must_use]
    pub fn bytes(&self, item: AccountItem) -> u64 {
        self.bytes[item as usize]
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }

    fn add(&mut self, item: AccountItem, bytes: u64) {
        self.bytes[item as usize] += bytes;
    }

    fn add_heaps(&mut self, census: &Census, pages: &ResidentPages, marks: Option<&Marks>) {
        let mut rest: u64 = 0;
        for range in census.index.ranges() {
            rest += pages.bytes_in(&(range.start..range.end));
            if range.kind == RangeKind::Arena && census.ends_with_top(range.end) {
                // The header of the top chunk is the last thing that was walked.
                let top = pages.bytes_in(&(range.blocks_end..range.end));
                self.add(AccountItem::Top, top);
                rest = rest.saturating_sub(top);
            }
        }
        for (range, bounds, used) in census.index.iter().filter(|(.., used)| !used) {
            let item = match (range.kind, used) {
                (RangeKind::Pools, _) => AccountItem::Pools,
                _ if census.index.is_cached(bounds.start) => AccountItem::Cached,
                _ => AccountItem::Bins,
            };
            let bytes = pages.bytes_in(&bounds);
            self.add(item, bytes);
            rest = rest.saturating_sub(bytes);
        }
        for block in census.blocks() {
            let bytes = pages.bytes_in(&(block.address..block.address + block.size));
            self.add(item_of_block(marks, &block), bytes);
            rest = rest.saturating_sub(bytes);
        }
        self.add(AccountItem::Headers, rest);
    }
}

/// What a block counts as.
pub(crate) fn item_of_block(marks: Option<&Marks>, block: &Block) -> AccountItem {
    let Some(marks) = marks else { return AccountItem::InUse };
    match (marks.of(block), marks.missing_roots()) {
        (Reachability::Reachable, _) => AccountItem::Reachable,
        (Reachability::Unreachable, None) => AccountItem::Unreachable,
        (Reachability::PossiblyReachable | Reachability::Unreachable, _) => {
            AccountItem::PossiblyReachable
        }
    }
}

/// What a region counts as that is no heap.
fn item_of(region: &Region) -> AccountItem {
    match region.class {
        MappingClass::File | MappingClass::DeletedFile => AccountItem::Images,
        MappingClass::MainStack | MappingClass::ThreadStack => AccountItem::Stacks,
        _ if region.is_anonymous() || !region.perms.shared => AccountItem::Anonymous,
        _ => AccountItem::Other,
    }
}
