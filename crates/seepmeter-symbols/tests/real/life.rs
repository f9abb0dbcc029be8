//! What becomes of files and processes after the sample: unloaded, deleted, replaced, ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use seepmeter_symbols::{ImageKind, Images, ProcessCode, ResolvedFrame, StackEnd, UnreadReason};
use tempfile::TempDir;

use crate::support::{COPY, Target, ThreadSample, build, source};

fn compiled(name: &str, flags: &[&str]) -> Option<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let program = build("cc", &source(name), &folder.path().join("program"), flags)?;
    Some((folder, program))
}

/// A program that is inside a library which it will unload, and the library.
fn loader() -> Option<(TempDir, Target, PathBuf)> {
    let (folder, program) = compiled("loader.c", &["-O2"])?;
    let library = folder.path().join("library.so");
    build("cc", &source("library.c"), &library, &["-O2", "-shared", "-fPIC"])?;
    let target = Target::start(Command::new(program).arg(&library));
    Some((folder, target, library))
}

#[test]
fn a_library_that_was_unloaded_and_deleted_since_is_still_followed_and_named() {
    let Some((_folder, mut target, library)) = loader() else { return };
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).unwrap();

    std::fs::remove_file(&library).unwrap();
    target.signal(libc::SIGUSR1);
    assert_eq!(target.line(), "unloaded");
    target.end();
    let stack = sample.named(&space, &mut images);
    stack.must_have(&["back", "inside_library", "main"]);
    stack.must_be_whole();
}

/// Equal code is one image, however often it is loaded and wherever: nothing grows.
#[test]
fn a_library_that_is_loaded_again_and_again_gives_one_stack() {
    let Some((_folder, mut target, _library)) = loader() else { return };
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut first = None;
    for _ in 0..50 {
        let sample = target.sample_asleep();
        let space = process.space(&sample.maps, &mut images).unwrap();
        let (frames, end) = sample.unwind(&space);
        assert!(end.is_whole(), "{end:?}");
        assert_eq!(*first.get_or_insert(frames.clone()), frames);
        target.signal(libc::SIGUSR1);
        assert_eq!((target.line(), target.line()), ("unloaded".into(), "inside".into()));
    }
    // The program, the library, libc, the loader, debug files of two, and what other tests have.
    assert!(descriptors() < 100, "{}", descriptors());
}

#[test]
fn a_program_that_was_deleted_before_the_sample_is_read_or_reported() {
    let Some((_folder, program)) = compiled("chain.c", &["-O2", "-g"]) else { return };
    let target = Target::path(&program);
    std::fs::remove_file(&program).unwrap();
    let stack = target.sample_asleep().stack();
    if stack.functions().iter().any(|name| name == "main") {
        // map_files may be read here.
        stack.must_have(&["c", "b", "a", "main"]);
        stack.must_be_whole();
        return;
    }
    eprintln!("NOT RUN: the half with the right to read /proc/PID/map_files, which we do not have");
    assert!(stack.to_string().contains("program (deleted)+0x"), "{stack}");
}

/// The new file has other functions at the same places: none of its names may be shown.
#[test]
fn a_file_that_was_replaced_is_never_taken_for_the_one_that_is_mapped() {
    let Some((folder, program)) = compiled("chain.c", &["-O2"]) else { return };
    let target = Target::path(&program);
    let sample = target.sample_asleep();
    let other = folder.path().join("other");
    build("cc", &source("steps.c"), &other, &["-O2"]).unwrap();
    std::fs::rename(&other, &program).unwrap();

    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).unwrap();
    let stack = sample.named(&space, &mut images);
    let functions = stack.functions();
    let wrong = ["leaf", "saves", "early", "dynamic", "turn"];
    assert!(!functions.iter().any(|name| wrong.contains(&name.as_str())), "{stack}");
    if !stack.has(&["c", "b", "a", "main"]) {
        let kind = ImageKind::Unread(UnreadReason::Replaced);
        assert_eq!(space.unread().next().map(|image| image.kind), Some(kind), "{stack}");
        assert!(stack.to_string().contains("program (replaced)+0x"), "{stack}");
    }
}

/// A file that was written over in place keeps its inode. What was read of it before stays right; its
/// symbols, which were not, are no more asked for.
#[test]
fn a_file_that_was_written_over_is_not_read_again() {
    let Some((_folder, mut target, library)) = loader() else { return };
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).unwrap();
    target.end();
    std::fs::write(&library, "now it is a text").unwrap();
    let stack = sample.named(&space, &mut images);
    stack.must_be_whole();
    let is_inside = |frame: &&Rc<ResolvedFrame>| {
        frame.image.as_ref().is_some_and(|image| image.file_name() == b"library.so")
    };
    let inside = stack.frames.iter().find(is_inside).unwrap();
    assert!(inside.functions.is_empty(), "{stack}");
}

#[test]
fn a_process_that_has_gone_is_named_from_its_text_alone() {
    let Some((_folder, program)) = compiled("chain.c", &["-O2"]) else { return };
    let mut target = Target::path(&program);
    let sample = target.sample_asleep();
    target.end();
    // Nothing was opened while it lived: the files are found by their paths.
    let stack = sample.stack();
    stack.must_have(&["c", "b", "a", "main"]);
    stack.must_be_whole();
}

#[test]
fn a_separate_debug_file_is_found_by_its_link() {
    let Some((folder, program)) = compiled("chain.c", &["-O2", "-g"]) else { return };
    let debug = folder.path().join("program.debug");
    let run = |tool: &str, arguments: &[&str]| {
        let done = Command::new(tool).args(arguments).current_dir(folder.path()).status();
        assert!(done.unwrap().success(), "{tool} {arguments:?}");
    };
    run("objcopy", &["--only-keep-debug", "program", "program.debug"]);
    run("objcopy", &["--strip-all", "--add-gnu-debuglink=program.debug", "program"]);
    let stack_of = |program: &Path| Target::path(program).sample_asleep().stack();
    let stack = stack_of(&program);
    stack.must_have(&["c", "b", "a", "main"]);
    assert!(stack.function("a").source.as_ref().unwrap().file.ends_with("chain.c"), "{stack}");

    // One of another build is no use, and no harm.
    std::fs::write(&debug, "no debug file").unwrap();
    let stack = stack_of(&program);
    assert!(stack.functions().iter().all(|name| name != "a"), "{stack}");
    stack.must_be_whole();
}

/// Debian has libc's symbols in a package of its own, by build-id.
#[test]
fn libc_is_named_from_its_debug_package() {
    let Some((_folder, program)) = compiled("chain.c", &["-O2"]) else { return };
    let stack = Target::path(&program).sample_asleep().stack();
    let start = stack.functions().iter().any(|name| name == "__libc_start_call_main");
    if !start {
        eprintln!("NOT RUN: libc's debug package (libc6-dbg) is not installed");
        return;
    }
    let name = stack.function("__libc_start_call_main");
    assert!(name.source.as_ref().unwrap().file.ends_with("libc_start_call_main.h"), "{stack}");
}

/// A copy that is too short says how much more the next frame needs; with that it gets on.
#[test]
fn a_copy_that_is_too_short_says_what_is_missing() {
    let Some((_folder, program)) = compiled("chain.c", &["-O2"]) else { return };
    let target = Target::path(&program);
    target.asleep(target.pid());
    let whole = ThreadSample::of(target.pid(), target.pid(), COPY);
    let all = whole.stack();
    let (mut length, mut rounds) = (16, 0);
    loop {
        let sample = ThreadSample::of(target.pid(), target.pid(), length);
        let stack = sample.stack();
        assert!(all.frames.len() >= stack.frames.len(), "{all}\n{stack}");
        match stack.end {
            StackEnd::Cut { missing } => length += usize::try_from(missing).unwrap(),
            end => {
                assert!(end.is_whole(), "{stack}");
                break;
            }
        }
        rounds += 1;
        assert!(rounds < 20, "{stack}");
    }
    assert!(rounds > 2, "b alone has 300 bytes");
}

#[test]
fn equal_samples_share_their_address_space() {
    let Some((_folder, program)) = compiled("chain.c", &["-O2"]) else { return };
    let target = Target::path(&program);
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let one = process.space(&sample.maps, &mut images).unwrap();
    let other = process.space(&sample.maps, &mut images).unwrap();
    assert!(std::rc::Rc::ptr_eq(&one, &other));
    let error = process.space(b"", &mut images).err().unwrap().to_string();
    assert!(error.contains(&target.pid().to_string()) && error.contains("has ended"), "{error}");
}
