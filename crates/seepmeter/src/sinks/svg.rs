//! The sink `svg`: a picture of why the run was judged so.

use std::path::PathBuf;

use seepmeter_chart::{Chart, MarkLog, NoChart, Picture, PictureSize};
use seepmeter_plugin::{Error, Sink, options};
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use super::verdict;

options! {
    /// Options of the sink `svg`.
    pub struct SvgOptions {
        /// The picture's file; `-` is standard output.
        path: PathBuf = "-",
        /// What to draw, of the metrics that are judged (`--metric`); without it the first of them.
        metric: Option<String>,
        /// How wide the picture is, in pixels.
        width: u32 = "720",
        /// How high it is, in pixels.
        height: u32 = "340",
    }
}

/// The sink `svg`.
pub struct Svg {
    output: Output,
    size: PictureSize,
    metric: Option<String>,
    marks: MarkLog,
    chart: Option<Result<Chart, NoChart>>,
    /// There was no target to draw, and why has been reported already.
    not_started: bool,
}

impl Svg {
    /// The option that names a metric.
    pub(crate) const METRIC: &'static str = "metric";
}

impl OutputSink for Svg {
    const NAME: &'static str = "svg";
    const ABOUT: &'static str =
        "draws at the end the curve, and what of it was judged: floors, fitted line, limit, marks";
    type Options = SvgOptions;

    fn destination(options: &SvgOptions) -> Result<Destination, Error> {
        Ok(Destination::of(Some(&options.path)))
    }

    fn new(options: SvgOptions, output: Output) -> Result<Self, Error> {
        let SvgOptions { path: _, metric, width, height } = options;
        let (least, most) = (PictureSize::LEAST, PictureSize::MOST);
        check("width", width, least.width, most.width)?;
        check("height", height, least.height, most.height)?;
        let (size, marks) = (PictureSize { width, height }, MarkLog::default());
        Ok(Self { output, size, metric, marks, chart: None, not_started: false })
    }
}

fn check(option: &str, value: u32, least: u32, most: u32) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::failed(format!("option `{option}`: from {least} to {most} pixels are possible")))
}

impl Sink for Svg {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.marks.observe(record);
        if let Record::Footer(footer) = record {
            self.not_started = verdict::never_started(footer);
        }
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.chart = Some(Chart::of(conclusion, self.metric.as_deref(), &self.marks));
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Some(chart) = self.chart.take().filter(|_| !self.not_started) else { return Ok(()) };
        let picture = match &chart {
            Ok(chart) => Picture::of(chart, self.size),
            // Who looks at the picture alone is to know as well.
            Err(why) => Picture::without_chart(&why.to_string(), self.size),
        };
        self.output.print(|out| out.write_all(picture.svg().as_bytes()))?;
        self.output.flush()?;
        chart.map(|_| ()).map_err(|why| Error::failed(why.to_string()))
    }
}
