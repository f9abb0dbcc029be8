//! A program whose mappings merge into one that grows: `test-target merging [SECONDS [MILLISECONDS]]`. It
//! maps 256 KiB each 60 milliseconds, or each so many, and keeps them. The kernel puts a new mapping
//! beside the last one, and makes one of the two.

use std::time::{Duration, Instant};

use seepmeter_tests::target::{Block, argument};

pub(crate) fn run() {
    let seconds: u64 = argument(1).unwrap_or(70);
    let between = Duration::from_millis(argument(2).unwrap_or(60));
    let begin = Instant::now();
    let mut kept = Vec::new();
    for n in 1_u32.. {
        let due = begin + between * n;
        if due > begin + Duration::from_secs(seconds) {
            break;
        }
        kept.push(Block::of_bytes(256 << 10));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
