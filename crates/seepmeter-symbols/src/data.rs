//! Names of variables: what a program or a library has in its data.

use std::io::{Read, Seek};

use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::read::{Object as _, ObjectSymbol as _, ReadCache, SymbolKind};
use object::{LittleEndian, elf};

use crate::demangle::demangle;

/// The variables of an ELF file, by where they want to lie.
#[derive(Debug, Default)]
pub struct DataSymbols {
    segments: Vec<DataSegment>,
    /// Address, size and name.
    symbols: Vec<(u64, u64, String)>,
}

/// A segment that can be written.
#[derive(Clone, Copy, Debug)]
struct DataSegment {
    offset: u64,
    file_size: u64,
    address: u64,
    memory_size: u64,
}

impl DataSymbols {
    /// Reads a file's tables of symbols. None if it is no 64-bit ELF file.
    #[must_use]
    pub fn read(file: impl Read + Seek) -> Option<Self> {
        let cache = ReadCache::new(file);
        let file = ElfFile64::<LittleEndian, _>::parse(&cache).ok()?;
        let header = file.elf_header();
        let endian = header.endian().ok()?;
        let writable = file.elf_program_headers().iter().filter(|it| {
            it.p_type(endian) == elf::PT_LOAD && it.p_flags(endian).contains(elf::PF_W)
        });
        let segments = writable.map(|it| DataSegment {
            offset: it.p_offset(endian),
            file_size: it.p_filesz(endian),
            address: it.p_vaddr(endian),
            memory_size: it.p_memsz(endian),
        });
        let segments = segments.collect();
        let all = file.symbols().chain(file.dynamic_symbols());
        let variables = all.filter(|it| it.kind() == SymbolKind::Data && it.size() > 0);
        let mut symbols: Vec<(u64, u64, String)> = variables
            .filter_map(|it| Some((it.address(), it.size(), demangle(it.name().ok()?))))
            .collect();
        symbols.sort();
        Some(Self { segments, symbols })
    }

    /// How much higher than it wants to a mapping lies that begins at this address and at this place of the file; and
    /// up to which address the data goes on that begins as zeros. None if no data begins there.
    #[must_use]
    pub fn place(&self, mapped: u64, file_offset: u64) -> Option<(u64, u64)> {
        const PAGE: u64 = 4096;
        let inside = |it: &&DataSegment| {
            it.offset & !(PAGE - 1) <= file_offset
                && file_offset < it.offset.saturating_add(it.file_size)
        };
        // Two segments may share a page of the file: it is mapped for each.
        let it = self.segments.iter().rev().find(inside)?;
        let wanted = it.address.wrapping_add(file_offset).wrapping_sub(it.offset);
        let bias = mapped.wrapping_sub(wanted);
        Some((bias, it.address.wrapping_add(it.memory_size).wrapping_add(bias)))
    }

    /// The variable that an address is in, where the file wants to lie.
    #[must_use]
    pub fn name(&self, address: u64) -> Option<&str> {
        let next = self.symbols.partition_point(|(start, ..)| *start <= address);
        // A variable may have several names, and lie within another.
        let near = self.symbols[..next].iter().rev().take(8);
        let mut around = near.filter(|(start, size, _)| address - start < *size);
        around.next().map(|(.., name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_this_program_is_named_where_it_lies() {
        static VARIABLE_OF_THIS_TEST: [u64; 40] = [7; 40];
        static mut CHANGED: u64 = 1;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let symbols = DataSymbols::read(std::fs::File::open("/proc/self/exe").unwrap()).unwrap();
        let address = &raw const CHANGED as u64;
        let exe = std::env::current_exe().unwrap();
        let mut placed =
            maps.lines().filter(|it| it.ends_with(exe.to_str().unwrap()) && it.contains(" rw-p "));
        let line = placed.next().unwrap();
        let (start, rest) = line.split_once('-').unwrap();
        let offset = rest.split(' ').nth(2).unwrap();
        let [start, offset] = [start, offset].map(|it| u64::from_str_radix(it, 16).unwrap());
        let (bias, end) = symbols.place(start, offset).unwrap();
        assert!((start..end).contains(&address) && VARIABLE_OF_THIS_TEST[3] == 7);
        let name = symbols.name(address.wrapping_sub(bias)).unwrap();
        assert!(name.ends_with("CHANGED"), "{name}");
        assert_eq!(symbols.name(0), None);
    }
}
