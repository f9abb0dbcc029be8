//! The plugin at its default options, driven as the engine drives it: a look a second, and the time
//! between looks for it to wait in its own way.

use std::io::{self, Error, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::{Event, MetricId, Points, SubjectId, Unit};
use seepmeter_plugin::{
    ErrorKind, Look, NewSubject, Options, Plugin, Sampler, Stream, Target as Watched, Until,
};
use seepmeter_sampler_smaps::{Smaps, SmapsOptions};

use crate::board::Board;
use crate::target::Target;

const INTERVAL: Duration = Duration::from_secs(1);
const MIB: i64 = 1 << 20;

/// A stream that remembers what the growing mapping is.
#[derive(Debug, Default)]
struct Names {
    metrics: Vec<String>,
    subjects: u32,
    growing: Option<SubjectId>,
}

impl Stream for Names {
    fn now(&self) -> u64 {
        0
    }

    fn metric(&mut self, name: &str, _unit: Unit, _help: &str) -> MetricId {
        self.metrics.push(name.to_owned());
        MetricId(u32::try_from(self.metrics.len() - 1).unwrap_or(0))
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        let id = SubjectId(self.subjects);
        self.subjects += 1;
        if subject.name.as_bytes().starts_with(b"memfd:growing") {
            self.growing = Some(id);
        }
        id
    }

    fn event(&mut self, _event: Event) {}
}

/// The sampler at work.
pub(crate) struct PluginAtWork {
    sampler: Smaps,
    names: Names,
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
        let mut sampler = Smaps::new(options).map_err(Error::other)?;
        let mut names = Names { subjects: 1, ..Names::default() };
        let watched = Watched {
            pid: target.pid(),
            start_time: 0,
            subject: SubjectId(0),
            spawned: false,
            proc_root: "/proc".into(),
            executable: None,
        };
        sampler.start(&watched, &mut names).map_err(Error::other)?;
        let board = target.board;
        Ok(Self {
            sampler,
            names,
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
            self.look()?;
            due += INTERVAL;
            self.watched += INTERVAL;
            let until = Until { deadline: due, wake: self.wake.0.as_fd() };
            self.sampler.wait(until, &mut self.names).map_err(Error::other)?;
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

    fn look(&mut self) -> Result<(), Error> {
        let mut points = Points::new();
        let outcome = self.sampler.sample(&mut Look::new(&mut points, &mut self.names));
        match outcome {
            Err(error) if error.kind() != ErrorKind::Skip => return Err(Error::other(error)),
            _ => {}
        }
        let rss = self.names.metrics.iter().position(|name| name == "rss");
        let Some((asked, bytes)) = self.asked else { return Ok(()) };
        let seen = points.iter().any(|point| {
            Some(point.subject) == self.names.growing
                && usize::try_from(point.metric.0).ok() == rss
                && point.value >= bytes
        });
        if seen {
            self.slowest = self.slowest.max(Some(self.watched - asked));
            self.asked = None;
        }
        Ok(())
    }
}
