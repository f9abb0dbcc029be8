//! What a mapping is: its class, from its line, its neighbour, the threads' stacks and the files.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use crate::deleted::{DELETED, DeletedFiles};
use crate::maps::{Header, Perms, decimal};
use crate::size::SizeClass;

/// glibc puts each heap of an arena at a multiple of this (HEAP_MAX_SIZE on 64-bit machines).
const ARENA: u64 = 64 << 20;

/// What a mapping is. Mappings of equal classes are one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MappingClass {
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

/// The kinds of [`MappingClass`], without what they hold: one word each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is explained where it is a class")]
pub enum MappingKind {
    Heap,
    /// The stack of the main thread, or of another one: only the latter has a [tid](MappingClass::tid).
    Stack,
    UnusedStack,
    Anonymous,
    Named,
    Reserved,
    Arena,
    Jit,
    File,
    DeletedFile,
    SharedMemory,
    Memfd,
    Hugetlb,
    Kernel,
}

/// A word that is no [`MappingKind`]'s and no [`SizeClass`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord(pub String);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no class of mappings", self.0)
    }
}

impl std::error::Error for UnknownWord {}

impl MappingKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Heap,
        Self::Stack,
        Self::UnusedStack,
        Self::Anonymous,
        Self::Named,
        Self::Reserved,
        Self::Arena,
        Self::Jit,
        Self::File,
        Self::DeletedFile,
        Self::SharedMemory,
        Self::Memfd,
        Self::Hugetlb,
        Self::Kernel,
    ];

    /// Its word in recordings, flags and messages, which stays.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Stack => "stack",
            Self::UnusedStack => "unused-stack",
            Self::Anonymous => "anonymous",
            Self::Named => "named",
            Self::Reserved => "reserved",
            Self::Arena => "arena",
            Self::Jit => "jit",
            Self::File => "file",
            Self::DeletedFile => "deleted",
            Self::SharedMemory => "shm",
            Self::Memfd => "memfd",
            Self::Hugetlb => "hugetlb",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for MappingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MappingKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        kind.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl MappingClass {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> MappingKind {
        match self {
            Self::Heap => MappingKind::Heap,
            Self::Stack | Self::ThreadStack { .. } => MappingKind::Stack,
            Self::UnusedStack => MappingKind::UnusedStack,
            Self::Anonymous { .. } => MappingKind::Anonymous,
            Self::Named { .. } => MappingKind::Named,
            Self::Reserved => MappingKind::Reserved,
            Self::Arena => MappingKind::Arena,
            Self::Jit => MappingKind::Jit,
            Self::File(_) => MappingKind::File,
            Self::DeletedFile(_) => MappingKind::DeletedFile,
            Self::SharedMemory(_) => MappingKind::SharedMemory,
            Self::Memfd(_) => MappingKind::Memfd,
            Self::Hugetlb => MappingKind::Hugetlb,
            Self::Kernel { .. } => MappingKind::Kernel,
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

    /// How large an anonymous mapping is.
    #[must_use]
    pub fn size(&self) -> Option<SizeClass> {
        match self {
            Self::Anonymous { size } => Some(*size),
            _ => None,
        }
    }

    /// True if a mapping of this class that lies where one of class `old` lay is the same one.
    #[must_use]
    pub fn continues(&self, old: &Self) -> bool {
        use MappingKind::{Anonymous, Arena, Hugetlb, Reserved};
        match (self.kind(), old.kind()) {
            // An arena that is full has no rest that shows it; memory that was taken out of use by
            // PROT_NONE is still the mapping that it was.
            (Anonymous | Reserved, Anonymous) | (Anonymous, Arena) => true,
            // A file's line does not say that it is hugetlbfs's; a whole read did.
            (_, Hugetlb) if self.file().is_some() => true,
            (kind, old_kind) => {
                kind == old_kind && self.name() == old.name() && self.tid() == old.tid()
            }
        }
    }

    /// The class of a mapping of so many bytes as the continuation of one of class `old`: what its line
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

/// A thread whose stack pointer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadStack<'a> {
    /// An address within its stack.
    pub pointer: u64,
    /// The thread's id.
    pub tid: i32,
    /// The thread's name, which may be empty.
    pub name: &'a [u8],
}

/// The threads whose stack pointers are known. Not the main thread: its stack has a name in maps.
#[derive(Clone, Debug, Default)]
pub struct ThreadStacks<'a> {
    /// In the order of their addresses.
    stacks: Vec<ThreadStack<'a>>,
}

impl<'a> FromIterator<ThreadStack<'a>> for ThreadStacks<'a> {
    fn from_iter<I: IntoIterator<Item = ThreadStack<'a>>>(stacks: I) -> Self {
        let mut stacks: Vec<_> = stacks.into_iter().collect();
        stacks.sort_unstable();
        Self { stacks }
    }
}

impl ThreadStacks<'_> {
    /// The first that stands in a mapping.
    fn within(&self, header: &Header<'_>) -> Option<&ThreadStack<'_>> {
        let first = self.stacks.partition_point(|stack| stack.pointer < header.start);
        self.stacks.get(first).filter(|stack| stack.pointer < header.end)
    }

    fn name_of(&self, tid: i32) -> Rc<[u8]> {
        let stack = self.stacks.iter().find(|stack| stack.tid == tid);
        stack.map_or_else(Rc::default, |stack| stack.name.into())
    }
}

/// The class of each mapping.
#[must_use]
pub fn classify(
    headers: &[Header<'_>],
    stacks: &ThreadStacks<'_>,
    files: &mut DeletedFiles,
) -> Vec<MappingClass> {
    let alone = headers.iter().map(|header| classify_alone(header, stacks, files));
    let mut classes: Vec<MappingClass> = alone.collect();
    files.forget_unasked();
    for (at, pair) in headers.windows(2).enumerate() {
        if is_arena(&pair[0], &pair[1]) && classes[at].kind() == MappingKind::Anonymous {
            classes[at] = MappingClass::Arena;
            classes[at + 1] = MappingClass::Arena;
        }
    }
    classes
}

/// An arena's heap and the rest that it may grow into.
fn is_arena(heap: &Header<'_>, rest: &Header<'_>) -> bool {
    let anonymous = |header: &Header<'_>| header.inode == 0 && header.path.is_empty();
    anonymous(heap)
        && anonymous(rest)
        && heap.start.is_multiple_of(ARENA)
        && heap.perms.write
        && rest.perms.none()
        && rest.start == heap.end
        && heap.end < heap.start + ARENA
        && rest.end >= heap.start + ARENA
}

/// The class of a mapping, whatever its neighbours.
fn classify_alone(
    header: &Header<'_>,
    stacks: &ThreadStacks<'_>,
    files: &mut DeletedFiles,
) -> MappingClass {
    match header.path {
        b"" => without_a_name(header, stacks),
        b"[heap]" => MappingClass::Heap,
        b"[stack]" => MappingClass::Stack,
        path if path.starts_with(b"[anon:") || path.starts_with(b"[anon_shmem:") => {
            with_a_name(path, stacks)
        }
        path if path.first() == Some(&b'[') => MappingClass::Kernel { name: path.into() },
        _ => of_a_file(header, files),
    }
}

fn without_a_name(header: &Header<'_>, stacks: &ThreadStacks<'_>) -> MappingClass {
    if header.inode != 0 {
        return MappingClass::File(NamedFile { name: Rc::default(), perms: header.perms });
    }
    if header.perms.none() {
        return MappingClass::Reserved;
    }
    match stacks.within(header) {
        Some(stack) => MappingClass::ThreadStack { tid: stack.tid, name: stack.name.into() },
        None if header.perms.exec => MappingClass::Jit,
        None => MappingClass::Anonymous { size: SizeClass::of(header.len()) },
    }
}

/// The class of anonymous memory that has a name. glibc from 2.39 on gives names, if it is asked to
/// (GLIBC_TUNABLES=glibc.mem.decorate_maps=1):
///
/// ```text
/// [anon: glibc: pthread stack: TID]
/// [anon: glibc: pthread user stack: TID]
/// [anon: glibc: unused stack]
/// [anon: glibc: malloc arena]
/// [anon: glibc: malloc]
/// ```
fn with_a_name(path: &[u8], stacks: &ThreadStacks<'_>) -> MappingClass {
    let named = || MappingClass::Named { name: path.into() };
    let glibc = path.strip_prefix(b"[anon: glibc: ").and_then(|name| name.strip_suffix(b"]"));
    match glibc {
        Some(b"malloc arena") => MappingClass::Arena,
        Some(b"unused stack") => MappingClass::UnusedStack,
        Some(name) => {
            let tid = name.strip_prefix(b"pthread stack: ");
            let tid = tid.or_else(|| name.strip_prefix(b"pthread user stack: "));
            match tid.and_then(decimal).and_then(|tid| i32::try_from(tid).ok()) {
                Some(tid) => MappingClass::ThreadStack { tid, name: stacks.name_of(tid) },
                None => named(),
            }
        }
        None => named(),
    }
}

/// The class of what has a path, or a name that the kernel writes as one.
fn of_a_file(header: &Header<'_>, files: &mut DeletedFiles) -> MappingClass {
    let file = |name: &[u8]| NamedFile { name: name.into(), perms: header.perms };
    match header.path.strip_suffix(DELETED) {
        Some(b"/anon_hugepage") => MappingClass::Hugetlb,
        Some(b"/dev/zero") => MappingClass::SharedMemory(file(b"shared anonymous memory")),
        Some(name) if name.starts_with(b"/memfd:") => MappingClass::Memfd(file(&name[1..])),
        Some(name) if name.starts_with(b"/SYSV") => MappingClass::SharedMemory(file(&name[1..])),
        Some(name) if files.is_deleted(header) => match name.starts_with(b"/dev/shm/") {
            true => MappingClass::SharedMemory(file(name)),
            false => MappingClass::DeletedFile(file(name)),
        },
        _ => match header.path.starts_with(b"/dev/shm/") {
            true => MappingClass::SharedMemory(file(header.path)),
            false => MappingClass::File(file(header.path)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;
    use crate::title::group_title;

    fn classes(text: &str, stacks: &ThreadStacks<'_>) -> Vec<MappingClass> {
        let headers = maps::parse(text.as_bytes());
        classify(&headers, stacks, &mut DeletedFiles::as_the_kernel_says())
    }

    fn kinds(text: &str) -> Vec<&'static str> {
        let classes = classes(text, &ThreadStacks::default());
        classes.iter().map(|class| class.kind().as_str()).collect()
    }

    #[test]
    fn names_of_the_kernel_name_the_class() {
        let text = "\
1000-2000 rw-p 00000000 00:00 0 [heap]
2000-3000 rw-p 00000000 00:00 0 [anon:jemalloc]
3000-4000 rw-s 00000000 00:01 7 /memfd:a b (deleted)
4000-5000 rw-s 00000000 00:01 8 /dev/zero (deleted)
5000-6000 rw-s 00000000 00:01 9 /SYSV00000001 (deleted)
6000-7000 r-xp 00000000 00:01 9 /lib/gone.so (deleted)
7000-8000 rw-s 00000000 00:01 9 /dev/shm/x
8000-9000 rw-p 00000000 00:01 9 /anon_hugepage (deleted)
9000-a000 r-xp 00000000 00:00 0 [vdso]
a000-b000 rwxp 00000000 00:00 0 
b000-c000 ---p 00000000 00:00 0 
c000-d000 rw-p 00000000 00:00 0 [stack]
d000-e000 r--p 00000000 00:01 9 /lib/a.so
";
        let expected = [
            "heap", "named", "memfd", "shm", "shm", "deleted", "shm", "hugetlb", "kernel", "jit",
            "reserved", "stack", "file",
        ];
        assert_eq!(kinds(text), expected);
        let gone = classes(text, &ThreadStacks::default()).swap_remove(5);
        assert_eq!(gone.name(), Some(&b"/lib/gone.so"[..]));
    }

    #[test]
    fn every_word_is_read_back_as_its_kind() {
        for kind in MappingKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("[heap]".parse::<MappingKind>(), Err(UnknownWord("[heap]".to_owned())));
    }

    #[test]
    fn an_arena_is_known_by_its_place_and_its_rest() {
        let text = "\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
7f0000021000-7f0004000000 ---p 00000000 00:00 0 
7f0005000000-7f0005021000 rw-p 00000000 00:00 0 
7f0005021000-7f0009000000 ---p 00000000 00:00 0 
";
        assert_eq!(kinds(text), ["arena", "arena", "anonymous", "reserved"]);
    }

    #[test]
    fn a_stack_is_known_by_its_threads_stack_pointer() {
        let text = "1000-2000 ---p 0 00:00 0\n2000-4000 rw-p 0 00:00 0\n4000-5000 rw-p 0 00:00 0\n";
        let stacks = [ThreadStack { pointer: 0x3ff0, tid: 77, name: b"worker" }];
        let classes = classes(text, &stacks.into_iter().collect());
        assert_eq!(classes[1].tid(), Some(77));
        assert_eq!(classes[1].name(), Some(&b"worker"[..]));
        assert_eq!(classes[2].kind(), MappingKind::Anonymous);
    }

    #[test]
    fn stacks_and_arenas_that_glibc_has_named_are_stacks_and_arenas() {
        let text = "\
1000-2000 rw-p 0 00:00 0 [anon: glibc: pthread stack: 77]
2000-3000 rw-p 0 00:00 0 [anon: glibc: pthread user stack: 78]
3000-4000 rw-p 0 00:00 0 [anon: glibc: unused stack]
4000-5000 rw-p 0 00:00 0 [anon: glibc: malloc arena]
5000-6000 rw-p 0 00:00 0 [anon: glibc: malloc]
6000-7000 rw-p 0 00:00 0 [anon: glibc: pthread stack: x]
";
        let stacks = [ThreadStack { pointer: 0x10, tid: 77, name: b"worker" }];
        let classes = classes(text, &stacks.into_iter().collect());
        let kinds: Vec<_> = classes.iter().map(|class| class.kind().as_str()).collect();
        let expected = ["stack", "stack", "unused-stack", "arena", "named", "named"];
        assert_eq!(kinds, expected);
        assert_eq!((classes[0].tid(), classes[0].name()), (Some(77), Some(&b"worker"[..])));
        assert_eq!((classes[1].tid(), classes[1].name()), (Some(78), None));
    }

    #[test]
    fn an_anonymous_mapping_that_grows_goes_to_the_class_of_its_size() {
        let small = MappingClass::Anonymous { size: SizeClass::of(4096) };
        let large = MappingClass::Anonymous { size: SizeClass::of(2 << 20) };
        assert!(large.continues(&small));
        assert_eq!(large.clone().continuing(&small, 2 << 20), large);
        // The part of it that PROT_NONE has taken out of use is still anonymous memory.
        assert!(MappingClass::Reserved.continues(&large));
        assert_eq!(MappingClass::Reserved.continuing(&large, 4096), small);
        assert_eq!(large.continuing(&MappingClass::Arena, 2 << 20), MappingClass::Arena);
        assert_eq!(group_title(&small), b"anonymous mappings under 64 KiB");
    }
}
