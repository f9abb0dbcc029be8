//! The names that seepmeter's own samplers and readers agree on.
//!
//! A plugin may use others; if it means one of these, it uses this name, and every reader understands
//! it. They are documented in the book, in the chapter on the recording format.

use crate::model::open_words;
use crate::{AttributeType, AttributeValue};

/// Metrics. A sampler defines one of another kind of subject by [`MetricSpec::of`].
///
/// [`MetricSpec::of`]: crate::MetricSpec::of
pub mod metric {
    use crate::{MetricKind, MetricSpec, Unit};

    macro_rules! metrics {
        ($($name:ident = $word:literal, $unit:ident, $kind:ident, $help:literal;)+) => {
            $(
                #[doc = concat!("`", $word, "`: ", $help, ".")]
                pub const $name: MetricSpec<'static> =
                    MetricSpec::new($word, Unit::$unit, MetricKind::$kind, $help);
            )+

            /// All of them, in the order of the book.
            pub const ALL: &[MetricSpec<'static>] = &[$($name,)+];
        };
    }

    metrics! {
        RSS = "rss", Bytes, Gauge, "resident set: memory that is in RAM";
        VSIZE = "vsize", Bytes, Gauge, "address space: all that is mapped, in RAM or not";
        SHARED = "shared", Bytes, Gauge, "resident memory of files and of shared memory";
        TEXT = "text", Bytes, Gauge, "address space of the program's code";
        DATA = "data", Bytes, Gauge, "private writable address space, and the stack";
        PEAK = "peak", Bytes, HighWater, "largest resident set since the start (VmHWM)";
        INTERVAL_PEAK = "interval_peak", Bytes, Gauge, "largest resident set since the last sample";
        SWAP = "swap", Bytes, Gauge, "anonymous memory that is swapped out";
        PSS = "pss", Bytes, Gauge, "resident set, each page divided by the number of processes that map it";
        PRIVATE_DIRTY = "private_dirty", Bytes, Gauge, "resident pages that were written and that no other process maps";
        SWAP_PSS = "swap_pss", Bytes, Gauge, "swapped out, each page divided by the number of processes that have it";
        ANONYMOUS = "anonymous", Bytes, Gauge, "resident pages of no file";
        THP = "thp", Bytes, Gauge, "mapped by transparent huge pages";
        HUGETLB = "hugetlb", Bytes, Gauge, "resident in pages of hugetlbfs, which rss leaves out";
        LAZYFREE = "lazyfree", Bytes, Gauge, "given back by MADV_FREE and not yet taken by the kernel";
        LOCKED = "locked", Bytes, Gauge, "locked into memory";
        MAPPINGS = "mappings", Count, Gauge, "mappings of the address space: lines of /proc/PID/maps";
        THREADS = "threads", Count, Gauge, "threads";
        STACK = "stack", Stack, Gauge, "the stack of a thread when it was sampled";
        PAUSE = "pause", Nanoseconds, Gauge, "from the first thread's interrupt until all threads ran again";
        PAUSE_STOP = "pause_stop", Nanoseconds, Gauge, "of the pause: until all threads had stopped";
        PAUSE_READ = "pause_read", Nanoseconds, Gauge, "of the pause: reading the stopped target";
        PAUSE_RESUME = "pause_resume", Nanoseconds, Gauge, "of the pause: until all threads ran again";
        MEMORY_CALLS = "memory_calls", Count, Counter, "memory calls that have succeeded so far";
        MAPPED = "mapped", Bytes, Gauge, "address space mapped here and not unmapped since";
        GIVEN_BACK = "given_back", Bytes, Counter, "given back by madvise(2) here so far";
        FDS = "fds", Count, Gauge, "open file descriptors";
        CGROUP_CURRENT = "cgroup_current", Bytes, Gauge, "all memory of the cgroup, with pages of files and memory of the kernel";
        CGROUP_PEAK = "cgroup_peak", Bytes, HighWater, "largest cgroup_current since the cgroup was made";
        CGROUP_ANON = "cgroup_anon", Bytes, Gauge, "of it: pages of no file";
        CGROUP_FILE = "cgroup_file", Bytes, Gauge, "of it: pages of files, with tmpfs and shared memory";
        CGROUP_KERNEL = "cgroup_kernel", Bytes, Gauge, "of it: memory of the kernel";
        CGROUP_SHMEM = "cgroup_shmem", Bytes, Gauge, "of cgroup_file: tmpfs and shared memory, which the kernel can only swap out";
        CGROUP_SLAB = "cgroup_slab", Bytes, Gauge, "of cgroup_kernel: objects such as inodes and sockets";
        CGROUP_SWAP = "cgroup_swap", Bytes, Gauge, "memory of the cgroup that is swapped out";
        CGROUP_LIMIT = "cgroup_limit", Bytes, Gauge, "limit of cgroup_current; the largest number if it was lifted during the run";
        CGROUP_HIGH = "cgroup_high", Bytes, Gauge, "from this size on the kernel slows the cgroup down; the largest number if that was lifted during the run";
        CGROUP_SWAP_LIMIT = "cgroup_swap_limit", Bytes, Gauge, "limit of cgroup_swap; the largest number if it was lifted during the run";
        CGROUP_OOM = "cgroup_oom", Count, Counter, "times that the cgroup was out of memory";
        CGROUP_OOM_KILL = "cgroup_oom_kill", Count, Counter, "processes of the cgroup that the kernel has killed because memory was short";
        CGROUP_PRESSURE_SOME = "cgroup_pressure_some", Nanoseconds, Counter, "time in which at least one task of the cgroup waited for memory";
        CGROUP_PRESSURE_FULL = "cgroup_pressure_full", Nanoseconds, Counter, "time in which all tasks of the cgroup waited for memory";
    }

    /// True of a metric of resident memory, which the cgroup and the machine bound.
    #[must_use]
    pub fn is_resident(name: &str) -> bool {
        [RSS.name, PSS.name].contains(&name)
    }
}

/// Attributes of subjects.
pub mod attribute {
    use super::{DescriptorKind, MappingClass};
    use crate::{AttributeKey, Bytes, StackId, SubjectId};

    macro_rules! attributes {
        ($($name:ident: $type:ty = $word:literal, $help:literal;)+) => {
            $(
                #[doc = concat!("`", $word, "`: ", $help, ".")]
                pub const $name: AttributeKey<$type> = AttributeKey::new($word);
            )+

            /// The name and the meaning of each, in the order of the book.
            pub const ALL: &[(&str, &str)] = &[$(($word, $help),)+];
        };
    }

    attributes! {
        PID: i32 = "pid", "of a process: its pid";
        START_TIME: u64 = "start", "of a process: its start time in clock ticks since boot (field 22 of /proc/PID/stat); with the pid it identifies the process, since pids are reused";
        COMMAND: Bytes = "command", "of a descendant of a target: its command line, with a space between two words";
        PREDECESSOR: SubjectId = "predecessor", "of a target that was started again while the run went on: the subject of the target before it, which has ended. An epoch of the run begins with it";
        TID: i32 = "tid", "of a thread and of its stack: the thread's id";
        CGROUP_LIMIT: u64 = "limit.cgroup", "of a target and of a cgroup: the memory limit of its cgroup, or of the cgroup above it with the least room, in bytes";
        CGROUP_USED: u64 = "used.cgroup", "of a target and of a cgroup: how much of that all processes together used at the start of the run, without idle pages of files, in bytes";
        CGROUP_HIGH: u64 = "limit.cgroup_high", "of a target and of a cgroup: the `memory.high` of its cgroup, or of the cgroup above it with the least room, in bytes: what is above it is slowed down";
        CGROUP_HIGH_USED: u64 = "used.cgroup_high", "of a target and of a cgroup: how much of that all processes together used at the start of the run, without idle pages of files, in bytes";
        ADDRESS_SPACE_LIMIT: u64 = "limit.address_space", "of a target: RLIMIT_AS in bytes";
        DATA_LIMIT: u64 = "limit.data", "of a target: RLIMIT_DATA in bytes";
        MAPPINGS_LIMIT: u64 = "limit.mappings", "of a target: how many mappings it may have (vm.max_map_count)";
        SHM_LIMIT: u64 = "limit.shm", "of a target: the size of the tmpfs at its /dev/shm in bytes";
        SHM_USED: u64 = "used.shm", "of a target: how much of that all processes together used at the start of the run, in bytes";
        DESCRIPTOR_LIMIT: u64 = "limit.descriptors", "of a target: RLIMIT_NOFILE, how many descriptors it may have open";
        TASK_LIMIT: u64 = "limit.tasks", "of a target: pids.max of its cgroup, or of the cgroup above it with the least room: how many threads all its processes may have";
        TASKS_USED: u64 = "used.tasks", "of a target: how many of those there were at the start of the run";
        USER_TASK_LIMIT: u64 = "limit.user_tasks", "of a target: RLIMIT_NPROC, how many threads all processes of its user may have; root is exempt";
        MACHINE_LIMIT: u64 = "limit.machine", "of a target and of a cgroup: the machine's memory in bytes";
        MACHINE_AVAILABLE: u64 = "available.machine", "of a target and of a cgroup: how much of that was available at the start of the run, in bytes";
        CLASS: MappingClass = "class", "of a mapping and of a mapping group: its class";
        FILE: Bytes = "file", "of a mapping, a mapping group and a descriptor group: the file's path, or the name that the program or the kernel gave it";
        LEAST_SIZE: u64 = "least_size", "of a mapping group: its mappings are at least this large, in bytes";
        SIZE_BOUND: u64 = "size_bound", "of a mapping group: its mappings are smaller than this, in bytes";
        PERMISSIONS: Bytes = "permissions", "of a mapping: `rwxp` as in /proc/PID/maps";
        RANGE: Bytes = "range", "of a mapping: its addresses when it was first seen, as in /proc/PID/maps";
        DESCRIPTOR: DescriptorKind = "descriptor", "of a descriptor group: what its descriptors are open for";
        STACK: StackId = "stack", "of a stack: its definition";
    }
}

/// What mappings are called together, for people: of each class whose members go by one name.
pub mod title {
    /// The stacks of all threads but the main one.
    pub const THREAD_STACKS: &str = "stacks of threads";
    /// The anonymous mappings of all sizes; behind it stands a size, if only those of one are meant.
    pub const ANONYMOUS: &str = "anonymous mappings";
}

open_words! {
    /// What a mapping is for.
    MappingClass {
        /// What brk(2) moves: `[heap]`.
        Heap = "heap",
        /// The main thread's stack: `[stack]`.
        MainStack = "main-stack",
        /// Another thread's stack.
        ThreadStack = "thread-stack",
        /// Private memory of no file and no name.
        Anonymous = "anonymous",
        /// Anonymous memory with a name of its own (PR_SET_VMA_ANON_NAME of prctl(2)).
        Named = "named",
        /// Address space with no access.
        Reserved = "reserved",
        /// A heap of one of glibc's malloc arenas, or the rest that it may grow into.
        Arena = "arena",
        /// Anonymous memory that can be executed.
        Jit = "jit",
        /// A file.
        File = "file",
        /// Shared memory: of System V, of /dev/shm, or shared and anonymous.
        SharedMemory = "shared-memory",
        /// Memory of memfd_create(2).
        Memfd = "memfd",
        /// A file that was deleted.
        DeletedFile = "deleted-file",
        /// Pages of hugetlbfs.
        Hugetlb = "hugetlb",
        /// What the kernel maps: `[vdso]` and the like.
        Kernel = "kernel",
    }
}

open_words! {
    /// What a file descriptor is open for.
    DescriptorKind {
        /// A file or a folder with a path, a device too.
        File = "file",
        /// A socket.
        Socket = "socket",
        /// A pipe, or a FIFO that has no name.
        Pipe = "pipe",
        /// eventfd(2).
        Eventfd = "eventfd",
        /// epoll(7).
        Epoll = "epoll",
        /// Memory of memfd_create(2).
        Memfd = "memfd",
        /// inotify(7).
        Inotify = "inotify",
        /// timerfd_create(2).
        Timerfd = "timerfd",
        /// signalfd(2).
        Signalfd = "signalfd",
        /// Any other thing that has no path: io_uring, a pidfd, a BPF map, a namespace, …
        Anonymous = "anonymous",
    }
}

impl DescriptorKind {
    /// What several descriptors of this kind are called.
    #[must_use]
    pub fn plural(&self) -> &str {
        match self {
            Self::File => "files",
            Self::Socket => "sockets",
            Self::Pipe => "pipes",
            Self::Eventfd => "eventfds",
            Self::Epoll => "epoll instances",
            Self::Memfd => "memfds",
            Self::Inotify => "inotify instances",
            Self::Timerfd => "timerfds",
            Self::Signalfd => "signalfds",
            Self::Anonymous => "anonymous inodes",
            other => other.as_str(),
        }
    }
}

macro_rules! word_attributes {
    ($($words:ident),+) => {$(
        impl AttributeType for $words {
            fn from_value(value: &AttributeValue) -> Option<Self> {
                match value {
                    AttributeValue::Text(word) => {
                        std::str::from_utf8(word.as_bytes()).ok().map(Self::from)
                    }
                    AttributeValue::Int(_) => None,
                }
            }

            fn into_value(self) -> AttributeValue {
                AttributeValue::Text(self.as_str().into())
            }
        }
    )+};
}

word_attributes!(MappingClass, DescriptorKind);
