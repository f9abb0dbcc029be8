//! A program that executes itself N times and then something else: `target-exec-chain N [COMMAND [ARG…]]`.
//!
//! Every link says `link N PID`; with no command the last one says `done PID`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use seepmeter_tests::target::{argument, say};

fn main() {
    let left: u32 = argument(1).unwrap_or(0);
    let words: Vec<_> = std::env::args_os().skip(2).collect();
    let pid = std::process::id();
    say(&format!("link {left} {pid}"));
    let failed = match (left, words.split_first()) {
        (0, None) => return say(&format!("done {pid}")),
        (0, Some((program, arguments))) => Command::new(program).args(arguments).exec(),
        _ => Command::new("/proc/self/exe").arg((left - 1).to_string()).args(&words).exec(),
    };
    panic!("cannot execute the next link: {failed}");
}
