//! The ledger of address space: who mapped what, and it was not unmapped since.
//!
//! Every range that a followed call has mapped belongs to the stack that made the call, until it is
//! unmapped, by whomever, or mapped over. Ranges split, merge, move and end in the middle; a range that
//! was there before the following began belongs to nobody, and unmapping it changes nothing here.
//!
//! ```text
//! A maps 0-100          A owns 100
//! B maps 40-60 over it  A owns  80, B owns 20
//! somebody unmaps 50-90 A owns  50, B owns 10
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Who owns a range: the number of a stack.
pub(crate) type Owner = u32;

/// A followed call that succeeded. Addresses and lengths in bytes, as the call took and gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// brk(2): the end of the heap is here now.
    Brk { end: u64 },
    /// mmap(2).
    Map { start: u64, length: u64 },
    /// munmap(2).
    Unmap { start: u64, length: u64 },
    /// mremap(2). With `keeps` (MREMAP_DONTUNMAP) the old range stays mapped, empty.
    Remap { old: u64, old_length: u64, new: u64, new_length: u64, keeps: bool },
    /// madvise(2) with an advice that gives pages back. The range stays mapped.
    GiveBack { length: u64 },
}

/// What one stack has mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Bytes of address space that it mapped and that are mapped still.
    pub(crate) mapped: u64,
    /// Bytes that it gave back by madvise(2), all together.
    pub(crate) given_back: u64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    page: u64,
    /// By their first address; none touches the next one's inside.
    ranges: BTreeMap<u64, Range>,
    /// The heap's end as the last brk(2) left it, on a page boundary.
    heap_end: Option<u64>,
    accounts: HashMap<Owner, Account>,
    /// Whose account has changed since it was told.
    changed: BTreeSet<Owner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    end: u64,
    owner: Owner,
}

impl Ledger {
    /// An empty ledger; `page` is the size of a page in bytes, a power of two.
    pub(crate) fn new(page: u64) -> Self {
        Self {
            page,
            ranges: BTreeMap::new(),
            heap_end: None,
            accounts: HashMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Enters a call that `owner` made.
    pub(crate) fn enter(&mut self, call: Call, owner: Owner) {
        match call {
            Call::Brk { end } => self.brk(end, owner),
            Call::Map { start, length } => self.map(start, self.pages(length), owner),
            Call::Unmap { start, length } => self.unmap(start, self.pages(length)),
            Call::Remap { old, old_length, new, new_length, keeps } => {
                let (old_length, new_length) = (self.pages(old_length), self.pages(new_length));
                if keeps || old_length == 0 {
                    self.map(new, new_length, owner);
                } else {
                    self.remap((old, old_length), (new, new_length), owner);
                }
            }
            Call::GiveBack { length } => {
                let given_back = self.pages(length);
                self.accounts.entry(owner).or_default().given_back += given_back;
                self.changed.insert(owner);
            }
        }
    }

    /// An exec: another address space, in which nobody has mapped anything yet.
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
        self.heap_end = None;
        for (owner, account) in &mut self.accounts {
            if account.mapped != 0 {
                account.mapped = 0;
                self.changed.insert(*owner);
            }
        }
    }

    /// The accounts that have changed since this was asked last, by their owners.
    pub(crate) fn take_changes(&mut self) -> Vec<(Owner, Account)> {
        let account = |owner| (owner, self.accounts.get(&owner).copied().unwrap_or_default());
        std::mem::take(&mut self.changed).into_iter().map(account).collect()
    }

    /// The heap begins wherever the first call finds its end.
    fn brk(&mut self, end: u64, owner: Owner) {
        let end = self.pages(end);
        let before = self.heap_end.replace(end).unwrap_or(end);
        if end > before {
            self.map(before, end - before, owner);
        } else {
            self.unmap(end, before - end);
        }
    }

    fn map(&mut self, start: u64, length: u64, owner: Owner) {
        self.unmap(start, length);
        self.insert(start, start.saturating_add(length), owner);
    }

    fn remap(&mut self, (old, old_length): (u64, u64), (new, new_length): (u64, u64), by: Owner) {
        let kept = old_length.min(new_length);
        let moved = self.within(old, old.saturating_add(kept));
        self.unmap(old, old_length);
        self.unmap(new, new_length);
        for (start, Range { end, owner }) in moved {
            self.insert(new + (start - old), new + (end - old), owner);
        }
        self.insert(new.saturating_add(kept), new.saturating_add(new_length), by);
    }

    /// The owned ranges of an interval, cut at its ends.
    fn within(&self, start: u64, end: u64) -> Vec<(u64, Range)> {
        let first = self.ranges.range(..=start).next_back().map_or(start, |(first, _)| *first);
        self.ranges
            .range(first..end.max(first))
            .map(|(from, range)| {
                (start.max(*from), Range { end: range.end.min(end), owner: range.owner })
            })
            .filter(|(from, range)| *from < range.end)
            .collect()
    }

    fn unmap(&mut self, start: u64, length: u64) {
        let end = start.saturating_add(length);
        for (from, range) in self.within(start, end) {
            self.cut(from, range);
        }
    }

    /// Takes a part of one range out.
    fn cut(&mut self, from: u64, Range { end, owner }: Range) {
        let Some((&first, &whole)) = self.ranges.range(..=from).next_back() else { return };
        self.ranges.remove(&first);
        if first < from {
            self.ranges.insert(first, Range { end: from, owner });
        }
        if end < whole.end {
            self.ranges.insert(end, Range { end: whole.end, owner });
        }
        self.change(owner, |mapped| mapped - (end - from));
    }

    /// Adds a range where there is none, and joins it to a neighbour of the same owner before it: a heap
    /// that grows by a page at a time is one range.
    fn insert(&mut self, start: u64, end: u64, owner: Owner) {
        if start >= end {
            return;
        }
        let before = self.ranges.range_mut(..start).next_back().map(|(_, range)| range);
        match before {
            Some(range) if range.end == start && range.owner == owner => range.end = end,
            _ => {
                self.ranges.insert(start, Range { end, owner });
            }
        }
        self.change(owner, |mapped| mapped + (end - start));
    }

    fn change(&mut self, owner: Owner, mapped: impl FnOnce(u64) -> u64) {
        let account = self.accounts.entry(owner).or_default();
        account.mapped = mapped(account.mapped);
        self.changed.insert(owner);
    }

    /// A length, or an address, rounded up to whole pages, as the kernel does.
    fn pages(&self, bytes: u64) -> u64 {
        bytes.checked_next_multiple_of(self.page).unwrap_or(!(self.page - 1))
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

    fn mapped(ledger: &mut Ledger) -> HashMap<Owner, u64> {
        ledger.take_changes();
        let all = ledger.accounts.iter().map(|(owner, account)| (*owner, account.mapped));
        all.filter(|(_, mapped)| *mapped > 0).collect()
    }

    fn map(start: u64, length: u64) -> Call {
        Call::Map { start: start * PAGE, length: length * PAGE }
    }

    #[test]
    fn what_is_mapped_over_or_unmapped_is_the_former_owners_loss() {
        let mut ledger = Ledger::new(PAGE);
        ledger.enter(map(0, 10), 1);
        ledger.enter(map(4, 2), 2);
        assert_eq!(ledger.take_changes().len(), 2);
        ledger.enter(Call::Unmap { start: 5 * PAGE, length: 4 * PAGE - 1 }, 3);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 5 * PAGE), (2, PAGE)]));
    }

    #[test]
    fn a_heap_grows_and_shrinks_at_its_end_whoever_moves_it() {
        let mut ledger = Ledger::new(PAGE);
        ledger.enter(Call::Brk { end: 100 * PAGE }, 1);
        ledger.enter(Call::Brk { end: 104 * PAGE }, 1);
        ledger.enter(Call::Brk { end: 105 * PAGE + 1 }, 2);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 4 * PAGE), (2, 2 * PAGE)]));
        ledger.enter(Call::Brk { end: 103 * PAGE }, 3);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 3 * PAGE)]));
        ledger.enter(Call::Brk { end: 90 * PAGE }, 3);
        assert_eq!(mapped(&mut ledger), HashMap::new());
    }

    #[test]
    fn what_moves_keeps_its_owner_and_what_it_grows_by_is_the_movers() {
        let mut ledger = Ledger::new(PAGE);
        ledger.enter(map(0, 4), 1);
        let remap = |old, old_length, new, new_length, keeps| Call::Remap {
            old: old * PAGE,
            old_length: old_length * PAGE,
            new: new * PAGE,
            new_length: new_length * PAGE,
            keeps,
        };
        ledger.enter(remap(0, 4, 20, 6, false), 2);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 4 * PAGE), (2, 2 * PAGE)]));
        ledger.enter(remap(20, 6, 20, 3, false), 3);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 3 * PAGE)]));
        ledger.enter(remap(20, 3, 40, 3, true), 4);
        assert_eq!(mapped(&mut ledger), HashMap::from([(1, 3 * PAGE), (4, 3 * PAGE)]));
    }

    #[test]
    fn an_exec_leaves_nothing_mapped_and_tells_so() {
        let mut ledger = Ledger::new(PAGE);
        ledger.enter(map(0, 4), 1);
        ledger.enter(Call::GiveBack { length: 5 }, 1);
        ledger.take_changes();
        ledger.clear();
        assert_eq!(ledger.take_changes(), [(1, Account { mapped: 0, given_back: PAGE })]);
    }

    /// The same book-keeping a page at a time.
    #[derive(Default)]
    struct Model(HashMap<u64, Owner>);

    impl Model {
        fn enter(&mut self, call: Call, owner: Owner) {
            let pages = |start: u64, length: u64| start / PAGE..(start + length) / PAGE;
            match call {
                Call::Map { start, length } => {
                    self.0.extend(pages(start, length).map(|page| (page, owner)));
                }
                Call::Unmap { start, length } => {
                    pages(start, length).for_each(|page| _ = self.0.remove(&page));
                }
                Call::Remap { old, old_length, new, new_length, .. } => {
                    let moved: Vec<Option<Owner>> =
                        pages(old, old_length).map(|page| self.0.remove(&page)).collect();
                    for (at, page) in pages(new, new_length).enumerate() {
                        let owner = moved.get(at).copied().unwrap_or(Some(owner));
                        match owner {
                            Some(owner) => _ = self.0.insert(page, owner),
                            None => _ = self.0.remove(&page),
                        }
                    }
                }
                Call::Brk { .. } | Call::GiveBack { .. } => {}
            }
        }

        fn mapped(&self) -> HashMap<Owner, u64> {
            let mut mapped = HashMap::new();
            self.0.values().for_each(|owner| *mapped.entry(*owner).or_default() += PAGE);
            mapped
        }
    }

    fn call() -> impl Strategy<Value = (Call, Owner)> {
        let place = || (0..SPACE, 1..16u64);
        let remap = (place(), place()).prop_filter_map(
            "an old range and a new one that overlap are refused by the kernel",
            |((old, old_length), (new, new_length))| {
                let apart = new + new_length <= old || old + old_length <= new || old == new;
                apart.then_some(Call::Remap {
                    old: old * PAGE,
                    old_length: old_length * PAGE,
                    new: new * PAGE,
                    new_length: new_length * PAGE,
                    keeps: false,
                })
            },
        );
        let map = place().prop_map(|(start, length)| map(start, length));
        let unmap = place()
            .prop_map(|(start, length)| Call::Unmap { start: start * PAGE, length: length * PAGE });
        (prop_oneof![map, unmap, remap], 0..4u32)
    }

    proptest! {
        #[test]
        fn the_ledger_is_what_a_book_of_single_pages_is(calls in prop::collection::vec(call(), 1..60)) {
            let (mut ledger, mut model) = (Ledger::new(PAGE), Model::default());
            for (call, owner) in calls {
                ledger.enter(call, owner);
                model.enter(call, owner);
                prop_assert_eq!(mapped(&mut ledger), model.mapped());
            }
        }
    }
}
