//! A target that is busy: it touches memory, gives some of it back, and counts how often.

use std::hint::black_box;
use std::time::{Duration, Instant};

use seepmeter_process::system::thread_cpu_time;

const PAGE: usize = 4096;
const PAGES: usize = 2048;

/// Works for this long; returns how many rounds it did, and in how many seconds of CPU time.
pub(crate) fn busy(time: Duration) -> (u64, f64) {
    let until = Instant::now() + time;
    let mut rounds = 0_u64;
    let mut memory = vec![0_u8; PAGES * PAGE];
    while Instant::now() < until {
        for page in memory.chunks_exact_mut(PAGE) {
            page[0] = page[0].wrapping_add(1);
            page[PAGE / 2] ^= page[0];
        }
        black_box(&mut memory);
        rounds += 1;
        // Page faults are a part of the work, since a reader of /proc can delay them.
        if rounds.is_multiple_of(256) {
            memory = vec![0_u8; PAGES * PAGE];
        }
    }
    (rounds, thread_cpu_time().as_secs_f64())
}
