//! The sink `svg`: a picture of why the run was judged so.

use std::path::PathBuf;

use seepmeter_chart::PictureSize;
use seepmeter_plugin::{Error, Sink, options};
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::drawing::Drawing;
use super::output::{Destination, Output};
use super::output_sink::OutputSink;

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
    drawing: Drawing,
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
        Ok(Self { output, drawing: Drawing::new(metric, PictureSize { width, height })? })
    }
}

impl Sink for Svg {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.drawing.write(record);
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.drawing.conclude(conclusion);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let output = &mut self.output;
        self.drawing.finish(|picture| {
            output.print(|out| out.write_all(picture.svg().as_bytes()))?;
            output.flush()
        })
    }
}
