//! What the command says to people, all of it on standard error.
//!
//! Where even that can't be written, the exit status is all that is left to tell it; a panic would take
//! the target's watching down with it, or the whole process where a plugin has asked to speak.

use std::io::{self, Write};

use seepmeter_verdict::GateOutcome;

/// Says what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    notice(&format!("{error:#}"));
}

/// Says one sentence while a run goes on.
pub fn notice(sentence: &str) {
    // In one write, or what the target says at the same time could stand in its middle.
    let line = format!("seepmeter: {sentence}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Says which gates fired, and why, and which could not be checked; true if any fired.
pub fn gates(outcomes: &[GateOutcome]) -> bool {
    for outcome in outcomes.iter().filter(|outcome| !outcome.checked) {
        notice(&format!("gate `{}` was not checked: {}", outcome.gate, outcome.why));
    }
    let fired = outcomes.iter().filter(|outcome| outcome.fired);
    for outcome in fired.clone() {
        notice(&format!("gate `{}` fires: {}", outcome.gate, outcome.why));
    }
    fired.count() > 0
}

/// Says what is wrong with the command line, or the help that was asked for.
pub fn usage(error: &clap::Error) {
    if error.use_stderr() {
        let told = error.render().to_string();
        return notice(told.strip_prefix("error: ").unwrap_or(&told).trim_end());
    }
    let _ = error.print();
}
