//! A file of any tool: a table, mprof's, psrecord's, or a recording after all. As a user gives it to
//! `seepmeter judge`.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use seepmeter_verdict::{Columns, JudgeOptions, RunFile};

fuzz_target!(|input: (bool, &[u8])| {
    let (named, text) = input;
    let columns = named.then(|| Columns { time: "time".to_owned(), value: "rss".to_owned() });
    let mut file = File::from(memfd_create("series", MFdFlags::empty()).expect("memfd"));
    file.write_all(text).expect("memfd");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if let Ok(run) = RunFile::read(&path, "x", JudgeOptions::default(), columns.as_ref()) {
        let _ = run.conclude();
    }
});
