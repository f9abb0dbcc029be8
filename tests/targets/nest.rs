//! A chain of processes, each the parent of the next: `test-target nest DEPTH MIB`.
//!
//! Each holds the memory. The last says `deepest PID`; all end with their standard input, the deepest first.

use std::process::Command;

use seepmeter_tests::target::{Block, argument, read_to_end, say};

pub(crate) fn run() {
    let depth: u32 = argument(1).unwrap_or(1);
    let mib: usize = argument(2).unwrap_or(1);
    let held = Block::of_mib(mib);
    if depth <= 1 {
        say(&format!("deepest {}", std::process::id()));
        read_to_end();
    } else {
        let words = ["nest".to_owned(), (depth - 1).to_string(), mib.to_string()];
        let status = Command::new("/proc/self/exe").args(words).status().expect("the next one");
        assert!(status.success(), "the next one has failed: {status}");
    }
    drop(held);
}
