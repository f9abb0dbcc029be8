//! What the command says to people, all of it on standard error.
#![allow(clippy::print_stderr, reason = "this is where the command speaks")]

use crate::verdict::gate::Outcome;

/// Says what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    notice(&format!("{error:#}"));
}

/// Says one sentence while a run goes on.
pub fn notice(sentence: &str) {
    // In one write, or what the target says at the same time could stand in its middle.
    let line = format!("seepmeter: {sentence}\n");
    eprint!("{line}");
}

/// Says which gates fired, and why; true where any did.
pub fn gates(outcomes: &[Outcome]) -> bool {
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
    // Where even that can't be written, the exit status is all that is left to tell it.
    let _ = error.print();
}
