//! To which group a mapping belongs: by its line, its neighbour, the threads' stacks and the files.

use std::rc::Rc;

use crate::deleted::{DELETED, DeletedFiles};
use crate::group::{MappingGroup, NamedFile};
use crate::maps::{MappingHeader, decimal};
use crate::size::SizeClass;

/// glibc puts each heap of an arena at a multiple of this (HEAP_MAX_SIZE on 64-bit machines).
const ARENA: u64 = 64 << 20;

/// A guard before a stack is a page by default, which is no larger on any machine.
const LARGEST_GUARD: u64 = 64 << 10;

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
    usual_size: Option<u64>,
}

impl<'a> FromIterator<ThreadStack<'a>> for ThreadStacks<'a> {
    fn from_iter<I: IntoIterator<Item = ThreadStack<'a>>>(stacks: I) -> Self {
        let mut stacks: Vec<_> = stacks.into_iter().collect();
        stacks.sort_unstable();
        Self { stacks, usual_size: None }
    }
}

impl ThreadStacks<'_> {
    /// New threads have stacks of this size in bytes: RLIMIT_STACK. With a small guard before it, a mapping
    /// of that size is a stack even if no thread is known to have it.
    #[must_use]
    pub fn with_usual_size(self, usual_size: Option<u64>) -> Self {
        Self { usual_size, ..self }
    }

    /// A guard and, right behind it, the stack of a thread that nobody knows. glibc before 2.27 takes the guard
    /// from the stack, and later ones add it.
    fn is_stack(&self, guard: &MappingHeader<'_>, stack: &MappingHeader<'_>) -> bool {
        let size = |size: u64| stack.len() == size || stack.len() + guard.len() == size;
        is_nameless(guard)
            && guard.perms.none()
            && guard.len() <= LARGEST_GUARD
            && guard.end == stack.start
            && stack.perms.write
            && self.usual_size.is_some_and(size)
    }

    /// The first that stands in a mapping.
    fn within(&self, header: &MappingHeader<'_>) -> Option<&ThreadStack<'_>> {
        let first = self.stacks.partition_point(|stack| stack.pointer < header.start);
        self.stacks.get(first).filter(|stack| stack.pointer < header.end)
    }

    fn name_of(&self, tid: i32) -> Rc<[u8]> {
        let stack = self.stacks.iter().find(|stack| stack.tid == tid);
        stack.map_or_else(Rc::default, |stack| stack.name.into())
    }
}

/// The group of each mapping.
#[must_use]
pub fn classify(
    headers: &[MappingHeader<'_>],
    stacks: &ThreadStacks<'_>,
    files: &mut DeletedFiles,
) -> Vec<MappingGroup> {
    let alone = headers.iter().map(|header| classify_alone(header, stacks, files));
    let mut groups: Vec<MappingGroup> = alone.collect();
    files.forget_unasked();
    for (at, pair) in headers.windows(2).enumerate() {
        if is_arena(&pair[0], &pair[1]) && matches!(groups[at], MappingGroup::Anonymous { .. }) {
            groups[at] = MappingGroup::Arena;
            groups[at + 1] = MappingGroup::Arena;
        }
        let next = &mut groups[at + 1];
        if matches!(next, MappingGroup::Anonymous { .. }) && stacks.is_stack(&pair[0], &pair[1]) {
            *next = MappingGroup::ThreadStacks;
        }
    }
    groups
}

/// An arena's heap and the rest that it may grow into.
fn is_arena(heap: &MappingHeader<'_>, rest: &MappingHeader<'_>) -> bool {
    is_nameless(heap)
        && is_nameless(rest)
        && heap.start.is_multiple_of(ARENA)
        && heap.perms.write
        && rest.perms.none()
        && rest.start == heap.end
        && heap.end < heap.start + ARENA
        && rest.end >= heap.start + ARENA
}

/// Anonymous memory without a name.
fn is_nameless(header: &MappingHeader<'_>) -> bool {
    header.inode == 0 && header.path.is_empty()
}

/// The group of a mapping, whatever its neighbours.
fn classify_alone(
    header: &MappingHeader<'_>,
    stacks: &ThreadStacks<'_>,
    files: &mut DeletedFiles,
) -> MappingGroup {
    match header.path {
        b"" => without_a_name(header, stacks),
        b"[heap]" => MappingGroup::Heap,
        b"[stack]" => MappingGroup::Stack,
        path if path.starts_with(b"[anon:") || path.starts_with(b"[anon_shmem:") => {
            with_a_name(path, stacks)
        }
        path if path.first() == Some(&b'[') => MappingGroup::Kernel { name: path.into() },
        _ => of_a_file(header, files),
    }
}

fn without_a_name(header: &MappingHeader<'_>, stacks: &ThreadStacks<'_>) -> MappingGroup {
    if header.inode != 0 {
        return MappingGroup::File(NamedFile { name: Rc::default(), perms: header.perms });
    }
    if header.perms.none() {
        return MappingGroup::Reserved;
    }
    match stacks.within(header) {
        Some(stack) => MappingGroup::ThreadStack { tid: stack.tid, name: stack.name.into() },
        None if header.perms.exec => MappingGroup::Jit,
        None => MappingGroup::Anonymous { size: SizeClass::of(header.len()) },
    }
}

/// The group of anonymous memory that has a name. glibc from 2.39 on gives names, if it is asked to
/// (GLIBC_TUNABLES=glibc.mem.decorate_maps=1):
///
/// ```text
/// [anon: glibc: pthread stack: TID]
/// [anon: glibc: pthread user stack: TID]
/// [anon: glibc: unused stack]
/// [anon: glibc: malloc arena]
/// [anon: glibc: malloc]
/// ```
fn with_a_name(path: &[u8], stacks: &ThreadStacks<'_>) -> MappingGroup {
    let named = || MappingGroup::Named { name: path.into() };
    let glibc = path.strip_prefix(b"[anon: glibc: ").and_then(|name| name.strip_suffix(b"]"));
    match glibc {
        Some(b"malloc arena") => MappingGroup::Arena,
        Some(b"unused stack") => MappingGroup::UnusedStack,
        Some(name) => {
            let tid = name.strip_prefix(b"pthread stack: ");
            let tid = tid.or_else(|| name.strip_prefix(b"pthread user stack: "));
            match tid.and_then(decimal).and_then(|tid| i32::try_from(tid).ok()) {
                Some(tid) => MappingGroup::ThreadStack { tid, name: stacks.name_of(tid) },
                None => named(),
            }
        }
        None => named(),
    }
}

/// The group of what has a path, or a name that the kernel writes as one.
fn of_a_file(header: &MappingHeader<'_>, files: &mut DeletedFiles) -> MappingGroup {
    let file = |name: &[u8]| NamedFile { name: name.into(), perms: header.perms };
    match header.path.strip_suffix(DELETED) {
        Some(b"/anon_hugepage") => MappingGroup::Hugetlb,
        Some(b"/dev/zero") => MappingGroup::SharedMemory(file(b"shared anonymous memory")),
        Some(name) if name.starts_with(b"/memfd:") => MappingGroup::Memfd(file(&name[1..])),
        Some(name) if name.starts_with(b"/SYSV") => MappingGroup::SharedMemory(file(&name[1..])),
        Some(name) if files.is_deleted(header) => match name.starts_with(b"/dev/shm/") {
            true => MappingGroup::SharedMemory(file(name)),
            false => MappingGroup::DeletedFile(file(name)),
        },
        _ => match header.path.starts_with(b"/dev/shm/") {
            true => MappingGroup::SharedMemory(file(header.path)),
            false => MappingGroup::File(file(header.path)),
        },
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_record::MappingClass;

    use super::*;
    use crate::maps;

    fn groups(text: &str, stacks: &ThreadStacks<'_>) -> Vec<MappingGroup> {
        let headers = maps::parse(text.as_bytes());
        classify(&headers, stacks, &mut DeletedFiles::as_the_kernel_says())
    }

    fn classes(text: &str) -> Vec<MappingClass> {
        groups(text, &ThreadStacks::default()).iter().map(MappingGroup::class).collect()
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
            MappingClass::Heap,
            MappingClass::Named,
            MappingClass::Memfd,
            MappingClass::SharedMemory,
            MappingClass::SharedMemory,
            MappingClass::DeletedFile,
            MappingClass::SharedMemory,
            MappingClass::Hugetlb,
            MappingClass::Kernel,
            MappingClass::Jit,
            MappingClass::Reserved,
            MappingClass::MainStack,
            MappingClass::File,
        ];
        assert_eq!(classes(text), expected);
        let gone = groups(text, &ThreadStacks::default()).swap_remove(5);
        assert_eq!(gone.name(), Some(&b"/lib/gone.so"[..]));
    }

    #[test]
    fn an_arena_is_known_by_its_place_and_its_rest() {
        let text = "\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
7f0000021000-7f0004000000 ---p 00000000 00:00 0 
7f0005000000-7f0005021000 rw-p 00000000 00:00 0 
7f0005021000-7f0009000000 ---p 00000000 00:00 0 
";
        let (arena, anonymous) = (MappingClass::Arena, MappingClass::Anonymous);
        assert_eq!(classes(text), [arena.clone(), arena, anonymous, MappingClass::Reserved]);
    }

    #[test]
    fn a_stack_is_known_by_its_threads_stack_pointer() {
        let text = "1000-2000 ---p 0 00:00 0\n2000-4000 rw-p 0 00:00 0\n4000-5000 rw-p 0 00:00 0\n";
        let stacks = [ThreadStack { pointer: 0x3ff0, tid: 77, name: b"worker" }];
        let groups = groups(text, &stacks.into_iter().collect());
        assert_eq!(groups[1].tid(), Some(77));
        assert_eq!(groups[1].name(), Some(&b"worker"[..]));
        assert_eq!(groups[2].class(), MappingClass::Anonymous);
    }

    #[test]
    fn a_mapping_of_the_size_of_a_stack_behind_a_guard_is_the_stack_of_a_thread_that_is_not_known()
    {
        let text = "\
7f0000000000-7f0000001000 ---p 0 00:00 0
7f0000001000-7f0000801000 rw-p 0 00:00 0
7f0000801000-7f0000802000 ---p 0 00:00 0
7f0000802000-7f0000902000 rw-p 0 00:00 0
7f0001000000-7f0001100000 ---p 0 00:00 0
7f0001100000-7f0001900000 rw-p 0 00:00 0
";
        let size = |bytes| ThreadStacks::default().with_usual_size(bytes);
        let is_stack = |bytes| -> Vec<bool> {
            let groups = groups(text, &size(bytes));
            let writable = groups.iter().skip(1).step_by(2);
            writable.map(|group| group.class() == MappingClass::ThreadStack).collect()
        };
        // The second is smaller, and what is before the third is no guard.
        assert_eq!(is_stack(Some(8 << 20)), [true, false, false]);
        assert_eq!(is_stack(Some((8 << 20) + 4096)), [true, false, false]);
        assert_eq!(is_stack(None), [false; 3]);
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
        let groups = groups(text, &stacks.into_iter().collect());
        let (stack, named) = (MappingClass::ThreadStack, MappingClass::Named);
        let arena = MappingClass::Arena;
        let expected = [stack.clone(), stack.clone(), stack, arena, named.clone(), named];
        assert_eq!(groups.iter().map(MappingGroup::class).collect::<Vec<_>>(), expected);
        assert_eq!((groups[2].tid(), &groups[2]), (None, &MappingGroup::UnusedStack));
        assert_eq!((groups[0].tid(), groups[0].name()), (Some(77), Some(&b"worker"[..])));
        assert_eq!((groups[1].tid(), groups[1].name()), (Some(78), None));
    }
}
