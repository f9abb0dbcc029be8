//! The sink `text`: a line for each sample, to be read as it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::strtime;
use seepmeter_plugin::{Error, List, Sink, choices, options};
use seepmeter_record::conventions::metric;
use seepmeter_record::{
    CurrentPoint, CurrentValues, End, Event, EventKind, Header, Record, Restart, RestartLog,
    Sample, SamplerId, SubjectId, SubjectKind, Unit, human,
};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use super::process_sum::{ProcessSum, SumPoint};
use super::words;

/// No more counters than this stand in one line.
const MOST_COUNTERS: usize = 8;

choices! {
    /// The form of a line.
    pub enum Style {
        /// Time of day, time since the start, value, change per second.
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
        /// The form of a line: `line` for people, or `pages`, which is only the number of resident pages.
        style: Style = "line",
        /// What to show, with `style=line`: metrics of processes or of cgroups. Without it, those of
        /// `--metric`, or else the resident set, or else what the sampler counts first.
        metric: Option<List<String>>,
    }
}

/// The sink `text`.
pub struct Text {
    output: Output,
    style: Style,
    header: Option<Arc<Header>>,
    start: Option<jiff::ZonedDateTime>,
    values: CurrentValues,
    /// The metrics that are asked for.
    metrics: Option<Vec<String>>,
    /// The last value of each metric of each subject that has not ended, and when it was sampled.
    last: BTreeMap<(SubjectId, String), (u64, i64)>,
    /// All processes together, of each metric that is shown, if there are descendants.
    sums: BTreeMap<String, ProcessSum>,
    /// There are descendants of targets.
    is_tree: bool,
    /// True as soon as there is more than one subject: each line then names its own.
    several: bool,
    /// Nanoseconds from tick to tick of each sampler, if the budget has changed it.
    intervals: HashMap<SamplerId, u64>,
    /// Of each sampler whose first ticks are too dense to read: when its next line is due.
    next_lines: HashMap<SamplerId, u64>,
    /// Counters of which no line has the value yet.
    counters: BTreeMap<String, i64>,
    restarts: RestartLog,
}

impl OutputSink for Text {
    const NAME: &'static str = "text";
    const ABOUT: &'static str = "writes a line for each sample, at most one a second with the interval auto: the time, the resident set or another metric, its change per second";
    type Options = TextOptions;
    /// Soon enough for an eye, and at a thousand lines a second fifty of them travel together.
    const MAX_BATCH_DELAY: Duration = Duration::from_millis(50);

    fn destination(options: &TextOptions) -> Result<Destination, Error> {
        Ok(Destination::of(options.path.as_deref()))
    }

    fn new(options: TextOptions, output: Output) -> Result<Self, Error> {
        Ok(Self {
            output,
            style: options.style,
            header: None,
            start: None,
            values: CurrentValues::default(),
            metrics: options.metric.map(|List(metrics)| metrics),
            last: BTreeMap::new(),
            sums: BTreeMap::new(),
            is_tree: false,
            several: false,
            intervals: HashMap::new(),
            next_lines: HashMap::new(),
            counters: BTreeMap::new(),
            restarts: RestartLog::default(),
        })
    }
}

impl Sink for Text {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.values.apply(record);
        if let Some(restart) = self.restarts.apply(record, &self.values) {
            self.begin_epoch(record.time().unwrap_or(0), &restart)?;
        }
        match record {
            Record::Header(header) => self.begin(header),
            Record::Sample(sample) => self.write_sample(sample)?,
            Record::Event(event) => self.write_event(event)?,
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.flush()
    }
}

impl Text {
    /// The option that says which metrics are shown.
    pub(crate) const METRIC: &str = "metric";

    fn begin(&mut self, header: &Arc<Header>) {
        self.several = header.targets.len() > 1;
        // The offset that the header names is that of where the run was.
        self.start = strtime::parse("%Y-%m-%dT%H:%M:%S%.f%:z", &header.start)
            .and_then(|start| start.to_zoned_datetime())
            .ok();
        let samplers = (0..).map(SamplerId).zip(&header.samplers);
        let dense = samplers.filter(|(_, sampler)| sampler.first_interval.is_some());
        self.next_lines = dense.map(|(id, _)| (id, 0)).collect();
        self.header = Some(Arc::clone(header));
    }

    /// What the target before had is not compared with what its successor has.
    fn begin_epoch(&mut self, t: u64, restart: &Restart) -> Result<(), Error> {
        self.sums.clear();
        self.last.clear();
        self.is_tree = false;
        if self.style == Style::Pages {
            return Ok(());
        }
        self.output.line(&format!("{}  restarted: {restart}", self.times(t)))
    }

    /// False for a sample between two lines: a sampler that is dense at first has one line a second all the
    /// same.
    fn is_line(&mut self, sample: &Sample) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let dense = self.next_lines.get_mut(&sample.sampler).filter(|_| self.style == Style::Line);
        let Some(due) = dense else { return true };
        if sample.t < *due {
            return false;
        }
        // Half a second behind at most, so that later, when there is one tick a second, none is left out.
        *due = sample.t.saturating_sub(SECOND / 2).max(*due) + SECOND;
        true
    }

    /// Writes a line for each value of what is shown that the sample has observed, changed or not.
    fn write_sample(&mut self, sample: &Sample) -> Result<(), Error> {
        let is_line = self.is_line(sample);
        for name in self.shown() {
            let sum = self.sums.entry(name.clone()).or_insert_with(|| ProcessSum::new(&name));
            let sum = sum.observe(sample, &self.values, is_line);
            if !is_line {
                continue;
            }
            if let Some(sum) = sum.filter(|_| self.is_tree) {
                self.write_sum(sample.t, &name, sum)?;
                continue;
            }
            let observed =
                |subject: &SubjectId| self.values.observed_at(*subject, &name) == Some(sample.t);
            let of_name = |point: &CurrentPoint<'_>| {
                *point.metric.name == *name
                    && [SubjectKind::Process, SubjectKind::Cgroup].contains(&point.subject.kind)
            };
            let new = self.values.points(sample).filter(of_name).map(|point| point.subject.id);
            let known = self.last.keys().filter(|(_, metric)| *metric == name);
            let unchanged = known.map(|(subject, _)| *subject).filter(observed);
            let subjects: BTreeSet<SubjectId> = new.chain(unchanged).collect();
            for subject in subjects {
                self.write_value(sample.t, subject, &name)?;
            }
        }
        Ok(())
    }

    /// The names of the metrics that are shown.
    fn shown(&self) -> Vec<String> {
        match &self.metrics {
            _ if self.style == Style::Pages => vec![metric::RSS.name.to_owned()],
            Some(metrics) => metrics.clone(),
            None => {
                self.values.main_metric().map(|main| main.name.to_string()).into_iter().collect()
            }
        }
    }

    fn write_value(&mut self, t: u64, subject: SubjectId, name: &str) -> Result<(), Error> {
        let standing = self.values.standing_metric(subject, name);
        let Some((unit, value)) = standing.map(|(metric, value)| (metric.unit, value)) else {
            return Ok(());
        };
        if self.style == Style::Pages {
            return self.write_pages(value);
        }
        let before = self.last.insert((subject, name.to_owned()), (t, value));
        self.several |= self.last.keys().any(|(known, _)| *known != subject);
        let whose = self.values.subject(subject).filter(|_| self.several);
        let whose = whose.map_or(String::new(), |it| format!("  {}", it.called()));
        self.write_amount(Amount { t, name, unit, value, before }, &whose)
    }

    fn write_pages(&mut self, rss: i64) -> Result<(), Error> {
        let Some(header) = &self.header else { return Ok(()) };
        let pages = rss / i64::try_from(header.page_size).unwrap_or(i64::MAX).max(1);
        self.output.line(&pages.to_string())
    }

    /// The line of all processes together.
    fn write_sum(&mut self, t: u64, name: &str, sum: SumPoint) -> Result<(), Error> {
        if self.style == Style::Pages {
            return self.write_pages(sum.total);
        }
        let SumPoint { total, unit, processes, before } = sum;
        let processes = human::count(processes, "process");
        self.write_amount(
            Amount { t, name, unit, value: total, before },
            &format!("  in {processes}"),
        )
    }

    fn write_amount(&mut self, amount: Amount<'_>, whose: &str) -> Result<(), Error> {
        let Amount { t, name, unit, value, .. } = amount;
        let change = amount.change();
        let times = self.times(t);
        let value = human::amount(value as f64, unit);
        let counters = std::mem::take(&mut self.counters).into_iter();
        let counters: String =
            counters.map(|(name, number)| format!("  {name} {number}")).collect();
        let line = format!("{times}  {name} {value:>10}  {change:>13}{whose}{counters}");
        self.output.line(line.trim_end())
    }

    fn write_event(&mut self, event: &Event) -> Result<(), Error> {
        let line = self.event_line(event);
        match (&event.kind, event.subject) {
            (EventKind::Attached {}, Some(subject)) => {
                self.is_tree |= self.values.subject(subject).is_some_and(|it| it.parent.is_some());
            }
            (kind, Some(subject)) if kind.ends_subject() => {
                self.last.retain(|(known, _), _| *known != subject);
                self.sums.values_mut().for_each(|sum| _ = sum.end(subject));
            }
            _ => {}
        }
        let Some(line) = line.filter(|_| self.style == Style::Line) else { return Ok(()) };
        let times = self.times(event.t);
        self.output.line(&format!("{times}  {line}"))
    }

    /// What a person should know before the end.
    fn event_line(&mut self, event: &Event) -> Option<String> {
        Some(match &event.kind {
            EventKind::Missed { ticks } => format!("{} missed", human::count(*ticks, "tick")),
            EventKind::Dropped { samples, sink } => {
                format!("{} dropped: sink {sink} is too slow", human::count(*samples, "sample"))
            }
            EventKind::Forwarded { signal } => {
                format!("{} sent to the target", words::signal(*signal))
            }
            EventKind::BackedOff { interval } => self.backed_off(event.sampler, *interval),
            EventKind::ContinuedIn { part } => format!("goes on in part {part} of the recording"),
            EventKind::ContinuedFrom { part } => {
                format!("goes on from part {part} of the recording")
            }
            EventKind::Continued {} => "continued after a stop".to_owned(),
            EventKind::KeepAlive { reason } => format!("keep-alive: {reason}"),
            // Of a counter, the next line of a sample has the value.
            EventKind::Marker { number: Some(number), text } => {
                let name = text.to_string();
                if self.counters.len() < MOST_COUNTERS || self.counters.contains_key(&name) {
                    self.counters.insert(name, *number);
                }
                return None;
            }
            EventKind::Marker { number: None, text } => format!("mark {text}"),
            EventKind::MarksDropped { marks, reason } => {
                format!("{} dropped: {reason}", human::count(*marks, "mark"))
            }
            EventKind::SamplerFailed { reason } => format!("sampler failed: {reason}"),
            EventKind::SinkFailed { reason } => format!("sink failed: {reason}"),
            EventKind::Incomplete { text, .. } => format!("incomplete: {text}"),
            EventKind::Fallback { text } => format!("fallback: {text}"),
            // What a plugin has to say for itself.
            EventKind::Other { kind, text, .. } if !text.is_empty() => {
                format!("{kind}: {text}")
            }
            kind => return self.end_line(event.subject?, words::end_of_event(kind)?),
        })
    }

    /// The end of one of several targets. That of the only one is in the summary.
    fn end_line(&self, subject: SubjectId, end: End) -> Option<String> {
        let named = self.several && self.values.is_target(subject) && end != End::Left;
        let subject = self.values.subject(subject).filter(|it| named && it.parent.is_none())?;
        Some(format!("{} {}", subject.called(), words::end(end)))
    }

    fn backed_off(&mut self, sampler: Option<SamplerId>, interval: u64) -> String {
        let every = human::duration(interval);
        let samplers = self.header.as_ref().map_or(&[][..], |header| &header.samplers);
        let asked_for = sampler.and_then(|id| samplers.get(usize::from(id.0)));
        let before = sampler.and_then(|id| self.intervals.insert(id, interval));
        let whose = match asked_for {
            Some(sampler) if samplers.len() > 1 => format!("{}: ", sampler.name),
            _ => String::new(),
        };
        match before.or(asked_for.map(|sampler| sampler.interval)) {
            Some(before) if interval < before => {
                format!("{whose}sampling sped up to every {every}")
            }
            _ => format!("{whose}backed off: sampling slowed to every {every} (budget)"),
        }
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

/// What a line shows.
struct Amount<'a> {
    t: u64,
    /// Of the metric.
    name: &'a str,
    unit: Unit,
    value: i64,
    /// The point before: when, and how much.
    before: Option<(u64, i64)>,
}

impl Amount<'_> {
    /// How fast it has changed since the point before, a second; nothing if there was none.
    fn change(&self) -> String {
        match self.before {
            Some((before, old)) if self.t > before => {
                let rate = self.value.saturating_sub(old) as f64 * 1e9 / (self.t - before) as f64;
                let rate = if self.unit == Unit::Bytes { rate.round() } else { rate };
                format!("{}/s", human::change(rate, self.unit))
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_record::conventions::attribute;

    use super::super::test_stream::{TestStream, output_of};
    use super::*;

    const MIB: i64 = 1 << 20;
    const SECOND: u64 = 1_000_000_000;

    fn lines(style: Style, stream: &TestStream) -> String {
        let style = if style == Style::Line { "line" } else { "pages" };
        output_of::<Text>(&[("style", style)], stream.records())
    }

    #[test]
    fn the_resident_set_of_a_mapping_is_not_shown_nor_is_a_value_shown_twice() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        let heap = stream.mapping(target, "[heap]");
        stream.sample(0, 0, &[(target, "rss", 10 * MIB)]);
        stream.sample(SECOND / 2, 1, &[(target, "rss", 11 * MIB), (heap, "rss", 3 * MIB)]);
        stream.sample(SECOND, 0, &[(target, "rss", 12 * MIB)]);
        let expected = "12:00:00      0.000 s  rss     10 MiB\n\
                        12:00:01      1.000 s  rss     12 MiB       +2 MiB/s\n";
        assert_eq!(lines(Style::Line, &stream), expected);
        assert_eq!(lines(Style::Pages, &stream), "2560\n3072\n");
    }

    #[test]
    fn of_several_targets_each_line_names_its_own_and_each_end_is_shown() {
        let mut stream = TestStream::of_two_samplers();
        let (first, second) = (stream.target("first", 7), stream.target("second", 8));
        stream.sample(0, 0, &[(first, "rss", MIB), (second, "rss", 2 * MIB)]);
        stream.exit(SECOND, first, 3);
        stream.sample(2 * SECOND, 0, &[(second, "rss", MIB)]);
        let expected = "12:00:00      0.000 s  rss      1 MiB                 first (pid 7)\n\
                        12:00:00      0.000 s  rss      2 MiB                 second (pid 8)\n\
                        12:00:01      1.000 s  first (pid 7) exited with status 3\n\
                        12:00:02      2.000 s  rss      1 MiB     -512 KiB/s  second (pid 8)\n";
        assert_eq!(lines(Style::Line, &stream), expected);
    }

    #[test]
    fn a_restart_is_shown_and_nothing_is_compared_across_it() {
        let mut stream = TestStream::of_two_samplers();
        let first = stream.target("work", 7);
        stream.sample(0, 0, &[(first, "rss", 10 * MIB)]);
        stream.event(SECOND, Some(first), EventKind::Killed { signal: 9 });
        let attributes = seepmeter_record::Attributes::new()
            .with(attribute::PID, 8)
            .with(attribute::PREDECESSOR, first);
        let second = stream.subject(None, SubjectKind::Process, "work", attributes);
        stream.event(2_200_000_000, Some(second), EventKind::Attached {});
        stream.sample(3 * SECOND, 0, &[(second, "rss", MIB)]);
        let expected = "12:00:00      0.000 s  rss     10 MiB\n\
                        12:00:02      2.200 s  restarted: work (pid 7) → work (pid 8), watched again after 1.2 s\n\
                        12:00:03      3.000 s  rss      1 MiB\n";
        assert_eq!(lines(Style::Line, &stream), expected);
        assert_eq!(lines(Style::Pages, &stream), "2560\n256\n");
    }

    #[test]
    fn the_line_of_a_sample_has_the_counters_that_have_changed() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        let marker =
            |number, text: &str| EventKind::Marker { number: Some(number), text: text.into() };
        stream.sample(0, 0, &[(target, "rss", 10 * MIB)]);
        stream.event(1, None, marker(1, "n"));
        stream.event(2, None, marker(5, "n"));
        stream.event(3, None, marker(2, "errors"));
        stream.sample(SECOND, 0, &[(target, "rss", 12 * MIB)]);
        stream.sample(2 * SECOND, 0, &[(target, "rss", 12 * MIB)]);
        let expected = "12:00:00      0.000 s  rss     10 MiB\n\
                        12:00:01      1.000 s  rss     12 MiB       +2 MiB/s  errors 2  n 5\n\
                        12:00:02      2.000 s  rss     12 MiB          0 B/s\n";
        assert_eq!(lines(Style::Line, &stream), expected);
    }

    #[test]
    fn events_are_shown_in_words() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.event(1, None, EventKind::Missed { ticks: 2 });
        stream.event(1, None, EventKind::Dropped { samples: 1, sink: "csv".into() });
        stream.event(1, Some(target), EventKind::Forwarded { signal: 15 });
        stream.event(1, None, EventKind::Marker { number: None, text: "loaded".into() });
        let reason = "they are not UTF-8".into();
        stream.event(1, None, EventKind::MarksDropped { marks: 3, reason });
        stream.event(1, None, EventKind::Late { samples: 1 });
        let other = EventKind::Other { kind: "news".into(), number: None, text: "good".into() };
        stream.event(1, None, other);
        stream.exit(1, target, 0);
        let shown = lines(Style::Line, &stream);
        let shown: Vec<&str> =
            shown.lines().filter_map(|line| line.strip_prefix("12:00:00      0.000 s  ")).collect();
        let expected = [
            "2 ticks missed",
            "1 sample dropped: sink csv is too slow",
            "SIGTERM sent to the target",
            "mark loaded",
            "3 marks dropped: they are not UTF-8",
            "news: good",
        ];
        assert_eq!(shown, expected);
        assert_eq!(lines(Style::Pages, &stream), "");
    }

    #[test]
    fn a_changed_interval_is_called_slower_or_faster() {
        let mut stream = TestStream::of_two_samplers();
        stream.backed_off(1, 1, 400_000_000);
        stream.backed_off(2, 1, 300_000_000);
        let shown = lines(Style::Line, &stream);
        let words = "smaps: backed off: sampling slowed to every 400 ms (budget)\n";
        assert!(shown.contains(words), "{shown}");
        assert!(shown.contains("smaps: sampling sped up to every 300 ms\n"), "{shown}");
    }
}
