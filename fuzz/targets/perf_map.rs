//! A perf map that some other process has written, read as ours.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use seepmeter_symbols::{Images, ProcessCode, StackCopy, UnwindRegisters};

/// All of memory that code can be in, as code without a file.
const MAPS: &[u8] = b"1000-7fffffffffff r-xp 00000000 00:00 0 \n";

/// The file of this process; the last one to use it removes it.
fn path() -> PathBuf {
    PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
}

fuzz_target!(|input: ([u64; 4], &[u8])| {
    let (addresses, text) = input;
    fs::write(path(), text).expect("a perf map");
    let mut images = Images::new();
    let mut process = ProcessCode::new(std::process::id().cast_signed(), &mut images);
    let space = process.space(MAPS, &mut images).expect("a mapping");
    for ip in addresses {
        let registers = UnwindRegisters { ip, ..UnwindRegisters::default() };
        let mut frames = Vec::new();
        space.unwind(&registers, StackCopy { base: 0, bytes: &[] }, &mut frames);
        for frame in &frames {
            for function in space.resolve(frame, &mut images).functions.iter() {
                assert!(!function.name.is_empty());
            }
        }
    }
    fs::remove_file(path()).expect("the perf map");
});
