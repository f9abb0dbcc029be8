//! All blocks of an image.

use std::fmt;
use std::ops::Range;

use seepmeter_snapshot::{Machine, MemoryImage, Window};

use crate::error::CensusError;
use crate::glibc::Glibc;
use crate::index::{GRANULE, HeapRange, Index, NONE, RangeKind};
use crate::other::{OtherAllocator, others};
use crate::pymalloc::Pools;
use crate::python::{PythonBlock, PythonTypes};

/// How much a census may read and keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The writable memory of the process in bytes, all of which is read. At most 64 GiB of it can be heaps.
    pub memory: u64,
    /// How many bytes of pointers between blocks are kept, at 4 bytes each.
    pub edges: u64,
}

impl Default for Limits {
    /// 64 GiB of memory and 4 GiB of edges.
    fn default() -> Self {
        Self { memory: 64 << 30, edges: 4 << 30 }
    }
}

/// Who has given out a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BlockOrigin {
    /// glibc's malloc, from one of its arenas.
    Arena,
    /// glibc's malloc, with a mapping of its own.
    Mapped,
    /// CPython's pymalloc.
    Pymalloc,
}

/// A block in use, or one that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What malloc has returned.
    pub address: u64,
    /// How many bytes can be used: what was asked for, rounded up (malloc_usable_size(3)).
    pub size: u64,
    /// Who has given it out.
    pub origin: BlockOrigin,
    pub(crate) number: u32,
}

impl Block {
    fn new(range: &HeapRange, bounds: Range<u64>, number: u32) -> Self {
        let (origin, header) = match range.kind {
            RangeKind::Arena => (BlockOrigin::Arena, 8),
            RangeKind::Mapped => (BlockOrigin::Mapped, 0),
            RangeKind::Pools => (BlockOrigin::Pymalloc, 0),
        };
        let size = (bounds.end - bounds.start).saturating_sub(header);
        Self { address: bounds.start, size, origin, number }
    }
}

/// The blocks that there were at one moment.
pub struct KnownBlocks {
    index: Index,
}

impl KnownBlocks {
    /// True if there was a block of this address and size.
    #[must_use]
    pub fn has(&self, block: &Block) -> bool {
        let range = self.index.range_at(block.address);
        let known = range.zip(self.index.bounds_at(block.address));
        known.is_some_and(|(range, bounds)| Block::new(range, bounds, 0).size == block.size)
    }
}

/// Not its tables, which are as large as a part of the heaps.
impl fmt::Debug for KnownBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownBlocks").field("blocks", &self.index.blocks()).finish_non_exhaustive()
    }
}

/// The bytes of the heaps that are in no block in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeBytes {
    /// Chunks in glibc's bins, with their headers.
    pub bins: u64,
    /// Chunks in thread caches and fast bins, with their headers.
    pub cached: u64,
    /// The last chunks of arenas, which new ones are cut from.
    pub top: u64,
    /// CPython's pools, with their headers.
    pub pools: u64,
}

/// All blocks of an image.
pub struct Census {
    pub(crate) index: Index,
    pub(crate) edges: Edges,
    pub(crate) others: Vec<OtherAllocator>,
    free: FreeBytes,
    /// Where heaps end that have a top chunk.
    tops: Vec<u64>,
    pub(crate) python: PythonTypes,
}

impl Census {
    /// Finds the heaps of an image and walks them.
    ///
    /// # Errors
    /// If no heap that can be read is found, if a check fails ([`CensusError::Layout`]; then another image of
    /// the same process may do, since an allocator may have been at work in this one), or if there is
    /// more memory than the limits allow.
    pub fn take(image: &MemoryImage<'_>, limits: &Limits) -> Result<Self, CensusError> {
        if image.machine() != Machine::X86_64 {
            return Err(CensusError::Machine);
        }
        let writable = image.regions().iter().filter(|it| it.perms.write && it.perms.read);
        let sizes = writable.map(|region| region.size());
        if sizes.fold(0, u64::saturating_add) > limits.memory {
            return Err(CensusError::TooLarge { what: "the mappings", limit: limits.memory });
        }
        let others = others(image);
        let mut pools = Pools::find(image);
        let mut ranges = pools.ranges();
        let mut glibc = Glibc::find(image, &ranges)?;
        image.check()?;
        ranges.extend(glibc.iter().flat_map(Glibc::ranges));
        if pools.is_empty() && glibc.as_ref().is_none_or(|glibc| !glibc.has_heaps()) {
            return Err(CensusError::NoHeap { others });
        }
        let too_large = CensusError::TooLarge { what: "the heaps", limit: 64 << 30 };
        let mut index = Index::new(ranges).ok_or(too_large)?;
        if let Some(glibc) = &mut glibc {
            glibc.find_cached(image, &mut index)?;
        }
        let mut edges = Edges::new(&index, limits);
        let mut free = FreeBytes::default();
        for number in 0..index.ranges().len() {
            let range = index.ranges()[number].clone();
            match (range.kind, &mut glibc) {
                (RangeKind::Pools, _) => pools.walk(image, &mut index, number, &mut edges)?,
                (RangeKind::Arena, Some(glibc)) => {
                    glibc.walk(image, &mut index, number, &mut edges)?;
                }
                _ => {
                    let mut window = Window::new(image, range.blocks_end);
                    edges.of_range(&index, &mut window, range.block..range.blocks_end)?;
                }
            }
        }
        if let Some(glibc) = &glibc {
            glibc.check(image, &index)?;
            free = glibc.free_bytes();
        }
        free.pools = pools.free_bytes;
        image.check()?;
        index.number_blocks();
        let mut python = PythonTypes::default();
        if !pools.is_empty() {
            python = PythonTypes::find(image, &mut index);
            image.check()?;
        }
        edges.resolve(&index);
        python.clean_edges(&mut edges, &index);
        python.name_buffers(&mut edges);
        let tops = glibc.as_ref().map_or_else(Vec::new, Glibc::tops);
        Ok(Self { index, edges, others, free, tops, python })
    }

    /// What a block is to CPython. None if it is nothing of CPython's, or that is not known.
    #[must_use]
    pub fn python_block(&self, block: &Block) -> Option<PythonBlock> {
        self.python.of(block.number)
    }

    /// The name of a CPython type by its number: `list`, `collections.deque`, `__main__.Row`.
    #[must_use]
    pub fn python_type(&self, number: u32) -> &str {
        self.python.name(number)
    }

    /// How far into its block an object of CPython begins: not 0 if it is in the collector's lists.
    pub(crate) fn object_offset(&self, block: &Block) -> u64 {
        match self.python_block(block) {
            Some(PythonBlock::Object(it)) => self.python.offset(it),
            _ => 0,
        }
    }

    /// How many references an object of CPython counts. None of what is none, and of one that is immortal.
    pub(crate) fn reference_count(&self, block: &Block, image: &MemoryImage<'_>) -> Option<u64> {
        let Some(PythonBlock::Object(it)) = self.python_block(block) else { return None };
        let word = image.word(block.address + self.python.offset(it))?;
        // Since 3.12 the immortal ones have the highest bit; the upper half is for flags.
        let count = word as u32;
        (count < 1 << 31).then_some(u64::from(count))
    }

    /// True if a heap that ends here ends with the top chunk of its arena.
    pub(crate) fn ends_with_top(&self, end: u64) -> bool {
        self.tops.contains(&end)
    }

    /// The blocks in use, by address.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        let used = self.index.iter().filter(|(.., used)| *used);
        used.zip(0..).map(|((range, bounds, _), number)| Block::new(range, bounds, number))
    }

    /// The block that an address is in, also if it is in what is before its object.
    #[must_use]
    pub fn block_at(&self, address: u64) -> Option<Block> {
        let mut near = [0, GRANULE, 2 * GRANULE].into_iter();
        let (number, _) = near.find_map(|more| self.index.block_at(address.checked_add(more)?))?;
        self.block(number).filter(|it| it.address <= address && address < it.address + it.size)
    }

    /// The block with this number.
    pub(crate) fn block(&self, number: u32) -> Option<Block> {
        let (range, bounds) = self.index.bounds_of(number)?;
        Some(Block::new(range, bounds, number))
    }

    /// Which blocks there are, without anything else.
    #[must_use]
    pub fn into_known(self) -> KnownBlocks {
        KnownBlocks { index: self.index }
    }

    /// The blocks of glibc that are free, in bins, thread caches and fast bins, by address.
    pub fn free_blocks(&self) -> impl Iterator<Item = (u64, u64)> {
        let free = |&(range, _, used): &(&crate::index::HeapRange, Range<u64>, bool)| {
            range.kind == RangeKind::Arena && !used
        };
        let free = self.index.iter().filter(free);
        free.map(|(_, bounds, _)| (bounds.start, (bounds.end - bounds.start).saturating_sub(8)))
    }

    /// How many blocks are in use.
    #[must_use]
    pub fn block_count(&self) -> u64 {
        u64::from(self.index.blocks())
    }

    /// What of the heaps is in no block.
    #[must_use]
    pub fn free_bytes(&self) -> FreeBytes {
        self.free
    }

    /// Allocators and runtimes that were recognised and are not read: their blocks are not among these.
    #[must_use]
    pub fn other_allocators(&self) -> &[OtherAllocator] {
        &self.others
    }
}

/// Not its tables, which are as large as a part of the heaps.
impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut census = f.debug_struct("Census");
        census.field("blocks", &self.block_count()).field("free", &self.free);
        census.field("others", &self.others).finish_non_exhaustive()
    }
}

/// The pointers from blocks to blocks.
pub(crate) struct Edges {
    /// First the granules that are pointed at; after [`Edges::resolve`] the blocks, with the lowest bit set
    /// if it is the beginning of a block.
    targets: Vec<u32>,
    /// Of each block, where its edges end.
    ends: Vec<u32>,
    heaps: Range<u64>,
    limit: usize,
    limit_bytes: u64,
}

impl Edges {
    fn new(index: &Index, limits: &Limits) -> Self {
        let limit = limits.edges / 4;
        let limit = usize::try_from(limit.min(u64::from(u32::MAX))).unwrap_or(usize::MAX);
        let (targets, ends) = (Vec::new(), Vec::new());
        Self { targets, ends, heaps: index.bounds(), limit, limit_bytes: limits.edges }
    }

    fn push(&mut self, index: &Index, word: u64) {
        if self.heaps.contains(&word) {
            self.targets.extend(index.granule(word));
        }
    }

    /// The words of the next block.
    pub(crate) fn of_block(&mut self, index: &Index, block: &[u8]) -> Result<(), CensusError> {
        for word in block.as_chunks().0 {
            self.push(index, u64::from_le_bytes(*word));
        }
        self.end_block()
    }

    /// The words of the next block, which is this range. What can't be read has no edges.
    pub(crate) fn of_range(
        &mut self,
        index: &Index,
        window: &mut Window<'_, '_>,
        range: Range<u64>,
    ) -> Result<(), CensusError> {
        for address in range.step_by(8) {
            if let Some(word) = window.word(address) {
                self.push(index, word);
            }
            if self.targets.len() > self.limit {
                break;
            }
        }
        self.end_block()
    }

    fn end_block(&mut self) -> Result<(), CensusError> {
        let too_large = CensusError::TooLarge { what: "the pointers", limit: self.limit_bytes };
        let end = u32::try_from(self.targets.len()).ok();
        match end.filter(|_| self.targets.len() <= self.limit) {
            Some(end) => self.ends.push(end),
            None => return Err(too_large),
        }
        Ok(())
    }

    /// From granules to blocks.
    fn resolve(&mut self, index: &Index) {
        for target in &mut self.targets {
            let block = index.block_of_granule(*target);
            *target = block.map_or(NONE, |(number, exact)| number << 1 | u32::from(exact));
        }
    }

    /// Where the edges of a block are.
    fn range(&self, block: u32) -> Range<usize> {
        let at = block as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        start.unwrap_or(0) as usize..self.ends.get(at).copied().unwrap_or(0) as usize
    }

    /// Makes edges of a block that lead to such blocks edges to their beginnings.
    pub(crate) fn make_exact(&mut self, block: u32, mut is_meant: impl FnMut(u32) -> bool) {
        let range = self.range(block);
        for target in self.targets.get_mut(range).unwrap_or_default() {
            if *target != NONE && is_meant(*target >> 1) {
                *target |= 1;
            }
        }
    }

    /// Takes away those edges of a block that lead to such blocks.
    pub(crate) fn remove(&mut self, block: u32, mut is_wrong: impl FnMut(u32) -> bool) {
        let range = self.range(block);
        for target in self.targets.get_mut(range).unwrap_or_default() {
            if *target != NONE && is_wrong(*target >> 1) {
                *target = NONE;
            }
        }
    }

    /// Which blocks a block points at, and whether at their beginning.
    pub(crate) fn of(&self, block: u32) -> impl Iterator<Item = (u32, bool)> {
        let targets = self.targets.get(self.range(block)).unwrap_or_default();
        let known = targets.iter().filter(|&&target| target != NONE);
        known.map(|&target| (target >> 1, target & 1 == 1))
    }
}
