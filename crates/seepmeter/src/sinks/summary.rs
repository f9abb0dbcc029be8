//! The sink `summary`: what a run was, in a few lines at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use seepmeter_plugin::{Error, Plugin, Sink, SinkFactory, options};
use seepmeter_record::{
    End, Event, EventKind, Footer, MetricId, Record, Sample, SamplerId, SamplerInfo, Subject,
    SubjectId, Unit, human, subject_kind,
};
use seepmeter_verdict::names::metric;
use seepmeter_verdict::{Collector, NoVerdict, Verdict};

use super::judged::{Judged, Judging};
use super::output::Output;

/// From one part in so many on, the time between the last look and the target's end is told.
const UNSEEN_PART: u64 = 10;

options! {
    /// Options of the sink `summary`.
    pub struct SummaryOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
    }
}

/// The sink `summary`.
pub struct Summary {
    /// None where it only judges, for gates.
    output: Option<Output>,
    collector: Collector,
    judging: Judging,
    target: Option<Subject>,
    metrics: Metrics,
    rss: Option<Span>,
    peak: Option<i64>,
    samples: u64,
    last_t: u64,
    /// When the last look was taken.
    last_look: u64,
    samplers: Vec<SamplerInfo>,
    /// Which sampler tells the resident set.
    heard: Option<SamplerId>,
    /// The longest interval, in ns, to which the budget has stretched each sampler's.
    backed_off: BTreeMap<SamplerId, u64>,
    footer: Option<Footer>,
}

/// The metrics that the summary tells of.
#[derive(Default)]
struct Metrics {
    rss: Option<MetricId>,
    peak: Option<MetricId>,
}

/// The first and the last value of a series.
struct Span {
    first_t: u64,
    first: i64,
    last_t: u64,
    last: i64,
    largest: i64,
}

impl Plugin for Summary {
    const NAME: &'static str = "summary";
    const ABOUT: &'static str = "tells at the end how long, how much, and what the watching cost";
    type Options = SummaryOptions;

    fn new(options: SummaryOptions) -> Result<Self, Error> {
        let output = Output::create_or_stderr(options.path.as_deref())?;
        Ok(Self::of(Some(output), Judging::default()))
    }
}

impl Summary {
    /// A factory of summaries whose verdict is held against gates. A `silent` one writes nothing.
    #[must_use]
    pub fn factory(judging: Judging, silent: bool) -> Arc<SinkFactory> {
        Arc::new(Judged::<Self>::new(judging, move |judging, options: SummaryOptions| {
            let output = match silent {
                true => None,
                false => Some(Output::create_or_stderr(options.path.as_deref())?),
            };
            Ok(Self::of(output, judging))
        }))
    }

    fn of(output: Option<Output>, judging: Judging) -> Self {
        Self {
            output,
            collector: judging.collector(None),
            judging,
            target: None,
            metrics: Metrics::default(),
            rss: None,
            peak: None,
            samples: 0,
            last_t: 0,
            last_look: 0,
            samplers: Vec::new(),
            heard: None,
            backed_off: BTreeMap::new(),
            footer: None,
        }
    }
}

impl Sink for Summary {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.collector.observe(record);
        match record {
            Record::Metric(metric) if metric.unit == Unit::Bytes => match &*metric.name {
                metric::RSS => self.metrics.rss = Some(metric.id),
                metric::PEAK => self.metrics.peak = Some(metric.id),
                _ => {}
            },
            // The first process of a stream is the target.
            Record::Subject(subject)
                if self.target.is_none() && &*subject.kind == subject_kind::PROCESS =>
            {
                self.target = Some(subject.clone());
            }
            Record::Sample(sample) => self.take(sample),
            Record::Event(event) => {
                self.last_t = self.last_t.max(event.t);
                self.hear(event);
            }
            Record::Header(header) => self.samplers.clone_from(&header.samplers),
            Record::Footer(footer) => self.footer = Some(footer.clone()),
            Record::Metric(_) | Record::Subject(_) => {}
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let conclusion = self.collector.conclude();
        let lines = self.lines(conclusion.main());
        self.judging.settle(conclusion);
        let Some(output) = &mut self.output else { return Ok(()) };
        output.print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        output.flush()
    }
}

impl Summary {
    fn take(&mut self, sample: &Sample) {
        self.samples += 1;
        self.last_t = self.last_t.max(sample.t);
        self.last_look = self.last_look.max(sample.t);
        let target: Option<SubjectId> = self.target.as_ref().map(|target| target.id);
        for point in sample.points.iter().filter(|point| Some(point.subject) == target) {
            let value = point.value;
            if Some(point.metric) == self.metrics.rss {
                // Of two samplers that tell it, the first to do so is heard.
                if *self.heard.get_or_insert(sample.sampler) != sample.sampler {
                    continue;
                }
                match &mut self.rss {
                    Some(span) => {
                        span.last_t = sample.t;
                        span.last = value;
                        span.largest = span.largest.max(value);
                    }
                    None => {
                        let (first_t, last_t) = (sample.t, sample.t);
                        self.rss = Some(Span {
                            first_t,
                            first: value,
                            last_t,
                            last: value,
                            largest: value,
                        });
                    }
                }
            } else if Some(point.metric) == self.metrics.peak {
                self.peak = self.peak.max(Some(value));
            }
        }
    }

    fn hear(&mut self, event: &Event) {
        if let (EventKind::BackedOff, Some(sampler)) = (&event.kind, event.sampler) {
            let interval = event.value.unwrap_or(0).unsigned_abs();
            let longest = self.backed_off.entry(sampler).or_default();
            *longest = interval.max(*longest);
        }
    }

    fn lines(&self, verdict: Result<&Verdict, &NoVerdict>) -> Vec<String> {
        if let Some(Footer { end: End::NotStarted(_), .. }) = &self.footer {
            // There was nothing to watch, and why has been said already.
            return Vec::new();
        }
        let mut lines = vec![format!("target     {}", self.tell_target())];
        lines.push(format!("watched    {}", self.tell_watching()));
        match &self.rss {
            Some(span) => lines.push(format!("rss        {}", self.tell_rss(span))),
            None if self.ended_unseen() => {
                lines.push(
                    "rss        not sampled: the target ended before the first sample".to_owned(),
                );
            }
            None => {}
        }
        let told = match verdict {
            Ok(verdict) => verdict.lines(),
            // Of what nobody asked for nothing need be said.
            Err(_) if self.judging.metric() == metric::RSS => Vec::new(),
            Err(why) => vec![format!("none: {why}")],
        };
        for (place, line) in told.into_iter().enumerate() {
            lines.push(format!("{:9}  {line}", if place == 0 { "verdict" } else { "" }));
        }
        for (id, interval) in &self.backed_off {
            if let Some(sampler) = self.samplers.get(usize::from(id.0)) {
                lines.push(format!(
                    "budget     sampler {}: sampling slowed from every {} to every {} (budget)",
                    sampler.name,
                    human::duration(sampler.interval),
                    human::duration(*interval)
                ));
            }
        }
        if let Some(Footer { cost, lost, .. }) = &self.footer {
            let peak = i64::try_from(cost.peak_rss).unwrap_or(i64::MAX);
            lines.push(format!(
                "seepmeter  {} of CPU time, {} peak rss",
                human::duration(cost.cpu),
                human::bytes(peak)
            ));
            for lost in lost {
                let samples = human::count(lost.samples, "sample");
                lines.push(format!(
                    "dropped    {samples} by sink {}, which was too slow",
                    lost.sink
                ));
            }
        }
        lines
    }

    fn ended_unseen(&self) -> bool {
        let end = self.footer.as_ref().map(|footer| footer.end);
        self.samples == 0 && matches!(end, Some(End::Exited(_) | End::Killed(_) | End::Gone))
    }

    fn tell_target(&self) -> String {
        let name = match &self.target {
            Some(target) => match target.process_key() {
                Some((pid, _)) => format!("{} (pid {pid})", target.name),
                None => target.name.to_string(),
            },
            None => "none".to_owned(),
        };
        let end = match self.footer.as_ref().map(|footer| footer.end) {
            Some(End::Exited(status)) => format!("exited with status {status}"),
            Some(End::Killed(signal)) => match Signal::try_from(signal) {
                Ok(name) => format!("killed by signal {signal} ({name})"),
                Err(_) => format!("killed by signal {signal}"),
            },
            Some(End::Gone) => "ended".to_owned(),
            Some(End::Left) => "still running".to_owned(),
            Some(End::NotStarted(errno)) => {
                format!("not started: {}", Errno::from_raw(errno).desc())
            }
            None => {
                "the recording has no end: its writer was killed or is still running".to_owned()
            }
        };
        format!("{name}, {end}")
    }

    fn tell_watching(&self) -> String {
        match &self.footer {
            Some(footer) => format!(
                "{}: {}, {} late, {} missed",
                human::duration(footer.t),
                human::count(footer.samples, "sample"),
                footer.late,
                footer.missed
            ),
            None => {
                format!(
                    "{}: {}",
                    human::duration(self.last_t),
                    human::count(self.samples, "sample")
                )
            }
        }
    }

    fn tell_rss(&self, span: &Span) -> String {
        let peak = self.peak.unwrap_or(span.largest).max(span.largest);
        let mut told = format!(
            "first {}, last {}, peak {}",
            human::bytes(span.first),
            human::bytes(span.last),
            human::bytes(peak)
        );
        if span.last_t > span.first_t {
            let seconds = (span.last_t - span.first_t) as f64 / 1e9;
            let rate = span.last.saturating_sub(span.first) as f64 / seconds;
            told.push_str(&format!("; average {}", human::rate(rate, Unit::Bytes)));
        }
        // With the target goes the kernel's mark of its peak, so what came after the last look is unknown.
        if let Some(Footer { t, end: End::Exited(_) | End::Killed(_) | End::Gone, .. }) =
            self.footer
        {
            let unseen = t.saturating_sub(self.last_look);
            if unseen > t / UNSEEN_PART {
                told.push_str(&format!("; not sampled in its last {}", human::duration(unseen)));
            }
        }
        told
    }
}
