//! Which program a process executes, as far as its mappings tell.

use seepmeter_maps::maps;

/// What two looks at one program have in common, and looks before and after an exec have not: where
/// its first file lies and which that is, and where the kernel has put its vdso.
///
/// A program that executes itself where addresses are not randomised looks the same. Then code that it
/// generates may be named by what it generated before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    first: (u64, u64, u64),
    vdso: Option<u64>,
}

impl Program {
    /// None where the text has no mapping of a file.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let headers = maps::parse(text);
        let first = headers.iter().find(|header| header.inode != 0)?;
        let vdso = headers.iter().find(|header| header.path == b"[vdso]");
        Some(Self {
            first: (first.start, first.device, first.inode),
            vdso: vdso.map(|header| header.start),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_is_told_by_where_the_kernel_put_things() {
        let text = |at: &str, vdso: &str| {
            format!("{at}-555600 r-xp 0 fe:00 5 /x\n{vdso}-7ff900 r-xp 0 00:00 0 [vdso]\n")
        };
        let program = |at, vdso| Program::of(text(at, vdso).as_bytes()).unwrap();
        assert_eq!(program("555500", "7ff000"), program("555500", "7ff000"));
        assert_ne!(program("555500", "7ff000"), program("555400", "7ff000"));
        assert_ne!(program("555500", "7ff000"), program("555500", "7ff100"));
        assert_eq!(Program::of(b""), None);
    }
}
