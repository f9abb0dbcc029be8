//! A program that grows and drops again and again, and leaks nothing: `test-target saw [MIB [TEETH [STEP_MS]]]`.

use std::time::Duration;

use seepmeter_tests::target::{Block, argument, say};

const STEPS: usize = 10;

pub(crate) fn run() {
    let mib: usize = argument(1).unwrap_or(16);
    let teeth: usize = argument(2).unwrap_or(10);
    let step = Duration::from_millis(argument(3).unwrap_or(20));
    say("ready");
    for _ in 0..teeth {
        let mut tooth = Vec::new();
        for _ in 0..STEPS {
            tooth.push(Block::of_bytes((mib << 20) / STEPS));
            std::thread::sleep(step);
        }
    }
    say("done");
}
