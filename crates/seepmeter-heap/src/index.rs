//! Which block an address is in: a bit for each 16 bytes of the heaps.

use std::ops::Range;

/// Every block begins at a multiple of this.
pub(crate) const GRANULE: u64 = 16;
/// How much memory a cell stands for.
const CELL: u64 = 64 * GRANULE;
/// No block.
pub(crate) const NONE: u32 = u32::MAX;

/// Whose memory a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeKind {
    /// Chunks of glibc, one behind the other.
    Arena,
    /// One chunk of glibc with a mapping of its own.
    Mapped,
    /// Pools of CPython.
    Pools,
}

/// A range of addresses that is walked.
#[derive(Clone, Debug)]
pub(crate) struct HeapRange {
    pub(crate) kind: RangeKind,
    /// All of it, which is no root: headers and free memory too.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The end of the last block that was walked; of a mapped chunk, its block's.
    pub(crate) blocks_end: u64,
    /// Where its first block is, if it is one mapped chunk.
    pub(crate) block: u64,
    /// The number of its first granule.
    first_granule: u32,
    first_cell: usize,
    /// The number of its first block.
    first_block: u32,
}

/// 1 KiB of a heap.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// A block, or what is none, begins at this granule.
    boundary: u64,
    /// A block in use begins there.
    used: u64,
    /// A block in a thread cache or a fast bin begins there; or, within a block in use, its object does, if that
    /// is not at the block's beginning.
    cached: u64,
    /// The last boundary before this cell, as a granule's number; [`NONE`] if there is none.
    last: u32,
    /// How many blocks in use begin before this cell.
    before: u32,
}

/// The index of all ranges.
#[derive(Default)]
pub(crate) struct Index {
    /// In the order of their addresses; none overlaps another.
    ranges: Vec<HeapRange>,
    cells: Vec<Cell>,
    blocks: u32,
}

impl Index {
    /// An index of these ranges, in which no block is known but the mapped chunks. None if they
    /// overlap, or if they have more granules than a u32 can count (64 GiB).
    pub(crate) fn new(mut ranges: Vec<HeapRange>) -> Option<Self> {
        ranges.sort_by_key(|range| range.start);
        if ranges.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return None;
        }
        let (mut granules, mut cells) = (0u64, 0u64);
        for range in &mut ranges {
            range.first_granule = u32::try_from(granules).ok()?;
            range.first_cell = usize::try_from(cells).ok()?;
            let size = range.end.checked_sub(range.start & !(CELL - 1))?;
            granules += size / GRANULE + 1;
            cells += if range.kind == RangeKind::Mapped { 0 } else { size.div_ceil(CELL) };
        }
        // The last number means none.
        (granules < u64::from(u32::MAX)).then_some(())?;
        let cells = vec![Cell::default(); usize::try_from(cells).ok()?];
        Some(Self { ranges, cells, blocks: 0 })
    }

    pub(crate) fn ranges(&self) -> &[HeapRange] {
        &self.ranges
    }

    /// The last block of a range that has cells ends here.
    pub(crate) fn set_blocks_end(&mut self, number: usize, end: u64) {
        if let Some(range) = self.ranges.get_mut(number) {
            range.blocks_end = end.clamp(range.start, range.end);
        }
    }

    /// How many blocks are in use.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The range that an address is in.
    pub(crate) fn range_at(&self, address: u64) -> Option<&HeapRange> {
        let next = self.ranges.partition_point(|range| range.start <= address);
        self.ranges[..next].last().filter(|range| address < range.end)
    }

    /// The addresses between which all ranges lie.
    pub(crate) fn bounds(&self) -> Range<u64> {
        let start = self.ranges.first().map_or(0, |range| range.start);
        start..self.ranges.last().map_or(0, |range| range.end)
    }

    fn cell_of(&self, range: &HeapRange, address: u64) -> Option<(usize, u32)> {
        (range.kind != RangeKind::Mapped).then_some(())?;
        let into = address.checked_sub(range.start & !(CELL - 1))?;
        let cell = range.first_cell + usize::try_from(into / CELL).ok()?;
        Some((cell, (into % CELL / GRANULE) as u32))
    }

    /// The number of an address's granule; none if it is in no range.
    pub(crate) fn granule(&self, address: u64) -> Option<u32> {
        let range = self.range_at(address)?;
        let into = (address - (range.start & !(CELL - 1))) / GRANULE;
        range.first_granule.checked_add(u32::try_from(into).ok()?)
    }

    /// Something begins at this address of a range that has cells: a block in use, or what is none.
    pub(crate) fn set_boundary(&mut self, range: usize, address: u64, used: bool) {
        let Some(range) = self.ranges.get(range) else { return };
        let Some((cell, bit)) = self.cell_of(range, address) else { return };
        if let Some(cell) = self.cells.get_mut(cell) {
            cell.boundary |= 1 << bit;
            cell.used |= u64::from(used) << bit;
        }
    }

    /// The chunk with this block is in a thread cache or a fast bin. False if no chunk can be there, or
    /// it is in such a list already.
    pub(crate) fn set_cached(&mut self, address: u64) -> bool {
        let range = self.range_at(address).filter(|range| range.kind == RangeKind::Arena);
        let cell = range.and_then(|range| self.cell_of(range, address));
        let Some((cell, bit)) = cell.filter(|_| address.is_multiple_of(GRANULE)) else {
            return false;
        };
        let Some(cell) = self.cells.get_mut(cell) else { return false };
        let new = cell.cached & 1 << bit == 0;
        cell.cached |= 1 << bit;
        new
    }

    /// The object of a block in use begins here, behind the block's beginning.
    pub(crate) fn set_entry(&mut self, address: u64) {
        let cell = self.range_at(address).and_then(|range| self.cell_of(range, address));
        if let Some((cell, bit)) = cell
            && let Some(cell) = self.cells.get_mut(cell)
            && cell.boundary >> bit & 1 == 0
        {
            cell.cached |= 1 << bit;
        }
    }

    /// True if an object begins in one of the two granules behind this one, of the same block.
    fn has_entry(&self, cell: usize, bit: u32) -> bool {
        for next in 1..=2 {
            let (at, bit) = (cell + (bit + next) as usize / 64, (bit + next) % 64);
            let Some(cell) = self.cells.get(at) else { return false };
            if cell.boundary >> bit & 1 == 1 {
                return false;
            }
            if cell.cached >> bit & 1 == 1 {
                return true;
            }
        }
        false
    }

    pub(crate) fn is_cached(&self, address: u64) -> bool {
        self.bit(address, |cell| cell.cached)
    }

    /// True if something begins exactly here that is not in use.
    pub(crate) fn is_free(&self, address: u64) -> bool {
        self.bit(address, |cell| cell.boundary & !cell.used & !cell.cached)
    }

    fn bit(&self, address: u64, bits: impl Fn(&Cell) -> u64) -> bool {
        let cell = self.range_at(address).and_then(|range| self.cell_of(range, address));
        cell.and_then(|(cell, bit)| Some(bits(self.cells.get(cell)?) >> bit & 1 == 1))
            .unwrap_or(false)
    }

    /// How many chunks are in thread caches and fast bins that were not walked as chunks in use.
    pub(crate) fn stray_cached(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from((cell.cached & !cell.boundary).count_ones())).sum()
    }

    /// Numbers the blocks, in the order of their addresses. To be called when all boundaries are set.
    pub(crate) fn number_blocks(&mut self) {
        let mut blocks = 0u32;
        for range in &mut self.ranges {
            range.first_block = blocks;
            if range.kind == RangeKind::Mapped {
                blocks += 1;
                continue;
            }
            let count = (range.end - (range.start & !(CELL - 1))).div_ceil(CELL);
            let end = range.first_cell.saturating_add(count as usize).min(self.cells.len());
            let mut last = NONE;
            for (at, cell) in self.cells[range.first_cell..end].iter_mut().enumerate() {
                (cell.last, cell.before) = (last, blocks);
                blocks += cell.used.count_ones();
                if let Some(bit) = cell.boundary.checked_ilog2() {
                    last = range.first_granule + at as u32 * 64 + bit;
                }
            }
        }
        self.blocks = blocks;
    }

    /// The block in use that an address is in, and whether the address is in its first 16 bytes, or in the first 16
    /// of its object. None also if it is in the bytes before an object: that is a link of the garbage collector's lists,
    /// which hold nothing.
    pub(crate) fn block_at(&self, address: u64) -> Option<(u32, bool)> {
        let range = self.range_at(address)?;
        if range.kind == RangeKind::Mapped {
            let inside = range.block <= address && address < range.blocks_end;
            return inside.then(|| (range.first_block, address - range.block < GRANULE));
        }
        if address >= range.blocks_end {
            return None;
        }
        let (at, bit) = self.cell_of(range, address)?;
        let cell = self.cells.get(at)?;
        if self.has_entry(at, bit) {
            return None;
        }
        let up_to = cell.boundary & (u64::MAX >> (63 - bit));
        match up_to.checked_ilog2() {
            Some(begin) => {
                let number = cell.before + (cell.used & ((1 << begin) - 1)).count_ones();
                let exact = begin == bit || cell.cached >> bit & 1 == 1;
                (cell.used >> begin & 1 == 1).then_some((number, exact))
            }
            None if cell.last == NONE => None,
            None => {
                let into = cell.last.checked_sub(range.first_granule)?;
                let exact = cell.cached >> bit & 1 == 1;
                let (at, bit) = (range.first_cell + into as usize / 64, into % 64);
                let cell = self.cells.get(at)?;
                let number = cell.before + (cell.used & ((1 << bit) - 1)).count_ones();
                (cell.used >> bit & 1 == 1).then_some((number, exact))
            }
        }
    }

    /// The block in use of the chunk of glibc that begins exactly at this address.
    pub(crate) fn block_of_chunk(&self, chunk: u64) -> Option<u32> {
        let block = chunk.checked_add(GRANULE)?;
        let range = self.range_at(block)?;
        let begins = match range.kind {
            RangeKind::Mapped => range.block == block,
            RangeKind::Arena => {
                block.is_multiple_of(GRANULE) && self.bit(block, |cell| cell.boundary & cell.used)
            }
            RangeKind::Pools => false,
        };
        begins.then(|| self.block_at(block)).flatten().map(|(number, _)| number)
    }

    /// The block in use that begins exactly here.
    pub(crate) fn bounds_at(&self, address: u64) -> Option<Range<u64>> {
        let range = self.range_at(address)?;
        if range.kind == RangeKind::Mapped {
            return (range.block == address).then_some(address..range.blocks_end);
        }
        let (at, bit) = self.cell_of(range, address)?;
        let begins = self.cells.get(at)?.used >> bit & 1 == 1 && address.is_multiple_of(GRANULE);
        begins.then(|| address..self.next_boundary(range, at, bit))
    }

    /// The block with this number.
    pub(crate) fn bounds_of(&self, number: u32) -> Option<(&HeapRange, Range<u64>)> {
        let next = self.ranges.partition_point(|range| range.first_block <= number);
        // A range without blocks has the number of the next.
        let range = self.ranges[..next].last().filter(|_| number < self.blocks)?;
        if range.kind == RangeKind::Mapped {
            return Some((range, range.block..range.blocks_end));
        }
        let cells = self.cells_of(range);
        let at = cells.partition_point(|cell| cell.before <= number).checked_sub(1)?;
        let cell = cells.get(at)?;
        let mut bits = (0..64u32).filter(|bit| cell.used >> bit & 1 == 1);
        let bit = bits.nth((number - cell.before) as usize)?;
        let start = (range.start & !(CELL - 1)) + at as u64 * CELL + u64::from(bit) * GRANULE;
        Some((range, start..self.next_boundary(range, range.first_cell + at, bit)))
    }

    fn cells_of(&self, range: &HeapRange) -> &[Cell] {
        let count = match range.kind {
            RangeKind::Mapped => 0,
            _ => (range.end - (range.start & !(CELL - 1))).div_ceil(CELL) as usize,
        };
        let end = range.first_cell.saturating_add(count).min(self.cells.len());
        self.cells.get(range.first_cell..end).unwrap_or_default()
    }

    /// Where the next thing begins behind this granule of a range, or the last block ends.
    fn next_boundary(&self, range: &HeapRange, at: usize, bit: u32) -> u64 {
        let base = range.start & !(CELL - 1);
        let cells = self.cells_of(range).iter().enumerate().skip(at - range.first_cell);
        let mut later = cells.map(|(number, cell)| match number + range.first_cell == at {
            true => (number, cell.boundary & u64::MAX.checked_shl(bit + 1).unwrap_or(0)),
            false => (number, cell.boundary),
        });
        let next = later.find(|(_, boundary)| *boundary != 0);
        next.map_or(range.blocks_end, |(number, boundary)| {
            base + number as u64 * CELL + u64::from(boundary.trailing_zeros()) * GRANULE
        })
    }

    /// The block of a granule: see [`Index::block_at`].
    pub(crate) fn block_of_granule(&self, granule: u32) -> Option<(u32, bool)> {
        let next = self.ranges.partition_point(|range| range.first_granule <= granule);
        let range = self.ranges[..next].last()?;
        let into = u64::from(granule - range.first_granule) * GRANULE;
        // A range may begin, and a mapped chunk's block may, in the middle of its first granule's cell.
        self.block_at((range.start & !(CELL - 1)).saturating_add(into).max(range.start))
    }

    /// All that begins somewhere: the range, the address, where the next thing begins, and whether it is a
    /// block in use. Those in use come in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&HeapRange, Range<u64>, bool)> {
        self.ranges.iter().flat_map(move |range| {
            let mapped = (range.kind == RangeKind::Mapped).then_some((
                range,
                range.block..range.blocks_end,
                true,
            ));
            let mut boundaries = self.boundaries(range).peekable();
            let walked = std::iter::from_fn(move || {
                let (address, used) = boundaries.next()?;
                let end = boundaries.peek().map_or(range.blocks_end, |&(next, _)| next);
                Some((range, address..end, used))
            });
            mapped.into_iter().chain(walked)
        })
    }

    /// Where something begins in a range that has cells, and whether that is a block in use.
    fn boundaries(&self, range: &HeapRange) -> impl Iterator<Item = (u64, bool)> {
        let base = range.start & !(CELL - 1);
        let cells = self.cells_of(range).iter().enumerate();
        cells.flat_map(move |(at, cell)| {
            let bits = (0..64u64).filter(move |bit| cell.boundary >> bit & 1 == 1);
            bits.map(move |bit| {
                (base + at as u64 * CELL + bit * GRANULE, cell.used >> bit & 1 == 1)
            })
        })
    }
}

impl HeapRange {
    /// A range of which nothing has been walked yet.
    pub(crate) fn new(kind: RangeKind, range: Range<u64>) -> Self {
        Self {
            kind,
            start: range.start,
            end: range.end,
            blocks_end: range.start,
            block: range.start,
            first_granule: 0,
            first_cell: 0,
            first_block: 0,
        }
    }

    /// A chunk with a mapping of its own, whose block is this.
    pub(crate) fn mapped(mapping: Range<u64>, block: Range<u64>) -> Self {
        let new = Self::new(RangeKind::Mapped, mapping);
        Self { block: block.start, blocks_end: block.end, ..new }
    }
}
