//! The names in a stream that a verdict depends on.

/// Metrics.
pub mod metric {
    /// The resident set: what is judged unless another metric is asked for.
    pub const RSS: &str = "rss";
    /// The resident set, each page divided by how many processes map it.
    pub const PSS: &str = "pss";
    /// What is swapped out; it counts as resident when `rss` is judged, since swapping hides growth.
    pub const SWAP: &str = "swap";
    /// The kernel's own mark of the largest resident set.
    pub const PEAK: &str = "peak";
    /// The address space.
    pub const VSIZE: &str = "vsize";
    /// What of a part is mapped by transparent huge pages.
    pub const THP: &str = "thp";
    /// What of a part was given back by MADV_FREE and not taken by the kernel yet.
    pub const LAZYFREE: &str = "lazyfree";
}

/// Attributes of subjects.
pub mod attr {
    /// What a mapping is, by one of the words in [`class`](super::class).
    pub const CLASS: &str = "class";
    /// The thread whose stack a mapping is.
    pub const TID: &str = "tid";
}

/// Values of the attribute `class`, as far as a verdict depends on them.
pub mod class {
    /// A stack: of a thread where the subject has a `tid`, else of the main thread.
    pub const STACK: &str = "stack";
    /// The heaps of malloc's arenas.
    pub const ARENA: &str = "arena";
    /// Anonymous memory that can be executed.
    pub const JIT: &str = "jit";
    /// A file.
    pub const FILE: &str = "file";
    /// Shared memory.
    pub const SHM: &str = "shm";
    /// A memfd_create(2).
    pub const MEMFD: &str = "memfd";
}
