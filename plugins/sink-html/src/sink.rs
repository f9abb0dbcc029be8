//! The sink `html`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use seepmeter_plugin::{Error, Plugin, Sink, options};
use seepmeter_record::Record;
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{Collector, Conclusion, JudgeOptions};

use crate::content::ReportContent;
use crate::page::page_without_chart;
use crate::run_facts::RunFacts;

options! {
    /// Options of the sink `html`.
    pub struct HtmlOptions {
        /// The report's file; `-` is standard output.
        path: PathBuf,
        /// What to show, of the metrics that are judged (`--metric`); without it the first of them.
        metric: Option<String>,
    }
}

/// A report while its run goes on.
pub struct HtmlReport {
    metric: Option<String>,
    facts: RunFacts,
    collector: Collector,
    conclusion: Option<Conclusion>,
}

impl HtmlReport {
    /// Of a metric, or of the main one. If none is named, growth by part is known of `rss` alone.
    #[must_use]
    pub fn new(metric: Option<String>) -> Self {
        let collected = metric.clone().unwrap_or_else(|| metric::RSS.name.to_owned());
        let options = JudgeOptions { metrics: vec![collected], ..JudgeOptions::default() };
        let (facts, collector) = (RunFacts::default(), Collector::new(options));
        Self { metric, facts, collector, conclusion: None }
    }

    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        self.facts.observe(record);
        self.collector.observe(record);
    }

    /// The verdict on the run is there.
    pub fn conclude(&mut self, conclusion: &Conclusion) {
        self.conclusion = Some(conclusion.clone());
    }

    /// Hands `write` the page; none of a run that did not start.
    ///
    /// # Errors
    /// There is no chart. The page says why: who sees it alone is to know as well.
    pub fn finish(&mut self, write: impl FnOnce(&str) -> Result<(), Error>) -> Result<(), Error> {
        let conclusion = self.conclusion.take().filter(|_| !self.facts.never_started());
        let Some(conclusion) = conclusion else { return Ok(()) };
        let collected = self.metric.as_deref().unwrap_or(metric::RSS.name);
        let series = self.collector.series(collected).unwrap_or_default();
        let metric = self.metric.as_deref();
        let facts = &self.facts;
        let content = ReportContent {
            facts,
            conclusion: &conclusion,
            series: &series,
            metric,
            compared: None,
        };
        match content.page() {
            Ok(page) => write(&page),
            Err(why) => {
                write(&page_without_chart(&why.to_string()))?;
                Err(Error::failed(why.to_string()))
            }
        }
    }
}

/// The sink `html` as a library that is loaded: it opens its file itself. In the command the same [`HtmlReport`]
/// writes to a file that the command opens and watches over.
pub struct Html {
    report: HtmlReport,
    output: Box<dyn Write>,
    name: String,
}

impl Plugin for Html {
    const NAME: &'static str = "html";
    const ABOUT: &'static str =
        "writes at the end a report in one file: the verdict, its evidence, and what grew";
    type Options = HtmlOptions;

    fn new(options: HtmlOptions) -> Result<Self, Error> {
        let HtmlOptions { path, metric } = options;
        let name = path.display().to_string();
        let output: Box<dyn Write> = match &*name {
            "-" => Box::new(std::io::stdout()),
            _ => Box::new(created(&path).map_err(|error| cannot_write(&name, &error))?),
        };
        Ok(Self { report: HtmlReport::new(metric), output, name })
    }
}

impl Sink for Html {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.report.observe(record);
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.report.conclude(conclusion);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Self { report, output, name } = self;
        report.finish(|page| {
            let written = output.write_all(page.as_bytes()).and_then(|()| output.flush());
            written.map_err(|error| cannot_write(name, &error))
        })
    }
}

/// A file for its owner alone: a report has the command line.
fn created(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn cannot_write(name: &str, error: &std::io::Error) -> Error {
    Error::io(format!("cannot write to {name}"), error)
}
