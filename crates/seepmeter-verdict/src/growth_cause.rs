//! Why growth may be harmless.

use seepmeter_record::MappingClass;
use seepmeter_record::conventions::metric;
use serde::{Deserialize, Serialize};

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

    /// The cause that a metric of a part measures the amount of, if it is such a metric.
    pub(crate) fn measured_by(name: &str) -> Option<Self> {
        let measured = [(&metric::THP, Self::HugePages), (&metric::LAZYFREE, Self::LazyFree)];
        measured.into_iter().find(|(metric, _)| metric.name == name).map(|(_, cause)| cause)
    }

    /// The cause that the class of a mapping suggests.
    pub(crate) fn of_class(class: &MappingClass) -> Option<Self> {
        match class {
            MappingClass::File => Some(Self::PageCache),
            MappingClass::SharedMemory | MappingClass::Memfd => Some(Self::SharedMemory),
            MappingClass::MainStack | MappingClass::ThreadStack => Some(Self::StackDepth),
            MappingClass::Jit => Some(Self::JitCode),
            MappingClass::Arena => Some(Self::AllocatorArenas),
            _ => None,
        }
    }

    /// What to know of it, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::HugePages => {
                "mostly transparent huge pages, which take more memory than the program requested"
            }
            Self::LazyFree => {
                "mostly memory given back by MADV_FREE: the kernel takes it when it needs it"
            }
            Self::PageCache => "pages of a file, which the kernel can take back",
            Self::SharedMemory => "shared memory: perhaps another process makes it grow",
            Self::StackDepth => "a stack that was deep once stays resident",
            Self::JitCode => "code of a JIT compiler, which stops growing when all is compiled",
            Self::AllocatorArenas => "arenas of malloc, which keep freed memory",
        }
    }
}
