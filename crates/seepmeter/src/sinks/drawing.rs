//! What the sinks that draw have in common: from the stream to a picture.

use seepmeter_chart::{Chart, MarkLog, NoChart, Picture, PictureSize};
use seepmeter_plugin::{Error, Sink};
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::output::Output;
use super::verdict;

/// The option of such a sink that names a metric.
pub(crate) const METRIC: &str = "metric";

/// The format of a picture.
pub trait PictureFormat {
    /// The picture as the bytes of a file.
    ///
    /// # Errors
    /// It can't be painted.
    fn bytes(&self, picture: &Picture) -> Result<Vec<u8>, Error>;
}

/// A sink that draws: a picture while its run goes on.
pub struct Drawing<F> {
    format: F,
    output: Output,
    size: PictureSize,
    metric: Option<String>,
    marks: MarkLog,
    chart: Option<Result<Chart, NoChart>>,
    /// There was no target to draw, and why has been reported already.
    not_started: bool,
}

impl<F> Drawing<F> {
    /// One of this size, of a metric or of the main one.
    ///
    /// # Errors
    /// A size that can't be read, or is too large.
    pub(super) fn new(
        format: F,
        output: Output,
        metric: Option<String>,
        size: PictureSize,
    ) -> Result<Self, Error> {
        let (least, most) = (PictureSize::LEAST, PictureSize::MOST);
        let sides = [
            ("width", size.width, least.width, most.width),
            ("height", size.height, least.height, most.height),
        ];
        for (option, side, least, most) in sides {
            if !(least..=most).contains(&side) {
                let why = format!("option `{option}`: from {least} to {most} pixels are possible");
                return Err(Error::failed(why));
            }
        }
        let marks = MarkLog::default();
        Ok(Self { format, output, size, metric, marks, chart: None, not_started: false })
    }
}

impl<F: PictureFormat> Sink for Drawing<F> {
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

    /// Writes the picture; none of a run that did not start. If there is no chart, the picture says why: who sees it
    /// alone is to know as well.
    fn stop(&mut self) -> Result<(), Error> {
        let Some(chart) = self.chart.take().filter(|_| !self.not_started) else { return Ok(()) };
        let picture = match &chart {
            Ok(chart) => Picture::of(chart, self.size),
            Err(why) => Picture::without_chart(&why.to_string(), self.size),
        };
        let bytes = self.format.bytes(&picture)?;
        self.output.print(|out| out.write_all(&bytes))?;
        self.output.flush()?;
        chart.map(|_| ()).map_err(|why| Error::failed(why.to_string()))
    }
}
