//! An image: what code comes from. A file, the vdso, or the code that a process has generated.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use object::read::ReadCache;

use crate::elf::Elf;
use crate::frame::ImageId;
use crate::open::{Identity, Unread};
use crate::perf_map::PerfMap;
use crate::symbols::Symbols;

/// What code comes from.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) id: ImageId,
    /// Its path when it was first seen, or its name: `[vdso]`.
    pub(crate) path: Rc<[u8]>,
    pub(crate) content: Content,
    /// When it was last used, by the clock of [`crate::Images`].
    pub(crate) used: Cell<u64>,
    /// Its symbols, once they have been asked for.
    pub(crate) symbols: RefCell<Option<Symbols>>,
}

/// Where its bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In a file, which is kept open: it can be read when its path and its process have gone.
    File(ElfFile),
    /// In memory: the vdso, which has no file.
    Memory { elf: Elf, bytes: Rc<[u8]> },
    /// Nowhere that we can read.
    Unread(Unread),
    /// In memory that the process has written: what is known of it stands in its perf map.
    Generated(RefCell<PerfMap>),
}

/// An ELF file that is kept open.
#[derive(Debug)]
pub(crate) struct ElfFile {
    pub(crate) elf: Elf,
    pub(crate) file: File,
    pub(crate) identity: Identity,
    /// The process that it was first seen in, for its folder of debug files.
    pub(crate) pid: i32,
}

impl ElfFile {
    pub(crate) fn read(file: File, identity: Identity, pid: i32) -> Result<Self, Unread> {
        let elf = Elf::read(&ReadCache::new(&file)).ok_or(Unread::Foreign)?;
        Ok(Self { elf, file, identity, pid })
    }

    /// True where the file is still as it was when it was opened. One that was written over must not
    /// be read again: its symbols are another program's, and where it was cut short, a read of its
    /// mapping would be a SIGBUS.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|now| Identity::of(&now) == self.identity)
    }
}

impl Image {
    pub(crate) fn new(id: ImageId, path: Rc<[u8]>, content: Content) -> Self {
        Self { id, path, content, used: Cell::new(0), symbols: RefCell::new(None) }
    }

    pub(crate) fn elf(&self) -> Option<&Elf> {
        match &self.content {
            Content::File(file) => Some(&file.elf),
            Content::Memory { elf, .. } => Some(elf),
            Content::Unread(_) | Content::Generated(_) => None,
        }
    }

    /// True where the code at `address` begins with `code`.
    pub(crate) fn has_code(&self, address: u64, code: &[u8]) -> bool {
        let Some(offset) = self.elf().and_then(|elf| elf.offset_of(address)) else { return false };
        match &self.content {
            Content::File(ElfFile { file, .. }) => {
                let mut found = vec![0; code.len()];
                file.read_exact_at(&mut found, offset).is_ok() && found == code
            }
            Content::Memory { bytes, .. } => usize::try_from(offset)
                .ok()
                .and_then(|offset| bytes.get(offset..))
                .is_some_and(|rest| rest.starts_with(code)),
            Content::Unread(_) | Content::Generated(_) => false,
        }
    }

    /// How many bytes of tables it keeps in memory.
    pub(crate) fn weight(&self) -> usize {
        self.elf().map_or(0, Elf::weight)
    }
}
