//! The sink `exec`: the stream, as JSONL, into a program's standard input.

use std::io::{self, BufWriter, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use seepmeter_plugin::{Error, Plugin, Sink, options};
use seepmeter_process::{WaitingWriter, start};
use seepmeter_record::{End, Record, jsonl};

use super::words;

options! {
    /// Options of the sink `exec`.
    pub struct ExecOptions {
        /// The command, for /bin/sh. It reads the stream on its standard input, one record on each line,
        /// as the sink `jsonl` writes it. The input ends when the run is over.
        command: String,
    }
}

/// The sink `exec`.
///
/// The program is in a process group of its own, so that a Ctrl-C meant for the target does not end it
/// before it has seen the end of the stream.
pub struct Exec {
    command: String,
    child: Child,
    input: Option<BufWriter<WaitingWriter<ChildStdin>>>,
}

impl Plugin for Exec {
    const NAME: &'static str = "exec";
    const ABOUT: &'static str = "writes the stream as JSONL to the standard input of a program";
    type Options = ExecOptions;

    fn new(options: ExecOptions) -> Result<Self, Error> {
        let command = options.command;
        if command.trim().is_empty() {
            return Err(Error::failed("option `command` is empty"));
        }
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(&command).stdin(Stdio::piped()).process_group(0);
        // SAFETY: close, sigaction and sigprocmask are async-signal-safe, and nothing else is called between fork and exec.
        unsafe {
            shell.pre_exec(|| {
                start::close_outputs_as_found();
                start::ignore_as_found()?;
                // Seepmeter blocks the signals that it reads itself; its children should not.
                Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
            });
        }
        let mut child = shell
            .spawn()
            .map_err(|error| Error::io("cannot start /bin/sh for option `command`", &error))?;
        let input = child.stdin.take().map(WaitingWriter);
        let input = input.map(|input| BufWriter::with_capacity(1 << 15, input));
        Ok(Self { command, child, input })
    }
}

impl Sink for Exec {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.feed(|input| jsonl::write_record(input, record))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.feed(Write::flush)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.end()
    }
}

impl Exec {
    fn feed(
        &mut self,
        write: impl FnOnce(&mut BufWriter<WaitingWriter<ChildStdin>>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let Some(input) = &mut self.input else { return Ok(()) };
        match write(input) {
            Ok(()) => Ok(()),
            // The program reads no more. Its exit status says whether that is an error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.end()?;
                Err(Error::closed("the program reads no more"))
            }
            Err(error) => Err(Error::io(format!("cannot write to `{}`", self.command), &error)),
        }
    }

    /// Ends the program's input and waits for it; a bad exit status is an error.
    fn end(&mut self) -> Result<(), Error> {
        if let Some(input) = self.input.take() {
            // What could not be written is of no use to a program that has ended.
            let (input, _) = input.into_parts();
            drop(input);
        }
        let status = self
            .child
            .wait()
            .map_err(|error| Error::io(format!("cannot wait for `{}`", self.command), &error))?;
        let killed = || status.signal().map_or(End::Gone, End::Killed);
        match status.code().map_or_else(killed, End::Exited) {
            End::Exited(0) => Ok(()),
            End::Exited(127) => Err(Error::failed(format!(
                "`{}` exited with status 127: the shell did not find it; is it installed, and on the PATH?",
                self.command
            ))),
            end => {
                let was = if let End::Killed(_) = end { "was " } else { "" };
                Err(Error::failed(format!("`{}` {was}{}", self.command, words::end(end))))
            }
        }
    }
}

impl Drop for Exec {
    /// A run that was aborted leaves no program behind.
    fn drop(&mut self) {
        if self.input.is_some() {
            // Why the run was aborted has been reported already.
            let _ = self.end();
        }
    }
}
