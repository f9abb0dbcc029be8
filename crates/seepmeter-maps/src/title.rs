//! What a class is called for people. Nobody parses a title: what it says is in [`MappingClass`].

use crate::class::{MappingClass, NamedFile};
use crate::deleted::DELETED;
use crate::size::SizeClass;

/// The name of all mappings of a class together.
#[must_use]
pub fn group_title(class: &MappingClass) -> Vec<u8> {
    match class {
        MappingClass::Heap => b"[heap]".to_vec(),
        MappingClass::Stack => b"stack of the main thread".to_vec(),
        MappingClass::ThreadStack { tid, name } => {
            let title = format!("stack of thread {tid}").into_bytes();
            if name.is_empty() { title } else { [&title, &b" ("[..], name, b")"].concat() }
        }
        MappingClass::UnusedStack => b"unused stacks of threads".to_vec(),
        MappingClass::Anonymous { size } => anonymous(*size).as_bytes().to_vec(),
        MappingClass::Reserved => b"reserved, without access".to_vec(),
        MappingClass::Arena => b"glibc arenas".to_vec(),
        MappingClass::Jit => b"JIT code (anonymous, executable)".to_vec(),
        MappingClass::Hugetlb => b"huge pages (hugetlb)".to_vec(),
        MappingClass::Named { name } | MappingClass::Kernel { name } => name.to_vec(),
        MappingClass::DeletedFile(file) => of_a_file(file, DELETED),
        MappingClass::File(file) | MappingClass::SharedMemory(file) | MappingClass::Memfd(file) => {
            of_a_file(file, b"")
        }
    }
}

/// The name of one mapping of a class, which may grow: so without its size.
#[must_use]
pub fn mapping_title(class: &MappingClass) -> Vec<u8> {
    match class {
        MappingClass::Anonymous { .. } => b"anonymous mapping".to_vec(),
        _ => group_title(class),
    }
}

fn anonymous(size: SizeClass) -> &'static str {
    match size {
        SizeClass::Tiny => "anonymous mappings under 64 KiB",
        SizeClass::Small => "anonymous mappings of 64 KiB–1 MiB",
        SizeClass::Medium => "anonymous mappings of 1 MiB–16 MiB",
        SizeClass::Large => "anonymous mappings of 16 MiB–256 MiB",
        SizeClass::Huge => "anonymous mappings of 256 MiB or more",
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
    fn each_class_has_its_title() {
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
        let classes = crate::class::classify(&headers, &Default::default(), &mut files);
        let titles: Vec<_> =
            classes.iter().map(|class| String::from_utf8(group_title(class)).unwrap()).collect();
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
        assert_eq!(mapping_title(&classes[8]), b"anonymous mapping");
        assert_eq!(mapping_title(&classes[0]), b"[heap]");
    }
}
