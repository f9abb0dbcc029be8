//! An image: what code comes from. A file, the vdso, or the code that a process has generated.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;

use object::read::ReadCache;
use seepmeter_process::proc::ProcRoot;

use crate::arch;
use crate::elf::Elf;
use crate::frame::ImageKey;
use crate::open::{FileVersion, OpenedFile, UnreadReason};
use crate::perf_map::PerfMap;
use crate::resolved::{ImageIdentity, ImageKind};
use crate::symbols::Symbols;

/// What code comes from.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) identity: Rc<ImageIdentity>,
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
    /// In a file that can't be read.
    Unread,
    /// In memory that the process has written: its perf map names it.
    Generated(RefCell<PerfMap>),
}

/// An ELF file that is kept open.
#[derive(Debug)]
pub(crate) struct ElfFile {
    pub(crate) elf: Elf,
    pub(crate) file: File,
    pub(crate) version: FileVersion,
    /// What a distribution has put elsewhere of it.
    pub(crate) debug: Option<File>,
}

impl ElfFile {
    pub(crate) fn read(opened: OpenedFile, pid: i32) -> Result<Self, UnreadReason> {
        let OpenedFile { file, version } = opened;
        let mut elf = Elf::read(&ReadCache::new(&file)).ok_or(UnreadReason::Foreign)?;
        let debug = debug_file(&elf, pid).map(|debug| {
            elf.tables.add(debug.elf.tables);
            debug.file
        });
        Ok(Self { elf, file, version, debug })
    }

    /// True if the file is still as it was when it was opened. One that was written over must not
    /// be read again: its symbols are another program's, and if it was cut short, a read of its
    /// mapping would be a SIGBUS.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|now| FileVersion::of(&now) == self.version)
    }
}

impl Content {
    fn elf(&self) -> Option<&Elf> {
        match self {
            Self::File(file) => Some(&file.elf),
            Self::Memory { elf, .. } => Some(elf),
            Self::Unread | Self::Generated(_) => None,
        }
    }
}

impl Image {
    pub(crate) fn new(key: ImageKey, kind: ImageKind, path: Rc<[u8]>, content: Content) -> Self {
        let build_id = content.elf().and_then(|elf| elf.build_id.clone());
        let identity = Rc::new(ImageIdentity { key, kind, path, build_id });
        Self { identity, content, used: Cell::new(0), symbols: RefCell::new(None) }
    }

    pub(crate) fn key(&self) -> ImageKey {
        self.identity.key
    }

    pub(crate) fn elf(&self) -> Option<&Elf> {
        self.content.elf()
    }

    /// True if the code at `address` begins with `code`.
    pub(crate) fn has_code<const N: usize>(&self, address: u64, code: &[u8; N]) -> bool {
        self.code(address).is_some_and(|found: [u8; N]| found == *code)
    }

    /// True if a call ends right before `address`.
    pub(crate) fn follows_call(&self, address: u64) -> bool {
        address
            .checked_sub(8)
            .and_then(|from| self.code(from))
            .is_some_and(|code| arch::is_call(&code))
    }

    /// The bytes of the code at `address`, as the file has them.
    fn code<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let offset = self.elf()?.offset_of(address)?;
        let mut found = [0; N];
        match &self.content {
            Content::File(ElfFile { file, .. }) => file.read_exact_at(&mut found, offset).ok()?,
            Content::Memory { bytes, .. } => {
                let rest = bytes.get(usize::try_from(offset).ok()?..)?;
                found = *rest.first_chunk()?;
            }
            Content::Unread | Content::Generated(_) => return None,
        }
        Some(found)
    }

    /// How many bytes of tables it keeps in memory.
    pub(crate) fn weight(&self) -> usize {
        self.elf().map_or(0, |elf| elf.tables.weight())
    }
}

/// A separate debug file.
struct DebugFile {
    file: File,
    elf: Elf,
}

/// The debug file of a build-id, in the root of process `pid` or in ours. The folders are those of gdb
/// ("Debugging Information in Separate Files").
fn debug_file(elf: &Elf, pid: i32) -> Option<DebugFile> {
    let id = elf.build_id.as_deref().filter(|id| id.len() > 1)?;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(format!("/usr/lib/debug/.build-id/{}/{}.debug", &hex[..2], &hex[2..]));
    let within = ProcRoot::default().process(pid).within_root(&path);
    [within, path].iter().find_map(|path| {
        let file = File::open(path).ok()?;
        let elf = Elf::read(&ReadCache::new(&file))?;
        (elf.build_id.as_deref() == Some(id)).then_some(DebugFile { file, elf })
    })
}
