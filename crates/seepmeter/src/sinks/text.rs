//! The sink `text`: a line a tick, to be read as it comes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::strtime;
use nix::sys::signal::Signal;
use seepmeter_plugin::{Error, Plugin, Sink, choices, options};
use seepmeter_record::human;
use seepmeter_record::{
    Catalog, Event, EventKind, Header, MetricId, Record, Sample, SamplerId, SubjectId, Unit,
    subject_kind,
};

use super::output::Output;

choices! {
    /// How a line looks.
    pub enum Style {
        /// Time of day, time since the start, resident set, change a second.
        Line = "line",
        /// The resident pages, one number a line.
        Pages = "pages",
    }
}

options! {
    /// Options of the sink `text`.
    pub struct TextOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// How a line looks: `line` for people, or `pages`, the number of resident pages alone.
        style: Style = "line",
    }
}

/// The sink `text`.
pub struct Text {
    output: Output,
    style: Style,
    start: Option<jiff::ZonedDateTime>,
    page_size: i64,
    catalog: Catalog,
    rss: Option<MetricId>,
    /// The last resident set of each process, and when it was seen.
    before: HashMap<SubjectId, (u64, i64)>,
    /// Which sampler tells the resident set of each process.
    heard: HashMap<SubjectId, SamplerId>,
}

impl Plugin for Text {
    const NAME: &'static str = "text";
    const ABOUT: &'static str =
        "writes a line a look: the time, the resident set, its change a second";
    type Options = TextOptions;
    /// Soon enough for an eye, and at a thousand lines a second fifty of them travel together.
    const PATIENCE: Duration = Duration::from_millis(50);

    fn new(options: TextOptions) -> Result<Self, Error> {
        Ok(Self {
            output: Output::create_or_stderr(options.path.as_deref())?,
            style: options.style,
            start: None,
            page_size: 4096,
            catalog: Catalog::default(),
            rss: None,
            before: HashMap::new(),
            heard: HashMap::new(),
        })
    }
}

impl Sink for Text {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.catalog.learn(record);
        match record {
            Record::Header(header) => {
                self.begin(header);
                Ok(())
            }
            Record::Metric(metric) if &*metric.name == "rss" && metric.unit == Unit::Bytes => {
                self.rss = Some(metric.id);
                Ok(())
            }
            Record::Sample(sample) => self.tell_sample(sample),
            Record::Event(event) => self.tell_event(event),
            Record::Metric(_) | Record::Subject(_) | Record::Footer(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.flush()
    }
}

impl Text {
    fn begin(&mut self, header: &Header) {
        self.page_size = i64::try_from(header.page_size).unwrap_or(4096).max(1);
        // The offset that the header names is that of where the run was.
        self.start = strtime::parse("%Y-%m-%dT%H:%M:%S%.f%:z", &header.start)
            .and_then(|start| start.to_zoned_datetime())
            .ok();
    }

    fn tell_sample(&mut self, sample: &Sample) -> Result<(), Error> {
        for point in &sample.points {
            let is_process = self
                .catalog
                .subject(point.subject)
                .is_some_and(|subject| &*subject.kind == subject_kind::PROCESS);
            // Of two samplers that tell it, the first to do so is heard.
            let heard = |owner: &mut HashMap<SubjectId, SamplerId>| {
                *owner.entry(point.subject).or_insert(sample.sampler) == sample.sampler
            };
            if Some(point.metric) == self.rss && is_process && heard(&mut self.heard) {
                self.tell_rss(sample.t, point.subject, point.value)?;
            }
        }
        Ok(())
    }

    fn tell_rss(&mut self, t: u64, subject: SubjectId, rss: i64) -> Result<(), Error> {
        if self.style == Style::Pages {
            let pages = rss / self.page_size;
            return self.output.print(|out| writeln!(out, "{pages}"));
        }
        let change = match self.before.insert(subject, (t, rss)) {
            Some((before, old)) if t > before => {
                let seconds = (t - before) as f64 / 1e9;
                let rate = rss.saturating_sub(old) as f64 / seconds;
                // Always a second, so that the lines can be compared.
                format!("{}/s", human::change(rate, Unit::Bytes))
            }
            _ => String::new(),
        };
        // With several processes each line says whose it is.
        let name = match self.catalog.subject(subject) {
            Some(known) if self.before.len() > 1 => format!("  {}", known.name),
            _ => String::new(),
        };
        let times = self.times(t);
        let rss = human::bytes(rss);
        self.output.print(|out| {
            writeln!(out, "{}", format!("{times}  rss {rss:>10}  {change:>13}{name}").trim_end())
        })
    }

    /// What a person should know of before the end.
    fn tell_event(&mut self, event: &Event) -> Result<(), Error> {
        let value = event.value.unwrap_or(0);
        let says = match &event.kind {
            _ if self.style == Style::Pages => return Ok(()),
            EventKind::Missed => format!("{} missed", human::count(value.unsigned_abs(), "tick")),
            EventKind::Lost => {
                format!("{} lost by {}", human::count(value.unsigned_abs(), "sample"), event.text)
            }
            EventKind::Forwarded => format!("{} sent to the target", signal_name(value)),
            EventKind::BackedOff => format!(
                "looks cost more than the budget: from now on one in {}",
                human::duration(value.unsigned_abs())
            ),
            EventKind::Continued => "goes on after a stop".to_owned(),
            EventKind::Lingers
            | EventKind::Marker
            | EventKind::SamplerFailed
            | EventKind::SinkFailed => {
                format!("{}: {}", event.kind.as_str(), event.text)
            }
            // A sampler's own news: how it looks, and what it had to leave out.
            EventKind::Other(kind) if !event.text.is_empty() => format!("{kind}: {}", event.text),
            _ => return Ok(()),
        };
        let times = self.times(event.t);
        self.output.print(|out| writeln!(out, "{times}  {says}"))
    }

    /// The time of day, and the time since the start.
    fn times(&self, t: u64) -> String {
        let nanos = i64::try_from(t).unwrap_or(i64::MAX);
        let clock = self
            .start
            .as_ref()
            .and_then(|start| start.checked_add(SignedDuration::from_nanos(nanos)).ok())
            .map_or_else(|| "--:--:--".to_owned(), |now| now.strftime("%H:%M:%S").to_string());
        format!("{clock}  {:>9.3} s", t as f64 / 1e9)
    }
}

/// `SIGTERM`; `signal 40` if it has no name.
fn signal_name(number: i64) -> String {
    let named = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
    named.map_or_else(|| format!("signal {number}"), |signal| signal.to_string())
}

#[cfg(test)]
mod tests {
    use super::signal_name;

    #[test]
    fn a_signal_without_a_name_is_shown_by_its_number() {
        assert_eq!([signal_name(15), signal_name(40)], ["SIGTERM", "signal 40"]);
    }
}
