//! The sink `html`: a report of why the run was judged so.
//!
//! The report is that of the plugin `seepmeter-sink-html`; here it gets a file of the command's room, as the other
//! built-in sinks do.

use seepmeter_plugin::{Error, Plugin, Sink};
use seepmeter_record::Record;
use seepmeter_sink_html::{Html, HtmlOptions, HtmlReport};
use seepmeter_verdict::Conclusion;

use super::output::{Destination, Output};
use super::output_sink::OutputSink;

/// The sink `html`.
pub struct HtmlSink {
    output: Output,
    report: HtmlReport,
}

impl OutputSink for HtmlSink {
    const NAME: &'static str = Html::NAME;
    const ABOUT: &'static str = Html::ABOUT;
    type Options = HtmlOptions;

    fn destination(options: &HtmlOptions) -> Result<Destination, Error> {
        Ok(Destination::of(Some(&options.path)))
    }

    fn new(options: HtmlOptions, output: Output) -> Result<Self, Error> {
        let HtmlOptions { path: _, metric } = options;
        Ok(Self { output, report: HtmlReport::new(metric) })
    }
}

impl Sink for HtmlSink {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.report.observe(record);
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.report.conclude(conclusion);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let output = &mut self.output;
        self.report.finish(|page| {
            output.print(|out| out.write_all(page.as_bytes()))?;
            output.flush()
        })
    }
}
