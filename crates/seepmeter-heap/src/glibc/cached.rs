//! Chunks that are free and look as if they were in use: those of thread caches and of fast bins.

use std::collections::BTreeMap;

use seepmeter_snapshot::{ImageThread, MemoryImage};

use super::arena::{Arena, ArenaLayout};
use super::{FLAGS, HEADER, layout};
use crate::error::{CensusError, LayoutCheck};
use crate::index::{Index, RangeKind};

/// How far below the thread pointer libc's own thread-local storage reaches.
const TLS: usize = 4096;
const FAST_BINS: u64 = 10;
/// A list of more chunks no cache has: its counters have 16 bits.
const MAX_LIST: usize = 1 << 16;
/// The chunk of a cache before 2.30, whose counters were bytes.
const OLD_CACHE: u64 = 0x250;

/// A `struct tcache_perthread_struct`, by the size of its chunk.
#[derive(Clone, Copy, Debug)]
struct CacheLayout {
    /// Where the lists begin, behind the counters of 16 bits.
    entries: u64,
    lists: u64,
    /// True if a counter says how many there are; false if how many more there may be.
    counts: bool,
}

fn cache_layout(chunk_size: u64, arena: ArenaLayout) -> Option<CacheLayout> {
    match (chunk_size, arena) {
        (0x290, ArenaLayout::FastBins) => {
            Some(CacheLayout { entries: 128, lists: 64, counts: true })
        }
        (0x300 | 0x310, _) => Some(CacheLayout { entries: 152, lists: 76, counts: false }),
        _ => None,
    }
}

/// Finds each thread's cache, and the blocks in it.
pub(super) fn thread_caches(
    image: &MemoryImage<'_>,
    index: &mut Index,
    main: &Arena,
    first_chunk: Option<u64>,
) -> Result<(), CensusError> {
    let mut caches = BTreeMap::new();
    let mut main_thread_has_none = false;
    for thread in image.threads() {
        let found = cache_of(image, index, thread, main.layout)?;
        main_thread_has_none |= found.is_none() && thread.tid == image.pid();
        caches.extend(found);
    }
    // The first chunk of all is the main thread's cache, if there is one.
    let first = first_chunk.and_then(|chunk| Some((chunk, image.word(chunk.checked_add(8)?)?)));
    if let Some((chunk, size)) = first.filter(|_| main.layout == ArenaLayout::FastBins) {
        let is_cache = matches!(size & !FLAGS, 0x290 | OLD_CACHE);
        if is_cache && main_thread_has_none {
            return Err(layout(LayoutCheck::ThreadCache(chunk)));
        }
    }
    for (cache, blocks) in caches {
        if !blocks.into_iter().all(|block| index.set_cached(block)) {
            return Err(layout(LayoutCheck::List(cache)));
        }
    }
    Ok(())
}

/// The cache of a thread: a word of its thread-local storage points at it. If several words look so, some are
/// stale, and the one with most entries is taken.
fn cache_of(
    image: &MemoryImage<'_>,
    index: &Index,
    thread: &ImageThread,
    arena: ArenaLayout,
) -> Result<Option<(u64, Vec<u64>)>, CensusError> {
    let start = thread.thread_pointer.and_then(|pointer| pointer.checked_sub(TLS as u64));
    let Some(start) = start else { return Ok(None) };
    let mut storage = [0; TLS];
    let mut read = image.read(start, &mut storage);
    if read == 0 {
        // The storage begins less than that below: the page before it is not there.
        let page = start.next_multiple_of(4096);
        read = image.read(page, &mut storage[..TLS - (page - start) as usize]);
    }
    let (mut best, mut broken) = (None::<(u64, Vec<u64>)>, None);
    for word in storage[..read].as_chunks().0 {
        let cache = u64::from_le_bytes(*word);
        let in_heap = index.range_at(cache).is_some_and(|range| range.kind == RangeKind::Arena);
        let size =
            image.word(cache.wrapping_sub(8)).filter(|_| in_heap && cache.is_multiple_of(16));
        let layout = size.and_then(|size| cache_layout(size & !FLAGS, arena));
        let Some(layout) = layout else { continue };
        match entries(image, index, cache, layout) {
            Some(blocks) if best.as_ref().is_none_or(|(_, best)| best.len() <= blocks.len()) => {
                best = Some((cache, blocks));
            }
            Some(_) => {}
            None => broken = Some(cache),
        }
    }
    match (best, broken) {
        (None, Some(cache)) => Err(layout(LayoutCheck::ThreadCache(cache))),
        (best, _) => Ok(best),
    }
}

/// All blocks in a cache; none if a list of it is no list.
fn entries(
    image: &MemoryImage<'_>,
    index: &Index,
    cache: u64,
    layout: CacheLayout,
) -> Option<Vec<u64>> {
    let mut table = vec![0; (layout.entries + 8 * layout.lists) as usize];
    (image.read(cache, &mut table) == table.len()).then_some(())?;
    let (counts, heads) = table.split_at(layout.entries as usize);
    let mut blocks = Vec::new();
    for (list, (head, count)) in heads.as_chunks().0.iter().zip(counts.as_chunks().0).enumerate() {
        let (mut next, before) = (u64::from_le_bytes(*head), blocks.len());
        while next != 0 {
            let size = image.word(next.checked_sub(8)?)? & !FLAGS;
            // The lists behind the 64th hold chunks of different sizes.
            let right_size = list >= 64 || size == 32 + 16 * list as u64;
            let room = blocks.len() - before < MAX_LIST;
            (right_size && room && is_in_heap(index, next)).then_some(())?;
            blocks.push(next);
            next = next_of(index, next, image.word(next)?)?;
        }
        let length = (blocks.len() - before) as u64;
        (!layout.counts || length == u64::from(u16::from_le_bytes(*count))).then_some(())?;
    }
    Some(blocks)
}

/// The chunks in the fast bins of an arena.
pub(super) fn fast_bins(
    image: &MemoryImage<'_>,
    index: &mut Index,
    arena: &Arena,
) -> Result<(), CensusError> {
    let Some(bins) = arena.fast_bins() else { return Ok(()) };
    for bin in 0..FAST_BINS {
        let head = bins.saturating_add(8 * bin);
        let broken = || layout(LayoutCheck::List(head));
        let mut chunk = image.word(head).ok_or_else(broken)?;
        while chunk != 0 {
            let block = chunk.checked_add(HEADER).ok_or_else(broken)?;
            // A chunk that is there twice ends a list that has no end.
            let size = image.word(block - 8).map(|size| size & !FLAGS);
            if size != Some(32 + 16 * bin) || !index.set_cached(block) {
                return Err(broken());
            }
            let next = image.word(block).and_then(|stored| {
                let plain = |next: u64| next == 0 || is_in_heap(index, next.wrapping_add(HEADER));
                [block >> 12 ^ stored, stored].into_iter().find(|&next| plain(next))
            });
            chunk = next.ok_or_else(broken)?;
        }
    }
    Ok(())
}

/// What follows a block in a list: since 2.32 it is mangled with where it is stored.
fn next_of(index: &Index, at: u64, stored: u64) -> Option<u64> {
    let sound = |next: u64| next == 0 || is_in_heap(index, next);
    [at >> 12 ^ stored, stored].into_iter().find(|&next| sound(next))
}

fn is_in_heap(index: &Index, block: u64) -> bool {
    let range = index.range_at(block);
    block.is_multiple_of(16) && range.is_some_and(|range| range.kind == RangeKind::Arena)
}
