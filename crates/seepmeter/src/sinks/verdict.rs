//! The sink `verdict`: what the run was judged to be, for people or for machines.

use std::path::PathBuf;

use seepmeter_plugin::{Error, Plugin, Sink, options};
use seepmeter_record::{End, Footer, Record};
use seepmeter_verdict::{Conclusion, MetricOutcome, Scope, Verdict};

use super::output::Output;

options! {
    /// Options of the sink `verdict`.
    pub struct VerdictOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// Write a JSON object for each verdict instead of words.
        json: bool = "no",
        /// Say what each stage of the analysis found.
        explain: bool = "no",
    }
}

/// The sink `verdict`.
pub struct VerdictSink {
    options: VerdictOptions,
    output: Output,
    lines: Vec<String>,
    /// Why there is no verdict on a metric, of the first that has none.
    missing: Option<String>,
    /// There was no target to judge, and why has been reported already.
    not_started: bool,
}

impl Plugin for VerdictSink {
    const NAME: &'static str = "verdict";
    const ABOUT: &'static str =
        "reports at the end: growing, steady or inconclusive, how fast and where";
    type Options = VerdictOptions;

    fn new(options: VerdictOptions) -> Result<Self, Error> {
        let output = Output::create_or_stderr(options.path.as_deref())?;
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
            match &metric.outcome {
                MetricOutcome::Verdicts(verdicts) if json => {
                    let documents =
                        verdicts.iter().map(|verdict| verdict.document(&conclusion.gates, None));
                    self.lines.extend(documents.map(|document| document.to_string()));
                }
                MetricOutcome::Verdicts(verdicts) => self.lines.extend(lines(verdicts, explain)),
                MetricOutcome::NoVerdict(why) => {
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
        let lines = &self.lines;
        self.output.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
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

/// The verdicts on a metric for people. If there are several, each is named.
pub(super) fn lines(verdicts: &[Verdict], explain: bool) -> Vec<String> {
    let of_verdict = |verdict: &Verdict| {
        let mut lines = if explain { verdict.explained_lines() } else { verdict.lines() };
        if let Some(first) = lines.first_mut().filter(|_| verdicts.len() > 1) {
            *first = format!("{}: {first}", name(verdict));
        }
        lines
    };
    verdicts.iter().flat_map(of_verdict).collect()
}

fn name(verdict: &Verdict) -> String {
    match (verdict.scope, verdict.pid) {
        (Scope::AllTargets, _) => "all targets".to_owned(),
        (_, Some(pid)) => format!("{} (pid {pid})", verdict.target),
        (_, None) => verdict.target.clone(),
    }
}
