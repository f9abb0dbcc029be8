//! The sink `verdict`: what the run was judged to be, for people or for machines.

use std::path::PathBuf;

use seepmeter_plugin::{Error, Sink, choices, options};
use seepmeter_record::{End, Footer, Record};
use seepmeter_verdict::{Conclusion, Report, ReportBody, ReportFormat, ReportSection};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use crate::terminal::INDENT;

choices! {
    /// The formats of a report.
    pub enum VerdictFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
        /// Annotations of GitHub Actions.
        Github = "github",
        /// JUnit's XML.
        Junit = "junit",
        /// A table in Markdown.
        Markdown = "markdown",
    }
}

options! {
    /// Options of the sink `verdict`.
    pub struct VerdictOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// How to write it: `text` for people, `json` with an object for each verdict, `github` for annotations
        /// of GitHub Actions, `junit` for XML with a case for each gate, or `markdown` for a table.
        format: Option<VerdictFormat>,
        /// The same as `format=json`.
        json: bool = "no",
        /// As text: also write what each stage of the analysis found.
        explain: bool = "no",
    }
}

/// The sink `verdict`.
pub struct VerdictSink {
    format: ReportFormat,
    explain: bool,
    output: Output,
    conclusion: Option<Conclusion>,
    /// There was no target to judge, and why has been reported already.
    not_started: bool,
}

impl OutputSink for VerdictSink {
    const NAME: &'static str = "verdict";
    const ABOUT: &'static str =
        "reports at the end: growing, steady or inconclusive, how fast and where";
    type Options = VerdictOptions;

    fn destination(options: &VerdictOptions) -> Result<Destination, Error> {
        Ok(Destination::of(options.path.as_deref()))
    }

    fn new(options: VerdictOptions, output: Output) -> Result<Self, Error> {
        let format = match (options.format, options.json) {
            (Some(VerdictFormat::Json) | None, true) | (Some(VerdictFormat::Json), false) => {
                ReportFormat::Json
            }
            (Some(_), true) => {
                let why = "option `json`: another format is given too; leave one of the two out";
                return Err(Error::failed(why));
            }
            (Some(VerdictFormat::Text) | None, false) => ReportFormat::Text,
            (Some(VerdictFormat::Github), false) => ReportFormat::Github,
            (Some(VerdictFormat::Junit), false) => ReportFormat::Junit,
            (Some(VerdictFormat::Markdown), false) => ReportFormat::Markdown,
        };
        let explain = options.explain;
        Ok(Self { format, explain, output, conclusion: None, not_started: false })
    }
}

impl Sink for VerdictSink {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        if let Record::Footer(footer) = record {
            self.not_started = never_started(footer);
        }
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.conclusion = Some(conclusion.clone());
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Some(conclusion) = self.conclusion.take().filter(|_| !self.not_started) else {
            return Ok(());
        };
        let missing = conclusion.metrics.iter().find_map(|metric| metric.verdicts().err()).cloned();
        let sections = vec![ReportSection { file: None, body: ReportBody::Run(conclusion) }];
        let report = Report { sections, explain: self.explain, name_files: false };
        match self.format {
            ReportFormat::Text => self.output.lines(&report.lines(), INDENT)?,
            format => {
                let cannot =
                    |error| Error::failed(format!("cannot write the verdict as JSON: {error}"));
                let text = report.render(format).map_err(cannot)?;
                self.output.print(|out| out.write_all(text.as_bytes()))?;
            }
        }
        self.output.flush()?;
        match missing {
            Some(why) => Err(Error::failed(format!("there is nothing to judge: {why}"))),
            None => Ok(()),
        }
    }
}

/// True if not one target was started.
pub(super) fn never_started(footer: &Footer) -> bool {
    !footer.ends.is_empty()
        && footer.ends.iter().all(|target| matches!(target.end, End::NotStarted(_)))
}

#[cfg(test)]
mod tests {
    use seepmeter_plugin::ErrorKind;
    use seepmeter_verdict::{MetricConclusion, MetricOutcome, NoVerdict};

    use super::super::test_stream::{TestStream, sink_at};
    use super::*;

    /// What the sink says at its end of a run in which nothing was sampled.
    fn stop_after(end: End) -> Result<(), Error> {
        let folder = tempfile::tempdir().unwrap();
        let mut sink: VerdictSink = sink_at(&folder.path().join("out"), &[]);
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.footer(1, &[(target, end)]);
        stream.records().iter().try_for_each(|record| sink.write(record))?;
        let outcome = MetricOutcome::NoVerdict(NoVerdict::NothingSampled);
        let metrics = vec![MetricConclusion::new("rss", outcome)];
        sink.conclude(&Conclusion { metrics, gates: Vec::new(), strict: false })?;
        sink.stop()
    }

    #[test]
    fn no_verdict_is_a_failure_that_says_why() {
        let error = stop_after(End::Exited(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert_eq!(error.to_string(), "there is nothing to judge: nothing was sampled");
    }

    #[test]
    fn of_a_target_that_was_not_started_nothing_is_reported() {
        assert_eq!(stop_after(End::NotStarted(2)), Ok(()));
    }
}
