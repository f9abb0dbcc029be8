//! What a mapping is, and what it stays while it grows, splits and merges.

use std::mem::discriminant;
use std::rc::Rc;

use seepmeter_record::conventions::attribute;
use seepmeter_record::{Attributes, Bytes, MappingClass};

use crate::maps::Perms;
use crate::size::SizeClass;

/// What a mapping is: its [class](MappingGroup::class), and what tells it from others of that class.
/// Mappings of which this is equal are one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MappingGroup {
    /// What brk(2) moves: `[heap]`.
    Heap,
    /// The main thread's stack: `[stack]`.
    Stack,
    /// Another thread's stack, known by its stack pointer or by the name that glibc has given it.
    ThreadStack {
        /// The thread.
        tid: i32,
        /// The thread's name; empty if it has none or that is not known.
        name: Rc<[u8]>,
    },
    /// The stacks of all threads but the main one, [together](Self::together); or a stack, by its size and its
    /// guard, of which it is not known whose it is: the thread may have ended.
    ThreadStacks,
    /// A stack that glibc keeps for the next thread, by the name that it has given it.
    UnusedStack,
    /// Private memory of no file and no name.
    Anonymous {
        /// How large the mapping is now.
        size: SizeClass,
    },
    /// Anonymous memory with a name of its own (prctl PR_SET_VMA_ANON_NAME): `[anon:jemalloc]`.
    Named {
        /// The name as the kernel writes it, with its brackets.
        name: Rc<[u8]>,
    },
    /// Address space with no access.
    Reserved,
    /// A heap of one of glibc's arenas, or the rest that it may grow into.
    Arena,
    /// Anonymous memory that can be executed.
    Jit,
    /// A file.
    File(NamedFile),
    /// A file that has been removed.
    DeletedFile(NamedFile),
    /// Shared memory: of System V, /dev/shm, or shared and anonymous.
    SharedMemory(NamedFile),
    /// Of memfd_create(2).
    Memfd(NamedFile),
    /// Pages of hugetlbfs.
    Hugetlb,
    /// What the kernel maps: `[vdso]` and its like.
    Kernel {
        /// The name as the kernel writes it, with its brackets.
        name: Rc<[u8]>,
    },
}

/// What sets apart the mappings of files: a file, and what may be done with it, which differs between
/// the code and the data of one library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedFile {
    /// Its path, or the name that stands for one; without the kernel's ` (deleted)`.
    pub name: Rc<[u8]>,
    /// What may be done with the mapping.
    pub perms: Perms,
}

impl MappingGroup {
    /// The group that it is a part of where groups are counted, and not mappings: threads come and go by the
    /// thousand, and so would their stacks.
    #[must_use]
    pub fn together(&self) -> Self {
        match self {
            Self::ThreadStack { .. } => Self::ThreadStacks,
            other => other.clone(),
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> MappingClass {
        match self {
            Self::Heap => MappingClass::Heap,
            Self::Stack => MappingClass::MainStack,
            Self::ThreadStack { .. } | Self::ThreadStacks | Self::UnusedStack => {
                MappingClass::ThreadStack
            }
            Self::Anonymous { .. } => MappingClass::Anonymous,
            Self::Named { .. } => MappingClass::Named,
            Self::Reserved => MappingClass::Reserved,
            Self::Arena => MappingClass::Arena,
            Self::Jit => MappingClass::Jit,
            Self::File(_) => MappingClass::File,
            Self::DeletedFile(_) => MappingClass::DeletedFile,
            Self::SharedMemory(_) => MappingClass::SharedMemory,
            Self::Memfd(_) => MappingClass::Memfd,
            Self::Hugetlb => MappingClass::Hugetlb,
            Self::Kernel { .. } => MappingClass::Kernel,
        }
    }

    /// A path, or a name; none if it has none.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        match self {
            Self::ThreadStack { name, .. } | Self::Named { name } | Self::Kernel { name } => {
                Some(&**name)
            }
            _ => self.file().map(|file| &*file.name),
        }
        .filter(|name| !name.is_empty())
    }

    /// What it is of a file.
    #[must_use]
    pub fn file(&self) -> Option<&NamedFile> {
        match self {
            Self::File(file)
            | Self::DeletedFile(file)
            | Self::SharedMemory(file)
            | Self::Memfd(file) => Some(file),
            _ => None,
        }
    }

    /// The thread whose stack it is, if that is not the main thread.
    #[must_use]
    pub fn tid(&self) -> Option<i32> {
        match self {
            Self::ThreadStack { tid, .. } => Some(*tid),
            _ => None,
        }
    }

    /// The path of its file, or the name that the program gave the memory.
    #[must_use]
    pub fn file_name(&self) -> Option<Bytes> {
        let name = match self {
            Self::Named { name } => name,
            _ => &self.file()?.name,
        };
        Some(Bytes::from(&**name)).filter(|name| !name.is_empty())
    }

    /// The attributes of the group as a subject.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        let size = self.size().map(SizeClass::bounds);
        Attributes::new()
            .with(attribute::CLASS, self.class())
            .with_known(attribute::FILE, self.file_name())
            .with_known(attribute::TID, self.tid())
            .with_known(attribute::PERMISSIONS, self.file().map(|it| it.perms.to_string().into()))
            .with_known(attribute::LEAST_SIZE, size.map(|(least, _)| least))
            .with_known(attribute::SIZE_BOUND, size.and_then(|(_, bound)| bound))
    }

    /// How large an anonymous mapping is.
    #[must_use]
    pub fn size(&self) -> Option<SizeClass> {
        match self {
            Self::Anonymous { size } => Some(*size),
            _ => None,
        }
    }

    /// True if a mapping of this group that lies where one of group `old` lay is the same one.
    #[must_use]
    pub fn continues(&self, old: &Self) -> bool {
        match (self, old) {
            // An arena that is full has no rest that shows it; memory that was taken out of use by
            // PROT_NONE is still the mapping that it was.
            (Self::Anonymous { .. } | Self::Reserved, Self::Anonymous { .. })
            | (Self::Anonymous { .. }, Self::Arena) => true,
            // A file's line does not say that it is hugetlbfs's; a whole read did.
            (_, Self::Hugetlb) if self.file().is_some() => true,
            _ => {
                discriminant(self) == discriminant(old)
                    && self.name() == old.name()
                    && self.tid() == old.tid()
            }
        }
    }

    /// The group of a mapping of so many bytes as the continuation of one of group `old`: what its line
    /// does not show any more stays, and its size class follows its size.
    #[must_use]
    pub fn continuing(self, old: &Self, bytes: u64) -> Self {
        match (&self, old) {
            (Self::Reserved, Self::Anonymous { .. }) => {
                Self::Anonymous { size: SizeClass::of(bytes) }
            }
            (Self::Anonymous { .. }, Self::Arena) | (_, Self::Hugetlb) => old.clone(),
            _ => self,
        }
    }

    /// True if every resident page is anonymous memory, so that nobody need ask.
    #[must_use]
    pub fn all_anonymous(&self) -> bool {
        match self {
            Self::Heap
            | Self::Stack
            | Self::ThreadStack { .. }
            | Self::ThreadStacks
            | Self::UnusedStack
            | Self::Anonymous { .. }
            | Self::Named { .. }
            | Self::Reserved
            | Self::Arena
            | Self::Jit => true,
            Self::File(_)
            | Self::DeletedFile(_)
            | Self::SharedMemory(_)
            | Self::Memfd(_)
            | Self::Hugetlb
            | Self::Kernel { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::title::group_title;

    #[test]
    fn an_anonymous_mapping_that_grows_goes_to_the_class_of_its_size() {
        let small = MappingGroup::Anonymous { size: SizeClass::of(4096) };
        let large = MappingGroup::Anonymous { size: SizeClass::of(2 << 20) };
        assert!(large.continues(&small));
        assert_eq!(large.clone().continuing(&small, 2 << 20), large);
        // The part of it that PROT_NONE has taken out of use is still anonymous memory.
        assert!(MappingGroup::Reserved.continues(&large));
        assert_eq!(MappingGroup::Reserved.continuing(&large, 4096), small);
        assert_eq!(large.continuing(&MappingGroup::Arena, 2 << 20), MappingGroup::Arena);
        assert_eq!(group_title(&small), b"anonymous mappings under 64 KiB");
    }
}
