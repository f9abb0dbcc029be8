//! The sink `verdict`: what the run was judged to be, for people or for machines.

use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_plugin::{Error, Plugin, Sink, SinkFactory, options};
use seepmeter_record::{End, Footer, Record};
use seepmeter_verdict::Collector;

use super::judged::{Judged, Judging};
use super::output::Output;

options! {
    /// Options of the sink `verdict`.
    pub struct VerdictOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// Write one JSON object instead of words.
        json: bool = "no",
        /// Say what each stage of the judging found.
        explain: bool = "no",
        /// Which metric to judge; without it the one that --metric names.
        metric: Option<String>,
    }
}

/// The sink `verdict`.
pub struct VerdictSink {
    options: VerdictOptions,
    output: Output,
    /// The metric that is shown.
    metric: String,
    collector: Collector,
    /// There was no target to judge, and why has been said already.
    not_started: bool,
}

impl Plugin for VerdictSink {
    const NAME: &'static str = "verdict";
    const ABOUT: &'static str =
        "judges at the end: growing, steady or inconclusive, how fast and where";
    type Options = VerdictOptions;

    fn new(options: VerdictOptions) -> Result<Self, Error> {
        Self::of(Judging::default(), options)
    }
}

impl VerdictSink {
    /// A factory of sinks that write what the gates say into their JSON.
    #[must_use]
    pub fn factory(judging: Judging) -> Arc<SinkFactory> {
        Arc::new(Judged::<Self>::new(judging, Self::of))
    }

    fn of(judging: Judging, options: VerdictOptions) -> Result<Self, Error> {
        let output = Output::create_or_stderr(options.path.as_deref())?;
        let metric = options.metric.clone().unwrap_or_else(|| judging.metric().to_owned());
        let collector = judging.collector(Some(&metric));
        Ok(Self { options, output, metric, collector, not_started: false })
    }
}

impl Sink for VerdictSink {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.collector.observe(record);
        if let Record::Footer(Footer { end: End::NotStarted(_), .. }) = record {
            self.not_started = true;
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        if self.not_started {
            return Ok(());
        }
        let conclusion = self.collector.conclude();
        let verdict = conclusion
            .verdict(&self.metric)
            .map_err(|why| Error::failed(format!("there is nothing to judge: {why}")))?;
        let lines = match (self.options.json, self.options.explain) {
            (true, _) => vec![verdict.document(&conclusion.gates, None).to_string()],
            (false, true) => verdict.explained_lines(),
            (false, false) => verdict.lines(),
        };
        self.output.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        self.output.flush()
    }
}
