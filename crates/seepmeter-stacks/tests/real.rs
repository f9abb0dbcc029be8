//! Stacks of real processes.

use std::path::{Path, PathBuf};

use seepmeter_plugin::StreamBuffer;
use seepmeter_plugin::record::{Frame, Record, Stack, StackDefinitions};
use seepmeter_stacks::{SampledStack, StackTable, TargetCode};

#[path = "../../seepmeter-symbols/tests/real/support.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it belongs to the tests of another crate")]
mod support;

use support::{Target, build, source};

fn maps(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("maps")
}

/// A table with a stream that keeps what it emits.
#[derive(Default)]
struct Emitted {
    table: StackTable,
    stream: StreamBuffer,
}

impl Emitted {
    /// Samples a target that sleeps.
    fn sample(&mut self, target: &Target) -> SampledStack {
        let sample = target.sample_asleep();
        let mut code = TargetCode::new(target.pid(), maps(target.pid()), &mut self.table);
        code.set_maps(&sample.maps, &mut self.table);
        self.table.stack(&code, &sample.registers, sample.copy(), &mut self.stream)
    }

    fn definitions(&self) -> StackDefinitions {
        let mut definitions = StackDefinitions::default();
        self.stream.records().iter().for_each(|record| definitions.apply(record));
        definitions
    }

    fn stacks(&self) -> Vec<&Stack> {
        let records = self.stream.records().iter();
        let stacks = records.filter_map(|record| match record {
            Record::Stack(stack) => Some(&**stack),
            _ => None,
        });
        stacks.collect()
    }
}

fn function(frame: &Frame) -> String {
    frame.function.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_sampled_stack_is_defined_with_images_and_lines_and_a_second_sample_defines_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let flags = ["-O2", "-g", "-Wl,--build-id=sha1"];
    let Some(program) = build("cc", &source("chain.c"), &program, &flags) else { return };
    let target = Target::path(&program);
    let mut emitted = Emitted::default();
    let sampled = emitted.sample(&target);
    assert!(sampled.end.is_whole(), "{:?}", sampled.end);

    let definitions = emitted.definitions();
    let stack = definitions.stack(sampled.id).unwrap();
    assert_eq!(stack.truncated, None);
    let frames: Vec<_> = definitions.frames(stack).collect();
    assert_eq!(frames.len(), stack.frames.len());
    let first = frames.iter().position(|frame| function(frame) == "c").unwrap();
    for (frame, name) in frames[first..].iter().zip(["c", "b", "a", "main"]) {
        assert_eq!((function(frame).as_str(), frame.inlined.len()), (name, 0));
        let image = definitions.image(frame).unwrap();
        assert!(image.path.to_string().ends_with("/chain"), "{image:?}");
        assert_eq!(image.build_id.as_ref().unwrap().len(), 40);
        let file = frame.file.as_ref().unwrap().to_string();
        assert!(frame.address > 0 && file.ends_with("chain.c") && frame.line.is_some());
    }

    let before = emitted.stream.records().len();
    assert_eq!(emitted.sample(&target).id, sampled.id);
    assert_eq!(emitted.stream.records().len(), before);
}

#[test]
fn two_processes_of_one_program_share_their_images_frames_and_stacks() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let Some(program) = build("cc", &source("chain.c"), &program, &["-O2"]) else { return };
    let mut emitted = Emitted::default();
    let targets = [Target::path(&program), Target::path(&program)];
    let [one, other] = targets.each_ref().map(|target| emitted.sample(target));
    assert_eq!(one.id, other.id);
    assert_eq!(emitted.stacks().len(), 1);
}

#[test]
fn a_sampler_that_reads_no_mappings_has_them_read_when_a_stack_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("chain");
    let Some(program) = build("cc", &source("chain.c"), &program, &["-O2"]) else { return };
    let target = Target::path(&program);
    let sample = target.sample_asleep();
    let Emitted { mut table, mut stream } = Emitted::default();
    let mut code = TargetCode::new(target.pid(), maps(target.pid()), &mut table);
    table.stack(&code, &sample.registers, sample.copy(), &mut stream);
    code.refresh(&sample.registers, sample.copy(), &mut table);
    table.stack(&code, &sample.registers, sample.copy(), &mut stream);
    let emitted = Emitted { table, stream };
    let ends: Vec<_> = emitted.stacks().into_iter().map(|stack| stack.truncated.clone()).collect();
    assert_eq!(ends, [Some("unknown".into()), None]);
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
    let Emitted { mut table, mut stream } = Emitted::default();
    let sample = target.sample_asleep();
    let mut code = TargetCode::new(target.pid(), maps(target.pid()), &mut table);
    code.set_maps(&sample.maps, &mut table);
    let before = table.stack(&code, &sample.registers, sample.copy(), &mut stream).id;
    target.signal(libc::SIGUSR1);
    target.line();
    let after = table.stack(&code, &sample.registers, sample.copy(), &mut stream).id;
    assert_ne!(before, after);
    let definitions = Emitted { table, stream }.definitions();
    let named = |frame: &&std::sync::Arc<Frame>| function(frame) == "generated: the function";
    let frame = definitions.frames(definitions.stack(after).unwrap()).find(named);
    assert_eq!(frame.map(|frame| frame.image), Some(None));
    drop(map);
}

/// The target leaves its map behind.
struct PerfMap(String);

impl Drop for PerfMap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
