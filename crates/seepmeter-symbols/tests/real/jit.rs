//! Code that a program generates: followed by frame pointers, named by its perf map.
#![cfg(target_arch = "x86_64")]

use std::path::PathBuf;
use std::process::Command;

use seepmeter_symbols::{Images, Process};
use tempfile::TempDir;

use crate::support::{COPY, Stack, Taken, Target, build, source};

fn jit() -> Option<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-O2", "-fno-omit-frame-pointer"];
    let program = build("cc", &source("jit.c"), &folder.path().join("jit"), &flags)?;
    Some((folder, program))
}

/// A perf map that is taken away with the test.
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
    assert_eq!(&*stack.named("generated: the function").module, b"[jit]");
    stack.must_be_whole();
}

/// The map comes when the function runs already, and after the look.
#[test]
fn a_map_that_grows_is_read_again() {
    let Some((_folder, program)) = jit() else { return };
    let mut target = Target::path(&program);
    let _map = Map::of(target.pid());
    let taken = target.look_asleep();
    let mut images = Images::new();
    let mut process = Process::new(target.pid(), &mut images);
    let space = process.space(&taken.maps, &mut images).unwrap();
    let stack = taken.named(&space, &mut images);
    let jit = stack.names.iter().find(|names| &*names[0].module == b"[jit]").unwrap();
    assert_eq!(jit[0].to_string(), format!("[jit]+{:#x}", jit[0].offset), "{stack}");
    stack.must_be_whole();

    target.signal(libc::SIGUSR1);
    assert_eq!(target.line(), "told");
    must_be_named(&taken.named(&space, &mut images));
}

#[test]
fn the_code_of_a_process_that_has_gone_is_named_by_the_map_that_it_had() {
    let Some((_folder, program)) = jit() else { return };
    let mut target = Target::start(Command::new(&program).arg("tell"));
    let map = Map::of(target.pid());
    let taken = target.look_asleep();
    let mut images = Images::new();
    let mut process = Process::new(target.pid(), &mut images);
    let space = process.space(&taken.maps, &mut images).unwrap();
    drop(map);
    target.end();
    must_be_named(&taken.named(&space, &mut images));
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
    must_be_named(&Taken::of(inner, inner, COPY).stack());
}
