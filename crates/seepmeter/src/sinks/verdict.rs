//! The sink `verdict`: what the run was judged to be, for people or for machines.

use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_plugin::{Error, Plugin, Sink, SinkFactory, options};
use seepmeter_record::{End, Footer, Record};

use super::judged::{Judged, Judging};
use super::output::Output;
use crate::verdict::Collector;

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
    collector: Collector,
    judging: Judging,
    /// What the gates ask of, where that is another metric.
    gated: Option<Collector>,
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
        let asked = judging.metric();
        let metric = options.metric.as_deref().unwrap_or(asked);
        let gated =
            (judging.has_gates() && options.json && metric != asked).then(|| Collector::new(asked));
        let collector = Collector::new(metric);
        Ok(Self { options, output, collector, judging, gated, not_started: false })
    }
}

impl Sink for VerdictSink {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.collector.take(record);
        if let Some(gated) = &mut self.gated {
            gated.take(record);
        }
        if let Record::Footer(Footer { end: End::NotStarted(_), .. }) = record {
            self.not_started = true;
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        if self.not_started {
            return Ok(());
        }
        let verdict = self
            .collector
            .verdict_or_lack()
            .map_err(|lack| Error::failed(format!("there is nothing to judge: {lack}")))?;
        if self.options.json {
            let gates = match self.gated.as_ref().map(Collector::verdict_or_lack) {
                None => self.judging.check(Ok(&verdict)),
                Some(other) => self.judging.check(other.as_ref().map_err(Clone::clone)),
            };
            let told = verdict.json(&gates);
            self.output.print(|out| writeln!(out, "{told}"))?;
        } else {
            let lines = verdict.told(self.options.explain);
            self.output.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        }
        self.output.flush()
    }
}
