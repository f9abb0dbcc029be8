//! What the command says to people: messages on standard error, and what was asked for on standard output.
//!
//! If standard error can't be written to, the exit status is all that is left; a panic would end the
//! watch of the target, or the whole process if a plugin has something to say.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use seepmeter_plugin::open_files_hint;
use seepmeter_record::Bytes;
use seepmeter_verdict::GateOutcome;

use crate::outcome::Outcome;

/// Reports what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    let system = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    let hint = system.and_then(open_files_hint).map_or(String::new(), |hint| format!(" ({hint})"));
    notice(&format!("{error:#}{hint}"));
}

/// Reports one sentence while a run goes on.
pub fn notice(sentence: &str) {
    // In one write, or what the target writes at the same time could come in its middle.
    let line = format!("seepmeter: {sentence}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Reports which gates fired, and why, and which could not be checked; true if any fired.
pub fn gates<'a>(outcomes: impl Iterator<Item = &'a GateOutcome>) -> bool {
    let mut any = false;
    for GateOutcome { gate, fired, checked, why, .. } in outcomes {
        match (checked, fired) {
            (false, _) => notice(&format!("gate `{gate}` was not evaluated: {why}")),
            (true, true) => notice(&format!("gate `{gate}` fires: {why}")),
            (true, false) => {}
        }
        any |= fired;
    }
    any
}

/// Writes to standard output; that nobody reads it (any more) is no failure.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print(text: &[u8]) -> Result<Outcome> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(Outcome::Success),
    }
}

/// A path as a message shows it: `-` is standard input, and what can't be printed is escaped.
pub(crate) fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    Bytes::from(path.as_os_str().as_encoded_bytes()).to_string()
}

/// Prints what is wrong with the command line, or the help that was asked for.
pub fn usage(error: &clap::Error) {
    if error.use_stderr() {
        let text = error.render().to_string();
        return notice(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    }
    let _ = error.print();
}
