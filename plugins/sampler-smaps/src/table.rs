//! The mappings as they were last read from maps, and which of them is which: identity across growth,
//! splits, merges and moves.

use std::ops::Range;

use seepmeter_maps::MappingGroup;
use seepmeter_maps::maps::{MappingHeader, Perms};
use seepmeter_maps::smaps::Entry;

use crate::counts::{Counts, ReadCounts};

/// A large mapping is scanned in pieces of at least this size, so that one that changes all the time is
/// not scanned from its beginning all the time.
const LEAST_PIECE: u64 = 16 << 20;

/// A mapping has about so many pieces at most: terabytes may be reserved, with nothing in them.
const MOST_PIECES: u64 = 1024;

/// One mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) perms: Perms,
    pub(crate) group: MappingGroup,
    /// Which mapping it is: the number stays when it grows, and both parts of a split have it.
    pub(crate) identity: u32,
    /// Which read of maps had it first.
    pub(crate) since: u32,
    /// Which subject it belongs to, once that was looked up.
    pub(crate) key: Option<u32>,
    /// What is scanned of it, in [`MappingTable::pieces`].
    pub(crate) pieces: Range<usize>,
    /// From the newest pass over smaps that came to it, and which one that was.
    pub(crate) read: Option<(u32, ReadCounts)>,
}

/// What is scanned as one: a mapping, or a part of a large one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) pages: PageKind,
    /// From the newest scan or read.
    pub(crate) counts: Option<Counts>,
    /// It is new, or not as it was, or it grows: to be scanned before others.
    pub(crate) urgent: bool,
    /// It had grown when it was last scanned.
    pub(crate) growing: bool,
    /// It was scanned or read since the last sample.
    pub(crate) observed: bool,
    /// The sweep in which it was last scanned.
    pub(crate) sweep: u32,
}

/// What a scan must know of a mapping's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageKind {
    /// Some may be a file's, and some not.
    pub(crate) of_files: bool,
    pub(crate) hugetlb: bool,
    pub(crate) shared: bool,
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// It was scanned, or read.
    pub(crate) fn counted(&mut self, counts: Counts) {
        /// Less is the noise of a program at work.
        const GROWTH: u64 = 64 << 10;
        let before = self.counts.map_or(counts.rss, |before| before.rss);
        self.growing = counts.rss >= before + GROWTH;
        self.urgent = false;
        self.observed = true;
        self.counts = Some(counts);
    }

    /// Takes over what is known of the pieces that were where it is.
    fn continue_from(&mut self, old: &[&Self]) {
        for old in old {
            if let Some(known) = old.counts {
                let share =
                    known.share(overlap(self.start..self.end, old.start..old.end), old.len());
                self.counts.get_or_insert_default().add(share);
            }
            self.observed |= old.observed;
            if (old.start, old.end) == (self.start, self.end) {
                self.urgent = old.urgent;
                self.growing = old.growing;
                self.sweep = old.sweep;
            }
        }
    }
}

impl Mapping {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Takes over the identity of `old`, which is the same mapping.
    fn continue_from(&mut self, old: &Self) {
        let group = self.group.clone().continuing(&old.group, self.len());
        self.key = old.key.filter(|_| group == old.group);
        self.group = group;
        self.identity = old.identity;
        self.since = old.since;
    }

    /// Takes over what was read of those that were where it is, if all of that is of one pass.
    fn continue_reads(&mut self, old: &[&Self]) {
        let mut reads = old.iter().map(|old| {
            let (pass, read) = old.read?;
            let part = overlap(self.start..self.end, old.start..old.end);
            Some((pass, read.share(part, old.len())))
        });
        let first = reads.next().flatten();
        self.read = reads.fold(first, |sum, read| match (sum, read) {
            (Some((pass, mut sum)), Some((same, read))) if pass == same => {
                sum.add(read);
                Some((pass, sum))
            }
            _ => None,
        });
    }

    fn page_kind(&self) -> PageKind {
        PageKind {
            of_files: !self.group.all_anonymous(),
            hugetlb: self.group == MappingGroup::Hugetlb,
            shared: self.perms.shared,
        }
    }
}

fn overlap(one: Range<u64>, other: Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

/// All mappings, in the order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct MappingTable {
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) pieces: Vec<Piece>,
    /// How often maps was read.
    pub(crate) maps_reads: u32,
    identities: u32,
    /// Large mappings are not cut into pieces: smaps is read, and not scanned.
    pub(crate) uncut: bool,
}

impl MappingTable {
    pub(crate) fn new(uncut: bool) -> Self {
        Self { uncut, ..Self::default() }
    }

    /// Takes in what maps shows now.
    pub(crate) fn update(&mut self, headers: &[MappingHeader<'_>], groups: Vec<MappingGroup>) {
        let before = std::mem::take(&mut self.mappings);
        let old_pieces = std::mem::take(&mut self.pieces);
        self.maps_reads = self.maps_reads.saturating_add(1);
        let mut kept = vec![false; before.len()];
        let mut fresh = Vec::new();
        let mut first = 0;
        self.mappings.reserve(headers.len());
        for (header, group) in headers.iter().zip(groups) {
            while before.get(first).is_some_and(|old| old.end <= header.start) {
                first += 1;
            }
            let there = (first..before.len()).take_while(|at| before[*at].start < header.end);
            let same: Vec<usize> = there.filter(|at| group.continues(&before[*at].group)).collect();
            same.iter().for_each(|at| kept[*at] = true);
            let same: Vec<&Mapping> = same.into_iter().map(|at| &before[at]).collect();
            if same.is_empty() {
                fresh.push(self.mappings.len());
            }
            self.add(header, group, &same, &old_pieces);
        }
        let gone: Vec<&Mapping> =
            before.iter().zip(kept).filter(|(_, kept)| !kept).map(|(old, _)| old).collect();
        self.follow_moves(&gone, &old_pieces, &mut fresh);
        for new in fresh {
            self.identities = self.identities.wrapping_add(1);
            self.mappings[new].identity = self.identities;
        }
    }

    /// Adds a mapping with the identity of the one that was where it is; of several, that of the one with
    /// the largest part in it.
    fn add(
        &mut self,
        header: &MappingHeader<'_>,
        group: MappingGroup,
        same: &[&Mapping],
        old_pieces: &[Piece],
    ) {
        let MappingHeader { start, end, perms, .. } = *header;
        let since = self.maps_reads;
        let mut mapping = Mapping {
            start,
            end,
            perms,
            group,
            identity: 0,
            since,
            key: None,
            pieces: 0..0,
            read: None,
        };
        let part = |old: &Mapping| overlap(start..end, old.start..old.end);
        // Of equal parts the first.
        if let Some(best) = same.iter().rev().max_by_key(|old| part(old)) {
            mapping.continue_from(best);
            mapping.continue_reads(same);
        }
        let was: Vec<&Piece> =
            same.iter().flat_map(|old| &old_pieces[old.pieces.clone()]).collect();
        let first = self.pieces.len();
        let pages = mapping.page_kind();
        let mut at = 0;
        for Range { start, end } in cut(start..end, self.uncut) {
            // What is there at the beginning is swept in its order; what changes meanwhile goes before it.
            let urgent = self.maps_reads > 1;
            let mut piece = Piece { start, end, pages, urgent, ..Piece::default() };
            at += was[at..].iter().take_while(|old| old.end <= start).count();
            let behind = was[at..].iter().take_while(|old| old.start < end).count();
            piece.continue_from(&was[at..at + behind]);
            self.pieces.push(piece);
        }
        mapping.pieces = first..self.pieces.len();
        self.mappings.push(mapping);
    }

    /// Finds mappings that mremap(2) moved while they grew, as large vectors do: one anonymous
    /// mapping went, and only one that is somewhat larger came. Where several may be the one, none is.
    fn follow_moves(&mut self, gone: &[&Mapping], old_pieces: &[Piece], fresh: &mut Vec<usize>) {
        const MANY: usize = 64;
        if gone.len() > MANY || fresh.len() > MANY {
            return;
        }
        let mut moves: Vec<(usize, &Mapping)> = Vec::new();
        for old in gone.iter().filter(|old| movable(&old.group)) {
            let mut candidates = fresh.iter().filter(|new| grew_into(old, &self.mappings[**new]));
            if let (Some(new), None) = (candidates.next(), candidates.next()) {
                moves.push((*new, old));
            }
        }
        for &(new, old) in &moves {
            if moves.iter().filter(|(other, _)| *other == new).count() == 1 {
                let mapping = &mut self.mappings[new];
                mapping.continue_from(old);
                mapping.read = old.read;
                let (pieces, len) = (mapping.pieces.clone(), mapping.len());
                let known = total(&old_pieces[old.pieces.clone()]);
                for piece in &mut self.pieces[pieces] {
                    piece.counts = known.map(|known| known.share(piece.len(), len));
                }
                fresh.retain(|other| *other != new);
            }
        }
    }

    /// Takes in what a pass over smaps has read. Where mappings have changed since maps was read, each gets
    /// its share; what is new is left to the next read of maps. `again` is true of a mapping that this pass has
    /// read before.
    pub(crate) fn read(&mut self, pass: u32, entry: &Entry<'_>, again: bool) {
        let MappingHeader { start, end, perms, .. } = entry.header;
        let first = self.mappings.partition_point(|mapping| mapping.end <= start);
        let there = self.mappings[first..].iter_mut().take_while(|mapping| mapping.start < end);
        let mut there: Vec<_> = there.filter(|mapping| mapping.perms == perms).collect();
        let part = |mapping: &Mapping| overlap(start..end, mapping.start..mapping.end);
        let all = there.iter().map(|mapping| part(mapping)).sum();
        for mapping in &mut there {
            let mut read = ReadCounts::from(entry.figures).share(part(mapping), all);
            let before = mapping.read.filter(|(before, _)| *before == pass);
            if let Some((_, before)) = before.filter(|_| !again || mapping.start < start) {
                read.add(before);
            }
            mapping.read = Some((pass, read));
        }
        let [mapping] = &mut there[..] else { return };
        if entry.hugetlb && mapping.group != MappingGroup::Hugetlb {
            mapping.group = MappingGroup::Hugetlb;
            mapping.key = None;
        }
        // Of a part alone the counts of the whole are not known.
        let covered = start <= mapping.start && mapping.end <= end;
        if let (true, [piece]) = (covered, &mut self.pieces[mapping.pieces.clone()]) {
            piece.pages.hugetlb |= entry.hugetlb;
            piece.counted(entry.figures.into());
        }
    }
}

/// The sum of those pieces of a mapping that were scanned; none if no one was.
pub(crate) fn total(pieces: &[Piece]) -> Option<Counts> {
    pieces.iter().filter_map(|piece| piece.counts).reduce(|mut sum, counts| {
        sum.add(counts);
        sum
    })
}

/// The pieces of a mapping. Their bounds stay when it grows, until it is twice as large.
fn cut(range: Range<u64>, uncut: bool) -> impl Iterator<Item = Range<u64>> {
    let size = match uncut {
        true => u64::MAX,
        false => ((range.end - range.start) / MOST_PIECES).next_power_of_two().max(LEAST_PIECE),
    };
    let mut at = range.start;
    std::iter::from_fn(move || {
        let bound = (at / size + 1).saturating_mul(size).min(range.end);
        let piece = at..bound;
        at = bound;
        (piece.start < piece.end).then_some(piece)
    })
}

fn movable(group: &MappingGroup) -> bool {
    matches!(group, MappingGroup::Anonymous { .. } | MappingGroup::Named { .. })
}

fn grew_into(old: &Mapping, new: &Mapping) -> bool {
    new.group.continues(&old.group)
        && new.perms == old.perms
        && new.len() > old.len()
        && new.len() / 8 <= old.len()
}

#[cfg(test)]
mod tests {
    use seepmeter_maps::class::{ThreadStacks, classify};
    use seepmeter_maps::smaps::{Parser, SmapsFigures};
    use seepmeter_maps::{DeletedFiles, SizeClass, maps};

    use super::*;

    fn update(table: &mut MappingTable, text: &str) {
        let headers = maps::parse(text.as_bytes());
        let mut files = DeletedFiles::as_the_kernel_says();
        table.update(&headers, classify(&headers, &ThreadStacks::default(), &mut files));
    }

    fn table_of(text: &str) -> MappingTable {
        let mut table = MappingTable::default();
        update(&mut table, text);
        table
    }

    fn identities(table: &MappingTable) -> Vec<u32> {
        table.mappings.iter().map(|mapping| mapping.identity).collect()
    }

    /// A pass reads this smaps text.
    fn read(table: &mut MappingTable, pass: u32, text: &str) {
        let mut parser = Parser::default();
        let mut take = |entry: Entry<'_>| table.read(pass, &entry, false);
        parser.push(text.as_bytes(), &mut take);
        parser.finish(&mut take);
    }

    /// The PSS that is known of each mapping.
    fn pss(table: &MappingTable) -> Vec<Option<u64>> {
        table.mappings.iter().map(|mapping| mapping.read.map(|(_, read)| read.pss)).collect()
    }

    fn rss(bytes: u64) -> Counts {
        SmapsFigures { rss: bytes, ..SmapsFigures::default() }.into()
    }

    const ONE: &str = "10000-20000 rw-p 0 00:00 0\n";

    #[test]
    fn a_mapping_that_grows_either_way_is_the_same_in_the_class_of_its_size() {
        let mut table = table_of(ONE);
        assert_eq!(table.mappings[0].group.size(), Some(SizeClass::Small));
        table.mappings[0].key = Some(7);
        update(&mut table, "10000-30000 rw-p 0 00:00 0\n");
        assert_eq!(table.mappings[0].key, Some(7));
        update(&mut table, "10000-2000000 rw-p 0 00:00 0\n");
        update(&mut table, "1000-2000000 rw-p 0 00:00 0\n");
        assert_eq!(identities(&table), [1]);
        assert_eq!(table.mappings[0].group.size(), Some(SizeClass::Large));
        assert_eq!(table.mappings[0].key, None);
        assert!(table.pieces[0].urgent);
    }

    #[test]
    fn the_parts_of_a_split_are_the_mapping_and_share_what_is_known_of_it() {
        let mut table = table_of(ONE);
        table.pieces[0].counted(rss(0x10000));
        read(&mut table, 1, &format!("{ONE}Rss: 64 kB\nPss: 32 kB\n"));
        let split =
            "10000-14000 rw-p 0 00:00 0\n14000-18000 ---p 0 00:00 0\n18000-20000 r--p 0 00:00 0\n";
        update(&mut table, split);
        assert_eq!(identities(&table), [1, 1, 1]);
        let counts: Vec<_> = table.pieces.iter().map(|piece| piece.counts).collect();
        assert_eq!(counts, [0x4000, 0x4000, 0x8000].map(|bytes| Some(rss(bytes))));
        assert_eq!(pss(&table), [8, 8, 16].map(|kib| Some(kib << 10)));
        update(&mut table, ONE);
        assert_eq!(identities(&table), [1]);
        assert_eq!(table.pieces[0].counts, Some(rss(0x10000)));
        assert_eq!(pss(&table), [Some(32 << 10)]);
    }

    #[test]
    fn a_merge_is_the_one_with_the_largest_part() {
        let mut table = table_of("10000-20000 rw-p 0 00:00 0\n30000-60000 rw-p 0 00:00 0\n");
        update(&mut table, "10000-60000 rw-p 0 00:00 0\n");
        assert_eq!(identities(&table), [2]);
    }

    #[test]
    fn a_mapping_that_moves_as_it_grows_is_followed_if_only_one_can_be_it() {
        let mut table = table_of(ONE);
        update(&mut table, "50000-70000 rw-p 0 00:00 0\n");
        assert_eq!(identities(&table), [1]);
        update(&mut table, "80000-b0000 rw-p 0 00:00 0\nc0000-f0000 rw-p 0 00:00 0\n");
        assert_eq!(identities(&table), [2, 3]);
    }

    #[test]
    fn another_file_at_the_same_place_is_another_mapping() {
        let mut table = table_of("10000-20000 rw-p 0 00:01 5 /a\n");
        update(&mut table, "10000-20000 rw-p 0 00:01 6 /b\n");
        assert_eq!(identities(&table), [2]);
    }

    #[test]
    fn a_large_mapping_whose_edge_moves_keeps_what_is_known_of_its_other_pieces() {
        let mut table = table_of("14000000-20000000 rw-p 0 00:00 0\n");
        assert_eq!(table.pieces.len(), 12);
        for piece in &mut table.pieces {
            piece.counted(rss(1 << 20));
        }
        update(&mut table, "13fc0000-20000000 rw-p 0 00:00 0\n");
        assert_eq!(table.pieces.len(), 13);
        let urgent: Vec<_> = table.pieces.iter().filter(|piece| piece.urgent).collect();
        assert_eq!((urgent.len(), urgent[0].start, urgent[0].counts), (1, 0x13fc_0000, None));
        assert_eq!(total(&table.pieces), Some(rss(12 << 20)));
    }

    #[test]
    fn terabytes_that_are_reserved_are_few_pieces() {
        let table = table_of("10000-100000000000 ---p 0 00:00 0\n");
        assert!(table.pieces.len() <= 1025, "{}", table.pieces.len());
        assert!(table.pieces.iter().all(|piece| piece.start < piece.end));
        assert_eq!(table.pieces.last().map(|piece| piece.end), Some(0x1000_0000_0000));
    }

    #[test]
    fn what_no_pass_has_read_is_not_known() {
        let mut table = table_of(ONE);
        assert_eq!(pss(&table), [None]);
        // It has grown since maps was read.
        read(&mut table, 1, "8000-20000 rw-p 0 00:00 0\nRss: 64 kB\nPss: 32 kB\n");
        update(&mut table, "8000-20000 rw-p 0 00:00 0\n40000-50000 rw-p 0 00:00 0\n");
        assert_eq!(pss(&table), [Some(32 << 10), None]);
        // What merges is known only if the same pass has read all of it.
        update(&mut table, "8000-50000 rw-p 0 00:00 0\n");
        assert_eq!(pss(&table), [None]);
    }
}
