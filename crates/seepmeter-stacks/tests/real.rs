//! Stacks of real processes.

use std::path::{Path, PathBuf};

use seepmeter_stacks::{
    FrameDefinition, FrameId, ImageDefinition, SampledStack, StackKind, StackTable, TargetCode,
};
use seepmeter_symbols::ImageKind;

#[path = "../../seepmeter-symbols/tests/real/support.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it belongs to the tests of another crate")]
mod support;

use support::{Target, build, source};

fn maps(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("maps")
}

/// Samples a target that sleeps.
fn sample(target: &Target, table: &mut StackTable) -> SampledStack {
    let sample = target.sample_asleep();
    let mut code = TargetCode::new(target.pid(), maps(target.pid()), table);
    code.set_maps(&sample.maps, table);
    table.stack(&code, &sample.registers, sample.copy())
}

/// The functions of a frame, the innermost first.
fn functions(frame: &FrameDefinition) -> Vec<&str> {
    frame.frame.functions.iter().map(|function| &*function.name).collect()
}

#[test]
fn a_sampled_stack_is_defined_with_images_and_lines_and_a_second_sample_defines_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let flags = ["-O2", "-g", "-Wl,--build-id=sha1"];
    let Some(program) = build("cc", &source("chain.c"), &program, &flags) else { return };
    let target = Target::path(&program);
    let mut table = StackTable::new();
    let sampled = sample(&target, &mut table);
    assert!(sampled.end.is_whole(), "{:?}", sampled.end);

    let new = table.take_new();
    let is_own = |image: &&ImageDefinition| image.identity.file_name() == b"chain";
    let own = new.images.iter().find(is_own).unwrap();
    assert_eq!(own.identity.kind, ImageKind::File);
    assert_eq!(own.identity.build_id.as_ref().unwrap().len(), 20);
    let [stack] = new.stacks else { panic!("{:?}", new.stacks) };
    assert_eq!((stack.id, stack.kind, stack.omitted), (sampled.id, StackKind::Whole, None));
    let frames: Vec<_> = stack.frames.iter().map(|id| &new.frames[id.0 as usize]).collect();
    let first = frames.iter().position(|frame| functions(frame) == ["c"]).unwrap();
    for (frame, name) in frames[first..].iter().zip(["c", "b", "a", "main"]) {
        assert_eq!((functions(frame), frame.image), (vec![name], Some(own.id)));
        assert!(frame.frame.raw.address > 0 && frame.frame.raw.is_return_address);
        let source = frame.frame.functions[0].source.as_ref().unwrap();
        assert!(source.file.ends_with("chain.c") && source.line.is_some(), "{source:?}");
    }

    let defined = new.frames.len();
    assert_eq!(sample(&target, &mut table).id, sampled.id);
    let new = table.take_new();
    assert!(new.images.is_empty() && new.frames.is_empty() && new.stacks.is_empty());
    assert!(table.frame(FrameId(defined as u32 - 1)).is_some());
    assert!(table.frame(FrameId(defined as u32)).is_none());
}

#[test]
fn two_processes_of_one_program_share_their_images_frames_and_stacks() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let Some(program) = build("cc", &source("chain.c"), &program, &["-O2"]) else { return };
    let mut table = StackTable::new();
    let targets = [Target::path(&program), Target::path(&program)];
    let [one, other] = targets.each_ref().map(|target| sample(target, &mut table));
    assert_eq!(one.id, other.id);
    assert_eq!(table.take_new().stacks.len(), 1);
}

#[test]
fn a_sampler_that_reads_no_mappings_has_them_read_when_a_stack_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let Some(program) = build("cc", &source("chain.c"), &program, &["-O2"]) else { return };
    let target = Target::path(&program);
    let sample = target.sample_asleep();
    let mut table = StackTable::new();
    let mut code = TargetCode::new(target.pid(), maps(target.pid()), &mut table);
    table.stack(&code, &sample.registers, sample.copy());
    code.refresh(&sample.registers, sample.copy(), &mut table);
    table.stack(&code, &sample.registers, sample.copy());
    let kinds: Vec<StackKind> = table.take_new().stacks.iter().map(|stack| stack.kind).collect();
    assert_eq!(kinds, [StackKind::Unknown, StackKind::Whole]);
}

/// Code that is generated anew at the same place has another name, and so is another stack.
#[test]
fn generated_code_is_named_anew_at_each_sample() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-O2", "-fno-omit-frame-pointer"];
    let program = folder.path().join("jit");
    let Some(program) = build("cc", &source("jit.c"), &program, &flags) else { return };
    let mut target = Target::path(&program);
    let map = PerfMap(format!("/tmp/perf-{}.map", target.pid()));
    let mut table = StackTable::new();
    let sample = target.sample_asleep();
    let mut code = TargetCode::new(target.pid(), maps(target.pid()), &mut table);
    code.set_maps(&sample.maps, &mut table);
    let before = table.stack(&code, &sample.registers, sample.copy()).id;
    target.signal(libc::SIGUSR1);
    target.line();
    let after = table.stack(&code, &sample.registers, sample.copy()).id;
    assert_ne!(before, after);
    let new = table.take_new();
    let named = new.frames.iter().any(|frame| functions(frame) == ["generated: the function"]);
    assert!(named, "{:?}", new.frames);
    drop(map);
}

/// The target leaves its map behind.
struct PerfMap(String);

impl Drop for PerfMap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
