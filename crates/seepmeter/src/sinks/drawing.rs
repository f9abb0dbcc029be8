//! What the sinks that draw have in common: from the stream to a picture.

use seepmeter_chart::{Chart, MarkLog, NoChart, Picture, PictureSize};
use seepmeter_plugin::Error;
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::verdict;

/// The option of such a sink that names a metric.
pub(crate) const METRIC: &str = "metric";

/// A picture while its run goes on.
pub(super) struct Drawing {
    size: PictureSize,
    metric: Option<String>,
    marks: MarkLog,
    chart: Option<Result<Chart, NoChart>>,
    /// There was no target to draw, and why has been reported already.
    not_started: bool,
}

impl Drawing {
    /// One of this size, of a metric or of the main one.
    ///
    /// # Errors
    /// A size that can't be read, or is too large.
    pub(super) fn new(metric: Option<String>, size: PictureSize) -> Result<Self, Error> {
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
        Ok(Self { size, metric, marks, chart: None, not_started: false })
    }

    pub(super) fn write(&mut self, record: &Record) {
        self.marks.observe(record);
        if let Record::Footer(footer) = record {
            self.not_started = verdict::never_started(footer);
        }
    }

    pub(super) fn conclude(&mut self, conclusion: &Conclusion) {
        self.chart = Some(Chart::of(conclusion, self.metric.as_deref(), &self.marks));
    }

    /// Hands `write` the picture; none of a run that did not start.
    ///
    /// # Errors
    /// There is no chart. The picture says why: who sees it alone is to know as well.
    pub(super) fn finish(
        &mut self,
        write: impl FnOnce(&Picture) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(chart) = self.chart.take().filter(|_| !self.not_started) else { return Ok(()) };
        match &chart {
            Ok(chart) => write(&Picture::of(chart, self.size))?,
            Err(why) => write(&Picture::without_chart(&why.to_string(), self.size))?,
        }
        chart.map(|_| ()).map_err(|why| Error::failed(why.to_string()))
    }
}
