//! The image of a core file, of the kernel (fs/binfmt_elf.c, `elf_core_dump`) or of gdb's gcore.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use object::LittleEndian;
use object::elf::{
    EM_AARCH64, EM_X86_64, ET_CORE, FileHeader64, NT_FILE, NT_PRSTATUS, PT_LOAD, PT_NOTE,
    ProgramHeader64,
};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use seepmeter_maps::DeletedFiles;
use seepmeter_maps::maps::{MappingHeader, Perms};
use seepmeter_record::MappingClass;
use seepmeter_tracer::MemoryPiece;

use crate::error::SnapshotError;
use crate::image::{ImageThread, Machine, MemoryImage, MemorySource, Region};
use crate::live::regions;

type Header = FileHeader64<LittleEndian>;

/// More notes than this no process has: some hundred bytes a thread, and a line a mapping.
const MAX_NOTES: u64 = 64 << 20;
/// Where in a `struct elf_prstatus` the thread's id and its registers are (include/linux/elfcore.h).
const PRSTATUS_PID: usize = 32;
const PRSTATUS_REGISTERS: usize = 112;

/// A stretch of memory, and where the file has it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    address: u64,
    offset: u64,
    size: u64,
}

/// The memory that a core file holds.
#[derive(Debug)]
struct CoreMemory {
    file: File,
    /// In the order of their addresses; none overlaps another.
    extents: Vec<Extent>,
}

impl MemorySource for CoreMemory {
    fn read_many(&self, pieces: &mut [MemoryPiece<'_>]) -> io::Result<()> {
        for piece in pieces {
            piece.read = 0;
            while piece.read < piece.bytes.len() {
                let Some(address) = piece.address.checked_add(piece.read as u64) else { break };
                let next = self.extents.partition_point(|extent| extent.address <= address);
                let Some(extent) = self.extents[..next].last() else { break };
                let into = address - extent.address;
                let Some(left) = extent.size.checked_sub(into).filter(|&left| left > 0) else {
                    break;
                };
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let end = piece.read + left.min(piece.bytes.len() - piece.read);
                let room = &mut piece.bytes[piece.read..end];
                match self.file.read_at(room, extent.offset.saturating_add(into))? {
                    0 => break,
                    count => piece.read += count,
                }
            }
        }
        Ok(())
    }
}

impl MemoryImage<'static> {
    /// The image of a core file. What the kernel or gdb has left out of it can't be read.
    ///
    /// A core file does not say which mappings were shared, nor what was the heap: the heap is anonymous
    /// memory there, and the main stack is the one that the first thread's stack pointer is in.
    ///
    /// # Errors
    /// If the file can't be read, or is no core file of a 64-bit program for x86-64 or aarch64.
    pub fn of_core(path: impl AsRef<Path>) -> Result<Self, SnapshotError> {
        let path = path.as_ref();
        let failed = |source| SnapshotError::CoreFile { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let contents = CoreContents::read(&file, size)
            .map_err(|reason| SnapshotError::NoCore { path: path.into(), reason })?;
        Ok(contents.image(file))
    }
}

/// What the headers and the notes of a core file say.
struct CoreContents {
    machine: Machine,
    /// Of each mapping: its range, its permissions, and where its bytes are.
    mappings: Vec<(Perms, u64, Extent)>,
    threads: Vec<ImageThread>,
    files: Vec<FileNote>,
}

/// A mapping of a file: a line of the note NT_FILE.
#[derive(Debug)]
struct FileNote {
    start: u64,
    end: u64,
    offset: u64,
    path: Vec<u8>,
}

impl CoreContents {
    fn read(file: &File, size: u64) -> Result<Self, String> {
        let cache = ReadCache::new(file);
        let header = Header::parse(&cache).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error: object::Error| error.to_string())?;
        if header.e_type(endian) != ET_CORE {
            return Err("it is an ELF file of another kind".to_owned());
        }
        let machine = match header.e_machine(endian) {
            EM_X86_64 => Machine::X86_64,
            EM_AARCH64 => Machine::Aarch64,
            other => return Err(format!("its processor (ELF machine {}) is not known", other.0)),
        };
        let programs = header.program_headers(endian, &cache).map_err(|error| error.to_string())?;
        let mut core =
            Self { machine, mappings: Vec::new(), threads: Vec::new(), files: Vec::new() };
        let mut notes_left = MAX_NOTES;
        for program in programs {
            if program.p_type(endian) == PT_LOAD {
                core.mappings.extend(mapping(program, size));
            } else if program.p_type(endian) == PT_NOTE {
                notes_left = notes_left
                    .checked_sub(program.p_filesz(endian))
                    .ok_or("its notes are larger than any process's")?;
                let notes = program.notes(endian, &cache).map_err(|error| error.to_string())?;
                let Some(mut notes) = notes else { continue };
                while let Some(note) = notes.next().map_err(|error| error.to_string())? {
                    match note.n_type(endian) {
                        NT_PRSTATUS => core.threads.extend(thread(machine, note.desc())),
                        NT_FILE => core.files.extend(file_notes(note.desc())),
                        _ => {}
                    }
                }
            }
        }
        Ok(core)
    }

    fn image(mut self, file: File) -> MemoryImage<'static> {
        self.mappings.sort_by_key(|(.., extent)| extent.address);
        let mut last = 0;
        self.mappings.retain(|&(_, end, extent)| {
            let sound = extent.address >= last && end > extent.address;
            last = if sound { end } else { last };
            sound
        });
        self.files.sort_by_key(|file| file.start);
        let pid = self.threads.first().map_or(0, |thread| thread.tid);
        let headers: Vec<MappingHeader<'_>> =
            self.mappings.iter().map(|it| header(it, &self.files)).collect();
        let mut regions =
            regions(&headers, pid, &self.threads, &mut DeletedFiles::as_the_kernel_says());
        mark_main_stack(&mut regions, &self.threads);
        let extents = self.mappings.iter().map(|&(.., extent)| extent).collect();
        let source = Box::new(CoreMemory { file, extents });
        MemoryImage::of_parts(pid, self.machine, regions, self.threads, source)
    }
}

/// The stack of the first thread, which is the one that has crashed: the main one, if there is no other.
fn mark_main_stack(regions: &mut [Region], threads: &[ImageThread]) {
    let Some(pointer) = threads.first().map(|thread| thread.stack_pointer) else { return };
    let holder = regions.iter_mut().find(|region| region.range().contains(&pointer));
    if let Some(region) = holder.filter(|region| region.class == MappingClass::Anonymous) {
        region.class = MappingClass::MainStack;
    }
}

fn mapping(
    program: &ProgramHeader64<LittleEndian>,
    file_size: u64,
) -> Option<(Perms, u64, Extent)> {
    let endian = LittleEndian;
    let flags = program.p_flags(endian).0;
    let perms = Perms {
        read: flags & object::elf::PF_R.0 != 0,
        write: flags & object::elf::PF_W.0 != 0,
        exec: flags & object::elf::PF_X.0 != 0,
        shared: false,
    };
    let (address, offset) = (program.p_vaddr(endian), program.p_offset(endian));
    let end = address.checked_add(program.p_memsz(endian))?;
    let there = file_size.saturating_sub(offset);
    let size = program.p_filesz(endian).min(end - address).min(there);
    Some((perms, end, Extent { address, offset, size }))
}

fn header<'f>(mapping: &(Perms, u64, Extent), files: &'f [FileNote]) -> MappingHeader<'f> {
    let &(perms, end, extent) = mapping;
    let next = files.partition_point(|file| file.start <= extent.address);
    let file = files[..next].last().filter(|file| extent.address < file.end);
    MappingHeader {
        start: extent.address,
        end,
        perms,
        offset: file
            .map_or(0, |file| file.offset.wrapping_add(extent.address.wrapping_sub(file.start))),
        device: 0,
        // Memory of no file has the number 0, and which number a file has nobody asks.
        inode: u64::from(file.is_some()),
        path: file.map_or(b"", |file| &file.path),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

/// A `struct elf_prstatus`.
fn thread(machine: Machine, status: &[u8]) -> Option<ImageThread> {
    let (count, stack_pointer, thread_pointer) = match machine {
        Machine::X86_64 => (27, 19, Some(21)),
        Machine::Aarch64 => (34, 31, None),
    };
    let tid = status.get(PRSTATUS_PID..PRSTATUS_PID + 4)?;
    let registers: Option<Vec<u64>> =
        (0..count).map(|index| word(status, PRSTATUS_REGISTERS + 8 * index)).collect();
    let registers = registers?;
    Some(ImageThread {
        tid: i32::from_le_bytes(tid.try_into().ok()?),
        stack_pointer: *registers.get(stack_pointer)?,
        thread_pointer: thread_pointer.and_then(|index: usize| registers.get(index).copied()),
        registers,
    })
}

/// The note NT_FILE (fs/binfmt_elf.c, `fill_files_note`): how many, the page size, then of each its
/// start, its end and its offset in pages, then the paths, each with a NUL.
fn file_notes(note: &[u8]) -> Vec<FileNote> {
    let (Some(count), Some(page)) = (word(note, 0), word(note, 8)) else { return Vec::new() };
    let names =
        usize::try_from(count).ok().and_then(|count| count.checked_mul(24)?.checked_add(16));
    let Some(names) = names.and_then(|at| note.get(at..)) else { return Vec::new() };
    let lines = note[16..].chunks_exact(24).take(usize::try_from(count).unwrap_or(0));
    let line = |(line, path): (&[u8], &[u8])| {
        Some(FileNote {
            start: word(line, 0)?,
            end: word(line, 8)?,
            offset: word(line, 16)?.wrapping_mul(page),
            path: path.to_vec(),
        })
    };
    lines.zip(names.split(|&byte| byte == 0)).filter_map(line).collect()
}
