//! A server with a worker: `test-target serve [MIB [server|worker]]`.
//!
//! It says `ready` and waits for a line. Then the `server` or its `worker` begins a session of its own, if that is
//! asked for, the server forks the worker, and the worker says `worker PID`. Each holds the memory until standard input
//! ends.

use nix::unistd::{ForkResult, fork, setsid};
use seepmeter_tests::target::{Block, argument, read_to_end, say, wait_for_line};

pub(crate) fn run() {
    let held = Block::of_mib(argument(1).unwrap_or(1));
    let leader: Option<String> = argument(2);
    let begin_session = |of: &str| {
        if leader.as_deref() == Some(of) {
            setsid().expect("a session");
        }
    };
    say("ready");
    wait_for_line();
    begin_session("server");
    // SAFETY: there is one thread, so the child may do all that its parent may.
    if let ForkResult::Child = unsafe { fork() }.expect("fork") {
        begin_session("worker");
        say(&format!("worker {}", std::process::id()));
    }
    read_to_end();
    drop(held);
}
