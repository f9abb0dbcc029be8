//! What the command says to people, all of it on standard error.
//!
//! Where even that can't be written, the exit status is all that is left to tell it; a panic would take
//! the target's watching down with it, or the whole process where a plugin has asked to speak.

use std::io::{self, Write};

/// Says what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "seepmeter: {error:#}");
}

/// Says one sentence while a run goes on.
pub fn notice(sentence: &str) {
    let _ = writeln!(io::stderr(), "seepmeter: {sentence}");
}

/// Says what is wrong with the command line, or the help that was asked for.
pub fn usage(error: &clap::Error) {
    let _ = error.print();
}
