//! Whatever the bytes are, nothing panics, and everything ends.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use seepmeter_symbols::{Images, MAX_FRAMES, ProcessCode, StackCopy, UnwindRegisters};

/// This program itself: an ELF file with all tables. Its size alone would make each case slow, so one
/// is built that has little but them.
static ELF: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/targets/aligned.c");
    let program = folder.path().join("program");
    let flags = ["-O2", "-g", "-fno-asynchronous-unwind-tables"];
    let mut command = std::process::Command::new("cc");
    match command.args(flags).arg(source).arg("-o").arg(&program).status() {
        Ok(status) if status.success() => std::fs::read(program).unwrap(),
        _ => std::fs::read("/proc/self/exe").unwrap(),
    }
});

const BASE: u64 = 0x5555_0000_0000;
const STACK: u64 = 0x7ffd_0000_0000;

/// The maps of a process that has `file` at [`BASE`], and a stack.
fn maps(file: &Path, size: u64) -> Vec<u8> {
    let metadata = std::fs::metadata(file).unwrap();
    let (device, inode) = (metadata.dev(), metadata.ino());
    let (major, minor) = (libc::major(device), libc::minor(device));
    let path = file.display();
    let (end, stack) = (BASE + size, STACK + 0x1_0000);
    format!(
        "{BASE:x}-{end:x} r-xp 00000000 {major:x}:{minor:x} {inode} {path}\n\
         7f0000000000-7f0000010000 rwxp 00000000 00:00 0\n\
         {STACK:x}-{stack:x} rw-p 00000000 00:00 0 [stack]\n"
    )
    .into_bytes()
}

/// Words that look like a stack: addresses of code, of the stack, and anything.
fn words(size: u64) -> impl Strategy<Value = Vec<u64>> {
    let word = prop_oneof![
        (0..size).prop_map(|offset| BASE + offset),
        (0..0x1_0000u64).prop_map(|offset| STACK + offset),
        (0..0x1_0000u64).prop_map(|offset| 0x7f00_0000_0000 + offset),
        any::<u64>(),
        Just(0),
    ];
    proptest::collection::vec(word, 0..512)
}

/// The place in a file of each compressed section's header (ELF's gABI, "Section Compression").
fn compressed(file: &[u8]) -> Vec<usize> {
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(0x28, 8), number(0x3a, 2), number(0x3c, 2));
    let sections = (0..count).map(|n| first + n * size);
    let compressed = sections.filter(|section| number(section + 8, 8) & 0x800 != 0);
    compressed.map(|section| number(section + 0x18, 8)).collect()
}

/// All names of the code of a file.
fn names(file: &[u8]) -> Vec<String> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file).unwrap();
    let mut images = Images::new();
    let mut process = ProcessCode::new(i32::MAX, &mut images);
    let space = process.space(&maps(written.path(), 0x4000), &mut images).unwrap();
    let mut names = Vec::new();
    for at in (0x1000..0x1400).step_by(16) {
        let registers = UnwindRegisters { ip: BASE + at, ..UnwindRegisters::default() };
        let mut frames = Vec::new();
        space.unwind(&registers, StackCopy { base: STACK, bytes: &[] }, &mut frames);
        let resolved = frames.first().map(|frame| space.resolve(frame, &mut images));
        let functions = resolved.iter().flat_map(|resolved| resolved.functions.iter());
        names.extend(functions.map(|function| function.name.to_string()));
    }
    names
}

/// A size that is a lie would be allocated at once, and an allocation that fails can't be caught.
#[test]
fn debug_information_that_is_not_as_large_as_it_says_is_left_alone_and_symbols_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/targets/aligned.c");
    let program = folder.path().join("program");
    let mut command = std::process::Command::new("cc");
    let built = command.args(["-O2", "-g", "-gz"]).arg(source).arg("-o").arg(&program).status();
    if !built.is_ok_and(|status| status.success()) {
        let why = "NOT RUN: compressed sections that lie: there is no cc here that compresses\n";
        return std::io::stderr().write_all(why.as_bytes()).unwrap();
    }
    let sound = std::fs::read(program).unwrap();
    let sections = compressed(&sound);
    assert!(!sections.is_empty());
    assert!(names(&sound).iter().any(|name| name == "main"), "{:?}", names(&sound));
    for section in sections {
        for size in [1 << 62, 1 << 40, 1u64] {
            let mut lies = sound.clone();
            lies[section + 8..section + 16].copy_from_slice(&size.to_le_bytes());
            let names = names(&lies);
            assert!(
                names.iter().any(|name| name == "main"),
                "{size} bytes at {section:#x}: {names:?}"
            );
        }
    }
}

/// Unwinds and names, in a process that this machine does not have.
fn follow(maps: &[u8], registers: UnwindRegisters, words: &[u64]) {
    let mut images = Images::new();
    let mut process = ProcessCode::new(i32::MAX, &mut images);
    let Ok(space) = process.space(maps, &mut images) else { return };
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let stack = StackCopy { base: registers.sp, bytes: &bytes };
    let mut frames = Vec::new();
    let end = space.unwind(&registers, stack, &mut frames);
    assert!(frames.len() <= MAX_FRAMES, "{end:?}");
    for frame in frames.iter().take(20) {
        assert_eq!(space.resolve(frame, &mut images).raw, *frame);
    }
}

/// More of them where there is time.
fn cases() -> ProptestConfig {
    let long = std::env::var_os("SEEPMETER_LONG").is_some();
    ProptestConfig { cases: if long { 5000 } else { 64 }, ..ProptestConfig::default() }
}

/// Where a byte is changed: anywhere; in the headers; where the tables are.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..ELF.len(), 0..0x400usize, 0x2000..0x2200usize, ELF.len() - 0x800..ELF.len()]
}

proptest! {
    #![proptest_config(cases())]

    /// Any stack over a sound file.
    #[test]
    fn any_stack_and_any_registers_come_to_an_end(
        words in words(0x4000),
        ip in prop_oneof![(0..0x4000u64).prop_map(|at| BASE + at), any::<u64>()],
        sp in prop_oneof![(0..0x1_0000u64).prop_map(|at| STACK + at), any::<u64>()],
        fp in prop_oneof![(0..0x1_0000u64).prop_map(|at| STACK + at), any::<u64>()],
    ) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&ELF).unwrap();
        follow(&maps(file.path(), 0x4000), UnwindRegisters { ip, sp, fp, lr: ip }, &words);
    }

    /// A file with bytes changed anywhere in it: headers, tables, symbols, debug information.
    #[test]
    fn any_damage_to_a_file_is_borne(
        damage in proptest::collection::vec((place(), any::<u8>()), 1..100),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
        words in words(0x4000),
        at in 0..0x4000u64,
    ) {
        let mut bytes = ELF.clone();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let registers = UnwindRegisters { ip: BASE + at, sp: STACK, fp: STACK + 64, lr: BASE + at };
        follow(&maps(file.path(), 0x4000), registers, &words);
    }

    /// A text that is none, or nearly one.
    #[test]
    fn any_text_of_maps_is_borne(
        text in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..500),
            "([0-9a-f]{1,16}-[0-9a-f]{1,16} [r-][w-]xp [0-9a-f]{1,16} [0-9a-f]{2}:[0-9a-f]{2} [0-9]{1,20} [ -~]{0,30}\n){0,20}"
                .prop_map(String::into_bytes),
        ],
        words in words(0x4000),
        ip in any::<u64>(),
    ) {
        follow(&text, UnwindRegisters { ip, sp: STACK, fp: STACK, lr: ip }, &words);
    }

    /// Names of symbols are whatever a file says.
    #[test]
    fn any_name_of_a_symbol_is_borne(name in "(_ZN?|_R)[0-9A-Za-z_$.]{0,200}") {
        seepmeter_symbols::demangle(&name);
    }
}
