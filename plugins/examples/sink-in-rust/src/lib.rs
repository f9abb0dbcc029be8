//! A sink that says when the resident set passes a limit.

use seepmeter_plugin::record::{MetricId, Record};
use seepmeter_plugin::{Error, Plugin, Sink, Size, options};

options! {
    /// Options of the sink `alarm`.
    pub struct AlarmOptions {
        /// How large the resident set may be.
        limit: Size,
    }
}

/// The sink `alarm`.
pub struct Alarm {
    limit: i64,
    rss: Option<MetricId>,
    above: bool,
}

impl Plugin for Alarm {
    const NAME: &'static str = "alarm";
    const ABOUT: &'static str = "says when the resident set passes a limit";
    type Options = AlarmOptions;

    fn new(options: AlarmOptions) -> Result<Self, Error> {
        let limit = i64::try_from(options.limit.0).map_err(Error::failed)?;
        Ok(Self { limit, rss: None, above: false })
    }
}

impl Sink for Alarm {
    #[allow(clippy::print_stdout, reason = "that is what this sink is for")]
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Metric(metric) if &*metric.name == "rss" => self.rss = Some(metric.id),
            Record::Sample(sample) => {
                for point in sample.points.iter().filter(|point| Some(point.metric) == self.rss) {
                    let above = point.value > self.limit;
                    if above && !self.above {
                        println!("alarm at {:.3} s: {} bytes", sample.t as f64 / 1e9, point.value);
                    }
                    self.above = above;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

seepmeter_plugin::export_sink!(Alarm);
