//! A program whose children and threads die all the time: `test-target churn [ROUNDS [MIB]]`.

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use seepmeter_tests::target::{Block, argument, say};

pub(crate) fn run() {
    let rounds: u32 = argument(1).unwrap_or(200);
    let held = Block::of_mib(argument(2).unwrap_or(4));
    say("ready");
    for _ in 0..rounds {
        // SAFETY: there is one thread at this point of every round, and the child ends at once.
        match unsafe { fork() }.expect("fork") {
            // SAFETY: ends the child without running what its parent registered.
            ForkResult::Child => unsafe { nix::libc::_exit(0) },
            ForkResult::Parent { child } => waitpid(child, None).expect("waitpid"),
        };
        std::thread::spawn(|| {}).join().expect("a thread that does nothing");
    }
    drop(held);
    say("done");
}
