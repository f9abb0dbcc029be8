//! Which of the places that make system calls belong to the C library.

use std::collections::HashMap;

use seepmeter_maps::maps;

use crate::tasks;

/// By instruction pointer: whether it is in the C library's code.
#[derive(Debug, Default)]
pub(super) struct LibcCode(HashMap<u64, bool>);

/// A program makes its waiting calls from few places. One that makes them from new places all the time
/// (code made at run time) must not make the tracer grow.
const AT_MOST: usize = 4096;

impl LibcCode {
    /// Finds out what the code at `instruction` belongs to, if that is not known yet.
    pub(super) fn learn(&mut self, pid: i32, instruction: u64) {
        if self.0.contains_key(&instruction) {
            return;
        }
        if self.0.len() >= AT_MOST {
            self.0.clear();
        }
        if let Ok(maps) = tasks::folder(pid).read("maps") {
            self.0.insert(instruction, mapped_file(&maps, instruction).is_some_and(is_c_library));
        }
    }

    /// True if the instruction is known to be in the C library.
    pub(super) fn contains(&self, instruction: u64) -> bool {
        self.0.get(&instruction).copied().unwrap_or(false)
    }
}

/// The path of the mapping that holds the address.
fn mapped_file(maps: &[u8], address: u64) -> Option<&[u8]> {
    let mut mappings = maps::parse(maps).into_iter();
    mappings.find(|mapping| (mapping.start..mapping.end).contains(&address)).map(|it| it.path)
}

/// glibc's `libc.so.6` and `libpthread-2.31.so`, musl's `ld-musl-x86_64.so.1`, Android's `libc.so`.
fn is_c_library(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let names: [&[u8]; 6] =
        [b"libc.so", b"libc-2.", b"libpthread.so", b"libpthread-2.", b"ld-musl-", b"libc.musl-"];
    names.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_known_by_the_name_of_its_file() {
        let maps = b"1000-2000 r-xp 0 08:01 7    /opt/my server/node\n\
            2000-3000 r-xp 0 08:01 8    /usr/lib/x86_64-linux-gnu/libc.so.6\n\
            3000-4000 rw-p 0 00:00 0 \n";
        let of = |address| mapped_file(maps, address).is_some_and(is_c_library);
        assert_eq!(
            [0x1500, 0x2000, 0x2fff, 0x3000, 0x9000].map(of),
            [false, true, true, false, false]
        );
        assert_eq!(mapped_file(maps, 0x1000), Some(&b"/opt/my server/node"[..]));
        assert!(
            is_c_library(b"/lib/ld-musl-x86_64.so.1") && !is_c_library(b"/usr/lib/libcurl.so.4")
        );
    }
}
