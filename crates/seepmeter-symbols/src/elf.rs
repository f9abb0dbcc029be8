//! What unwinding needs of an ELF file: its segments, its build-id, its unwind tables.
//!
//! They are read into memory, never mapped: a file that is cut short under a mapping would end
//! this process by SIGBUS.

use std::rc::Rc;

use object::LittleEndian;
use object::elf::{FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _, SectionHeader as _};
use object::read::{ReadRef, SectionIndex};

use crate::arch;
use crate::decompress::{MAX_FILE, decompress, decompressed_size};
use crate::tables::{Section, Tables};

type Header = FileHeader64<LittleEndian>;

/// What was read of an ELF file.
#[derive(Debug, Default)]
pub(crate) struct Elf {
    /// Its loadable segments.
    pub(crate) segments: Vec<Segment>,
    /// What the linker wrote to tell this content from all others.
    pub(crate) build_id: Option<Rc<[u8]>>,
    /// Its unwind tables.
    pub(crate) tables: Tables,
    /// True if it holds DWARF of its own.
    pub(crate) debug_info: bool,
}

/// A stretch of the file and where it wants to lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) exec: bool,
}

/// Which of a file's names can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoundNames {
    /// Those of the debug information and of the tables of symbols.
    All,
    /// Those of the tables of symbols.
    Symbols,
    /// None of them.
    None,
}

impl Elf {
    /// Reads a file; none if it is no 64-bit ELF file for this machine.
    pub(crate) fn read<'data, R: ReadRef<'data>>(data: R) -> Option<Self> {
        let header = Header::parse(data).ok()?;
        let endian = header.endian().ok()?;
        if header.e_machine(endian).0 != arch::MACHINE {
            return None;
        }
        let programs = header.program_headers(endian, data).ok()?;
        let mut elf = Self {
            segments: programs.iter().filter_map(|program| segment(program, endian)).collect(),
            build_id: programs.iter().find_map(|program| build_id(program, endian, data)),
            ..Self::default()
        };
        elf.read_sections(header, endian, data);
        Some(elf)
    }

    /// What blazesym may be asked of a file. It allocates what the header of a compressed section says before
    /// it has read a byte, and an allocation that fails ends the process; nor does it stop reading there. So
    /// each must be what its header says, and all together not too large.
    pub(crate) fn sound_names<'data, R: ReadRef<'data>>(data: R) -> SoundNames {
        let Ok(header) = Header::parse(data) else { return SoundNames::None };
        let Ok(endian) = header.endian() else { return SoundNames::None };
        let Ok(sections) = header.sections(endian, data) else { return SoundNames::None };
        let mut room = MAX_FILE;
        let mut sound = SoundNames::All;
        for section in sections.iter() {
            let size = match section.compression(endian, data) {
                Ok(None) => Some(0),
                Ok(Some((header, offset, size))) => {
                    let bytes = data.read_bytes_at(offset, size).ok();
                    bytes.and_then(|bytes| decompressed_size(header, bytes, room))
                }
                Err(_) => None,
            };
            match (size, sections.section_name(endian, section)) {
                (Some(size), _) => room -= size,
                (None, Ok(name)) if name.starts_with(b".debug") => sound = SoundNames::Symbols,
                (None, _) => return SoundNames::None,
            }
        }
        sound
    }

    fn read_sections<'data, R: ReadRef<'data>>(
        &mut self,
        header: &'data Header,
        endian: LittleEndian,
        data: R,
    ) {
        // A file without section headers, or with broken ones, is still a file with segments.
        let Ok(sections) = header.sections(endian, data) else { return };
        for (index, section) in sections.enumerate() {
            let Ok(name) = sections.section_name(endian, section) else { continue };
            let start = section.sh_addr(endian);
            let range = start..start.saturating_add(section.sh_size(endian));
            let read = || {
                let bytes = match section.compression(endian, data).ok()? {
                    None => section.data(endian, data).ok()?.into(),
                    Some((header, offset, size)) => {
                        decompress(header, data.read_bytes_at(offset, size).ok()?)?
                    }
                };
                Some(Section { range: range.clone(), bytes }).filter(|it| !it.bytes.is_empty())
            };
            match name {
                b".eh_frame" => self.tables.eh_frame = read(),
                b".eh_frame_hdr" => self.tables.eh_frame_hdr = read(),
                b".debug_frame" => self.tables.debug_frame = read(),
                b".text" => self.tables.text = start,
                b".got" => self.tables.got = start,
                b".debug_info" | b".zdebug_info" => self.debug_info = index != SectionIndex(0),
                _ => {}
            }
        }
        self.tables.index();
    }

    /// The address that the file gives to the byte at `offset`, as it lies in a mapping that begins
    /// at that offset. A page of a file can belong to two segments, so an executable mapping asks the
    /// executable segments first.
    pub(crate) fn address_of(&self, offset: u64, exec: bool) -> Option<u64> {
        let holds = |segment: &&Segment| {
            // A mapping begins at a page's boundary, up to a page (64 KiB on some aarch64) before.
            let first = segment.offset & !0xffff;
            (first..segment.offset.saturating_add(segment.size)).contains(&offset)
        };
        let by_kind = |exec| self.segments.iter().filter(move |segment| segment.exec == exec);
        let segment = by_kind(exec).find(holds).or_else(|| by_kind(!exec).find(holds))?;
        Some(segment.address.wrapping_add(offset).wrapping_sub(segment.offset))
    }

    /// Where in the file the byte at `address` stands.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let holds = |segment: &&Segment| {
            address.checked_sub(segment.address).is_some_and(|into| into < segment.size)
        };
        let segment = self.segments.iter().find(holds)?;
        Some(segment.offset.wrapping_add(address - segment.address))
    }
}

fn segment(program: &ProgramHeader64<LittleEndian>, endian: LittleEndian) -> Option<Segment> {
    let load = program.p_type(endian) == object::elf::PT_LOAD;
    load.then(|| Segment {
        offset: program.p_offset(endian),
        address: program.p_vaddr(endian),
        size: program.p_filesz(endian),
        exec: program.p_flags(endian).0 & object::elf::PF_X.0 != 0,
    })
}

fn build_id<'data, R: ReadRef<'data>>(
    program: &ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    data: R,
) -> Option<Rc<[u8]>> {
    let mut notes: NoteIterator<'data, Header> = program.notes(endian, data).ok()??;
    while let Ok(Some(note)) = notes.next() {
        let ours = note.name() == object::elf::ELF_NOTE_GNU
            && note.n_type(endian) == object::elf::NT_GNU_BUILD_ID;
        if ours && !note.desc().is_empty() {
            return Some(note.desc().into());
        }
    }
    None
}
