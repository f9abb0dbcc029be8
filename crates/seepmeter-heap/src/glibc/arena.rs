//! The arenas and their heaps.

use seepmeter_snapshot::MemoryImage;

use super::{FENCE, FLAGS, Heap, MIN_CHUNK, layout};
use crate::error::{CensusError, LayoutCheck};
use crate::index::Index;

/// How many bins there are, each a list with two pointers in the arena.
const BINS: u64 = 127;
/// So many bins of 127 must be empty. A program with more than 87 kinds of free chunks at once was not met.
const EMPTY_BINS: usize = 40;
/// Bins for large chunks, which are mostly empty: one of them is looked at first.
const MOSTLY_EMPTY: [u64; 4] = [126, 125, 100, 60];
/// From `bins` to `next`, to `system_mem`, and to the end of `struct malloc_state`, whatever is before `bins`.
const NEXT: u64 = 2048;
const SYSTEM_MEM: u64 = 2072;
const STATE_END: u64 = 2088;
/// `top` and `last_remainder` are right before `bins`.
const TOP_TO_BINS: u64 = 16;
/// No more arenas are followed: glibc makes 8 for each processor.
const MAX_ARENAS: usize = 1 << 16;
/// No more heaps of an arena are followed.
const MAX_HEAPS: usize = 1 << 20;
/// What a heap is aligned to: 64 MiB, or four times a huge page (tunable glibc.malloc.hugetlb).
const HEAP_ALIGNMENTS: [u64; 3] = [64 << 20, 8 << 20, 4 << 30];
/// How large a heap_info is: since 2.35, and before.
const HEAP_INFO_SIZES: [u64; 2] = [48, 32];
/// How much data is searched at once, and by how much the pieces overlap.
const PIECE: usize = 1 << 20;
const OVERLAP: u64 = 4096;

/// Where in an arena `top` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArenaLayout {
    /// glibc 2.27 to 2.42: there are fast bins.
    FastBins,
    /// 2.43 and later: there are none.
    NoFastBins,
}

/// An arena: a `struct malloc_state`.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub(super) address: u64,
    pub(super) layout: ArenaLayout,
    pub(super) top: u64,
    is_main: bool,
}

/// Finds `bins` of the main arena, by its empty bins: each points at itself.
pub(super) fn find_main(image: &MemoryImage<'_>) -> Option<u64> {
    let mut found = None;
    let mut buffer = vec![0; PIECE];
    for region in image.regions().iter().filter(|it| it.is_image_data() && it.perms.read) {
        let mut start = region.start;
        while start < region.end && found.is_none() {
            let end = region.end.min(start.saturating_add(PIECE as u64));
            image.read_range(start..end, &mut buffer, |address, bytes| {
                let mut bins = find_bins(address, bytes).map(|at| address + at as u64);
                found = found.or_else(|| bins.find(|&bins| ring_main(image, bins).is_some()));
            });
            start = if end < region.end { end - OVERLAP } else { end };
        }
    }
    found
}

/// Where in these bytes a table of bins may begin. Some bins before or behind it looks so too, and only the ring of
/// arenas says which it is.
fn find_bins(address: u64, bytes: &[u8]) -> impl Iterator<Item = usize> {
    let words = bytes.as_chunks::<8>().0;
    let size = 2 * BINS as usize;
    let is_empty = move |at: usize, bin: u64| {
        let (first, own) =
            (at + 2 * bin as usize, (address + 8 * at as u64).wrapping_add(16 * bin));
        let points = |at: usize| u64::from_le_bytes(words[at]) == own.wrapping_sub(16);
        points(first) && points(first + 1)
    };
    (0..(words.len() + 1).saturating_sub(size))
        .filter(move |&at| {
            MOSTLY_EMPTY.iter().any(|&bin| is_empty(at, bin))
                && (0..BINS).filter(|&bin| is_empty(at, bin)).count() >= EMPTY_BINS
        })
        .map(|at| 8 * at)
}

/// The main arena of these bins, and all others that it is in a ring with.
fn ring_main(image: &MemoryImage<'_>, bins: u64) -> Option<Vec<u64>> {
    // What is before `top`: a mutex, flags and perhaps fast bins.
    (1..=14).map(|words| 8 * words).find_map(|top: u64| {
        let main = bins.checked_sub(TOP_TO_BINS)?.checked_sub(top)?;
        let mut arenas = vec![main];
        loop {
            let last = *arenas.last()?;
            let next = image.word(last.checked_add(top + TOP_TO_BINS + NEXT)?)?;
            if next == main {
                return Some(arenas);
            }
            // An arena that is not the main one lies in a heap, at most some words behind its beginning.
            let sound = next.is_multiple_of(16) && arenas.len() < MAX_ARENAS;
            let in_heap = HEAP_INFO_SIZES.contains(&(next % HEAP_ALIGNMENTS[1]));
            (sound && in_heap).then(|| arenas.push(next))?;
        }
    })
}

/// All arenas; the first is the main one.
pub(super) fn ring(image: &MemoryImage<'_>, bins: u64) -> Result<Vec<Arena>, CensusError> {
    let unknown = || layout(LayoutCheck::ArenaLayout(bins));
    let addresses = ring_main(image, bins).ok_or_else(unknown)?;
    let offset = bins - TOP_TO_BINS - addresses[0];
    let arena_layout = match offset {
        96 => ArenaLayout::FastBins,
        8 => ArenaLayout::NoFastBins,
        _ => return Err(unknown()),
    };
    let arena = |(at, address): (usize, u64)| {
        let top = image.word(address + offset).ok_or_else(unknown)?;
        Ok(Arena { address, layout: arena_layout, top, is_main: at == 0 })
    };
    addresses.into_iter().enumerate().map(arena).collect()
}

impl Arena {
    fn bins(&self) -> u64 {
        let top = match self.layout {
            ArenaLayout::FastBins => 96,
            ArenaLayout::NoFastBins => 8,
        };
        self.address.saturating_add(top + TOP_TO_BINS)
    }

    /// Where the data of the allocator are, next to its main arena.
    pub(super) fn fast_bins(&self) -> Option<u64> {
        (self.layout == ArenaLayout::FastBins).then(|| self.address.saturating_add(16))
    }

    /// Its heaps.
    pub(super) fn heaps(&self, image: &MemoryImage<'_>) -> Result<Vec<Heap>, CensusError> {
        let no_end = || layout(LayoutCheck::End(self.top));
        if self.is_main && self.top == self.bins() - FENCE {
            // Nobody has asked it for a block yet.
            return Ok(Vec::new());
        }
        let size = image.word(self.top.wrapping_add(8)).ok_or_else(no_end)? & !FLAGS;
        let end = self.top.checked_add(size).filter(|_| self.top.is_multiple_of(16));
        let end = end.filter(|_| size >= FENCE).ok_or_else(no_end)?;
        let system = image.word(self.bins() + SYSTEM_MEM).ok_or_else(no_end)?;
        let heaps = if self.is_main {
            // What brk(2) has given it lies in one piece before the end.
            let start = end.checked_sub(system).filter(|&start| start <= self.top);
            let start = start.ok_or_else(no_end)?;
            let first_chunk = start.next_multiple_of(16);
            vec![Heap { range: start..end, first_chunk, top: Some(self.top) }]
        } else {
            self.chained_heaps(image)?
        };
        let bytes = heaps.iter().map(|heap| heap.range.end - heap.range.start).sum();
        if bytes != system {
            return Err(layout(LayoutCheck::SystemBytes { heaps: bytes, system }));
        }
        match heaps.iter().all(|heap| is_mapped(image, heap)) {
            true if heaps.iter().any(|heap| heap.range.end == end) => Ok(heaps),
            _ => Err(no_end()),
        }
    }

    /// The heaps of an arena that is not the main one, from the last to the first.
    fn chained_heaps(&self, image: &MemoryImage<'_>) -> Result<Vec<Heap>, CensusError> {
        let not_ours = |heap| layout(LayoutCheck::HeapOwner(heap));
        let owner = |heap| image.word(heap) == Some(self.address);
        let mut starts = HEAP_ALIGNMENTS.iter().map(|alignment| self.top & !(alignment - 1));
        let mut next = starts.find(|&heap| owner(heap)).ok_or_else(|| not_ours(self.top))?;
        let mut heaps: Vec<Heap> = Vec::new();
        while next != 0 {
            let range = || {
                let size = image.word(next.checked_add(16)?)?;
                let end = next.checked_add(size)?;
                (size >= MIN_CHUNK && next.is_multiple_of(4096)).then_some(next..end)
            };
            let range = range().filter(|_| owner(next) && heaps.len() < MAX_HEAPS);
            let range = range.ok_or_else(|| not_ours(next))?;
            let info = self.address.wrapping_sub(next);
            let first_chunk = match HEAP_INFO_SIZES.contains(&info) {
                true => (self.bins() + STATE_END).next_multiple_of(16),
                // Which of the two sizes it has, the arena's own heap says.
                false => next + self.address % 64,
            };
            let top = range.contains(&self.top).then_some(self.top);
            heaps.push(Heap { range, first_chunk, top });
            next = image.word(next.saturating_add(8)).ok_or_else(|| not_ours(next))?;
        }
        Ok(heaps)
    }

    /// How many chunks are in its bins; all of them must have been walked, `most` of them in all.
    pub(super) fn count_binned(
        &self,
        image: &MemoryImage<'_>,
        index: &Index,
        most: u64,
    ) -> Result<u64, CensusError> {
        let mut count = 0;
        for bin in 0..BINS {
            let head = self.bins().saturating_add(16 * bin).wrapping_sub(16);
            let mut chunk = image.word(head.wrapping_add(16));
            while chunk != Some(head) {
                let walked = |&chunk: &u64| index.is_free(chunk.wrapping_add(16)) && count < most;
                let broken = || layout(LayoutCheck::List(head));
                let at = chunk.filter(walked).ok_or_else(broken)?;
                count += 1;
                chunk = image.word(at.wrapping_add(16));
            }
        }
        Ok(count)
    }
}

/// All of a heap is memory that the program can write.
fn is_mapped(image: &MemoryImage<'_>, heap: &Heap) -> bool {
    let mut next = heap.range.start;
    while next < heap.range.end {
        match image.region_at(next).filter(|region| region.is_anonymous()) {
            Some(region) => next = region.end,
            None => return false,
        }
    }
    true
}
