//! An ELF file with its unwind tables, debug information and symbols, as a target may have mapped it:
//! it is a file, and as the vdso it is bytes in memory. Stacks over it are unwound and named.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use libfuzzer_sys::fuzz_target;
use nix::sys::stat::{major, minor};
use seepmeter_symbols::{Images, MAX_FRAMES, ProcessCode, StackCopy, UnwindRegisters};

const STACK: u64 = 0x7000_0000_0000;

/// The panics of blazesym over damaged files are caught where it is asked, so a panic is not the end yet: one
/// that nobody catches is.
fn say_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

fuzz_target!(init: say_panics(), |input: ([u8; 4], [u64; 3], [u64; 16], &[u8])| {
    let (steps, registers, stack, elf) = input;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(elf).expect("a file");
    let (path, facts) = (file.path().display(), File::metadata(file.as_file()).expect("fstat"));
    let (device, inode) = (facts.dev(), facts.ino());
    let maps = format!(
        "400000-500000 r-xp 00000000 {:02x}:{:02x} {inode} {path}\n\
         600000-{:x} r-xp 00000000 00:00 0 [vdso]\n\
         {STACK:x}-{:x} rw-p 00000000 00:00 0 [stack]\n",
        major(device),
        minor(device),
        0x60_0000 + elf.len().max(1),
        STACK + 0x1000,
    );
    let mut images = Images::new();
    images.set_vdso(elf);
    let mut process = ProcessCode::new(std::process::id().cast_signed(), &mut images);
    let Ok(space) = process.space(maps.as_bytes(), &mut images) else { return };
    let bytes: Vec<u8> = stack.iter().flat_map(|word| word.to_le_bytes()).collect();
    let copy = StackCopy { base: STACK, bytes: &bytes };
    for (step, base) in steps.iter().zip([0x40_0000, 0x60_0000, 0x40_1000, 0x60_0400]) {
        // Near the start of the code, where small files have theirs.
        let ip = base + (registers[0] & 0xfff) + u64::from(*step);
        let registers = UnwindRegisters { ip, sp: STACK, fp: registers[1], lr: registers[2] };
        let mut frames = Vec::new();
        let _ = space.unwind(&registers, copy, &mut frames);
        assert!(frames.len() <= MAX_FRAMES);
        for frame in &frames {
            let _ = space.resolve(frame, &mut images).to_string();
        }
    }
});
