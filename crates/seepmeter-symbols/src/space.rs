//! An address space as it was at one sample.

use std::ops::Range;
use std::rc::Rc;

use seepmeter_maps::maps::{self, MappingHeader};

use crate::code::{Code, Region};
use crate::frame::{ImageKey, RawFrame, StackCopy, StackEnd, UnwindRegisters};
use crate::image::{Content, Image};
use crate::images::Images;
use crate::resolved::{ImageIdentity, ImageKind, ResolvedFrame};
use crate::unwind;

/// An address space as it was at one sample.
///
/// It keeps the files open. So code that was unloaded since, or deleted, can still be unwound and
/// resolved, and so can a process that has ended.
pub struct AddressSpace {
    pub(crate) code: Rc<Code>,
    /// The addresses of each mapping, in order.
    mappings: Vec<Range<u64>>,
}

impl AddressSpace {
    /// Made by [`ProcessCode::space`](crate::ProcessCode::space).
    pub(crate) fn new(code: Rc<Code>, headers: &[MappingHeader<'_>]) -> Self {
        let mappings = headers.iter().map(|header| header.start..header.end).collect();
        Self { code, mappings }
    }

    /// Appends the frames of a stack to `frames`, the innermost first, and says how it ended.
    ///
    /// Whatever the bytes are, this ends: every frame lies above the one before it, and there are at
    /// most [`MAX_FRAMES`](crate::MAX_FRAMES).
    pub fn unwind(
        &self,
        registers: &UnwindRegisters,
        stack: StackCopy<'_>,
        frames: &mut Vec<RawFrame>,
    ) -> StackEnd {
        let limit = self.end_of_mapping(stack.base).unwrap_or(0);
        unwind::walk(&self.code, registers, stack, limit, frames)
    }

    /// Where the mapping that holds `address` ends, if there is one. It bounds what is worth copying of
    /// a stack.
    #[must_use]
    pub fn end_of_mapping(&self, address: u64) -> Option<u64> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings[..after].last().map(|mapping| mapping.end).filter(|&end| address < end)
    }

    /// Resolves a frame: its image, its function and the functions that were inlined there.
    ///
    /// It may take tens of milliseconds the first time that a file's symbols are read.
    pub fn resolve(&self, frame: &RawFrame, images: &mut Images) -> Rc<ResolvedFrame> {
        images.resolve(frame, self.image(frame.image))
    }

    /// The files that could not be read. Their frames are followed by frame pointers and have no names.
    pub fn unread(&self) -> impl Iterator<Item = &ImageIdentity> {
        let images = self.code.regions().iter().map(|region| &*region.image.identity);
        images.filter(|image| matches!(image.kind, ImageKind::Unread(_)))
    }

    fn image(&self, key: ImageKey) -> Option<&Rc<Image>> {
        let mut regions = self.code.regions().iter();
        regions.find(|region| region.image.key() == key).map(|region| &region.image)
    }
}

/// The executable mappings, with their images: those of `before` if nothing changed.
pub(crate) fn regions(
    pid: i32,
    headers: &[MappingHeader<'_>],
    generated: &Rc<Image>,
    images: &mut Images,
) -> Vec<Region> {
    let exec = headers.iter().filter(|header| header.perms.exec);
    let made = exec.filter_map(|header| region(pid, header, generated, images));
    made.collect()
}

fn region(
    pid: i32,
    header: &MappingHeader<'_>,
    generated: &Rc<Image>,
    images: &mut Images,
) -> Option<Region> {
    let image = match header.path {
        // The kernel's own page in every process: its calls are long emulated by a trap.
        b"[vsyscall]" => return None,
        b"[vdso]" => images.vdso(header.len()).unwrap_or_else(|| generated.clone()),
        _ if header.inode == 0 => generated.clone(),
        path => {
            let image = images.file(pid, header);
            let memory = is_memory(path) && matches!(image.content, Content::Unread);
            if memory { generated.clone() } else { image }
        }
    };
    let bias = bias(&image, header);
    Some(Region { start: header.start, end: header.end, bias, image })
}

/// Files that are memory by another name: what lies there is generated code, unless it is an ELF file.
fn is_memory(path: &[u8]) -> bool {
    let names: [&[u8]; 4] = [b"/memfd:", b"/dev/zero (deleted)", b"/SYSV", b"/anon_hugepage"];
    names.iter().any(|name| path.starts_with(name))
}

fn bias(image: &Image, header: &MappingHeader<'_>) -> u64 {
    match &image.content {
        // Its addresses are those of the process.
        Content::Generated(_) => 0,
        // Offsets in the file are all there is.
        Content::Unread => header.start.wrapping_sub(header.offset),
        Content::File(_) | Content::Memory { .. } => {
            let address = image.elf().and_then(|elf| elf.address_of(header.offset, true));
            header.start.wrapping_sub(address.unwrap_or(header.offset))
        }
    }
}

/// Reads the text of /proc/PID/maps; none if it has no mapping.
pub(crate) fn headers(text: &[u8]) -> Option<Vec<MappingHeader<'_>>> {
    let headers = maps::parse(text);
    (!headers.is_empty()).then_some(headers)
}
