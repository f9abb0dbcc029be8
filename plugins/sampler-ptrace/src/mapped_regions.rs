//! Which stack has mapped which region of an address space.
//!
//! Every region that a followed call has mapped belongs to the stack that made the call, until it is
//! unmapped, by whomever, or mapped over. Regions split, merge, move and end in the middle. A region that
//! was there before the following began belongs to no stack, and unmapping it changes nothing here.
//!
//! ```text
//! A maps 0-100          A has 100
//! B maps 40-60 over it  A has  80, B has 20
//! somebody unmaps 50-90 A has  50, B has 10
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use seepmeter_plugin::record::StackId;

/// What a memory call has changed. Addresses and lengths are in bytes, as the call took and gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegionChange {
    /// brk(2): the end of the heap is here now.
    HeapEnd(u64),
    /// mmap(2).
    Map(Extent),
    /// munmap(2).
    Unmap(Extent),
    /// mremap(2). With `keeps_old` (MREMAP_DONTUNMAP) the old extent stays mapped, empty.
    Remap { old: Extent, new: Extent, keeps_old: bool },
    /// madvise(2) of so many bytes with an advice that gives pages back. They stay mapped.
    GiveBack(u64),
}

/// A piece of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Extent {
    fn between(start: u64, end: u64) -> Self {
        Self { start, length: end.saturating_sub(start) }
    }

    fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// What one stack has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StackTotals {
    pub(crate) stack: StackId,
    /// Bytes of address space that it has mapped and that are mapped still.
    pub(crate) mapped: u64,
    /// Bytes that it has given back by madvise(2), all together.
    pub(crate) given_back: u64,
}

/// The regions of one address space.
#[derive(Debug)]
pub(crate) struct MappedRegions {
    page_size: u64,
    /// By their first address. They do not overlap.
    regions: BTreeMap<u64, Region>,
    /// The heap's end as the last brk(2) left it, on a page boundary.
    heap_end: Option<u64>,
    totals: HashMap<StackId, StackTotals>,
    /// The stacks whose totals have changed since they were taken.
    changed: BTreeSet<StackId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    end: u64,
    stack: StackId,
}

impl MappedRegions {
    /// No region; a page has so many bytes, a power of two.
    pub(crate) fn new(page_size: u64) -> Self {
        Self {
            page_size,
            regions: BTreeMap::new(),
            heap_end: None,
            totals: HashMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Applies what a call of this stack has changed.
    pub(crate) fn apply(&mut self, change: RegionChange, stack: StackId) {
        match change {
            RegionChange::HeapEnd(end) => self.set_heap_end(end, stack),
            RegionChange::Map(extent) => self.map(self.in_pages(extent), stack),
            RegionChange::Unmap(extent) => self.unmap(self.in_pages(extent)),
            RegionChange::Remap { old, new, keeps_old } => {
                let (old, new) = (self.in_pages(old), self.in_pages(new));
                if keeps_old || old.length == 0 {
                    self.map(new, stack);
                } else {
                    self.remap(old, new, stack);
                }
            }
            RegionChange::GiveBack(length) => {
                let given_back = self.pages(length);
                self.totals_mut(stack).given_back += given_back;
            }
        }
    }

    /// An exec: another address space, in which no stack has mapped anything yet.
    pub(crate) fn clear(&mut self) {
        self.regions.clear();
        self.heap_end = None;
        for totals in self.totals.values_mut() {
            if std::mem::take(&mut totals.mapped) != 0 {
                self.changed.insert(totals.stack);
            }
        }
    }

    /// The totals of all stacks, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = StackTotals> {
        self.totals.values().copied()
    }

    /// The totals that have changed since this was asked last, in the order of their stacks.
    pub(crate) fn take_changed(&mut self) -> Vec<StackTotals> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|stack| self.totals.get(stack)).copied().collect()
    }

    /// The heap begins at the end that the first call leaves it with.
    fn set_heap_end(&mut self, end: u64, stack: StackId) {
        let end = self.pages(end);
        let before = self.heap_end.replace(end).unwrap_or(end);
        if end > before {
            self.map(Extent::between(before, end), stack);
        } else {
            self.unmap(Extent::between(end, before));
        }
    }

    fn map(&mut self, extent: Extent, stack: StackId) {
        self.unmap(extent);
        self.insert(Region { start: extent.start, end: extent.end(), stack });
    }

    fn remap(&mut self, old: Extent, new: Extent, stack: StackId) {
        let kept = old.length.min(new.length);
        let moved = self.regions_in(Extent { length: kept, ..old });
        self.unmap(old);
        self.unmap(new);
        for Region { start, end, stack } in moved {
            let moved = |address: u64| new.start + (address - old.start);
            self.insert(Region { start: moved(start), end: moved(end), stack });
        }
        self.insert(Region { start: new.start.saturating_add(kept), end: new.end(), stack });
    }

    /// The regions of an extent, cut at its ends.
    fn regions_in(&self, extent: Extent) -> Vec<Region> {
        let (start, end) = (extent.start, extent.end());
        let first = self.regions.range(..=start).next_back().map_or(start, |(first, _)| *first);
        self.regions
            .range(first..end.max(first))
            .map(|(_, it)| Region { start: it.start.max(start), end: it.end.min(end), ..*it })
            .filter(|region| region.start < region.end)
            .collect()
    }

    fn unmap(&mut self, extent: Extent) {
        for region in self.regions_in(extent) {
            self.cut(region);
        }
    }

    /// Takes a part out of a region.
    fn cut(&mut self, part: Region) {
        let Some((_, &whole)) = self.regions.range(..=part.start).next_back() else { return };
        self.regions.remove(&whole.start);
        if whole.start < part.start {
            self.regions.insert(whole.start, Region { end: part.start, ..whole });
        }
        if part.end < whole.end {
            self.regions.insert(part.end, Region { start: part.end, ..whole });
        }
        self.totals_mut(part.stack).mapped -= part.end - part.start;
    }

    /// Adds a region where there is none, and joins it to one of the same stack before it: a heap that
    /// grows by a page at a time is one region.
    fn insert(&mut self, region: Region) {
        let Region { start, end, stack } = region;
        if start >= end {
            return;
        }
        match self.regions.range_mut(..start).next_back() {
            Some((_, before)) if before.end == start && before.stack == stack => before.end = end,
            _ => _ = self.regions.insert(start, region),
        }
        self.totals_mut(stack).mapped += end - start;
    }

    /// The totals of a stack, which are about to change.
    fn totals_mut(&mut self, stack: StackId) -> &mut StackTotals {
        self.changed.insert(stack);
        let none = StackTotals { stack, mapped: 0, given_back: 0 };
        self.totals.entry(stack).or_insert(none)
    }

    fn in_pages(&self, extent: Extent) -> Extent {
        Extent { length: self.pages(extent.length), ..extent }
    }

    /// A length, or an address, rounded up to whole pages, as the kernel does.
    fn pages(&self, bytes: u64) -> u64 {
        bytes.checked_next_multiple_of(self.page_size).unwrap_or(!(self.page_size - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 0x1000;
    /// The address space of the model, in pages.
    const SPACE: u64 = 64;

    const A: StackId = StackId(1);
    const B: StackId = StackId(2);
    const C: StackId = StackId(3);

    fn mapped(regions: &MappedRegions) -> HashMap<StackId, u64> {
        let all = regions.all().map(|totals| (totals.stack, totals.mapped));
        all.filter(|(_, mapped)| *mapped > 0).collect()
    }

    /// In pages.
    fn extent(start: u64, length: u64) -> Extent {
        Extent { start: start * PAGE, length: length * PAGE }
    }

    #[test]
    fn what_is_mapped_over_or_unmapped_is_lost_to_the_stack_that_had_mapped_it() {
        let mut regions = MappedRegions::new(PAGE);
        regions.apply(RegionChange::Map(extent(0, 10)), A);
        regions.apply(RegionChange::Map(extent(4, 2)), B);
        assert_eq!(regions.take_changed().len(), 2);
        let part = Extent { start: 5 * PAGE, length: 4 * PAGE - 1 };
        regions.apply(RegionChange::Unmap(part), C);
        assert_eq!(mapped(&regions), HashMap::from([(A, 5 * PAGE), (B, PAGE)]));
        assert_eq!(regions.take_changed().len(), 2);
        assert_eq!(regions.take_changed(), []);
    }

    #[test]
    fn a_heap_grows_and_shrinks_at_its_end_whoever_moves_it() {
        let mut regions = MappedRegions::new(PAGE);
        let mut set_end = |end, stack| {
            regions.apply(RegionChange::HeapEnd(end), stack);
            mapped(&regions)
        };
        set_end(100 * PAGE, A);
        set_end(104 * PAGE, A);
        assert_eq!(set_end(105 * PAGE + 1, B), HashMap::from([(A, 4 * PAGE), (B, 2 * PAGE)]));
        assert_eq!(set_end(103 * PAGE, C), HashMap::from([(A, 3 * PAGE)]));
        assert_eq!(set_end(90 * PAGE, C), HashMap::new());
    }

    #[test]
    fn what_moves_stays_with_its_stack_and_what_it_grows_by_is_the_movers() {
        let mut regions = MappedRegions::new(PAGE);
        let mut apply = |change, stack| {
            regions.apply(change, stack);
            mapped(&regions)
        };
        apply(RegionChange::Map(extent(0, 4)), A);
        let remap = |old, new, keeps_old| RegionChange::Remap { old, new, keeps_old };
        let grown = apply(remap(extent(0, 4), extent(20, 6), false), B);
        assert_eq!(grown, HashMap::from([(A, 4 * PAGE), (B, 2 * PAGE)]));
        let shrunk = apply(remap(extent(20, 6), extent(20, 3), false), C);
        assert_eq!(shrunk, HashMap::from([(A, 3 * PAGE)]));
        let kept = apply(remap(extent(20, 3), extent(40, 3), true), B);
        assert_eq!(kept, HashMap::from([(A, 3 * PAGE), (B, 3 * PAGE)]));
    }

    #[test]
    fn after_an_exec_nothing_is_mapped_and_that_is_a_change() {
        let mut regions = MappedRegions::new(PAGE);
        regions.apply(RegionChange::Map(extent(0, 4)), A);
        regions.apply(RegionChange::GiveBack(5), A);
        regions.take_changed();
        regions.clear();
        assert_eq!(regions.take_changed(), [StackTotals { stack: A, mapped: 0, given_back: PAGE }]);
    }

    /// The same by single pages.
    #[derive(Default)]
    struct Pages(HashMap<u64, StackId>);

    impl Pages {
        fn apply(&mut self, change: RegionChange, stack: StackId) {
            let pages = |extent: Extent| extent.start / PAGE..extent.end() / PAGE;
            match change {
                RegionChange::Map(extent) => {
                    self.0.extend(pages(extent).map(|page| (page, stack)));
                }
                RegionChange::Unmap(extent) => {
                    pages(extent).for_each(|page| _ = self.0.remove(&page));
                }
                RegionChange::Remap { old, new, .. } => {
                    let moved: Vec<Option<StackId>> =
                        pages(old).map(|page| self.0.remove(&page)).collect();
                    for (at, page) in pages(new).enumerate() {
                        match moved.get(at).copied().unwrap_or(Some(stack)) {
                            Some(stack) => _ = self.0.insert(page, stack),
                            None => _ = self.0.remove(&page),
                        }
                    }
                }
                RegionChange::HeapEnd(_) | RegionChange::GiveBack(_) => {}
            }
        }

        fn mapped(&self) -> HashMap<StackId, u64> {
            let mut mapped = HashMap::new();
            self.0.values().for_each(|stack| *mapped.entry(*stack).or_default() += PAGE);
            mapped
        }
    }

    fn change() -> impl Strategy<Value = (RegionChange, StackId)> {
        let place = || (0..SPACE, 1..16u64).prop_map(|(start, length)| extent(start, length));
        let remap = (place(), place()).prop_filter_map(
            "an old range and a new one that overlap are refused by the kernel",
            |(old, new)| {
                let apart = new.end() <= old.start || old.end() <= new.start;
                (apart || old.start == new.start).then_some(RegionChange::Remap {
                    old,
                    new,
                    keeps_old: false,
                })
            },
        );
        let map = place().prop_map(RegionChange::Map);
        let unmap = place().prop_map(RegionChange::Unmap);
        (prop_oneof![map, unmap, remap], (0..4u32).prop_map(StackId))
    }

    proptest! {
        #[test]
        fn the_regions_are_what_single_pages_are(changes in prop::collection::vec(change(), 1..60)) {
            let (mut regions, mut pages) = (MappedRegions::new(PAGE), Pages::default());
            for (change, stack) in changes {
                regions.apply(change, stack);
                pages.apply(change, stack);
                prop_assert_eq!(mapped(&regions), pages.mapped());
            }
        }
    }
}
