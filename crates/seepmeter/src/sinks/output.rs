//! Where a sink writes to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use seepmeter_plugin::Error;
use seepmeter_process::{WaitingWriter, start};
use seepmeter_record::Bytes;

/// A buffered output with a name for messages.
pub(super) struct Output {
    writer: BufWriter<WaitingWriter<File>>,
    name: String,
}

impl Output {
    /// Creates the file; `-` is standard output. By the names of the standard streams too, a file is not
    /// opened again: that would begin at the start of what others have written to it.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        match path.as_os_str().as_encoded_bytes() {
            b"-" | b"/dev/stdout" | b"/dev/fd/1" | b"/proc/self/fd/1" => {
                return Self::of(io::stdout().as_fd(), "standard output");
            }
            b"/dev/stderr" | b"/dev/fd/2" | b"/proc/self/fd/2" => {
                return Self::of(io::stderr().as_fd(), "standard error");
            }
            _ => {}
        }
        let name = Bytes::from(path.as_os_str().as_encoded_bytes()).to_string();
        let file = File::create(path).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => " (does the folder exist?)",
                io::ErrorKind::PermissionDenied => " (do you have the right to write there?)",
                _ => "",
            };
            Error::io(format!("cannot create {name}{hint}"), &error)
        })?;
        Ok(Self::buffered(file, name))
    }

    fn buffered(file: File, name: String) -> Self {
        Self { writer: BufWriter::with_capacity(1 << 15, WaitingWriter(file)), name }
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Creates the file; standard error if there is no path.
    pub(super) fn create_or_stderr(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            Some(path) => Self::create(path),
            // If it was closed, nobody is to be told anything, which is no reason not to run.
            None => Self::of_open(io::stderr().as_fd(), "standard error"),
        }
    }

    /// A standard stream that was asked for.
    fn of(fd: BorrowedFd<'_>, name: &str) -> Result<Self, Error> {
        if start::was_closed(fd.as_raw_fd()) {
            let why = "it was closed when seepmeter was started (`>&-`); open it, or use path=FILE";
            return Err(Error::failed(format!("cannot write to {name}: {why}")));
        }
        Self::of_open(fd, name)
    }

    fn of_open(fd: BorrowedFd<'_>, name: &str) -> Result<Self, Error> {
        let fd = fd
            .try_clone_to_owned()
            .map_err(|error| Error::io(format!("cannot write to {name}"), &error))?;
        Ok(Self::buffered(fd.into(), name.to_owned()))
    }

    /// Hands `write` the writer, and names this output if that fails.
    pub(super) fn print(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        write(&mut self.writer)
            .map_err(|error| Error::io(format!("cannot write to {}", self.name), &error))
    }

    /// Hands everything on to the system.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.print(|writer| writer.flush())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
