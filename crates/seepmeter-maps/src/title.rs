//! What a group of mappings is called for people. Nobody parses a title: what it says is in [`MappingGroup`].

use seepmeter_record::conventions::title;

use crate::deleted::DELETED;
use crate::group::{MappingGroup, NamedFile};
use crate::size::SizeClass;

/// The name of all mappings of a group together.
#[must_use]
pub fn group_title(group: &MappingGroup) -> Vec<u8> {
    match group {
        MappingGroup::Heap => b"[heap]".to_vec(),
        MappingGroup::Stack => b"stack of the main thread".to_vec(),
        MappingGroup::ThreadStack { tid, name } => {
            let title = format!("stack of thread {tid}").into_bytes();
            if name.is_empty() { title } else { [&title, &b" ("[..], name, b")"].concat() }
        }
        MappingGroup::ThreadStacks => title::THREAD_STACKS.into(),
        MappingGroup::UnusedStack => b"unused stacks of threads".to_vec(),
        MappingGroup::Anonymous { size } => {
            format!("{} {}", title::ANONYMOUS, bounds(*size)).into()
        }
        MappingGroup::Reserved => b"reserved, without access".to_vec(),
        MappingGroup::Arena => b"glibc arenas".to_vec(),
        MappingGroup::Jit => b"JIT code (anonymous, executable)".to_vec(),
        MappingGroup::Hugetlb => b"huge pages (hugetlb)".to_vec(),
        MappingGroup::Named { name } | MappingGroup::Kernel { name } => name.to_vec(),
        MappingGroup::DeletedFile(file) => of_a_file(file, DELETED),
        MappingGroup::File(file) | MappingGroup::SharedMemory(file) | MappingGroup::Memfd(file) => {
            of_a_file(file, b"")
        }
    }
}

/// The name of one mapping of a group, which may grow: so without its size.
#[must_use]
pub fn mapping_title(group: &MappingGroup) -> Vec<u8> {
    match group {
        MappingGroup::Anonymous { .. } => b"anonymous mapping".to_vec(),
        MappingGroup::ThreadStacks => b"stack of a thread".to_vec(),
        _ => group_title(group),
    }
}

fn bounds(size: SizeClass) -> &'static str {
    match size {
        SizeClass::Tiny => "under 64 KiB",
        SizeClass::Small => "of 64 KiB–1 MiB",
        SizeClass::Medium => "of 1 MiB–16 MiB",
        SizeClass::Large => "of 16 MiB–256 MiB",
        SizeClass::Huge => "of 256 MiB or more",
    }
}

fn of_a_file(NamedFile { name, perms }: &NamedFile, suffix: &[u8]) -> Vec<u8> {
    [name, suffix, b" ", perms.to_string().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deleted::DeletedFiles;
    use crate::maps;

    #[test]
    fn each_group_has_its_title() {
        let text = "\
1000-2000 rw-p 0 00:00 0 [heap]
2000-3000 rw-p 0 00:00 0 [anon:jemalloc]
3000-4000 rw-s 0 00:01 7 /memfd:a b (deleted)
4000-5000 rw-s 0 00:01 8 /dev/zero (deleted)
5000-6000 r-xp 0 00:01 9 /lib/gone.so (deleted)
6000-7000 r-xp 0 00:01 9 /lib/a.so
7000-8000 rwxp 0 00:00 0 
8000-9000 ---p 0 00:00 0 
10000-30000 rw-p 0 00:00 0 
40000-50000 rw-p 0 00:00 0 [anon: glibc: pthread stack: 77]
50000-60000 rw-p 0 00:00 0 [stack]
";
        let headers = maps::parse(text.as_bytes());
        let mut files = DeletedFiles::as_the_kernel_says();
        let groups = crate::class::classify(&headers, &Default::default(), &mut files);
        let titles: Vec<_> =
            groups.iter().map(|group| String::from_utf8(group_title(group)).unwrap()).collect();
        let expected = [
            "[heap]",
            "[anon:jemalloc]",
            "memfd:a b rw-s",
            "shared anonymous memory rw-s",
            "/lib/gone.so (deleted) r-xp",
            "/lib/a.so r-xp",
            "JIT code (anonymous, executable)",
            "reserved, without access",
            "anonymous mappings of 64 KiB–1 MiB",
            "stack of thread 77",
            "stack of the main thread",
        ];
        assert_eq!(titles, expected);
        assert_eq!(mapping_title(&groups[8]), b"anonymous mapping");
        assert_eq!(mapping_title(&groups[0]), b"[heap]");
    }
}
