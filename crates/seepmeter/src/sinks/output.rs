//! Where a sink writes to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seepmeter_analysis::Classification;
use seepmeter_chart::TextSpan;
use seepmeter_plugin::Error;
use seepmeter_process::{WaitingWriter, start};
use seepmeter_record::{Bytes, printable};
use seepmeter_verdict::VerdictLine;

use crate::output_files::{
    Limit, OutputFile, OutputRoom, PartEnd, PartRules, StandardStream, standard_stream,
};
use crate::terminal;

/// Each rotation renames all files that are kept.
const MOST_KEPT: u32 = 1_000;

/// The output that a sink's options ask for.
#[derive(Debug, Default)]
pub(crate) struct Destination {
    /// The file; standard error if there is none.
    pub(super) path: Option<PathBuf>,
    /// When it goes on in a new file.
    pub(super) rules: PartRules,
}

impl Destination {
    /// One file; standard error if there is no path.
    pub(crate) fn of(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned), rules: PartRules::default() }
    }

    /// A file that may go on in others.
    pub(super) fn in_parts(
        path: &Path,
        rotate: Option<Limit>,
        keep: u32,
        reopen: bool,
    ) -> Result<Self, Error> {
        if !(1..=MOST_KEPT).contains(&keep) {
            return Err(Error::failed(format!(
                "option `keep`: from 1 to {MOST_KEPT} renamed files can be kept"
            )));
        }
        Ok(Self { path: Some(path.to_owned()), rules: PartRules { rotate, keep, reopen } })
    }
}

/// A buffered output with a name for messages. Its clones are the same output.
#[derive(Clone)]
pub(crate) struct Output {
    writer: Arc<Mutex<BufWriter<OutputFile>>>,
    name: Arc<str>,
}

impl Output {
    /// Opens what a sink, `user`, asks for.
    pub(crate) fn open(
        room: &OutputRoom,
        destination: &Destination,
        user: &str,
    ) -> Result<Self, Error> {
        let Destination { path, rules } = destination;
        let Some(path) = path else {
            room.use_stderr()?;
            // If it was closed, nobody is to be told anything, which is no reason not to run.
            return Self::of_open(io::stderr().as_fd(), "standard error");
        };
        match standard_stream(path) {
            Some(StandardStream::Output) => {
                room.use_stdout(user)?;
                Self::of(io::stdout().as_fd(), "standard output")
            }
            Some(StandardStream::Error) => {
                room.use_stderr()?;
                Self::of(io::stderr().as_fd(), "standard error")
            }
            None => {
                let name = Bytes::from(path.as_os_str().as_encoded_bytes()).to_string();
                Ok(Self::to(room.open(path, *rules, user)?, &name))
            }
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
        Ok(Self::to(OutputFile::Stream(WaitingWriter(File::from(fd))), name))
    }

    fn to(file: OutputFile, name: &str) -> Self {
        let writer = BufWriter::with_capacity(1 << 15, file);
        Self { writer: Arc::new(Mutex::new(writer)), name: name.into() }
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Hands `write` the writer, and names this output if that fails.
    pub(crate) fn print(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        write(&mut *self.writer())
            .map_err(|error| Error::io(format!("cannot write to {}", self.name), &error))
    }

    /// Prints a line for people.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Error> {
        self.print(|out| writeln!(out, "{}", printable(line)))
    }

    /// Prints lines for people. On a terminal one that is too long goes on in the next, indented by so many
    /// columns.
    pub(super) fn lines(&mut self, lines: &[VerdictLine], indent: usize) -> Result<(), Error> {
        let shown = |line: &VerdictLine| match self.writer().get_ref() {
            OutputFile::Stream(stream) => terminal::for_people(line, &stream.0, indent),
            OutputFile::Regular(_) => printable(&line.text).into_owned(),
        };
        let lines: Vec<String> = lines.iter().map(shown).collect();
        self.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))
    }

    /// How wide it is, in columns, if it is a terminal.
    pub(super) fn columns(&self) -> Option<usize> {
        match self.writer().get_ref() {
            OutputFile::Stream(stream) => terminal::width(&stream.0),
            OutputFile::Regular(_) => None,
        }
    }

    /// Prints a chart; where there is colour, in that of its verdict.
    pub(super) fn chart(
        &mut self,
        lines: &[Vec<TextSpan>],
        verdict: Classification,
    ) -> Result<(), Error> {
        let has_colour = match self.writer().get_ref() {
            OutputFile::Stream(stream) => terminal::has_colour(&stream.0),
            OutputFile::Regular(_) => false,
        };
        let verdict = has_colour.then_some(verdict);
        let lines: Vec<String> =
            lines.iter().map(|line| terminal::chart_line(line, verdict)).collect();
        self.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))
    }

    /// Hands everything on to the system.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.print(|writer| writer.flush())
    }

    /// True if it may go on in other files, each of which has to be read by itself.
    pub(super) fn has_parts(&self) -> bool {
        match self.writer().get_ref() {
            OutputFile::Stream(_) => false,
            OutputFile::Regular(file) => file.has_parts(),
        }
    }

    /// Why this part of the output is over, if it is.
    pub(super) fn part_end(&self) -> Option<PartEnd> {
        let mut writer = self.writer();
        let buffered = writer.buffer().len();
        match writer.get_mut() {
            OutputFile::Stream(_) => None,
            OutputFile::Regular(file) => file.part_end(buffered),
        }
    }

    /// Goes on with a new part.
    pub(super) fn begin_part(&mut self, end: PartEnd) -> Result<(), Error> {
        self.flush()?;
        match self.writer().get_mut() {
            OutputFile::Stream(_) => Ok(()),
            OutputFile::Regular(file) => file.begin_part(end),
        }
    }

    /// What was written to this part so far is what it begins with.
    pub(super) fn end_preamble(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let OutputFile::Regular(file) = self.writer().get_mut() {
            file.end_preamble();
        }
        Ok(())
    }

    /// Makes sure at the end that what was written can be found.
    pub(crate) fn check_at_end(&self) -> Result<(), Error> {
        match self.writer().get_ref() {
            OutputFile::Stream(_) => Ok(()),
            OutputFile::Regular(file) => file.check_at_end(),
        }
    }

    fn writer(&self) -> MutexGuard<'_, BufWriter<OutputFile>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}
