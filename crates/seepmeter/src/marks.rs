//! Marks: opened as the flags ask, and sent by `seepmeter mark`.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::libc;
use seepmeter_engine::Live;
use seepmeter_process::Command;
use seepmeter_process::marks::{LONGEST_MARK, MarkSource, SocketPlace, VARIABLE};

use crate::flags::{MarkFlags, RunMarkFlags};
use crate::messages::{notice, shown};

/// Opens what the flags of `run` ask for, and gives the command its part of it.
///
/// # Errors
/// A descriptor that is open already, and what keeps a pipe or a socket from being made.
pub(crate) fn open_for(
    flags: &RunMarkFlags,
    mut command: Command,
) -> Result<(Command, Option<MarkSource>)> {
    if flags.mark_fd.is_none() && !flags.marks {
        return Ok((command, None));
    }
    if let Some(number) = flags.mark_fd.filter(|number| is_inherited(*number)) {
        bail!(
            "--mark-fd {number}: descriptor {number} is open already, and the command gets it; give the number of one that is not open"
        );
    }
    let place = flags.marks.then_some(SocketPlace::Private);
    let (source, pipe) = MarkSource::open(flags.mark_fd.is_some(), place.as_ref())?;
    if let (Some(number), Some(pipe)) = (flags.mark_fd, pipe) {
        command = command.with_descriptor(pipe, number).with_context(|| {
            format!("--mark-fd {number}: the command cannot have this descriptor; give a smaller number, or raise the limit of open files (ulimit -n)")
        })?;
    }
    if let Some(path) = source.socket_path() {
        let path = path.to_str().context(
            "the path of the socket for marks is not UTF-8; set TMPDIR to another folder",
        )?;
        command = command.with_variable(VARIABLE, path)?;
    }
    Ok((command, Some(source)))
}

/// Opens a socket for marks at a path.
///
/// # Errors
/// What keeps it from being made.
pub(crate) fn open_at(path: Option<&Path>) -> Result<Option<MarkSource>> {
    let Some(path) = path else { return Ok(None) };
    let place = SocketPlace::At(path.to_owned());
    let (source, _) = MarkSource::open(false, Some(&place)).context("--marks")?;
    Ok(Some(source))
}

/// Lets a run have the marks. Without a thread for them it goes on.
pub(crate) fn receive(live: &mut Live, source: Option<MarkSource>) {
    if let Some(Err(error)) = source.map(|source| live.receive_marks(source)) {
        notice(&format!("cannot receive marks: {error}; the run has none"));
    }
}

/// True of a descriptor that a command would inherit. Seepmeter's own are closed by an exec.
fn is_inherited(number: RawFd) -> bool {
    // SAFETY: reads a flag of a descriptor, and fails if there is none.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags != -1 && flags & libc::FD_CLOEXEC == 0
}

/// The mark that the flags ask for, as a line.
///
/// # Errors
/// What can be no mark.
pub(crate) fn line(flags: &MarkFlags) -> Result<String> {
    let text = flags.text.join(" ");
    let line = match (flags.number, text.trim()) {
        (Some(number), "") => format!("n {number}"),
        (Some(_), name) if name.contains(char::is_whitespace) => {
            bail!("`{name}` is no name of a counter: it has blanks in it; join its words by `-`")
        }
        (Some(number), name) => format!("{name} {number}"),
        (None, "") => bail!("the mark is empty; give a text, or a number by -n"),
        (None, text) => text.to_owned(),
    };
    if line.contains('\n') {
        bail!("the mark has several lines; send each by a command of its own");
    }
    if line.len() > LONGEST_MARK {
        bail!(
            "the mark has {} bytes, and at most {LONGEST_MARK} are taken; make it shorter",
            line.len()
        );
    }
    Ok(line)
}

/// Where marks go to; none if nobody receives them and that is no error.
///
/// # Errors
/// A variable that is not set.
pub(crate) fn socket(optional: bool) -> Result<Option<PathBuf>> {
    match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(Some(path.into())),
        None if optional => Ok(None),
        None => bail!(
            "{VARIABLE} is not set, so there is no seepmeter to send the mark to; start the program by `seepmeter run --marks`, or make this no error by --optional"
        ),
    }
}

/// Sends a mark to the socket; false if nobody receives there and that is no error.
///
/// # Errors
/// What keeps it from being sent.
pub(crate) fn send(socket: &Path, line: &str, optional: bool) -> Result<bool> {
    /// Seepmeter reads at once, unless it is stopped.
    const LIMIT: Duration = Duration::from_secs(5);
    let sender = UnixDatagram::unbound().context("cannot make a socket")?;
    sender.set_write_timeout(Some(LIMIT)).context("cannot limit the time of a message")?;
    let sent = sender.connect(socket).and_then(|()| sender.send(line.as_bytes()));
    let socket = shown(socket);
    match sent.map_err(|error| (error.kind(), error)) {
        Ok(_) => Ok(true),
        Err((io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _)) if optional => {
            Ok(false)
        }
        Err((io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _)) => bail!(
            "no seepmeter receives marks at {socket} any more ({VARIABLE}); has it ended? --optional makes this no error"
        ),
        Err((io::ErrorKind::WouldBlock, _)) => bail!(
            "the seepmeter at {socket} did not take the mark within {} seconds; is it stopped?",
            LIMIT.as_secs()
        ),
        Err((_, error)) => Err(error).with_context(|| format!("cannot send the mark to {socket}")),
    }
}
