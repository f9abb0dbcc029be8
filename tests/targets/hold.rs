//! A program that holds memory and does nothing: `test-target hold [MIB [THREADS]]`.
//!
//! It says `ready PID`, with the ids of its further threads behind that, and ends with its input.

use std::sync::mpsc::channel;

use seepmeter_tests::target::{Block, argument, read_to_end, say};

pub(crate) fn run() {
    let held = Block::of_mib(argument(1).unwrap_or(8));
    let mut ready = format!("ready {}", std::process::id());
    for _ in 0..argument(2).unwrap_or(0) {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let _ = sender.send(nix::unistd::gettid());
            loop {
                std::thread::park();
            }
        });
        ready += &format!(" {}", receiver.recv().expect("the thread's id"));
    }
    say(&ready);
    read_to_end();
    drop(held);
}
