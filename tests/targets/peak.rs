//! Runs a command, and says at its end how much memory it took: `test-target peak COMMAND [ARGUMENT…]`.
//! Its last line on standard output is `peak BYTES`; it ends with the status of the command.

use std::process::Command;

use nix::sys::resource::{UsageWho, getrusage};
use seepmeter_tests::target::{end_with, say};

pub(crate) fn run() {
    let mut words = std::env::args_os().skip(2);
    let command = words.next().expect("test-target peak COMMAND");
    let status = Command::new(command).args(words).status().expect("the command");
    // Of its only child; in KiB.
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage").max_rss() * 1024;
    say(&format!("peak {peak}"));
    end_with(status.code().unwrap_or(255));
}
