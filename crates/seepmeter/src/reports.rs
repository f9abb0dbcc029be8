//! Where `judge`, `compare` and `scale` give their answers: standard output, and files.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use seepmeter_verdict::{Report, ReportBody, ReportFormat};

use crate::flags::{FormatFlags, FormatSpec};
use crate::messages;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::sinks::{Destination, Output};
use crate::terminal::INDENT;
use crate::watch::{TargetPolicy, Watch};

/// The outputs of a subcommand, all of which can be written to.
pub(crate) struct Reports {
    printed: ReportFormat,
    files: Vec<(ReportFormat, Output)>,
    pending: PendingOutputs,
}

impl Reports {
    /// Opens what the flags ask for in a room of its own; `json` is `--json`. No file is one of the inputs, and an
    /// older one is emptied only when there is an answer. If the room is aborted before, no new file is left.
    ///
    /// # Errors
    /// Two formats to print, or a file that can't be written to.
    pub(crate) fn open(
        flags: &FormatFlags,
        json: bool,
        inputs: &[PathBuf],
        room: &OutputRoom,
    ) -> Result<Self> {
        inputs.iter().for_each(|input| room.protect(input, "a file that is judged"));
        let pending = PendingOutputs::of(room);
        let (mut printed, mut files) = (json.then_some(ReportFormat::Json), Vec::new());
        for FormatSpec { format, file } in &flags.formats {
            let Some(file) = file else {
                if let Some(other) = printed.replace(*format).filter(|other| other != format) {
                    bail!(
                        "--format {format}: {other} is printed already; write one of the two to a file: --format {format}=FILE"
                    );
                }
                continue;
            };
            let user = format!("--format {format}");
            let output = Output::open(room, &Destination::of(Some(file)), &user);
            files.push((*format, output.with_context(|| user)?));
        }
        Ok(Self { printed: printed.unwrap_or(ReportFormat::Text), files, pending })
    }

    /// Looks for an answer once the outputs are open. If they are files, no signal that ends this leaves a new one.
    ///
    /// # Errors
    /// Those of [`Reports::open`] and of `work`.
    pub(crate) fn with<T: Send>(
        flags: &FormatFlags,
        json: bool,
        inputs: &[PathBuf],
        work: impl FnOnce(&Self) -> Result<T> + Send,
    ) -> Result<(Self, T)> {
        let room = OutputRoom::new();
        let open_and_work = || {
            let reports = Self::open(flags, json, inputs, &room)?;
            let answer = work(&reports)?;
            Ok((reports, answer))
        };
        match flags.formats.iter().any(|spec| spec.file.is_some()) {
            true => Watch::while_pending(TargetPolicy::NoRun, room.clone(), open_and_work),
            false => open_and_work(),
        }
    }

    /// Prints a report of some of the sections, unless the format is one document.
    ///
    /// # Errors
    /// Standard output can't be written to.
    pub(crate) fn print_part(&self, report: &Report) -> Result<()> {
        if !self.printed.is_document() {
            self.print(report)?;
        }
        Ok(())
    }

    /// Writes the files, and prints the report if the format is one document. The parts are printed already.
    ///
    /// # Errors
    /// An output can't be written to.
    pub(crate) fn complete(self, report: &Report) -> Result<()> {
        if self.printed.is_document() {
            self.print(report)?;
        }
        let Self { files, pending, .. } = self;
        let rendered =
            files.into_iter().map(|(format, output)| Ok((render(report, format)?, output)));
        let rendered = rendered.collect::<Result<Vec<_>>>()?;
        // Text and JSON have nothing to say of a failure: then an older file stays as it is.
        if rendered.iter().all(|(text, _)| text.is_empty()) {
            return Ok(());
        }
        pending.begin();
        for (text, mut output) in rendered {
            output.print(|out| out.write_all(text.as_bytes()))?;
            output.flush()?;
            output.check_at_end()?;
        }
        Ok(())
    }

    /// Prints the report and writes it to the files.
    ///
    /// # Errors
    /// An output can't be written to.
    pub(crate) fn give(self, report: &Report) -> Result<()> {
        self.print_part(report)?;
        self.complete(report)
    }

    /// Gives an answer, or reports in all formats why there is none.
    ///
    /// # Errors
    /// Why there is none, or an output that can't be written to.
    pub(crate) fn give_or_fail<T>(self, answer: Result<(Report, T)>) -> Result<T> {
        match answer {
            Ok((report, outcome)) => self.give(&report).map(|()| outcome),
            Err(error) => {
                self.give(&Report::of(ReportBody::Failure(format!("{error:#}"))))?;
                Err(error)
            }
        }
    }

    fn print(&self, report: &Report) -> Result<()> {
        match self.printed {
            ReportFormat::Text => messages::print_lines(report.lines(), INDENT),
            format => messages::print_bytes(render(report, format)?.as_bytes()),
        }
        .map(|_| ())
    }
}

fn render(report: &Report, format: ReportFormat) -> Result<String> {
    report.render(format).with_context(|| format!("cannot write the answer as {format}"))
}
