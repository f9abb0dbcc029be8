//! A program with one short spike: `test-target spike [MIB [MILLISECONDS]]`.
//!
//! It says `ready`, waits for a line on its standard input, spikes, says `spiked`, and ends with its
//! input.

use std::time::Duration;

use seepmeter_tests::target::{Block, argument, read_to_end, say, wait_for_line};

pub(crate) fn run() {
    let mib = argument(1).unwrap_or(64);
    let time = Duration::from_millis(argument(2).unwrap_or(50));
    say("ready");
    wait_for_line();
    let spike = Block::of_mib(mib);
    std::thread::sleep(time);
    drop(spike);
    say("spiked");
    read_to_end();
}
