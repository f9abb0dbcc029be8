//! A file of any tool: a table, mprof's, psrecord's, or a recording after all. As a user gives it to
//! `seepmeter judge`.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use seepmeter_verdict::{JudgeOptions, RunFile, TableOptions};

fuzz_target!(|input: (bool, &[u8])| {
    let (named, text) = input;
    let column = |name: &str| named.then(|| name.to_owned());
    let options =
        TableOptions { time: column("time"), value: column("rss"), ..TableOptions::default() };
    let mut file = File::from(memfd_create("series", MFdFlags::empty()).expect("memfd"));
    file.write_all(text).expect("memfd");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if let Ok(run) = RunFile::read(&path, "x", JudgeOptions::default(), &options) {
        let _ = run.conclude();
    }
});
