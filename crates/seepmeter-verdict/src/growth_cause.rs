//! Why growth may be harmless.

use serde::{Deserialize, Serialize};

use crate::names::metric;
use crate::part::PartClass;

/// What the growth of a part comes from, if that is usually no leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrowthCause {
    /// At least half of it is transparent huge pages.
    HugePages,
    /// At least half of it was given back by MADV_FREE of madvise(2).
    LazyFree,
    /// Pages of a file.
    PageCache,
    /// Shared memory.
    SharedMemory,
    /// A stack.
    StackDepth,
    /// Code of a JIT compiler.
    JitCode,
    /// Arenas of malloc.
    AllocatorArenas,
}

impl GrowthCause {
    /// Those that a metric of the part measures.
    pub(crate) const MEASURED: [Self; 2] = [Self::HugePages, Self::LazyFree];

    /// The metric that measures how much of a part it is, if there is one.
    pub(crate) fn metric(self) -> Option<&'static str> {
        match self {
            Self::HugePages => Some(metric::THP),
            Self::LazyFree => Some(metric::LAZYFREE),
            _ => None,
        }
    }

    /// The cause that the class of a mapping suggests.
    pub(crate) fn of_class(class: &PartClass) -> Option<Self> {
        match class {
            PartClass::File => Some(Self::PageCache),
            PartClass::Shm | PartClass::Memfd => Some(Self::SharedMemory),
            PartClass::MainStack | PartClass::ThreadStack => Some(Self::StackDepth),
            PartClass::Jit => Some(Self::JitCode),
            PartClass::Arena => Some(Self::AllocatorArenas),
            PartClass::Other(_) => None,
        }
    }

    /// What to know of it, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::HugePages => "mostly transparent huge pages, which take more than was asked for",
            Self::LazyFree => {
                "mostly given back by MADV_FREE: the kernel takes it when it needs it"
            }
            Self::PageCache => "pages of a file, which the kernel can take back",
            Self::SharedMemory => "shared memory: another process may be the one that grows it",
            Self::StackDepth => "a stack that was deep once stays resident",
            Self::JitCode => "code of a JIT compiler: it usually stops when all is compiled",
            Self::AllocatorArenas => "arenas of malloc, which keep what was freed",
        }
    }
}
