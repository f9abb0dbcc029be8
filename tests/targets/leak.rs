//! A program that leaks from its allocator, a little at a time: `test-target leak [BYTES [PAUSE [SECONDS]]]`,
//! the pause in microseconds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use seepmeter_tests::target::{argument, say};

pub(crate) fn run() {
    let bytes = argument(1).unwrap_or(4000);
    let pause = Duration::from_micros(argument(2).unwrap_or(1000));
    let time = Duration::from_secs(argument(3).unwrap_or(10));
    let begin = Instant::now();
    say("ready");
    while begin.elapsed() < time {
        leaks(bytes);
        std::thread::sleep(pause);
    }
    say("done");
}

#[inline(never)]
fn leaks(bytes: usize) {
    std::mem::forget(black_box(vec![1u8; bytes]));
}
