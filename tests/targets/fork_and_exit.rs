//! A program that leaves a child behind, as a daemon does: `test-target fork-and-exit [MIB [SESSION]]`.
//!
//! With any SESSION the child begins one of its own. The parent says `left PID` and exits. The child holds the memory until its standard input ends, and
//! then says `orphan done`.

use nix::unistd::{ForkResult, fork, setsid};
use seepmeter_tests::target::{Block, argument, read_to_end, say};

pub(crate) fn run() {
    let mib = argument(1).unwrap_or(1);
    // SAFETY: there is one thread, so the child may do all that its parent may.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => say(&format!("left {child}")),
        ForkResult::Child => {
            if argument::<String>(2).is_some() {
                setsid().expect("a session");
            }
            let held = Block::of_mib(mib);
            read_to_end();
            drop(held);
            say("orphan done");
        }
    }
}
