//! Spawning through the sentinel.
//!
//! Two pipes are made before the fork, all their ends close-on-exec. The child waits on the *hold*
//! pipe until it is released, or until seepmeter is gone. The *sentinel* pipe ends by itself at the
//! moment of a successful exec; after a failed one the child writes the errno into it. A pipe made
//! after the fork would synchronise nothing, since each side would have its own.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, ForkResult, access};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};
use seepmeter_record::End;

use crate::out_of_memory::{self, Supervisor};
use crate::proc::ProcRoot;
use crate::{AttachError, ChildSignals, Process, Signals};

/// Where execvp(3) looks when there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A command to spawn: all that its exec needs, made ready before the fork.
#[derive(Debug)]
pub struct Command {
    words: Vec<CString>,
    /// The files to try, in the order of PATH.
    candidates: Vec<CString>,
    /// `NAME=VALUE`, beside seepmeter's own environment.
    variables: Vec<CString>,
    streams: Option<Streams>,
    descriptor: Option<Descriptor>,
}

/// A descriptor that a command gets.
#[derive(Debug)]
struct Descriptor {
    /// Above the number that it gets, so that it can't take the place of itself or another.
    fd: OwnedFd,
    number: RawFd,
}

/// The standard streams of a command, if they are not seepmeter's own.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub input: OwnedFd,
    /// Standard output and standard error.
    pub output: OwnedFd,
}

/// A child that has not yet executed its command and waits to be released.
#[derive(Debug)]
pub struct HeldChild {
    child: Child,
    hold: PipeWriter,
    sentinel: PipeReader,
}

/// A child of seepmeter's.
#[derive(Debug)]
pub struct Child {
    process: Arc<Process>,
}

/// Why an exec failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", Errno::from_raw(*.errno).desc())]
pub struct ExecError {
    /// The errno of execve(2).
    pub errno: i32,
}

impl ExecError {
    /// True where the command was found, but can't be executed.
    #[must_use]
    pub fn found(&self) -> bool {
        !matches!(self.errno, libc::ENOENT | libc::ENOTDIR)
    }
}

impl Command {
    /// A command of these words, the program first. A program with no `/` is looked for along PATH.
    ///
    /// # Errors
    /// Where there is no word at all, or a word holds a NUL.
    pub fn new<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> io::Result<Self> {
        let words = words
            .into_iter()
            .map(|word| CString::new(word.into().into_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        let program = words
            .first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no command"))?;
        let candidates = candidates(program, std::env::var_os("PATH").as_deref());
        Ok(Self { words, candidates, variables: Vec::new(), streams: None, descriptor: None })
    }

    /// Sets a variable of the command's environment.
    ///
    /// # Errors
    /// If the name or the value holds a NUL.
    pub fn with_variable(mut self, name: &str, value: &str) -> io::Result<Self> {
        self.variables.push(CString::new(format!("{name}={value}"))?);
        Ok(self)
    }

    /// Gives the command streams of its own.
    #[must_use]
    pub fn with_streams(mut self, streams: Streams) -> Self {
        self.streams = Some(streams);
        self
    }

    /// Gives the command this descriptor under this number, which should be above those of the standard
    /// streams.
    ///
    /// # Errors
    /// If the limit of open files (ulimit -n) does not allow the number.
    pub fn with_descriptor(mut self, fd: impl AsFd, number: RawFd) -> io::Result<Self> {
        let fd = above(fd, number)?;
        self.descriptor = Some(Descriptor { fd, number });
        Ok(self)
    }

    /// The file that the exec will most likely find: the first that can be executed.
    #[must_use]
    pub fn executable(&self) -> Option<PathBuf> {
        let mut files = self.candidates.iter();
        let file = files.find(|file| access(file.as_c_str(), AccessFlags::X_OK).is_ok())?;
        Some(OsStr::from_bytes(file.as_bytes()).into())
    }

    /// Forks. The child is held before its exec; its process group is seepmeter's own, and so are its
    /// environment, but for what was set, and its standard streams, as seepmeter was started with them, unless
    /// others were given; its signals are as `signals` says.
    ///
    /// # Errors
    /// Where there can be no pipe or no fork.
    pub fn spawn(&self, signals: &ChildSignals) -> io::Result<HeldChild> {
        let (hold_reader, hold) = io::pipe()?;
        let (sentinel, sentinel_writer) = io::pipe()?;
        let sentinel_writer = match &self.descriptor {
            Some(descriptor) => above(sentinel_writer, descriptor.number)?,
            None => sentinel_writer.into(),
        };
        let mut image = Image::new(self);
        // SAFETY: until its exec, the child calls async-signal-safe functions only: see `become_command`.
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Child => become_command(
                &mut image,
                signals,
                &hold_reader,
                hold.as_raw_fd(),
                &sentinel_writer,
            ),
            ForkResult::Parent { child } => {
                drop((hold_reader, sentinel_writer));
                // The child can't end unseen: nobody but us reaps it, so its pid stays its own.
                match Process::open(child.as_raw(), &ProcRoot::default()) {
                    Ok(process) => Ok(HeldChild { child: Child::of(process), hold, sentinel }),
                    Err(error) => {
                        drop(hold);
                        nix::sys::wait::waitpid(child, None)?;
                        Err(match error {
                            AttachError::Other { source, .. } => source,
                            other => io::Error::other(other),
                        })
                    }
                }
            }
        }
    }
}

impl HeldChild {
    /// The child's process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.child.process
    }

    /// Makes a thread that passes the target's exit status on if other threads find no memory: see
    /// [`GuardedAllocator`](crate::GuardedAllocator). To be called before the child is released.
    ///
    /// # Errors
    /// If there can be no such thread.
    pub fn supervise(&self, signals: &Signals) -> io::Result<()> {
        Supervisor::start(self.process(), signals)
    }

    /// Lets the child execute its command and returns at the moment of its exec. After a failed exec
    /// the child is reaped.
    ///
    /// # Errors
    /// The errno of the exec.
    pub fn release(self) -> Result<Child, ExecError> {
        let Self { child, mut hold, mut sentinel } = self;
        out_of_memory::note_release();
        // A child that was killed meanwhile reads nothing; its pidfd shows its end.
        let _ = hold.write_all(&[1]);
        let mut errno = [0; 4];
        match sentinel.read_exact(&mut errno) {
            Err(_) => Ok(child),
            Ok(()) => {
                let _ = child.process.wait();
                let _ = child.reap();
                Err(ExecError { errno: i32::from_ne_bytes(errno) })
            }
        }
    }
}

impl Child {
    /// A child that was forked elsewhere.
    #[must_use]
    pub fn of(process: Process) -> Self {
        Self { process: Arc::new(process) }
    }

    /// The child's process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Reaps the child, which [has ended](Process::has_ended): waiting for it earlier would take
    /// the stops of a tracer away from it. [`End::Gone`] where somebody else has reaped it.
    ///
    /// # Errors
    /// What waitid(2) fails with.
    pub fn reap(&self) -> io::Result<End> {
        let end = self.wait()?;
        out_of_memory::remember(end);
        Ok(end)
    }

    fn wait(&self) -> io::Result<End> {
        loop {
            let pid = rustix::process::Pid::from_raw(self.process.pid())
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            // Not by nix, which fails on a child that a real-time signal has killed, and reaps it.
            return match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CHILD) | Ok(None) => Ok(End::Gone),
                Err(error) => Err(error.into()),
                Ok(Some(status)) => Ok(end_of(&status)),
            };
        }
    }
}

/// How a child ended that waitid(2) has reaped.
pub(crate) fn end_of(status: &WaitIdStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Killed(signal),
        (None, None) => End::Gone,
    }
}

/// The files that execvp(3) would try.
fn candidates(program: &CString, path: Option<&OsStr>) -> Vec<CString> {
    let name = program.as_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.clone()];
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    path.as_bytes()
        .split(|byte| *byte == b':')
        .filter_map(|folder| {
            let folder = if folder.is_empty() { b"." } else { folder };
            CString::new([folder, b"/", name].concat()).ok()
        })
        .collect()
}

/// Seepmeter's own environment with these variables (`NAME=VALUE`) in it, as execve(2) takes it.
fn environment(variables: &[CString]) -> Vec<*const libc::c_char> {
    let name = |text: &[u8]| text.iter().position(|byte| *byte == b'=').map(|at| at + 1);
    let is_set = |text: &CStr| {
        let text = text.to_bytes();
        let own = name(text).map(|end| &text[..end]);
        variables.iter().any(|variable| own.is_some_and(|own| variable.as_bytes().starts_with(own)))
    };
    let mut environment = Vec::new();
    // SAFETY: the C library's array, which ends with null; nothing of seepmeter's changes it.
    let mut at = unsafe { libc::environ };
    // SAFETY: `at` is null, or within the array, whose last entry is null.
    while let Some(entry) = unsafe { at.as_ref() }.filter(|entry| !entry.is_null()) {
        // SAFETY: an entry is a string that ends with NUL.
        if !is_set(unsafe { CStr::from_ptr(*entry) }) {
            environment.push((*entry).cast_const());
        }
        // SAFETY: there is an entry after one that is not null.
        at = unsafe { at.add(1) };
    }
    environment.extend(variables.iter().map(|variable| variable.as_ptr()));
    environment.push(ptr::null());
    environment
}

/// The arrays that execve(2) takes, in memory that the child need not ask for.
struct Image<'a> {
    candidates: &'a [CString],
    argv: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    streams: Option<&'a Streams>,
    descriptor: Option<&'a Descriptor>,
    /// As `argv`, for a script without `#!`: `sh`, the script, the script's arguments.
    shell_argv: Vec<*const libc::c_char>,
}

impl<'a> Image<'a> {
    fn new(command: &'a Command) -> Self {
        let arguments = command.words.iter().skip(1).map(|word| word.as_ptr());
        let argv = command.words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        let shell_argv = [c"sh".as_ptr(), ptr::null()]
            .into_iter()
            .chain(arguments)
            .chain([ptr::null()])
            .collect();
        let environment = environment(&command.variables);
        let streams = command.streams.as_ref();
        let descriptor = command.descriptor.as_ref();
        Self { candidates: &command.candidates, argv, environment, streams, descriptor, shell_argv }
    }

    /// Puts the command's own streams in the place of seepmeter's, and its descriptor in its place.
    fn set_descriptors(&self) -> Result<(), Errno> {
        let own = self.descriptor.map(|own| (&own.fd, own.number));
        let streams =
            self.streams.map(|Streams { input, output }| [(input, 0), (output, 1), (output, 2)]);
        for (from, to) in streams.into_iter().flatten().chain(own) {
            // SAFETY: numbers alone. What `to` was before is the child's own copy. (nix's dup2 wants to
            // own it.)
            Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
        }
        Ok(())
    }

    /// Tries the candidates in turn, as execvp(3) does; returns only where none could be executed.
    fn execute(&mut self) -> Errno {
        let mut worst = Errno::ENOENT;
        for file in self.candidates {
            // SAFETY: the strings live in the command or in `environ`, which is this child's own copy and
            // which nothing of seepmeter's ever changes; the arrays live in `self` and end with null.
            unsafe { libc::execve(file.as_ptr(), self.argv.as_ptr(), self.environment.as_ptr()) };
            let mut errno = Errno::last();
            if errno == Errno::ENOEXEC {
                self.shell_argv[1] = file.as_ptr();
                // SAFETY: as above.
                unsafe {
                    libc::execve(
                        c"/bin/sh".as_ptr(),
                        self.shell_argv.as_ptr(),
                        self.environment.as_ptr(),
                    )
                };
                errno = Errno::last();
            }
            match errno {
                // A file that may not be executed is remembered, but a later one may serve.
                Errno::EACCES => worst = errno,
                Errno::ENOENT
                | Errno::ENOTDIR
                | Errno::ENODEV
                | Errno::ESTALE
                | Errno::ETIMEDOUT => {}
                other => return other,
            }
        }
        worst
    }
}

/// The same open file under a descriptor above this number, which an exec closes.
fn above(fd: impl AsFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers alone.
    let copy = unsafe {
        libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, number.saturating_add(1))
    };
    let copy = Errno::result(copy)?;
    // SAFETY: it was made just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// What the child does between fork and exec. Nothing here allocates, takes a lock or unwinds.
fn become_command(
    image: &mut Image<'_>,
    signals: &ChildSignals,
    hold: &PipeReader,
    parents_end_of_hold: i32,
    sentinel: &OwnedFd,
) -> ! {
    // SAFETY: the child's own copy of the descriptor, which nothing here uses again. With it open,
    // the read below would never learn that seepmeter is gone.
    unsafe { libc::close(parents_end_of_hold) };
    let mut byte = [0];
    let released = loop {
        match nix::unistd::read(hold, &mut byte) {
            Err(Errno::EINTR) => {}
            outcome => break outcome == Ok(1),
        }
    };
    if released {
        crate::start::close_streams_as_found();
        let errno = match image.set_descriptors().and_then(|()| signals.restore()) {
            Ok(()) => image.execute(),
            Err(errno) => errno,
        };
        let _ = nix::unistd::write(sentinel, &(errno as i32).to_ne_bytes());
    }
    // SAFETY: ends the process without running what the parent registered for its exit.
    unsafe { libc::_exit(127) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(program: &str, path: Option<&str>) -> Vec<String> {
        candidates(&CString::new(program).unwrap(), path.map(OsStr::new))
            .into_iter()
            .map(|file| file.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_program_is_looked_for_along_path_as_execvp_does() {
        assert_eq!(tried("ls", Some("/a:/b")), ["/a/ls", "/b/ls"]);
        assert_eq!(tried("ls", Some(":/b:")), ["./ls", "/b/ls", "./ls"]);
        assert_eq!(tried("ls", None), ["/bin/ls", "/usr/bin/ls"]);
        assert_eq!(tried("./ls", Some("/a")), ["./ls"]);
        assert_eq!(tried("", Some("/a")), [""]);
    }
}
