//! A program that leaks at a steady rate: `test-target grow [MIB_A_SECOND [SECONDS]]`.
//!
//! Without arguments it leaks 2 MiB a second for 15 seconds: gentle enough for a first try.

use std::time::{Duration, Instant};

use seepmeter_tests::target::{Block, argument, say};

const STEPS_A_SECOND: u32 = 20;

pub(crate) fn run() {
    let mib_a_second: usize = argument(1).unwrap_or(2);
    let seconds: u32 = argument(2).unwrap_or(15);
    let step = (mib_a_second << 20) / STEPS_A_SECOND as usize;
    let begin = Instant::now();
    let mut kept = Vec::new();
    say("ready");
    for n in 1..=seconds * STEPS_A_SECOND {
        kept.push(Block::of_bytes(step));
        let due = begin + Duration::from_secs(1) * n / STEPS_A_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    say("done");
}
