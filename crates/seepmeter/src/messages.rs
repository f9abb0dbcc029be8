//! What the command says to people: messages on standard error, and what was asked for on standard output.
//!
//! If standard error can't be written to, the exit status is all that is left; a panic would end the
//! watch of the target, or the whole process if a plugin has something to say.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use seepmeter_record::Bytes;
use seepmeter_verdict::GateOutcome;

use crate::outcome::Outcome;

/// Reports what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    notice(&format!("{error:#}"));
}

/// Reports one sentence while a run goes on.
pub fn notice(sentence: &str) {
    // In one write, or what the target writes at the same time could come in its middle.
    let line = format!("seepmeter: {sentence}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Reports one sentence, and waits no longer than a moment for whoever should take it: for the thread
/// that serves signals.
pub(crate) fn notice_at_once(sentence: &str) {
    const MOMENT: Duration = Duration::from_millis(20);
    let sentence = sentence.to_owned();
    let (sender, written) = mpsc::channel();
    let write = move || {
        notice(&sentence);
        // Nobody waits any more if it took too long.
        let _ = sender.send(());
    };
    // Without a thread, the exit status is all that is left.
    if thread::Builder::new().name("notice".to_owned()).spawn(write).is_ok() {
        let _ = written.recv_timeout(MOMENT);
    }
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
    let mut stdout = io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
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
    let _ = error.print().and_then(|()| io::stdout().flush());
}
