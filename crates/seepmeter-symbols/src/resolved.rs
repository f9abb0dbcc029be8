//! Frames with names: their image, their functions, their lines.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::frame::{ImageKey, RawFrame};
use crate::open::UnreadReason;

/// Which image it is: what a viewer needs to find the same file again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageIdentity {
    /// Its key among the [`Images`](crate::Images).
    pub key: ImageKey,
    /// Where its code is, and how its addresses are counted.
    pub kind: ImageKind,
    /// The path of the file when it was first mapped, `[vdso]` or `[jit]`. Linux promises no UTF-8.
    pub path: Rc<[u8]>,
    /// What the linker wrote to tell this content from all others. None if the file has none, or could
    /// not be read.
    pub build_id: Option<Rc<[u8]>>,
}

/// Where the code of an image is, and how its addresses are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// In an ELF file. Addresses are those of its program headers, as `nm` and `addr2line` count them.
    File,
    /// In a file that can't be read. Addresses are offsets in the file.
    Unread(UnreadReason),
    /// In the vdso, which no file holds. Addresses are those of its program headers.
    Vdso,
    /// In memory that the process has written (a JIT compiler's). Addresses are those of the process.
    Generated,
}

/// A frame with its names.
///
/// It is shown as `function+0x12`, or if no function is known as `libc.so.6+0x9f2d0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedFrame {
    /// The frame.
    pub raw: RawFrame,
    /// Its image. None if the frame is of another address space than the one that was asked.
    pub image: Option<Rc<ImageIdentity>>,
    /// The functions at the address, the innermost first: each but the last one was inlined into the
    /// next. Empty if nothing names the address.
    pub functions: Rc<[Function]>,
}

/// A function at a frame's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its name, demangled.
    pub name: Rc<str>,
    /// How far the frame's address is from the start of the function, in bytes. For an inlined function:
    /// from the start of the function that it was inlined into.
    pub offset: u64,
    /// The source line, if there is debug information.
    pub source: Option<SourceLocation>,
}

/// A line of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLocation {
    /// The file, as the compiler has written it down.
    pub file: Rc<PathBuf>,
    /// The line in it, from 1: that of the call if a call will return to the frame's address, or else of
    /// the next instruction. None if it is not known.
    pub line: Option<u32>,
}

impl ImageIdentity {
    /// The last part of its path.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    fn suffix(&self) -> String {
        match self.kind {
            ImageKind::Unread(reason) => format!(" ({reason})"),
            _ => String::new(),
        }
    }
}

/// Its path. If the file could not be read, the reason stands behind it: `/lib/x.so (replaced)`.
impl fmt::Display for ImageIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", String::from_utf8_lossy(&self.path), self.suffix())
    }
}

impl ResolvedFrame {
    /// The image and the address in it, without functions: `libc.so.6+0x9f2d0`.
    #[must_use]
    pub fn place(&self) -> String {
        let address = self.raw.address;
        match &self.image {
            Some(image) => {
                let name = String::from_utf8_lossy(image.file_name());
                format!("{name}{}+{address:#x}", image.suffix())
            }
            None => format!("?+{address:#x}"),
        }
    }
}

impl fmt::Display for ResolvedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.functions.first() {
            Some(function) => write!(f, "{}+{:#x}", function.name, function.offset),
            None => f.write_str(&self.place()),
        }
    }
}
