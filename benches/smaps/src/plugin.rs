//! The plugin at its default options, driven as the engine drives it: a sample a second, and the time
//! between samples for it to wait in its own way.

use std::io::{self, Error, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::conventions::metric;
use seepmeter_plugin::record::{
    Bytes, Event, FrameId, ImageId, MetricId, MetricSpec, Points, StackId, SubjectId, SubjectKind,
};
use seepmeter_plugin::{
    ErrorKind, NewFrame, NewSubject, Options, Plugin, RunningSampler, SampleBuilder, Sampler,
    Stream, Target as SampledTarget, Until,
};
use seepmeter_sampler_smaps::{RunningSmaps, Smaps, SmapsOptions};

use crate::board::Board;
use crate::target::Target;

const INTERVAL: Duration = Duration::from_secs(1);
const MIB: i64 = 1 << 20;

/// A stream that keeps which mapping grows, and by which metric that is seen.
#[derive(Debug, Default)]
struct GrowthStream {
    metrics: u32,
    rss: Option<MetricId>,
    subjects: u32,
    growing: Option<SubjectId>,
}

impl Stream for GrowthStream {
    fn now(&self) -> u64 {
        0
    }

    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId {
        let id = MetricId(self.metrics);
        self.metrics += 1;
        if metric.name == metric::RSS.name && metric.subject_kind == SubjectKind::MappingGroup {
            self.rss = Some(id);
        }
        id
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        self.subjects += 1;
        let id = SubjectId(self.subjects);
        if subject.name.as_bytes().starts_with(b"memfd:growing") {
            self.growing = Some(id);
        }
        id
    }

    fn image(&mut self, _path: Bytes, _build_id: Option<Box<str>>) -> ImageId {
        ImageId(0)
    }

    fn frame(&mut self, _frame: NewFrame) -> FrameId {
        FrameId(0)
    }

    fn stack(&mut self, _frames: Vec<FrameId>, _truncated: Option<Bytes>) -> StackId {
        StackId(0)
    }

    fn event(&mut self, _event: Event) {}

    fn keep_alive(&mut self, _reason: &str) {}
}

/// The sampler at work.
pub(crate) struct PluginAtWork {
    sampler: RunningSmaps,
    stream: GrowthStream,
    wake: (PipeReader, PipeWriter),
    board: &'static Board,
    /// How long it has watched, without the phases in which it rested.
    watched: Duration,
    /// How long it had watched when growth was asked for, and how many bytes there will be.
    asked: Option<(Duration, i64)>,
    slowest: Option<Duration>,
}

impl PluginAtWork {
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        let options = SmapsOptions::from_pairs(&[]).map_err(Error::other)?;
        let sampler = Smaps::new(options).map_err(Error::other)?;
        let mut stream = GrowthStream::default();
        let mut sampler = sampler.start(&mut stream).map_err(Error::other)?;
        let sampled = SampledTarget {
            pid: target.pid(),
            start_time: 0,
            subject: SubjectId(0),
            spawned: false,
            proc_root: "/proc".into(),
            executable: None,
        };
        sampler.add_target(&sampled, &mut stream).map_err(Error::other)?;
        let board = target.board;
        Ok(Self {
            sampler,
            stream,
            wake: io::pipe()?,
            board,
            watched: Duration::ZERO,
            asked: None,
            slowest: None,
        })
    }

    pub(crate) fn watch(&mut self, until: Instant) -> Result<(), Error> {
        let mut due = Instant::now();
        while due < until {
            self.sample()?;
            due += INTERVAL;
            self.watched += INTERVAL;
            let until = Until { deadline: due, wake: self.wake.0.as_fd() };
            self.sampler.wait(until, &mut self.stream).map_err(Error::other)?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.asked.is_none() {
                let mib = self.board.grow.fetch_add(1, Relaxed) + 1;
                let bytes = i64::try_from(mib).unwrap_or(0) * MIB;
                self.asked = Some((self.watched, bytes));
            }
        }
        Ok(())
    }

    pub(crate) fn slowest_seen(&self) -> Option<Duration> {
        self.slowest
    }

    fn sample(&mut self) -> Result<(), Error> {
        let mut points = Points::new();
        let outcome = self.sampler.sample(&mut SampleBuilder::new(&mut points, &mut self.stream));
        match outcome {
            Err(error) if error.kind() != ErrorKind::Skip => return Err(Error::other(error)),
            _ => {}
        }
        let Some((asked, bytes)) = self.asked else { return Ok(()) };
        let seen = points.iter().any(|point| {
            Some(point.subject) == self.stream.growing
                && Some(point.metric) == self.stream.rss
                && point.value >= bytes
        });
        if seen {
            self.slowest = self.slowest.max(Some(self.watched - asked));
            self.asked = None;
        }
        Ok(())
    }
}
