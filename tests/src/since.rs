//! Waiting for events, and reporting that a test did not run.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::limit;

/// Asks again and again until there is an answer, and returns it.
///
/// # Panics
/// If there is none within the [limit].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < limit(), "{what}: not within {:?}", limit());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// True if the long tests were asked for: `SEEPMETER_LONG=1`.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("SEEPMETER_LONG").is_some_and(|value| value == "1")
}

/// As [`long`], for a test that runs in no other way: says so if it does not run now.
#[must_use]
pub fn long_or_not_run(test: &str) -> bool {
    if !long() {
        not_run(test, "it takes long; SEEPMETER_LONG=1 runs it");
    }
    long()
}

/// Reports loudly that a test could not run here; past the capture of `cargo test`, so that it is seen.
pub fn not_run(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {why}");
}
