//! The files of procfs and cgroupfs that Seepmeter reads, whatever is in them: the text lies in a made-up
//! /proc under every name.
#![no_main]

use std::fs;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use seepmeter_process::Limits;
use seepmeter_process::proc::{ProcRoot, StatmFile, StatusFile};

const PID: i32 = 42;
const FILES: [&str; 9] = [
    "stat",
    "statm",
    "status",
    "smaps_rollup",
    "comm",
    "cmdline",
    "syscall",
    "cgroup",
    "mountinfo",
];

/// A made-up /proc. `cargo xtask fuzz` removes it.
fn root() -> &'static tempfile::TempDir {
    static ROOT: OnceLock<tempfile::TempDir> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join(format!("{PID}/task/{PID}"))).expect("folders");
        root
    })
}

fuzz_target!(|text: &[u8]| {
    let folder = root().path().join(PID.to_string());
    for name in FILES {
        fs::write(folder.join(name), text).expect("a file of the made-up /proc");
    }
    fs::write(root().path().join("meminfo"), text).expect("meminfo");
    fs::write(folder.join(format!("task/{PID}/children")), text).expect("children");
    let proc = ProcRoot::new(root().path());
    let process = proc.process(PID);
    let _ = (process.stat(), process.statm(), process.status(), process.smaps_rollup());
    let _ = (process.comm(), process.cmdline(), process.stack_pointer(), proc.children(PID));
    let _ = StatmFile::open(&process).and_then(|file| file.read());
    let _ = StatusFile::open(&process).and_then(|file| file.read());
    let _ = (Limits::of(PID, &proc), proc.parents());
});
