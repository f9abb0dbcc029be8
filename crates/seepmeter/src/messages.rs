//! What the command says to people: messages on standard error, and what was asked for on standard output.
//! All of it goes through here, or through the text of a sink (`sinks/output.rs`), and nothing in it acts on
//! a terminal, whoever has written its parts.
//!
//! If standard error can't be written to, the exit status is all that is left; a panic would end the
//! watch of the target, or the whole process if a plugin has something to say.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use seepmeter_record::{Bytes, printable, printable_json, printable_lines};
use seepmeter_verdict::GateOutcome;

use crate::outcome::Outcome;

/// No message is longer than this, in characters: what it quotes may be as long as a file.
const LONGEST_MESSAGE: usize = 4000;

/// Reports what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    notice(&format!("{error:#}"));
}

/// Reports one sentence while a run goes on.
pub fn notice(sentence: &str) {
    say(&printable(&cut(sentence)));
}

fn cut(sentence: &str) -> Cow<'_, str> {
    match sentence.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &sentence[..end]).into(),
        None => sentence.into(),
    }
}

fn say(sentence: &str) {
    // In one write, or what the target writes at the same time could come in its middle.
    let line = format!("seepmeter: {sentence}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Reports which gates fired, and why, and which could not be checked or decided; true if any fired, or if
/// those that are undecided count as such.
pub fn gates<'a>(outcomes: impl Iterator<Item = &'a GateOutcome>, strict: bool) -> bool {
    let mut any = false;
    for GateOutcome { gate, fired, checked, decided, why, .. } in outcomes {
        match (checked, decided, fired) {
            (false, ..) => notice(&format!("gate `{gate}` was not evaluated: {why}")),
            (true, false, _) if strict => notice(&format!("gate `{gate}` fails: {why} (--strict)")),
            (true, false, _) => notice(&format!(
                "gate `{gate}` did not fire, but that is no all-clear: {why}; --strict makes it a failure"
            )),
            (true, true, true) => notice(&format!("gate `{gate}` fires: {why}")),
            (true, true, false) => {}
        }
        any |= fired | (strict & !decided);
    }
    any
}

/// Writes lines to standard output, as [`print_bytes`] does.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print(lines: &str) -> Result<Outcome> {
    print_bytes(printable_lines(lines).as_bytes())
}

/// Writes these lines, each of which stays one, to standard output, as [`print_bytes`] does.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print_lines(lines: &[String], prefix: &str) -> Result<Outcome> {
    let lines: Vec<Cow<'_, str>> = lines.iter().map(|line| printable(line)).collect();
    print_bytes(format!("{}{}\n", printable(prefix), lines.join("\n")).as_bytes())
}

/// Writes JSON to standard output, as [`print_bytes`] does.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print_json(json: &str) -> Result<Outcome> {
    print_bytes(printable_json(json).as_bytes())
}

/// Writes what is all of seepmeter's own to standard output; that nobody reads it (any more) is no failure.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print_bytes(text: &[u8]) -> Result<Outcome> {
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
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = io::stdout().write_all(error.render().to_string().as_bytes());
        return;
    }
    if error.use_stderr() {
        let text = error.render().to_string();
        return say(&printable_lines(text.strip_prefix("error: ").unwrap_or(&text).trim_end()));
    }
    let _ = error.print();
}
