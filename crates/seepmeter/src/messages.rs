//! What the command says to people, all of it on standard error.
#![allow(clippy::print_stderr, reason = "this is where the command speaks")]

use std::process::ExitCode;

use crate::commands::Outcome;

/// Says what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    eprintln!("seepmeter: {error:#}");
}

/// Says one sentence while a run goes on.
pub fn notice(sentence: &str) {
    eprintln!("seepmeter: {sentence}");
}

/// Says what is wrong with the command line; help and version are no faults.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    // Where even that can't be written, the status is all that is left to tell it.
    let _ = error.print();
    if error.use_stderr() { Outcome::OwnFailure.into() } else { ExitCode::SUCCESS }
}
