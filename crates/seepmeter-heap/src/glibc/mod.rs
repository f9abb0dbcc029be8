//! glibc's malloc (malloc/malloc.c, malloc/arena.c), on x86-64.

mod arena;
mod cached;
mod mapped;

use std::ops::Range;

use seepmeter_snapshot::{MemoryImage, Window};

use crate::census::{Edges, FreeBytes};
use crate::error::{CensusError, LayoutCheck};
use crate::index::{HeapRange, Index, RangeKind};
use arena::Arena;

/// The bits of a chunk's size that are flags.
const FLAGS: u64 = 7;
const PREV_INUSE: u64 = 1;
const IS_MMAPPED: u64 = 2;
/// The smallest chunk.
const MIN_CHUNK: u64 = 32;
/// The size of the two chunks that end a heap which is followed by another.
const FENCE: u64 = 16;
/// From the beginning of a chunk to its block.
const HEADER: u64 = 16;

/// A failed check.
fn layout(check: LayoutCheck) -> CensusError {
    CensusError::Layout { allocator: "glibc", check }
}

/// One heap of an arena.
#[derive(Clone, Debug)]
struct Heap {
    range: Range<u64>,
    first_chunk: u64,
    /// The arena's top chunk, if it is in this heap.
    top: Option<u64>,
}

/// The heaps of glibc's malloc, and what was found in them.
#[derive(Debug)]
pub(crate) struct Glibc {
    arenas: Vec<Arena>,
    /// In the order of their addresses.
    heaps: Vec<Heap>,
    mapped: Vec<HeapRange>,
    walked: Walked,
}

#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    free_chunks: u64,
    free_bytes: u64,
    cached_bytes: u64,
    top_bytes: u64,
}

impl Glibc {
    /// Finds glibc's arenas, their heaps and the mapped chunks. None if there is no arena.
    ///
    /// # Errors
    /// If there is one, and its layout is not understood.
    pub(crate) fn find(
        image: &MemoryImage<'_>,
        pools: &[HeapRange],
    ) -> Result<Option<Self>, CensusError> {
        let Some(main) = arena::find_main(image) else { return Ok(None) };
        let arenas = arena::ring(image, main)?;
        let mut heaps = Vec::new();
        for arena in &arenas {
            heaps.extend(arena.heaps(image)?);
        }
        heaps.sort_by_key(|heap: &Heap| heap.range.start);
        if let Some(pair) = heaps.windows(2).find(|pair| pair[0].range.end > pair[1].range.start) {
            return Err(layout(LayoutCheck::HeapOwner(pair[1].range.start)));
        }
        let mut taken: Vec<Range<u64>> = heaps.iter().map(|heap| heap.range.clone()).collect();
        taken.extend(pools.iter().map(|range| range.start..range.end));
        taken.sort_by_key(|range| range.start);
        let mapped = mapped::find(image, &arenas[0], &heaps, &taken)?;
        Ok(Some(Self { arenas, heaps, mapped, walked: Walked::default() }))
    }

    /// False if it was never asked for a block.
    pub(crate) fn has_heaps(&self) -> bool {
        !self.heaps.is_empty() || !self.mapped.is_empty()
    }

    /// Where the heaps end that have a top chunk.
    pub(crate) fn tops(&self) -> Vec<u64> {
        let with_top = self.heaps.iter().filter(|heap| heap.top.is_some());
        with_top.map(|heap| heap.range.end).collect()
    }

    pub(crate) fn ranges(&self) -> impl Iterator<Item = HeapRange> {
        let arenas =
            self.heaps.iter().map(|heap| HeapRange::new(RangeKind::Arena, heap.range.clone()));
        arenas.chain(self.mapped.iter().cloned())
    }

    /// Finds the chunks that are in thread caches and fast bins: they look as if they were in use.
    ///
    /// # Errors
    /// If one of their lists is broken.
    pub(crate) fn find_cached(
        &self,
        image: &MemoryImage<'_>,
        index: &mut Index,
    ) -> Result<(), CensusError> {
        let main_first = self.heaps.iter().find(|heap| heap.top == Some(self.arenas[0].top));
        let first_chunk = main_first.map(|heap| heap.first_chunk);
        cached::thread_caches(image, index, &self.arenas[0], first_chunk)?;
        self.arenas.iter().try_for_each(|arena| cached::fast_bins(image, index, arena))
    }

    /// Walks a heap: from its first chunk to the top chunk, or to the heap's end.
    ///
    /// # Errors
    /// If something there is no chunk, or the heap does not end where it should.
    pub(crate) fn walk(
        &mut self,
        image: &MemoryImage<'_>,
        index: &mut Index,
        number: usize,
        edges: &mut Edges,
    ) -> Result<(), CensusError> {
        let start = index.ranges()[number].start;
        let at = self.heaps.partition_point(|heap| heap.range.start < start);
        let Some(heap) = self.heaps.get(at) else { return Ok(()) };
        let mut window = Window::new(image, heap.range.end);
        let limit = heap.top.unwrap_or(heap.range.end);
        let mut chunk = heap.first_chunk;
        while Some(chunk) != heap.top {
            let no_chunk = || layout(LayoutCheck::Chunk(chunk));
            let head = window.word(chunk + 8).ok_or_else(no_chunk)?;
            let size = head & !FLAGS;
            if heap.top.is_none() && size <= FENCE && heap.range.end - chunk <= 2 * FENCE {
                break;
            }
            let end = chunk.checked_add(size).filter(|&end| end <= limit).ok_or_else(no_chunk)?;
            if size < MIN_CHUNK || !size.is_multiple_of(HEADER) || head & IS_MMAPPED != 0 {
                return Err(no_chunk());
            }
            let next = window.peek(end + 8).ok_or_else(no_chunk)?;
            let (block, in_use) = (chunk + HEADER, next & PREV_INUSE != 0);
            let cached = index.is_cached(block);
            index.set_boundary(number, block, in_use && !cached);
            match (in_use, cached) {
                (true, false) => edges.of_range(index, &mut window, block..end + 8)?,
                (true, true) => self.walked.cached_bytes += size,
                (false, false) => {
                    self.walked.free_chunks += 1;
                    self.walked.free_bytes += size;
                }
                (false, true) => return Err(no_chunk()),
            }
            chunk = end;
        }
        self.walked.top_bytes += heap.top.map_or(0, |top| heap.range.end - top);
        // The last block ends where the next chunk's block would begin, less its header's size word.
        index.set_blocks_end(number, chunk + HEADER);
        Ok(())
    }

    /// Compares what was walked with the allocator's lists.
    ///
    /// # Errors
    /// If they disagree.
    pub(crate) fn check(&self, image: &MemoryImage<'_>, index: &Index) -> Result<(), CensusError> {
        let stray = index.stray_cached();
        if stray > 0 {
            return Err(layout(LayoutCheck::CachedChunks(stray)));
        }
        let walked = self.walked.free_chunks;
        let mut listed = 0;
        for arena in &self.arenas {
            listed += arena.count_binned(image, index, walked)?;
        }
        if listed == walked {
            Ok(())
        } else {
            Err(layout(LayoutCheck::FreeChunks { walked, listed }))
        }
    }

    pub(crate) fn free_bytes(&self) -> FreeBytes {
        let Walked { free_bytes: bins, cached_bytes: cached, top_bytes: top, .. } = self.walked;
        FreeBytes { bins, cached, top, pools: 0 }
    }
}
