//! Libraries that are described: each is loaded in a process of its own, so that one which hangs, crashes
//! or exits harms neither seepmeter nor the description of another.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork};
use seepmeter_plugin::Info;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::wait::{wait_one_readable, wait_readable};
use seepmeter_process::{Child, Process};
use seepmeter_record::End;
use serde::{Deserialize, Serialize};

use super::{LOAD_LIMIT, LoadError, PluginKind, TableLayout, elf, open, trust};

/// The longest description of a library that is read, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// What a library says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryDescription {
    /// What it is.
    pub kind: PluginKind,
    /// What it says of itself.
    pub info: Info,
    /// The layout of its table.
    pub layout: TableLayout,
}

/// A process that loads a library.
struct LoadingProcess {
    child: Child,
    answer: PipeReader,
}

/// Describes libraries, all at the same time.
///
/// Of each library that can't be used there is the error.
#[must_use]
pub fn describe_apart(paths: &[PathBuf]) -> Vec<Result<LibraryDescription, LoadError>> {
    let deadline = Instant::now() + LOAD_LIMIT;
    let loading: Vec<_> = paths.iter().map(|path| LoadingProcess::begin(path)).collect();
    let described = paths.iter().zip(loading).map(|(path, loading)| {
        let cannot = |reason| LoadError::Open { path: path.clone(), reason };
        let answer = loading.and_then(|loading| loading.finish(deadline)).map_err(cannot)?;
        answer.map_err(LoadError::Apart)
    });
    described.collect()
}

/// Describes one library.
pub(super) fn describe(path: &Path) -> Result<LibraryDescription, LoadError> {
    let described = describe_apart(&[path.to_owned()]).pop();
    described.unwrap_or_else(|| Err(LoadError::NoEntry { path: path.to_owned() }))
}

impl LoadingProcess {
    fn begin(path: &Path) -> Result<Self, String> {
        let file = trust::resolve(path)?;
        elf::check(&file)?;
        let of = |error: io::Error| error.to_string();
        let (answer, writer) = io::pipe().map_err(of)?;
        let (held, mut hold) = io::pipe().map_err(of)?;
        // SAFETY: the other threads, if there are any, wait for this one, and hold no lock that the child
        // needs; the C library makes its own usable again in a child. Should a plugin's thread hold one, the
        // child waits for it until its time is over, and harms nobody.
        match unsafe { fork() }.map_err(|errno| of(errno.into()))? {
            ForkResult::Child => {
                drop(hold);
                answer_and_exit(path, &file, held, writer)
            }
            ForkResult::Parent { child } => {
                // Nobody else reaps it, so its pid stays its own.
                let process = match Process::open(child.as_raw(), &ProcRoot::default()) {
                    Ok(process) => process,
                    Err(error) => {
                        // It ends by itself.
                        drop(hold);
                        let _ = nix::sys::wait::waitpid(child, None);
                        return Err(error.to_string());
                    }
                };
                let loading = Self { child: Child::of(process), answer };
                // It has not run so far, or could have ended before it was held by its pidfd. If it has been
                // killed since, that is what comes of it.
                let _ = hold.write_all(&[1]);
                Ok(loading)
            }
        }
    }

    /// Waits for the answer, and ends the process. The inner result is the library's, the outer one that
    /// of loading it.
    fn finish(mut self, deadline: Instant) -> Result<Result<LibraryDescription, String>, String> {
        let answer = self.read_line(deadline);
        let fds = [self.child.process().pidfd()];
        // With no answer it ends by itself, and how is worth knowing.
        let ended = matches!(answer, Ok(None))
            && wait_readable(&fds, Some(deadline)).is_ok_and(|ready| ready[0]);
        let end = self.end().map_err(|error| error.to_string())?;
        match answer.map_err(|error| error.to_string())? {
            Some(line) => serde_json::from_slice(&line).map_err(|error| error.to_string()),
            None if !ended => {
                Err(format!("it did not answer within {} seconds", LOAD_LIMIT.as_secs()))
            }
            None => Err(match end {
                End::Killed(signal) => {
                    let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
                    format!("it crashed while it was loaded ({name})")
                }
                _ => "it called exit while it was loaded".to_owned(),
            }),
        }
    }

    /// Ends the process if it has not ended, and reaps it.
    fn end(&self) -> io::Result<End> {
        let process = self.child.process();
        // Whoever has ended gets no signal.
        let _ = process.signal(Signal::SIGKILL);
        process.wait()?;
        self.child.reap()
    }

    /// A line; none if there is none until the deadline. Not up to the end of the pipe, which a process
    /// that the library has started may hold.
    fn read_line(&mut self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bytes = [0; 4096];
        while wait_one_readable(self.answer.as_fd(), Some(deadline))? {
            match self.answer.read(&mut bytes)? {
                0 => break,
                length => line.extend_from_slice(&bytes[..length]),
            }
            if line.ends_with(b"\n") {
                return Ok(Some(line));
            }
            if line.len() > LONGEST_ANSWER {
                return Err(io::Error::other(format!(
                    "what it says of itself is longer than {} MiB, which is the limit",
                    LONGEST_ANSWER >> 20
                )));
            }
        }
        Ok(None)
    }
}

/// The child: loads the library once it is told to, and writes a line of what the library says.
fn answer_and_exit(path: &Path, file: &Path, mut held: PipeReader, mut writer: PipeWriter) -> ! {
    let answer = || -> io::Result<()> {
        // First: it ends with its parent, also if that ends now. If it has ended, there is nothing to read.
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        held.read_exact(&mut [0])?;
        // What a library prints when it is loaded is none of its description.
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&nothing)?;
        dup2_stdout(&nothing)?;
        dup2_stderr(&nothing)?;
        let library = open(path, file, &(Arc::new(|_: &str| {}) as crate::Notices));
        let description =
            library.map_err(|error| error.to_string()).map(|library| LibraryDescription {
                kind: library.factory.kind(),
                info: library.info,
                layout: library.layout,
            });
        let mut line = serde_json::to_vec(&description)?;
        line.push(b'\n');
        writer.write_all(&line)
    };
    // Whatever went wrong, the missing answer says that something did.
    let _ = catch_unwind(AssertUnwindSafe(answer));
    // SAFETY: ends the process without running what the parent or the library registered for its exit.
    unsafe { libc::_exit(0) }
}
