//! Chunks that have mappings of their own.

use std::ops::Range;

use seepmeter_record::MappingClass;
use seepmeter_snapshot::MemoryImage;

use super::arena::{Arena, ArenaLayout};
use super::{FLAGS, HEADER, Heap, IS_MMAPPED, layout};
use crate::error::{CensusError, LayoutCheck};
use crate::index::HeapRange;
use crate::pymalloc::read_each;

const PAGE: u64 = 4096;
/// How much data is searched at once.
const PIECE: usize = 1 << 20;
/// From `sbrk_base` of `struct malloc_par` back to `mmapped_mem`, and from there to `n_mmaps`: before and since 2.35.
const MAPPED_MEM: u64 = 16;
const COUNTS: [u64; 2] = [20, 16];

/// Finds them, and compares them with how many the allocator counts. `taken` are ranges in which none is.
pub(super) fn find(
    image: &MemoryImage<'_>,
    main: &Arena,
    heaps: &[Heap],
    taken: &[Range<u64>],
) -> Result<Vec<HeapRange>, CensusError> {
    let mut chunks: Vec<HeapRange> = Vec::new();
    for region in image.regions().iter().filter(|it| it.is_anonymous() && it.perms.read) {
        if matches!(region.class, MappingClass::Heap | MappingClass::MainStack) {
            continue;
        }
        let mut next = region.start.next_multiple_of(PAGE);
        read_each(image, next..region.end, 16, |address, header| {
            let [previous, size] = [&header[..8], &header[8..]].map(word);
            let free = address >= next;
            let length = mapping_length(main.layout, previous, size).filter(|_| free);
            let end = length.and_then(|length| address.checked_add(length));
            let inside = |end: &u64| *end <= region.end && !overlaps(taken, &(address..*end));
            let Some(end) = end.filter(inside) else { return };
            let block = block_start(image, address..end, main.layout);
            chunks.push(HeapRange::mapped(address..end, block..end));
            next = end;
        });
    }
    let found = chunks.len() as u64;
    let found_bytes = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
    let main_heap = heaps.iter().find(|heap| heap.top == Some(main.top));
    match main_heap.and_then(|heap| counts(image, heap.range.start)) {
        Some((counted, counted_bytes)) if (counted, counted_bytes) != (found, found_bytes) => {
            Err(layout(LayoutCheck::MappedChunks { found, found_bytes, counted, counted_bytes }))
        }
        None if found > 0 || main_heap.is_some() => Err(layout(LayoutCheck::MappedCount)),
        _ => Ok(chunks),
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn overlaps(taken: &[Range<u64>], range: &Range<u64>) -> bool {
    let first = taken.partition_point(|taken| taken.end <= range.start);
    taken.get(first).is_some_and(|taken| taken.start < range.end)
}

/// How large the mapping of a chunk with this header is, if the header is at its start.
fn mapping_length(arena: ArenaLayout, previous: u64, size: u64) -> Option<u64> {
    let (flags, size) = (size & FLAGS, size & !FLAGS);
    (flags == IS_MMAPPED && size >= 32).then_some(())?;
    let length = match arena {
        ArenaLayout::FastBins => size.checked_add(previous)?,
        // The lowest bit of the offset says that it has huge pages.
        ArenaLayout::NoFastBins => size.checked_add(previous & !1)?.checked_add(HEADER)?,
    };
    (length.is_multiple_of(PAGE) && previous & !1 < PAGE).then_some(length)
}

/// Where the block of a mapped chunk begins: posix_memalign(3) leaves a second header, which says how far from
/// the mapping's beginning it is.
fn block_start(image: &MemoryImage<'_>, mapping: Range<u64>, arena: ArenaLayout) -> u64 {
    let length = mapping.end - mapping.start;
    let alignments = (5..64).map(|bits| 1u64 << bits).take_while(|&bytes| bytes < length);
    let aligned = alignments.filter_map(|alignment| {
        let block = (mapping.start + HEADER).checked_next_multiple_of(alignment)?;
        let offset = (block - HEADER).checked_sub(mapping.start).filter(|&offset| offset > 0)?;
        let header: [u8; 16] = image.bytes(block - HEADER)?;
        let [previous, size] = [&header[..8], &header[8..]].map(word);
        let rest = match arena {
            ArenaLayout::FastBins => 0,
            ArenaLayout::NoFastBins => HEADER,
        };
        let whole = (size & !FLAGS).checked_add(offset)?.checked_add(rest)? == length;
        let second = previous & !1 == offset && size & FLAGS == IS_MMAPPED && whole;
        (second && block < mapping.end).then_some(block)
    });
    aligned.last().unwrap_or(mapping.start + HEADER)
}

/// `n_mmaps` and `mmapped_mem` of the allocator's parameters, which are found by its `sbrk_base`.
fn counts(image: &MemoryImage<'_>, heap: u64) -> Option<(u64, u64)> {
    let mut bases = Vec::new();
    let mut buffer = vec![0; PIECE];
    for region in image.regions().iter().filter(|it| it.is_image_data() && it.perms.read) {
        image.read_range(region.range(), &mut buffer, |address, bytes| {
            let words = bytes.as_chunks().0.iter().enumerate();
            let equal = words.filter(|(_, word)| u64::from_le_bytes(**word) == heap);
            bases.extend(equal.map(|(at, _)| address + 8 * at as u64).take(64));
        });
    }
    bases.into_iter().find_map(|base| counts_before(image, base))
}

/// The counts, if this is the address of `sbrk_base`.
fn counts_before(image: &MemoryImage<'_>, base: u64) -> Option<(u64, u64)> {
    let bytes = image.word(base.checked_sub(MAPPED_MEM)?)?;
    let most_bytes = image.word(base.checked_sub(8)?)?;
    (bytes <= most_bytes && bytes.is_multiple_of(PAGE)).then_some(())?;
    COUNTS.iter().find_map(|distance| {
        // n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold.
        let numbers: [u8; 16] = image.bytes(base.checked_sub(MAPPED_MEM + distance)?)?;
        let [now, limit, most, fixed] = [0, 4, 8, 12]
            .map(|at| numbers[at..].first_chunk().map_or(0, |it| u32::from_le_bytes(*it)));
        let sound = now <= most && most <= limit.max(most) && fixed <= 1 && now <= limit;
        let agree = (now == 0) == (bytes == 0) && (most == 0) == (most_bytes == 0);
        (sound && agree).then_some((u64::from(now), bytes))
    })
}
