//! A program whose mappings merge into one that grows: `test-target merging [SECONDS [MILLISECONDS [free]]]`.
//! It maps 256 KiB each 60 milliseconds, or each so many, and keeps them. The kernel puts a new mapping
//! beside the last one, and makes one of the two. With `free` it gives each back by MADV_FREE, as runtimes
//! do with what they may need again.

use std::time::{Duration, Instant};

use seepmeter_tests::target::{Block, argument};

pub(crate) fn run() {
    let seconds: u64 = argument(1).unwrap_or(70);
    let between = Duration::from_millis(argument(2).unwrap_or(60));
    let gives_back = argument(3).is_some_and(|word: String| word == "free");
    let begin = Instant::now();
    let mut kept = Vec::new();
    for n in 1_u32.. {
        let due = begin + between * n;
        if due > begin + Duration::from_secs(seconds) {
            break;
        }
        let block = Block::of_bytes(256 << 10);
        if gives_back {
            block.give_back();
        }
        kept.push(block);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
