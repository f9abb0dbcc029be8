//! Who a frame is, in words.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

/// A function at a frame's address.
///
/// It is shown as `function+0x12`, or where no function is known as `libc.so.6+0x9f2d0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The function, demangled; none where there is no symbol.
    pub function: Option<Rc<str>>,
    /// The path of the file, as it was when it was first mapped; `[vdso]`; or `[jit]`, for code that
    /// the process has generated. Where the file could not be read, why stands behind it:
    /// `/lib/x.so (replaced)`. Linux promises no UTF-8.
    pub module: Rc<[u8]>,
    /// How far behind the start of the function the address is; with no function, the address itself:
    /// as the file's program headers count it, in generated code that of the process, and in a file
    /// that could not be read the offset in the file.
    pub offset: u64,
    /// The source file, where there is debug information.
    pub file: Option<Rc<PathBuf>>,
    /// The line in it, from 1: of the call where a call will return, and of what was about to be
    /// executed otherwise.
    pub line: Option<u32>,
    /// True where the compiler put the function into the one that follows.
    pub inlined: bool,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => write!(f, "{function}+{:#x}", self.offset),
            None => {
                let name = self.module.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                write!(f, "{}+{:#x}", String::from_utf8_lossy(name), self.offset)
            }
        }
    }
}
