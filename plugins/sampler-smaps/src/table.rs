//! The mappings as they were last seen, and which of them is which: identity across growth, splits,
//! merges and moves.

use crate::counts::Counts;
use seepmeter_maps::class::{MappingClass, MappingKind};
use seepmeter_maps::maps::{Header, Perms};
use seepmeter_maps::smaps::Figures;

/// One mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) perms: Perms,
    pub(crate) class: MappingClass,
    /// Which mapping it is: the number stays when it grows, and both parts of a split have it.
    pub(crate) lineage: u32,
    /// Where the book keeps its sums.
    pub(crate) slot: Option<u32>,
    /// From the newest scan or read.
    pub(crate) counts: Option<Counts>,
    /// From the newest read, and which one that was.
    pub(crate) figures: Option<(u32, Figures)>,
    /// New, or not as it was, or growing: to be scanned before others.
    pub(crate) hot: bool,
    /// It had grown when it was last scanned.
    pub(crate) growing: bool,
}

impl Mapping {
    fn new(header: &Header<'_>, class: MappingClass) -> Self {
        Self {
            start: header.start,
            end: header.end,
            perms: header.perms,
            class,
            lineage: 0,
            slot: None,
            counts: None,
            figures: None,
            hot: true,
            growing: false,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    fn overlap(&self, header: &Header<'_>) -> u64 {
        self.end.min(header.end).saturating_sub(self.start.max(header.start))
    }

    /// Takes over what is known of `old`, which is the same mapping.
    fn continue_from(&mut self, old: &Self) {
        let class = self.class.clone().continuing(&old.class, self.len());
        self.slot = old.slot.filter(|_| class == old.class);
        self.class = class;
        self.lineage = old.lineage;
    }

    /// A whole read says that its pages are hugetlbfs's, which its line need not tell.
    pub(crate) fn found_hugetlb(&mut self) {
        if self.class != MappingClass::Hugetlb {
            self.class = MappingClass::Hugetlb;
            self.slot = None;
        }
    }

    /// It was scanned, or read.
    pub(crate) fn counted(&mut self, counts: Counts) {
        /// Less is the noise of a program at work.
        const GROWTH: u64 = 64 << 10;
        let before = self.counts.map_or(counts.rss, |before| before.rss);
        self.growing = counts.rss >= before + GROWTH;
        self.hot = false;
        self.counts = Some(counts);
    }
}

/// All mappings, in the order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) mappings: Vec<Mapping>,
    lineages: u32,
}

impl Table {
    /// Takes in what maps shows now.
    pub(crate) fn update(&mut self, headers: &[Header<'_>], classes: Vec<MappingClass>) {
        let old = std::mem::take(&mut self.mappings);
        let mut kept = vec![false; old.len()];
        let mut fresh = Vec::new();
        let mut first = 0;
        self.mappings.reserve(headers.len());
        for (header, class) in headers.iter().zip(classes) {
            while old.get(first).is_some_and(|old| old.end <= header.start) {
                first += 1;
            }
            let mut mapping = Mapping::new(header, class);
            if !inherit(&mut mapping, header, &old[first..], &mut kept[first..]) {
                fresh.push(self.mappings.len());
            }
            self.mappings.push(mapping);
        }
        let gone: Vec<&Mapping> =
            old.iter().zip(kept).filter(|(_, kept)| !kept).map(|(old, _)| old).collect();
        self.follow_moves(&gone, &mut fresh);
        for new in fresh {
            self.lineages = self.lineages.wrapping_add(1);
            self.mappings[new].lineage = self.lineages;
        }
    }

    /// Finds mappings that mremap(2) moved while they grew, as large vectors do: one anonymous
    /// mapping went, and only one that is somewhat larger came. Where several may be the one, none is.
    fn follow_moves(&mut self, gone: &[&Mapping], fresh: &mut Vec<usize>) {
        const MANY: usize = 64;
        if gone.len() > MANY || fresh.len() > MANY {
            return;
        }
        let mut moves: Vec<(usize, &Mapping)> = Vec::new();
        for old in gone.iter().filter(|old| movable(&old.class)) {
            let mut candidates = fresh.iter().filter(|new| grew_into(old, &self.mappings[**new]));
            if let (Some(new), None) = (candidates.next(), candidates.next()) {
                moves.push((*new, old));
            }
        }
        for &(new, old) in &moves {
            if moves.iter().filter(|(other, _)| *other == new).count() == 1 {
                self.mappings[new].continue_from(old);
                self.mappings[new].counts = old.counts;
                fresh.retain(|other| *other != new);
            }
        }
    }

    /// The place of the first mapping that ends behind `address`.
    pub(crate) fn place(&self, address: u64) -> usize {
        self.mappings.partition_point(|mapping| mapping.end <= address)
    }

    /// The mapping that starts at `address`.
    pub(crate) fn starting_at(&mut self, address: u64) -> Option<&mut Mapping> {
        let place = self.mappings.binary_search_by_key(&address, |mapping| mapping.start).ok()?;
        self.mappings.get_mut(place)
    }
}

/// Gives a mapping the identity of the one of `old` that lay where it lies, of several that of the
/// one with the largest part in it; false where there is none.
fn inherit(new: &mut Mapping, header: &Header<'_>, old: &[Mapping], kept: &mut [bool]) -> bool {
    let mut best: Option<&Mapping> = None;
    let mut counts: Option<Counts> = None;
    for (old, kept) in old.iter().zip(kept).take_while(|(old, _)| old.start < header.end) {
        if !new.class.continues(&old.class) {
            continue;
        }
        *kept = true;
        if best.is_none_or(|best| old.overlap(header) > best.overlap(header)) {
            best = Some(old);
        }
        if let Some(known) = old.counts {
            let share = known.share(old.overlap(header), old.len());
            counts.get_or_insert_default().add(share);
        }
    }
    let Some(best) = best else { return false };
    new.continue_from(best);
    new.counts = counts;
    if (best.start, best.end) == (new.start, new.end) {
        new.figures = best.figures;
        new.hot = best.hot;
        new.growing = best.growing;
    }
    true
}

fn movable(class: &MappingClass) -> bool {
    matches!(class.kind(), MappingKind::Anonymous | MappingKind::Named)
}

fn grew_into(old: &Mapping, new: &Mapping) -> bool {
    new.class.continues(&old.class)
        && new.perms == old.perms
        && new.len() > old.len()
        && new.len() / 8 <= old.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seepmeter_maps::class::{ThreadStacks, classify};
    use seepmeter_maps::{DeletedFiles, SizeClass, maps};

    fn see(table: &mut Table, text: &str) {
        let headers = maps::parse(text.as_bytes());
        table.update(
            &headers,
            classify(&headers, &ThreadStacks::default(), &mut DeletedFiles::as_the_kernel_says()),
        );
    }

    fn lineages(table: &Table) -> Vec<u32> {
        table.mappings.iter().map(|mapping| mapping.lineage).collect()
    }

    const ONE: &str = "10000-20000 rw-p 0 00:00 0\n";

    #[test]
    fn a_mapping_that_grows_either_way_is_the_same_in_the_class_of_its_size() {
        let mut table = Table::default();
        see(&mut table, ONE);
        assert_eq!(table.mappings[0].class.size(), Some(SizeClass::Small));
        see(&mut table, "10000-2000000 rw-p 0 00:00 0\n");
        see(&mut table, "1000-2000000 rw-p 0 00:00 0\n");
        assert_eq!(lineages(&table), [1]);
        assert_eq!(table.mappings[0].class.size(), Some(SizeClass::Large));
        assert!(table.mappings[0].hot);
    }

    #[test]
    fn the_parts_of_a_split_are_the_mapping_and_share_its_pages() {
        let mut table = Table::default();
        see(&mut table, ONE);
        table.mappings[0].counted(Counts { rss: 0x10000, ..Counts::default() });
        see(
            &mut table,
            "10000-14000 rw-p 0 00:00 0\n14000-18000 ---p 0 00:00 0\n18000-20000 r--p 0 00:00 0\n",
        );
        assert_eq!(lineages(&table), [1, 1, 1]);
        let rss: Vec<u64> =
            table.mappings.iter().map(|mapping| mapping.counts.unwrap().rss).collect();
        assert_eq!(rss, [0x4000, 0x4000, 0x8000]);
        see(&mut table, ONE);
        assert_eq!(lineages(&table), [1]);
        assert_eq!(table.mappings[0].counts.unwrap().rss, 0x10000);
    }

    #[test]
    fn a_merge_is_the_one_with_the_largest_part() {
        let mut table = Table::default();
        see(&mut table, "10000-20000 rw-p 0 00:00 0\n30000-60000 rw-p 0 00:00 0\n");
        see(&mut table, "10000-60000 rw-p 0 00:00 0\n");
        assert_eq!(lineages(&table), [2]);
    }

    #[test]
    fn a_mapping_that_moves_as_it_grows_is_followed_where_only_one_can_be_it() {
        let mut table = Table::default();
        see(&mut table, ONE);
        see(&mut table, "50000-70000 rw-p 0 00:00 0\n");
        assert_eq!(lineages(&table), [1]);
        see(&mut table, "80000-b0000 rw-p 0 00:00 0\nc0000-f0000 rw-p 0 00:00 0\n");
        assert_eq!(lineages(&table), [2, 3]);
    }

    #[test]
    fn another_file_at_the_same_place_is_another_mapping() {
        let mut table = Table::default();
        see(&mut table, "10000-20000 rw-p 0 00:01 5 /a\n");
        see(&mut table, "10000-20000 rw-p 0 00:01 6 /b\n");
        assert_eq!(lineages(&table), [2]);
    }
}
