//! What looks at processes.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;
use crate::record::{Attr, Bytes, Event, MetricId, Point, Points, SubjectId, Unit};

/// Looks at a target and emits what it sees.
///
/// Every call on one instance comes from one and the same thread, as ptrace(2) demands.
pub trait Sampler {
    /// The target stands: defines metrics and subjects. A spawned target is still held before its
    /// exec and runs none of its own code until all samplers have started.
    ///
    /// # Errors
    /// An error here ends the run before it has begun.
    fn start(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error>;

    /// Takes one look.
    ///
    /// # Errors
    /// [`Gone`](crate::ErrorKind::Gone) and [`Skip`](crate::ErrorKind::Skip) leave this look out;
    /// another error ends this sampler, and the others go on.
    fn sample(&mut self, look: &mut Look<'_>) -> Result<(), Error>;

    /// Waits for the next tick in a way of its own, for a sampler that has events to serve meanwhile.
    /// It returns at the deadline, or as soon as `until.wake` can be read.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        let _ = (until, stream);
        Ok(Waited::PleaseSleep)
    }

    /// The watching is over: lets go of the target. Called once, also when the target has ended.
    ///
    /// # Errors
    /// An error is told to the user.
    fn stop(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let _ = stream;
        Ok(())
    }
}

/// How long to wait, at most.
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    /// The next tick.
    pub deadline: Instant,
    /// Becomes readable when the wait should end at once.
    pub wake: BorrowedFd<'a>,
}

/// Who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The sampler did.
    Done,
    /// Nobody yet: the engine sleeps.
    PleaseSleep,
}

/// Whom to look at.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat.
    pub start_time: u64,
    /// Its subject in the stream.
    pub subject: SubjectId,
    /// True where seepmeter spawned it.
    pub spawned: bool,
    /// Where procfs is mounted: `/proc`, or a made-up tree in a test.
    pub proc_root: PathBuf,
    /// The file that a spawned target will execute, as far as that is known.
    pub executable: Option<PathBuf>,
}

impl Target {
    /// A file of its folder in procfs: `target.proc_file("statm")`.
    #[must_use]
    pub fn proc_file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.proc_root.join(self.pid.to_string()).join(name)
    }
}

/// Where a sampler's records go.
pub trait Stream {
    /// Nanoseconds since the stream's start.
    fn now(&self) -> u64;

    /// Defines a metric. One of the same name and unit is defined but once, whoever asks.
    fn metric(&mut self, name: &str, unit: Unit, help: &str) -> MetricId;

    /// Defines a subject.
    fn subject(&mut self, subject: NewSubject) -> SubjectId;

    /// Tells of an event; the engine fills in which sampler told it.
    fn event(&mut self, event: Event);
}

/// A subject that has no number yet.
#[derive(Clone, Debug, Default)]
pub struct NewSubject {
    /// What it is a part of.
    pub parent: Option<SubjectId>,
    /// What it is, see [`crate::record::subject_kind`].
    pub kind: Box<str>,
    /// Its name for people.
    pub name: Bytes,
    /// What else is known of it.
    pub attrs: Vec<(String, Attr)>,
}

/// One look in the making.
pub struct Look<'a> {
    points: &'a mut Points,
    stream: &'a mut dyn Stream,
    held: Option<Duration>,
}

impl<'a> Look<'a> {
    /// A look whose points go to `points`.
    pub fn new(points: &'a mut Points, stream: &'a mut dyn Stream) -> Self {
        Self { points, stream, held: None }
    }

    /// This metric of this subject has this value from now on.
    pub fn point(&mut self, subject: SubjectId, metric: MetricId, value: i64) {
        self.points.push(Point { subject, metric, value });
    }

    /// Says how long this look has held the target up, for a sampler that knows better than that it was
    /// all of the look's time. The budget is held against it.
    pub fn held(&mut self, time: Duration) {
        self.held = Some(self.held.unwrap_or_default().saturating_add(time));
    }

    /// How long the look has held the target up, where the sampler has said so.
    #[must_use]
    pub fn held_for(&self) -> Option<Duration> {
        self.held
    }

    /// All that a look is made of, for whoever hands it on.
    pub fn parts(&mut self) -> (&mut Points, &mut dyn Stream, &mut Option<Duration>) {
        (self.points, self.stream, &mut self.held)
    }

    /// The stream, for a subject or an event that comes up in a look.
    pub fn stream(&mut self) -> &mut dyn Stream {
        self.stream
    }
}
