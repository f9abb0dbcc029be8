//! What seepmeter prints of a recording that is replayed.

use std::path::Path;

use serde_json::Value;

use crate::{FinishedRun, seepmeter, words};

/// A replay with these flags and nothing but what they ask for.
///
/// # Panics
/// If seepmeter can't be run.
#[must_use]
pub fn replay(recording: &Path, flags: &[&str]) -> FinishedRun {
    let flags = flags.iter().map(Into::into);
    let words = words!["replay", "-q", "--no-summary"].into_iter().chain(flags);
    seepmeter(words.chain(words![recording])).done()
}

/// What the sink `verdict` writes as JSON under these flags.
///
/// # Panics
/// If it does not write one object.
#[must_use]
pub fn verdict(recording: &Path, flags: &[&str]) -> Value {
    let flags = [&["-o", "verdict,json=yes,path=-"], flags].concat();
    let done = replay(recording, &flags).expect(0);
    serde_json::from_str(&done.out()).unwrap_or_else(|error| panic!("{error}\n{}", done.output()))
}
