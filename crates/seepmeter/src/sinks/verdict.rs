//! The sink `verdict`: what the run was judged to be, for people or for machines.

use std::path::PathBuf;

use seepmeter_plugin::{Error, Sink, options};
use seepmeter_record::{End, Footer, Record, printable_json};
use seepmeter_verdict::{Conclusion, VerdictLine};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use crate::terminal::INDENT;

options! {
    /// Options of the sink `verdict`.
    pub struct VerdictOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// Write a JSON object for each verdict instead of words.
        json: bool = "no",
        /// Also write what each stage of the analysis found.
        explain: bool = "no",
    }
}

/// The sink `verdict`.
pub struct VerdictSink {
    options: VerdictOptions,
    output: Output,
    lines: Vec<VerdictLine>,
    /// Why there is no verdict on a metric, of the first that has none.
    missing: Option<String>,
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
        Ok(Self { options, output, lines: Vec::new(), missing: None, not_started: false })
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
        let VerdictOptions { json, explain, .. } = self.options;
        for metric in &conclusion.metrics {
            let lines = match json {
                true => metric
                    .documents(&conclusion.gates, None)
                    .map(|lines| lines.into_iter().map(VerdictLine::from).collect()),
                false => metric.verdict_lines(explain),
            };
            match lines {
                Ok(lines) => self.lines.extend(lines),
                Err(why) => {
                    self.missing.get_or_insert_with(|| why.to_string());
                }
            }
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        if self.not_started {
            return Ok(());
        }
        match self.options.json {
            true => {
                let json = self.lines.iter().map(|line| printable_json(&line.text));
                let json: Vec<_> = json.collect();
                self.output.print(|out| json.iter().try_for_each(|it| writeln!(out, "{it}")))?;
            }
            false => self.output.lines(&self.lines, INDENT)?,
        }
        self.output.flush()?;
        match &self.missing {
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
        let metrics = vec![MetricConclusion { metric: "rss".to_owned(), outcome }];
        sink.conclude(&Conclusion { metrics, gates: Vec::new() })?;
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
