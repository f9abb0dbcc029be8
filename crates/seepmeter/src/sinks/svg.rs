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

#[cfg(test)]
mod tests {
    use seepmeter_record::End;
    use seepmeter_verdict::{MetricConclusion, MetricOutcome, NoVerdict};

    use super::super::test_stream::{TestStream, sink_at};
    use super::*;

    /// What the sink says and writes at the end of a run without a verdict.
    fn stop_after(end: End) -> (Result<(), Error>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut sink: Svg = sink_at(&path, &[]);
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.footer(1, &[(target, end)]);
        stream.records().iter().try_for_each(|record| sink.write(record)).unwrap();
        let outcome = MetricOutcome::NoVerdict(NoVerdict::NoSum);
        let metrics = vec![MetricConclusion::new("rss", outcome)];
        sink.conclude(&Conclusion { metrics, gates: Vec::new(), strict: false }).unwrap();
        (sink.stop(), std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn without_a_verdict_the_picture_says_why_and_so_does_the_failure() {
        let (stopped, svg) = stop_after(End::Exited(0));
        let why = stopped.unwrap_err().to_string();
        assert!(why.starts_with("there is nothing to draw: the sum of all targets"), "{why}");
        assert!(svg.contains("there is nothing to draw: the sum of all targets"), "{svg}");
    }

    #[test]
    fn of_a_target_that_was_not_started_nothing_is_drawn() {
        assert_eq!(stop_after(End::NotStarted(2)), (Ok(()), String::new()));
    }
}
