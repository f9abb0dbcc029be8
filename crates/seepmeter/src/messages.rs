//! What the command says to people: messages on standard error, and what was asked for on standard output.
//! All of it goes through here, or through the text of a sink (`sinks/output.rs`), and nothing in it acts on
//! a terminal, whoever has written its parts.
//!
//! If standard error can't be written to, the exit status is all that is left; a panic would end the
//! watch of the target, or the whole process if a plugin has something to say.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use nix::libc;
use seepmeter_plugin::open_files_hint;
use seepmeter_process::{WaitingWriter, start, write_until};
use seepmeter_record::{Bytes, printable, printable_json, printable_lines};
use seepmeter_verdict::{GateOutcome, GateResult, VerdictLine};

use crate::outcome::Outcome;
use crate::terminal::status_line::Pause;
use crate::terminal::{self, Severity};

/// No message is longer than this, in characters: what it quotes may be as long as a file.
const LONGEST_MESSAGE: usize = 4000;

/// Reports what made the command fail: every cause on one line.
pub fn error(error: &anyhow::Error) {
    let system = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    let hint = system.and_then(open_files_hint).map_or(String::new(), |hint| format!(" ({hint})"));
    let sentence = format!("{error:#}{hint}");
    let list = error.downcast_ref::<ErrorWithList>().map_or(&[][..], |error| &error.list);
    let lines = list.iter().map(|line| format!("\n{}", printable(line)));
    let sentence = printable(&cut(&sentence)).into_owned();
    say(Severity::Error, &lines.fold(sentence, |text, line| text + &line));
}

/// An error with a list of what there is to choose from. Its sentence stands alone.
#[derive(Debug)]
pub(crate) struct ErrorWithList {
    /// What is wrong, and what to do.
    pub(crate) sentence: String,
    /// The lines below it.
    pub(crate) list: Vec<String>,
}

impl fmt::Display for ErrorWithList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for ErrorWithList {}

/// How long a message waits for somebody who does not read standard error.
const MESSAGE_LIMIT: Duration = Duration::from_secs(5);

/// Reports one sentence while a run goes on.
pub fn notice(sentence: &str) {
    say(Severity::Notice, &printable(&cut(sentence)));
}

fn cut(sentence: &str) -> Cow<'_, str> {
    match sentence.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &sentence[..end]).into(),
        None => sentence.into(),
    }
}

fn say(severity: Severity, sentence: &str) {
    /// True while nobody reads: the messages of one run wait once, not each.
    static UNREAD: AtomicBool = AtomicBool::new(false);
    let limit = if UNREAD.load(Ordering::Relaxed) { Duration::ZERO } else { MESSAGE_LIMIT };
    // In one write, or what the target writes at the same time could come in its middle.
    let line = format!("{} {sentence}\n", terminal::message_prefix(severity));
    let mut pause = Pause::before_writing_to(&io::stderr());
    let written = write_until(io::stderr(), line.as_bytes(), Instant::now() + limit);
    pause.iter_mut().for_each(|pause| pause.wrote(line.as_bytes()));
    let unread = written.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
    UNREAD.store(unread, Ordering::Relaxed);
}

/// Shows what another program has printed, its lines as they are.
pub(crate) fn quote(printed: &[u8]) {
    let mut text = printable_lines(&String::from_utf8_lossy(printed)).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // If standard error can't be written to, the exit status is all that is left.
    let _ = write_until(io::stderr(), text.as_bytes(), Instant::now() + MESSAGE_LIMIT);
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

/// Reports which gates fired, and why, and which could not be checked or decided; true if any fired, or if
/// those that are undecided count as such.
pub fn gates<'a>(outcomes: impl Iterator<Item = &'a GateOutcome>, strict: bool) -> bool {
    let mut any = false;
    for outcome in outcomes {
        let GateOutcome { gate, fired, why, .. } = outcome;
        let result = outcome.result(strict);
        match result {
            GateResult::Passed => {}
            GateResult::Failed if *fired => notice(&format!("gate `{gate}` fires: {why}")),
            GateResult::Failed => notice(&format!("gate `{gate}` fails: {why} (--strict)")),
            GateResult::NotEvaluated => {
                notice(&format!("gate `{gate}` was not evaluated: {why}"));
            }
            GateResult::Undecided => notice(&format!(
                "gate `{gate}` did not fire, but that is no all-clear: {why}; --strict makes it a failure"
            )),
        }
        any |= result == GateResult::Failed;
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

/// Writes these lines to standard output, as [`print_bytes`] does. On a terminal a line that is too long goes on
/// in the next, indented by so many columns.
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn print_lines(lines: Vec<VerdictLine>, indent: usize) -> Result<Outcome> {
    let stdout = io::stdout();
    let shown = lines.iter().map(|line| terminal::for_people(line, &stdout, indent) + "\n");
    print_bytes(shown.collect::<String>().as_bytes())
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
    let mut pause = Pause::before_writing_to(&io::stdout());
    pause.iter_mut().for_each(|pause| pause.wrote(text));
    let written = match start::was_closed(libc::STDOUT_FILENO) {
        true => Err(io::Error::from_raw_os_error(libc::EBADF)),
        false => {
            let mut stdout = WaitingWriter(io::stdout());
            stdout.write_all(text).and_then(|()| stdout.flush())
        }
    };
    match written {
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
///
/// # Errors
/// Standard output can't be written to.
pub(crate) fn usage(error: &clap::Error) -> Result<Outcome> {
    // Who types nothing asks what there is.
    let asks = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !asks {
        let text = error.render().to_string();
        say(
            Severity::Error,
            &printable_lines(text.strip_prefix("error: ").unwrap_or(&text).trim_end()),
        );
        return Ok(Outcome::OwnFailure);
    }
    let help = error.render();
    let styled = terminal::has_colour(&io::stdout());
    let help = if styled { help.ansi().to_string() } else { help.to_string() };
    print_bytes(help.as_bytes())
}
