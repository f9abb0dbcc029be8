//! What a mapping is: its class, from its line, its neighbour and the threads' stacks.

use std::fmt;
use std::rc::Rc;

use crate::maps::{Header, Perms};
use crate::threads::Stack;

/// glibc puts each heap of an arena at a multiple of this (HEAP_MAX_SIZE on 64-bit machines).
const ARENA: u64 = 64 << 20;

/// Behind the path of a file that is there no more.
pub const DELETED: &[u8] = b" (deleted)";

/// The kinds of mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What brk(2) moves: `[heap]`.
    Heap,
    /// The main thread's stack: `[stack]`.
    MainStack,
    /// Another thread's stack, told by its stack pointer.
    ThreadStack,
    /// Private memory of no file and no name.
    Anonymous,
    /// Anonymous memory with a name of its own (prctl PR_SET_VMA_ANON_NAME).
    Named,
    /// Address space with no access.
    Reserved,
    /// A heap of one of glibc's arenas, or the rest that it may grow into.
    Arena,
    /// Anonymous memory that can be executed.
    Jit,
    /// A file.
    File,
    /// Shared memory: of System V, /dev/shm, or shared and anonymous.
    Shm,
    /// A memfd_create(2).
    Memfd,
    /// A file that is there no more.
    Deleted,
    /// Pages of hugetlbfs.
    Hugetlb,
    /// What the kernel maps: `[vdso]` and its like.
    Kernel,
}

impl Kind {
    /// The word in a subject's attribute `class`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Heap => "[heap]",
            Self::MainStack | Self::ThreadStack => "stack",
            Self::Anonymous => "anonymous",
            Self::Named => "named",
            Self::Reserved => "reserved",
            Self::Arena => "arena",
            Self::Jit => "jit",
            Self::File => "file",
            Self::Shm => "shm",
            Self::Memfd => "memfd",
            Self::Deleted => "deleted",
            Self::Hugetlb => "hugetlb",
            Self::Kernel => "kernel",
        }
    }
}

/// A mapping's class. Mappings of equal classes are one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// What it is.
    pub kind: Kind,
    /// A path, a name, or nothing.
    pub name: Rc<[u8]>,
    /// The thread of a stack.
    pub tid: Option<i32>,
    /// Told of files, where they set parts of one file apart.
    pub perms: Option<Perms>,
    /// Of anonymous mappings: how large it was when it was first seen.
    pub size: Option<SizeClass>,
}

impl Class {
    fn of(kind: Kind) -> Self {
        Self { kind, name: Rc::from([]), tid: None, perms: None, size: None }
    }

    fn named(kind: Kind, name: &[u8]) -> Self {
        Self { name: name.into(), ..Self::of(kind) }
    }

    /// The class of a mapping that a whole read has found to be of hugetlbfs.
    #[must_use]
    pub fn hugetlb() -> Self {
        Self::of(Kind::Hugetlb)
    }

    /// True where a mapping of this class that lies where one of class `old` lay is the same one.
    #[must_use]
    pub fn continues(&self, old: &Self) -> bool {
        use Kind::{Anonymous, Arena, Deleted, File, Hugetlb, Memfd, Reserved, Shm};
        match (self.kind, old.kind) {
            // An arena that is full has no rest that tells it; memory that was taken out of use by
            // PROT_NONE is still the mapping that it was.
            (Anonymous | Reserved, Anonymous) | (Anonymous, Arena) => true,
            // A file's line does not tell that it is hugetlbfs's; a whole read did.
            (File | Deleted | Memfd | Shm, Hugetlb) => true,
            (new, old_kind) => new == old_kind && self.name == old.name && self.tid == old.tid,
        }
    }

    /// The class it has as the continuation of `old`: what an anonymous mapping was first seen as
    /// stays, so that growth does not carry it from group to group.
    #[must_use]
    pub fn continuing(self, old: &Self) -> Self {
        match self.kind {
            Kind::Anonymous | Kind::Reserved => old.clone(),
            _ if old.kind == Kind::Hugetlb => old.clone(),
            _ => self,
        }
    }

    /// True where every resident page is anonymous memory, so that nobody need ask.
    #[must_use]
    pub fn all_anonymous(&self) -> bool {
        matches!(
            self.kind,
            Kind::Heap
                | Kind::MainStack
                | Kind::ThreadStack
                | Kind::Anonymous
                | Kind::Named
                | Kind::Reserved
                | Kind::Arena
                | Kind::Jit
        )
    }
}

/// How large an anonymous mapping was when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeClass(u8);

impl SizeClass {
    const UP_TO: [(u64, &'static str); 5] = [
        (64 << 10, "under 64 KiB"),
        (1 << 20, "64 KiB to 1 MiB"),
        (16 << 20, "1 MiB to 16 MiB"),
        (256 << 20, "16 MiB to 256 MiB"),
        (u64::MAX, "256 MiB and more"),
    ];

    fn of(bytes: u64) -> Self {
        let class = Self::UP_TO.iter().position(|(up_to, _)| bytes < *up_to);
        Self(class.and_then(|class| u8::try_from(class).ok()).unwrap_or(4))
    }

    /// As it is written.
    #[must_use]
    pub fn words(self) -> &'static str {
        Self::UP_TO[usize::from(self.0)].1
    }
}

impl fmt::Display for SizeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// The class of each mapping. `stacks` stand in the order of their addresses.
#[must_use]
pub fn classify(headers: &[Header<'_>], stacks: &[Stack<'_>]) -> Vec<Class> {
    let mut classes: Vec<Class> = headers.iter().map(|header| alone(header, stacks)).collect();
    for (at, pair) in headers.windows(2).enumerate() {
        if is_arena(&pair[0], &pair[1]) && classes[at].kind == Kind::Anonymous {
            classes[at] = Class::of(Kind::Arena);
            classes[at + 1] = Class::of(Kind::Arena);
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
fn alone(header: &Header<'_>, stacks: &[Stack<'_>]) -> Class {
    match header.path {
        b"" => without_a_name(header, stacks),
        b"[heap]" => Class::of(Kind::Heap),
        b"[stack]" => Class::of(Kind::MainStack),
        path if path.starts_with(b"[anon:") || path.starts_with(b"[anon_shmem:") => {
            Class::named(Kind::Named, path)
        }
        path if path.first() == Some(&b'[') => Class::named(Kind::Kernel, path),
        path => of_a_file(path, header.perms),
    }
}

fn without_a_name(header: &Header<'_>, stacks: &[Stack<'_>]) -> Class {
    if header.inode != 0 {
        return Class { perms: Some(header.perms), ..Class::of(Kind::File) };
    }
    if header.perms.none() {
        return Class::of(Kind::Reserved);
    }
    let first = stacks.partition_point(|stack| stack.pointer < header.start);
    match stacks.get(first).filter(|stack| stack.pointer < header.end) {
        Some(stack) => {
            Class { tid: Some(stack.tid), ..Class::named(Kind::ThreadStack, stack.name) }
        }
        None if header.perms.exec => Class::of(Kind::Jit),
        None => Class { size: Some(SizeClass::of(header.len())), ..Class::of(Kind::Anonymous) },
    }
}

/// Names that the kernel gives to files that are none, and paths.
fn of_a_file(path: &[u8], perms: Perms) -> Class {
    let (kind, name) = match path.strip_suffix(DELETED) {
        Some(b"/anon_hugepage") => return Class::hugetlb(),
        Some(b"/dev/zero") => (Kind::Shm, &b"shared anonymous memory"[..]),
        Some(name) if name.starts_with(b"/memfd:") => (Kind::Memfd, &name[1..]),
        Some(name) if name.starts_with(b"/SYSV") => (Kind::Shm, &name[1..]),
        Some(name) if name.starts_with(b"/dev/shm/") => (Kind::Shm, name),
        Some(name) => (Kind::Deleted, name),
        None if path.starts_with(b"/dev/shm/") => (Kind::Shm, path),
        None => (Kind::File, path),
    };
    Class { perms: Some(perms), ..Class::named(kind, name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    fn titles(text: &str, stacks: &[Stack<'_>]) -> Vec<String> {
        let headers = maps::parse(text.as_bytes());
        let classes = classify(&headers, stacks);
        classes.iter().map(|class| String::from_utf8_lossy(&class.title()).into_owned()).collect()
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
";
        assert_eq!(
            titles(text, &[]),
            [
                "[heap]",
                "[anon:jemalloc]",
                "memfd:a b rw-s",
                "shared anonymous memory rw-s",
                "SYSV00000001 rw-s",
                "/lib/gone.so (deleted) r-xp",
                "/dev/shm/x rw-s",
                "huge pages (hugetlb)",
                "[vdso]",
                "JIT code (anonymous, executable)",
                "reserved, without access",
            ]
        );
    }

    #[test]
    fn an_arena_is_told_by_its_place_and_its_rest() {
        let text = "\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
7f0000021000-7f0004000000 ---p 00000000 00:00 0 
7f0005000000-7f0005021000 rw-p 00000000 00:00 0 
7f0005021000-7f0009000000 ---p 00000000 00:00 0 
";
        assert_eq!(
            titles(text, &[]),
            [
                "glibc arenas",
                "glibc arenas",
                "anonymous, mapped 64 KiB to 1 MiB",
                "reserved, without access"
            ]
        );
    }

    #[test]
    fn a_stack_is_told_by_its_threads_stack_pointer() {
        let text = "1000-2000 ---p 0 00:00 0\n2000-4000 rw-p 0 00:00 0\n4000-5000 rw-p 0 00:00 0\n";
        let stack = Stack { pointer: 0x3ff0, tid: 77, name: b"worker" };
        assert_eq!(
            titles(text, &[stack])[1..],
            ["stack of thread 77 (worker)", "anonymous, mapped under 64 KiB"]
        );
    }
}
