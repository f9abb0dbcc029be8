//! A sink that says when the resident set of a target passes a limit.

use std::collections::HashSet;

use seepmeter_plugin::record::{CurrentValues, Record, SubjectId, conventions::metric};
use seepmeter_plugin::{Error, Plugin, Sink, Size, options};

options! {
    /// Options of the sink `alarm`.
    pub struct AlarmOptions {
        /// How large the resident set of a target may be.
        limit: Size,
    }
}

/// The sink `alarm`.
pub struct Alarm {
    limit: i64,
    /// Knows what the points are of. Mappings have an `rss` too, and another sampler may measure the same.
    values: CurrentValues,
    /// The targets that are above the limit.
    above: HashSet<SubjectId>,
}

impl Plugin for Alarm {
    const NAME: &'static str = "alarm";
    const ABOUT: &'static str = "prints an alarm if the resident set of a target exceeds a limit";
    type Options = AlarmOptions;

    fn new(options: AlarmOptions) -> Result<Self, Error> {
        let limit = i64::try_from(options.limit.0).map_err(Error::failed)?;
        Ok(Self { limit, values: CurrentValues::default(), above: HashSet::new() })
    }
}

impl Sink for Alarm {
    #[allow(clippy::print_stdout, reason = "that is what this sink is for")]
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.values.apply(record);
        let Record::Sample(sample) = record else { return Ok(()) };
        for point in self.values.points(sample) {
            let target = point.subject.id;
            if &*point.metric.name != metric::RSS.name || !self.values.is_target(target) {
                continue;
            }
            if point.value <= self.limit {
                self.above.remove(&target);
            } else if self.above.insert(target) {
                let (time, name) = (sample.t as f64 / 1e9, &point.subject.name);
                println!("alarm at {time:.3} s: {name} has {} bytes", point.value);
            }
        }
        self.above.retain(|target| self.values.is_target(*target));
        Ok(())
    }
}

seepmeter_plugin::export_sink!(Alarm);
