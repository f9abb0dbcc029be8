//! A program that executes itself N times and then something else: `test-target exec-chain N [COMMAND [ARG…]]`.
//!
//! Every link says `link N PID`; with no command the last one says `done PID`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use seepmeter_tests::target::{argument, arguments_from, say};

pub(crate) fn run() {
    let left: u32 = argument(1).unwrap_or(0);
    let words: Vec<_> = arguments_from(2).collect();
    let pid = std::process::id();
    say(&format!("link {left} {pid}"));
    let failed = match (left, words.split_first()) {
        (0, None) => return say(&format!("done {pid}")),
        (0, Some((program, arguments))) => Command::new(program).args(arguments).exec(),
        _ => {
            let left = (left - 1).to_string();
            Command::new("/proc/self/exe").args(["exec-chain", &left]).args(&words).exec()
        }
    };
    panic!("cannot execute the next link: {failed}");
}
