//! How a plugin fails.

use std::path::Path;
use std::{fmt, io};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// What a failure means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The instance can't go on: it is closed, the others go on, and the exit status shows it.
    Failed,
    /// The target has ended, or is ending: no fault of anybody's.
    Gone,
    /// This sample is left out; the next is taken as usual.
    Skip,
    /// Whoever read the output went away (EPIPE): the instance is closed without a complaint.
    Closed,
}

/// Why a plugin's call failed: a [kind](ErrorKind) and a message for people.
///
/// A message names what was being done, to what, what went wrong, and what the user can do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// The instance can't go on.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Failed, message: message.to_string() }
    }

    /// The target has ended.
    #[must_use]
    pub fn gone() -> Self {
        Self { kind: ErrorKind::Gone, message: "the target has ended".to_owned() }
    }

    /// This sample is left out, and why.
    pub fn skip(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Skip, message: message.to_string() }
    }

    /// A failure to sample one target leaves that target out, and does not cost the others their samples.
    #[must_use]
    pub fn into_skip(self) -> Self {
        if self.kind == ErrorKind::Failed { Self::skip(self) } else { self }
    }

    /// A target that comes while others are sampled does not cost them their samples, and one of the beginning ends
    /// the run.
    #[must_use]
    pub fn into_skip_if(self, others_are_sampled: bool) -> Self {
        if others_are_sampled { self.into_skip() } else { self }
    }

    /// Whoever read the output went away, and how that was met.
    pub fn closed(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Closed, message: message.to_string() }
    }

    /// An input or output error, met while doing `what` (`cannot write to out.csv`).
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => ErrorKind::Closed,
            _ => ErrorKind::Failed,
        };
        let hint = open_files_hint(error).map_or(String::new(), |hint| format!(" ({hint})"));
        Self { kind, message: format!("{what}: {}{hint}", errno_text(error)) }
    }

    /// A failure in the words of an error, and what to do if the system is behind it.
    #[must_use]
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |cause| cause.source());
        let hint = causes.filter_map(|cause| cause.downcast_ref()).find_map(open_files_hint);
        let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
        Self::failed(format!("{error}{hint}"))
    }

    /// A file of /proc may not be read by this user, since it has a process's `what` (`mappings`).
    #[must_use]
    pub fn shown_to_its_user(path: &Path, what: &str) -> Self {
        Self::failed(format!(
            "cannot read {}: permission denied; a process's {what} are shown to its own user, unless it \
             changed its user or is not dumpable: run seepmeter as that user or as root, or with CAP_SYS_PTRACE, \
             which gives control of all processes of all users: give it to one run (setpriv --ambient-caps, in a \
             container --cap-add SYS_PTRACE), and not by setcap to everybody who may execute the file",
            path.display()
        ))
    }

    /// What the failure means for the run.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Which limit was met, and what to do, if a file could not be opened because too many are open.
#[must_use]
pub fn open_files_hint(error: &io::Error) -> Option<String> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map_or(String::new(), |limit| format!("{limit}, "));
            Some(format!(
                "seepmeter has reached its own limit of open files, {limit}RLIMIT_NOFILE: raise it with `ulimit -n`, or name fewer targets, samplers and sinks"
            ))
        }
        Errno::NFILE => Some(
            "the whole system has reached its limit of open files, fs.file-max: close programs, or raise it with sysctl"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The error's meaning without Rust's ` (os error 2)` behind it.
fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((meaning, _)) => meaning.to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
