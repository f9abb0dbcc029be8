//! What every image has, whatever its source.

use std::cell::OnceCell;
use std::fmt::Debug;
use std::io;
use std::ops::Range;

use seepmeter_maps::maps::Perms;
use seepmeter_record::MappingClass;

use crate::error::SnapshotError;
use crate::fork::KernelWords;

/// A piece of memory to read: where it begins, where to put it, and how much of it was read.
pub type SnapshotMemory<'b> = seepmeter_tracer::MemoryPiece<'b>;

/// The smallest page of the machines that Linux runs on: what can be read changes at such addresses
/// alone.
const PAGE: u64 = 4096;

/// Where the bytes of an image come from.
pub trait MemorySource: Debug {
    /// Reads all the pieces, as much of each as can be read from its beginning on, and says in each how
    /// much that was.
    ///
    /// # Errors
    /// If nothing of the source can be read any more. Memory that is not there is no error.
    fn read_many(&self, pieces: &mut [SnapshotMemory<'_>]) -> io::Result<()>;
}

/// The processor that the memory was used by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Machine {
    /// That of this process.
    #[must_use]
    pub const fn own() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }

    /// How many bytes below its stack pointer a function may use.
    #[must_use]
    pub const fn red_zone(self) -> u64 {
        match self {
            Self::X86_64 => 128,
            Self::Aarch64 => 0,
        }
    }
}

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first address.
    pub start: u64,
    /// The address behind its last.
    pub end: u64,
    /// What the process could do with it. Whether it is shared is not known of a core file: then it is
    /// not said to be.
    pub perms: Perms,
    /// What it is.
    pub class: MappingClass,
    /// Where in its file it begins.
    pub offset: u64,
    /// The path of its file, or its name; empty if it has none.
    pub path: Box<[u8]>,
}

impl Region {
    /// Its addresses.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// True if it is private memory of no file that the program can write.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        use MappingClass::{Anonymous, Arena, Heap, Jit, MainStack, Named, ThreadStack};
        self.perms.write
            && !self.perms.shared
            && matches!(
                self.class,
                Anonymous | Arena | Heap | Jit | MainStack | Named | ThreadStack
            )
    }

    /// True if it is the writable data of a program or a library.
    #[must_use]
    pub fn is_image_data(&self) -> bool {
        self.perms.write
            && !self.perms.shared
            && matches!(self.class, MappingClass::File | MappingClass::DeletedFile)
    }
}

/// A thread, as it was when the image was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageThread {
    /// Its id.
    pub tid: i32,
    /// The end of its stack.
    pub stack_pointer: u64,
    /// The address of its thread-local storage: fs_base of x86-64. None if that is not known.
    pub thread_pointer: Option<u64>,
    /// All its integer registers, in the kernel's order (`struct user_regs_struct`).
    pub registers: Vec<u64>,
}

/// The memory image of a process.
#[derive(Debug)]
pub struct MemoryImage<'s> {
    pid: i32,
    machine: Machine,
    regions: Vec<Region>,
    threads: Vec<ImageThread>,
    source: Box<dyn MemorySource + 's>,
    kernel_words: Option<KernelWords>,
    failure: OnceCell<io::Error>,
}

impl<'s> MemoryImage<'s> {
    /// An image of these parts. The regions are put in order; one that begins within another, or has
    /// no bytes, is left out.
    #[must_use]
    pub fn of_parts(
        pid: i32,
        machine: Machine,
        mut regions: Vec<Region>,
        threads: Vec<ImageThread>,
        source: Box<dyn MemorySource + 's>,
    ) -> Self {
        regions.sort_by_key(|region| region.start);
        let mut end = 0;
        regions.retain(|region| {
            let sound = region.start >= end && region.start < region.end;
            end = if sound { region.end } else { end };
            sound
        });
        let (kernel_words, failure) = (None, OnceCell::new());
        Self { pid, machine, regions, threads, source, kernel_words, failure }
    }

    /// The same image, with what the kernel keeps for the process.
    #[must_use]
    pub fn with_kernel_words(mut self, words: KernelWords) -> Self {
        self.kernel_words = Some(words);
        self
    }

    /// Pointers that the kernel keeps for the process. None if they are not known, as those of a core file.
    #[must_use]
    pub fn kernel_words(&self) -> Option<&KernelWords> {
        self.kernel_words.as_ref()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its processor.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Its mappings, by address; none overlaps another.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The mapping that an address is in.
    #[must_use]
    pub fn region_at(&self, address: u64) -> Option<&Region> {
        let next = self.regions.partition_point(|region| region.start <= address);
        self.regions[..next].last().filter(|region| address < region.end)
    }

    /// Its threads.
    #[must_use]
    pub fn threads(&self) -> &[ImageThread] {
        &self.threads
    }

    /// Reads all the pieces: see [`MemorySource::read_many`]. If the source fails, nothing is read, and
    /// [`MemoryImage::check`] says why.
    pub fn read_many(&self, pieces: &mut [SnapshotMemory<'_>]) {
        if let Err(error) = self.source.read_many(pieces) {
            pieces.iter_mut().for_each(|piece| piece.read = 0);
            // The first failure is the one that says why; those after it follow from it.
            let _ = self.failure.set(error);
        }
    }

    /// Reads from an address on; returns how many bytes could be read.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> usize {
        let mut piece = [SnapshotMemory::new(address, bytes)];
        self.read_many(&mut piece);
        let [piece] = piece;
        piece.read.min(piece.bytes.len())
    }

    /// So many bytes; none if they can't all be read.
    #[must_use]
    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read(address, &mut bytes) == N).then_some(bytes)
    }

    /// The 64-bit word at an address.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }

    /// Reads a range in pieces of at most `buffer`'s size, and hands each on with its address. Pages
    /// that can't be read are passed over.
    ///
    /// Returns how many bytes could not be read.
    pub fn read_range(
        &self,
        range: Range<u64>,
        buffer: &mut [u8],
        mut each: impl FnMut(u64, &[u8]),
    ) -> u64 {
        let (mut address, mut unread) = (range.start, 0);
        while address < range.end && !buffer.is_empty() && self.failure.get().is_none() {
            let want = usize::try_from(range.end - address).unwrap_or(usize::MAX);
            let want = want.min(buffer.len());
            let read = self.read(address, &mut buffer[..want]);
            if read > 0 {
                each(address, &buffer[..read]);
                address += read as u64;
            }
            if read < want {
                // Behind the page that can't be read.
                let next = (address / PAGE + 1).saturating_mul(PAGE).min(range.end);
                unread += next - address;
                address = next;
            }
        }
        unread + range.end.saturating_sub(address)
    }

    /// Whether the source could be read all the time.
    ///
    /// # Errors
    /// The first failure of the source: then all that was read may be too little.
    pub fn check(&self) -> Result<(), SnapshotError> {
        match self.failure.get() {
            None => Ok(()),
            Some(error) => Err(SnapshotError::Memory(again(error))),
        }
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
