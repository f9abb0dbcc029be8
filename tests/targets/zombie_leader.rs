//! A program whose main thread ends while another lives on: `test-target zombie-leader [MIB [STATUS]]`.
//!
//! The other thread holds the memory, says `ready PID TID` as soon as the leader is a zombie,
//! lets go of it at a line on its standard input, and ends the program with STATUS at the input's end.

use nix::libc;
use seepmeter_tests::target::{Block, argument, read_to_end, say, wait_for_line};

pub(crate) fn run() {
    let mib = argument(1).unwrap_or(16);
    let status = argument(2).unwrap_or(0);
    std::thread::spawn(move || {
        let held = Block::of_mib(mib);
        while !leader_is_a_zombie() {
            std::thread::yield_now();
        }
        say(&format!("ready {} {}", std::process::id(), nix::unistd::gettid()));
        wait_for_line();
        drop(held);
        say("dropped");
        read_to_end();
        seepmeter_tests::target::end_with(status);
    });
    // SAFETY: ends this thread alone, as pthread_exit(3) in main does; what it owns is never used again,
    // and the other thread has moved in all that it needs.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn leader_is_a_zombie() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
}
