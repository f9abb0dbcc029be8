//! A program that ignores TERM and INT: it says `ready PID` and ends with its standard input.

use nix::sys::signal::{SigHandler, Signal, signal};
use seepmeter_tests::target::{read_to_end, say};

pub(crate) fn run() {
    for ignored in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe { signal(ignored, SigHandler::SigIgn) }.expect("signal");
    }
    say(&format!("ready {}", std::process::id()));
    read_to_end();
    say("done");
}
