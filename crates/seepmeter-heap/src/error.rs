//! Why there is no census.

use seepmeter_snapshot::SnapshotError;

use crate::other::OtherAllocator;

/// Why there is no census of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CensusError {
    /// The tables of glibc are known for x86-64 alone.
    #[error("heaps can be read on x86-64 only")]
    Machine,
    /// No allocator that can be read was found.
    #[error(
        "found no heap that can be read{}",
        match others.first() {
            Some(other) => format!(": the process uses {}, which is not understood", other.name()),
            None => ": neither glibc's malloc nor CPython's pymalloc is in use".to_owned(),
        }
    )]
    NoHeap {
        /// The allocators that were recognised and can't be read.
        others: Vec<OtherAllocator>,
    },
    /// What was walked disagrees with the allocator's own figures.
    #[error(
        "heap layout of {allocator} not understood: {check}; if the process was just allocating, try again"
    )]
    Layout {
        /// Whose heap.
        allocator: &'static str,
        /// What disagrees.
        check: LayoutCheck,
    },
    /// The memory is larger than the [`Limits`](crate::Limits).
    #[error("{what} are more than the limit of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The image can't be read any more.
    #[error(transparent)]
    Image(#[from] SnapshotError),
}

/// What must agree, or there is no census.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutCheck {
    /// A chunk's size is none that a chunk can have, or leads out of its heap.
    #[error("there is no chunk at {0:#x}")]
    Chunk(u64),
    /// A heap does not end where its arena says.
    #[error("a heap does not end with the top chunk at {0:#x}")]
    End(u64),
    /// The heaps of an arena have another size than it has got from the system.
    #[error("the heaps of an arena have {heaps} bytes, and it has got {system} from the system")]
    SystemBytes {
        /// The heaps' size in bytes.
        heaps: u64,
        /// What the arena says (`system_mem`).
        system: u64,
    },
    /// A heap belongs to another arena.
    #[error("the heap at {0:#x} is not its arena's")]
    HeapOwner(u64),
    /// The tables of the arena are none that is known.
    #[error("the arena at {0:#x} has an unknown layout")]
    ArenaLayout(u64),
    /// As many free chunks must be in the bins as were walked.
    #[error("{walked} free chunks were walked, and {listed} are in the bins")]
    FreeChunks {
        /// How many were walked.
        walked: u64,
        /// How many are in the bins.
        listed: u64,
    },
    /// A chunk of a thread cache or a fast bin must be one that was walked.
    #[error("{0} cached chunks are none that were walked")]
    CachedChunks(u64),
    /// A list of cached or free chunks is broken or has no end.
    #[error("the list at {0:#x} is broken")]
    List(u64),
    /// The main thread has a thread cache that was not found.
    #[error("the thread cache at {0:#x} has an unknown layout")]
    ThreadCache(u64),
    /// The chunks that have mappings of their own must be as many as the allocator counts.
    #[error(
        "{found} chunks of {found_bytes} bytes have mappings of their own, and the allocator counts \
         {counted} of {counted_bytes}"
    )]
    MappedChunks {
        /// How many were found.
        found: u64,
        /// How large their mappings are.
        found_bytes: u64,
        /// How many it counts (`n_mmaps`).
        counted: u64,
        /// How many bytes it counts (`mmapped_mem`).
        counted_bytes: u64,
    },
    /// The allocator's count of mapped chunks was not found.
    #[error("its count of mapped chunks was not found")]
    MappedCount,
    /// The free list of a pool and its counter must agree.
    #[error("the free list of the pool at {0:#x} and its counter disagree")]
    Pool(u64),
}

/// Why it can't be said which blocks are reachable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkError {
    /// The program keeps pointers in a form that can't be recognised.
    #[error("{0} hides pointers, so which blocks are reachable can't be said")]
    HiddenPointers(&'static str),
    /// Registers are roots, and there are none.
    #[error("the image has no threads, whose registers and stacks are roots")]
    NoThreads,
    /// The image can't be read any more.
    #[error(transparent)]
    Image(#[from] SnapshotError),
}
