//! A program that makes a new thread for every little thing: `test-target thread-storm [AT-A-TIME]`. It says
//! `threads COUNT` after every thousand, and goes on until its standard input ends.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seepmeter_tests::target::{argument, say};

/// As long as a small request takes.
const REQUEST: Duration = Duration::from_millis(1);

pub(crate) fn run() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ENDED.store(true, Ordering::Relaxed);
    });
    let at_a_time: usize = argument(1).unwrap_or(4);
    let mut count = 0;
    while !ENDED.load(Ordering::Relaxed) {
        let thread = || std::thread::spawn(|| std::thread::sleep(REQUEST));
        let threads: Vec<_> = std::iter::repeat_with(thread).take(at_a_time).collect();
        for thread in threads {
            thread.join().expect("a thread that sleeps");
            count += 1;
            if count % 1000 == 0 {
                say(&format!("threads {count}"));
            }
        }
    }
    say("done");
}
