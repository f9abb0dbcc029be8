//! Where a sink writes to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use seepmeter_plugin::Error;
use seepmeter_record::{Bytes, printable};

/// A buffered output with a name for messages.
pub(super) struct Output {
    writer: BufWriter<File>,
    name: String,
}

impl Output {
    /// Creates the file; `-` is standard output.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Self::of(io::stdout().as_fd(), "standard output");
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
        Ok(Self { writer: BufWriter::with_capacity(1 << 15, file), name })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Creates the file; standard error if there is no path.
    pub(super) fn create_or_stderr(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            Some(path) => Self::create(path),
            None => Self::of(io::stderr().as_fd(), "standard error"),
        }
    }

    fn of(fd: BorrowedFd<'_>, name: &str) -> Result<Self, Error> {
        let fd = fd
            .try_clone_to_owned()
            .map_err(|error| Error::io(format!("cannot write to {name}"), &error))?;
        Ok(Self { writer: BufWriter::with_capacity(1 << 15, fd.into()), name: name.to_owned() })
    }

    /// Hands `write` the writer, and names this output if that fails.
    pub(super) fn print(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        write(&mut self.writer)
            .map_err(|error| Error::io(format!("cannot write to {}", self.name), &error))
    }

    /// Prints a line for people.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Error> {
        self.print(|out| writeln!(out, "{}", printable(line)))
    }

    /// Prints lines for people.
    pub(super) fn lines(&mut self, lines: &[String]) -> Result<(), Error> {
        lines.iter().try_for_each(|line| self.line(line))
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
