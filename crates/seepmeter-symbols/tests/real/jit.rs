//! Code that a program generates: unwound by frame pointers, named by its perf map.
#![cfg(target_arch = "x86_64")]

use std::path::PathBuf;
use std::process::Command;

use seepmeter_symbols::{ImageKind, Images, ProcessCode};
use tempfile::TempDir;

use crate::support::{COPY, Stack, Target, ThreadSample, build, source};

fn jit() -> Option<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-O2", "-fno-omit-frame-pointer"];
    let program = build("cc", &source("jit.c"), &folder.path().join("jit"), &flags)?;
    Some((folder, program))
}

/// A perf map that is sample away with the test.
struct Map(String);

impl Map {
    fn of(pid: i32) -> Self {
        Self(format!("/tmp/perf-{pid}.map"))
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[track_caller]
fn must_be_named(stack: &Stack) {
    stack.must_have(&["rest", "generated: the function", "main"]);
    assert_eq!(stack.frame_of("generated: the function").1, ImageKind::Generated);
    stack.must_be_whole();
}

/// The map comes when the function runs already, and after the sample.
#[test]
fn a_map_that_grows_is_read_again() {
    let Some((_folder, program)) = jit() else { return };
    let mut target = Target::path(&program);
    let _map = Map::of(target.pid());
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).unwrap();
    let stack = sample.named(&space, &mut images);
    let jit = stack.frame_in(ImageKind::Generated).unwrap();
    assert_eq!(jit.to_string(), format!("[jit]+{:#x}", jit.raw.address), "{stack}");
    stack.must_be_whole();

    target.signal(libc::SIGUSR1);
    assert_eq!(target.line(), "told");
    must_be_named(&sample.named(&space, &mut images));
}

#[test]
fn the_code_of_a_process_that_has_gone_is_named_by_the_map_that_it_had() {
    let Some((_folder, program)) = jit() else { return };
    let mut target = Target::start(Command::new(&program).arg("tell"));
    let map = Map::of(target.pid());
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).unwrap();
    drop(map);
    target.end();
    must_be_named(&sample.named(&space, &mut images));
}

/// In a container the process knows itself by another pid, and so does the name of its map.
#[test]
fn the_map_of_a_process_in_a_pid_namespace_is_found() {
    let Some((_folder, program)) = jit() else { return };
    let mut command = Command::new("unshare");
    command.args(["--pid", "--mount", "--fork", "--kill-child", "--"]);
    // Its own /tmp, too: the map is found in its root alone.
    let script = "mount -t tmpfs none /tmp && cp /proc/self/fd/3 /tmp/jit && exec /tmp/jit tell";
    command.args(["sh", "-c", &format!("exec 3<'{}'; {script}", program.display())]);
    if !Command::new("unshare")
        .args(["--pid", "--mount", "--fork", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("NOT RUN: we may not make a pid namespace here");
        return;
    }
    let target = Target::start(&mut command);
    let children = format!("/proc/{0}/task/{0}/children", target.pid());
    let inner: i32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    target.asleep_process(inner);
    must_be_named(&ThreadSample::of(inner, inner, COPY).stack());
}
