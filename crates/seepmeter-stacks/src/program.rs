//! Which program a process executes, as far as its mappings show it.

use seepmeter_maps::maps;

/// What two samples of one program have in common, and samples before and after an exec have not: where
/// its first file lies and which that is, and where the kernel has put its vdso.
///
/// A program that executes itself looks the same if addresses are not randomised. Then code that it
/// generates may be named by what it generated before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramLayout {
    first: FirstFile,
    /// The start address of the vdso.
    vdso: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FirstFile {
    start: u64,
    device: u64,
    inode: u64,
}

impl ProgramLayout {
    /// None if the text has no mapping of a file.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let headers = maps::parse(text);
        let first = headers.iter().find(|header| header.inode != 0)?;
        let vdso = headers.iter().find(|header| header.path == b"[vdso]");
        Some(Self {
            first: FirstFile { start: first.start, device: first.device, inode: first.inode },
            vdso: vdso.map(|header| header.start),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_shows_in_where_the_kernel_put_things() {
        let text = |at: &str, vdso: &str| {
            format!("{at}-555600 r-xp 0 fe:00 5 /x\n{vdso}-7ff900 r-xp 0 00:00 0 [vdso]\n")
        };
        let layout = |at, vdso| ProgramLayout::of(text(at, vdso).as_bytes()).unwrap();
        assert_eq!(layout("555500", "7ff000"), layout("555500", "7ff000"));
        assert_ne!(layout("555500", "7ff000"), layout("555400", "7ff000"));
        assert_ne!(layout("555500", "7ff000"), layout("555500", "7ff100"));
        assert_eq!(ProgramLayout::of(b""), None);
    }
}
