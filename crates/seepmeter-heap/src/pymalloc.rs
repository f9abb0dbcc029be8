//! CPython's small objects: pools of blocks of one size (Include/internal/pycore_obmalloc.h, before 3.12
//! Objects/obmalloc.c), the same from 3.8 to 3.14.

use std::ops::Range;

use seepmeter_snapshot::{MemoryImage, SnapshotMemory};

use crate::census::Edges;
use crate::error::{CensusError, LayoutCheck};
use crate::index::{HeapRange, Index, RangeKind};

/// `struct pool_header`, rounded up to a block.
const HEADER: u64 = 48;
/// Up to 3.9, and since 3.10.
const POOL_SIZES: [u64; 2] = [4096, 16384];
/// The largest blocks have 512 bytes.
const MAX_SIZE_INDEX: u32 = 31;
/// How many headers are read at once.
const HEADERS: usize = 512;

/// A pool whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pool {
    address: u64,
    pool_size: u64,
    /// Of each block, in bytes.
    size: u64,
    used: u64,
    /// How many blocks have been given out at least once.
    carved: u64,
    free: u64,
}

impl Pool {
    /// Reads a pool's header; none if it is none.
    fn parse(address: u64, pool_size: u64, header: &[u8]) -> Option<Self> {
        let half = |at: usize| {
            Some(u64::from(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?)))
        };
        let free = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
        let (used, index, next, last) = (half(0)?, half(36)?, half(40)?, half(44)?);
        let size = (index <= u64::from(MAX_SIZE_INDEX)).then_some((index + 1) * 16)?;
        let given_out = next.checked_sub(HEADER)?;
        let sound = last == pool_size - size
            && next <= pool_size
            && given_out.is_multiple_of(size)
            && used <= (pool_size - HEADER) / size;
        let pool = Self { address, pool_size, size, used, carved: given_out / size, free };
        (sound && (free == 0 || pool.block(free).is_some())).then_some(pool)
    }

    /// Which of the blocks given out an address is the beginning of.
    fn block(&self, address: u64) -> Option<usize> {
        let into = address.checked_sub(self.address)?.checked_sub(HEADER)?;
        let number = into / self.size;
        (into.is_multiple_of(self.size) && number < self.carved).then_some(number as usize)
    }

    /// Which blocks are in use; none if the free list and the counter disagree.
    fn in_use(&self, bytes: &[u8]) -> Option<Vec<bool>> {
        let mut in_use = vec![self.used > 0; self.carved as usize];
        if self.used == 0 {
            // An empty pool: what its list says is of no use.
            return Some(in_use);
        }
        let mut next = self.free;
        while next != 0 {
            // A block that is there twice ends a list that has no end.
            let used = in_use.get_mut(self.block(next)?)?;
            std::mem::replace(used, false).then_some(())?;
            let at = (next - self.address) as usize;
            next = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
        }
        let count = in_use.iter().filter(|&&used| used).count();
        (count as u64 == self.used).then_some(in_use)
    }
}

/// The pools of an image, in runs that lie one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pools: Vec<Pool>,
    /// How many bytes of them are in no block in use.
    pub(crate) free_bytes: u64,
}

impl Pools {
    /// Finds the pools: at the addresses where one may be, of private anonymous memory.
    pub(crate) fn find(image: &MemoryImage<'_>) -> Self {
        let mut found: [Vec<Pool>; 2] = Default::default();
        for region in image.regions().iter().filter(|it| it.is_anonymous() && it.perms.read) {
            let first = region.start.next_multiple_of(POOL_SIZES[0]);
            read_each(image, first..region.end, HEADER as usize, |address, header| {
                for (pools, size) in found.iter_mut().zip(POOL_SIZES) {
                    // A pool may reach over the seam of two mappings, but not out of memory.
                    if address.is_multiple_of(size) && image.region_at(address + size - 1).is_some()
                    {
                        pools.extend(Pool::parse(address, size, header));
                    }
                }
            });
        }
        let [small, large] = found;
        let mut pools = if small.len() > large.len() { small } else { large };
        // A word that happens to look like a header may be alone in a program that has no pools.
        if !pools.iter().any(|pool| pool.used > 0 && pool.check(image).is_some()) {
            pools.clear();
        }
        Self { pools, free_bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// The ranges that they fill.
    pub(crate) fn ranges(&self) -> Vec<HeapRange> {
        let mut ranges: Vec<HeapRange> = Vec::new();
        for pool in &self.pools {
            let end = pool.address + pool.pool_size;
            match ranges.last_mut() {
                Some(last) if last.end == pool.address => last.end = end,
                _ => ranges.push(HeapRange::new(RangeKind::Pools, pool.address..end)),
            }
        }
        for range in &mut ranges {
            range.blocks_end = range.end;
        }
        ranges
    }

    /// Walks the pools of a range.
    ///
    /// # Errors
    /// If a free list and its counter disagree.
    pub(crate) fn walk(
        &mut self,
        image: &MemoryImage<'_>,
        index: &mut Index,
        number: usize,
        edges: &mut Edges,
    ) -> Result<(), CensusError> {
        let range = index.ranges()[number].clone();
        let first = self.pools.partition_point(|pool| pool.address < range.start);
        let mut bytes = vec![0; POOL_SIZES[1] as usize];
        for pool in self.pools[first..].iter().take_while(|pool| pool.address < range.end) {
            let bytes = &mut bytes[..pool.pool_size as usize];
            let whole = image.read(pool.address, bytes) == bytes.len();
            let in_use = pool.in_use(bytes).filter(|_| whole).ok_or(CensusError::Layout {
                allocator: "CPython",
                check: LayoutCheck::Pool(pool.address),
            })?;
            // Pointers to the header are no pointers into the block before it.
            index.set_boundary(number, pool.address, false);
            for (at, &used) in in_use.iter().enumerate() {
                let start = HEADER as usize + at * pool.size as usize;
                index.set_boundary(number, pool.address + start as u64, used);
                if used {
                    edges.of_block(index, &bytes[start..start + pool.size as usize])?;
                }
            }
            let carved_end = HEADER + pool.carved * pool.size;
            if carved_end < pool.pool_size {
                index.set_boundary(number, pool.address + carved_end, false);
            }
            self.free_bytes += pool.pool_size - pool.used * pool.size;
        }
        Ok(())
    }
}

impl Pool {
    fn check(&self, image: &MemoryImage<'_>) -> Option<()> {
        let mut bytes = vec![0; self.pool_size as usize];
        (image.read(self.address, &mut bytes) == bytes.len()).then_some(())?;
        self.in_use(&bytes).map(drop)
    }
}

/// Reads so many bytes at the beginning of each page of a range, many at once.
pub(crate) fn read_each(
    image: &MemoryImage<'_>,
    range: Range<u64>,
    size: usize,
    mut each: impl FnMut(u64, &[u8]),
) {
    let mut buffer = vec![0; size * HEADERS];
    let mut next = range.start;
    while next < range.end {
        let pages = (next..range.end).step_by(POOL_SIZES[0] as usize).take(HEADERS);
        let mut pieces: Vec<SnapshotMemory<'_>> = pages
            .zip(buffer.chunks_exact_mut(size))
            .map(|(address, bytes)| SnapshotMemory::new(address, bytes))
            .collect();
        image.read_many(&mut pieces);
        for piece in pieces.iter().filter(|piece| piece.read == piece.bytes.len()) {
            each(piece.address, piece.bytes);
        }
        next = next.saturating_add(pieces.len() as u64 * POOL_SIZES[0]);
        if pieces.is_empty() || image.check().is_err() {
            break;
        }
    }
}
