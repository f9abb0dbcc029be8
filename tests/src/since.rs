//! Waiting, and saying that something did not run.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::limit;

/// Asks again and again until there is an answer.
///
/// # Panics
/// Where there is none within the [limit].
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

/// Says loudly that a test could not run here; past the capture of `cargo test`, so that it is seen.
pub fn not_run(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {why}");
}
