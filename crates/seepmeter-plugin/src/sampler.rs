//! What observes processes.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;
use crate::record::{
    Attributes, Bytes, Event, EventKind, Frame, FrameId, ImageId, InlinedCall, MetricId,
    MetricSpec, Point, Points, StackId, Subject, SubjectId, SubjectKind,
};

/// A sampler with its options, before the run.
///
/// Every call on one instance comes from one and the same thread, as ptrace(2) demands.
pub trait Sampler {
    /// What it is while the run lasts.
    type Running: RunningSampler;

    /// The stream begins: defines metrics. The targets come one by one by
    /// [`RunningSampler::add_target`].
    ///
    /// # Errors
    /// An error here ends the run before it has begun.
    fn start(self, stream: &mut dyn Stream) -> Result<Self::Running, Error>;
}

/// A sampler while the run lasts: observes its targets and emits what it observes.
pub trait RunningSampler {
    /// A target has come: defines its subjects. A spawned target is held before its exec and runs none
    /// of its own code until all samplers have it.
    ///
    /// # Errors
    /// If it is one of several, [`Gone`](crate::ErrorKind::Gone) and [`Skip`](crate::ErrorKind::Skip) leave
    /// this target out. Any other error of a target of the run's beginning ends the run, and of one that
    /// comes later it ends this sampler.
    fn add_target(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error>;

    /// A target is watched no more, since it has ended or since somebody asked for that: lets go of it.
    /// The engine ends its subject, and with that all that is a part of it.
    ///
    /// # Errors
    /// As [`RunningSampler::sample`].
    fn remove_target(&mut self, subject: SubjectId, stream: &mut dyn Stream) -> Result<(), Error>;

    /// Takes one sample of all targets.
    ///
    /// A target that is gone is no error as long as another one is there; its points are left out.
    ///
    /// # Errors
    /// [`Gone`](crate::ErrorKind::Gone) and [`Skip`](crate::ErrorKind::Skip) leave this sample out;
    /// another error ends this sampler, and the others go on.
    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error>;

    /// A descendant of a target has ended, and a sample of all would cost too much: there may be hundreds of ends a
    /// second. Emits what was read of that one before and not emitted, such as its peak; reads nothing.
    ///
    /// # Errors
    /// As [`RunningSampler::sample`].
    fn sample_ended(
        &mut self,
        ended: SubjectId,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<(), Error> {
        let _ = (ended, sample);
        Ok(())
    }

    /// Waits for the next tick in a way of its own, for a sampler that has events to serve meanwhile.
    /// It returns at the deadline, or as soon as `until.wake` can be read.
    ///
    /// # Errors
    /// As [`RunningSampler::sample`].
    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        let _ = (until, stream);
        Ok(Waited::PleaseSleep)
    }

    /// The run is over: lets go of all targets. Called once, also if they have ended.
    ///
    /// # Errors
    /// An error is shown to the user.
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

/// A process to observe.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat.
    pub start_time: u64,
    /// Its subject in the stream.
    pub subject: SubjectId,
    /// True if seepmeter spawned it.
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

    /// Defines a metric. One of the same name, unit, kind and kind of subject is defined but once.
    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId;

    /// Defines a subject.
    fn subject(&mut self, subject: NewSubject) -> SubjectId;

    /// Defines a file that holds code. `build_id` is in hexadecimal digits.
    fn image(&mut self, path: Bytes, build_id: Option<Box<str>>) -> ImageId;

    /// Defines an address in an image.
    fn frame(&mut self, frame: NewFrame) -> FrameId;

    /// Defines a stack, its innermost frame first; `truncated` says why it ends before the outermost.
    fn stack(&mut self, frames: Vec<FrameId>, truncated: Option<Bytes>) -> StackId;

    /// Emits an event; the engine fills in which sampler it is of.
    fn event(&mut self, event: Event);

    /// Emits that something of a subject was not sampled: how many things, if that can be counted, and which and
    /// why.
    fn incomplete(&mut self, subject: SubjectId, count: Option<i64>, text: String) {
        let kind = EventKind::Incomplete { count, text: text.into() };
        self.event(Event::new(self.now(), kind).of(subject));
    }

    /// Asks for this sampler to be kept alive after the run, until it has come to its end by itself: the
    /// targets need it. `reason` is for the user.
    fn keep_alive(&mut self, reason: &str);
}

/// A subject that has no number yet.
#[derive(Clone, Debug)]
pub struct NewSubject {
    /// What it is a part of.
    pub parent: Option<SubjectId>,
    /// What it is.
    pub kind: SubjectKind,
    /// Its name for people.
    pub name: Bytes,
    /// What else is known of it.
    pub attributes: Attributes,
}

impl NewSubject {
    /// The subject with its number.
    #[must_use]
    pub fn numbered(self, id: SubjectId) -> Subject {
        let Self { parent, kind, name, attributes } = self;
        Subject { id, parent, kind, name, attributes }
    }
}

/// A frame that has no number yet; see [`Frame`](crate::record::Frame).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NewFrame {
    /// Where it is; none for code that is in no file.
    pub image: Option<ImageId>,
    /// The address in the image, or of code that is in no file, in memory.
    pub address: u64,
    /// The function, if its name is known.
    pub function: Option<Bytes>,
    /// The source file, if it is known.
    pub file: Option<Bytes>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The calls that the compiler has inlined here, the innermost first.
    pub inlined: Vec<InlinedCall>,
}

impl NewFrame {
    /// The frame with its number.
    #[must_use]
    pub fn numbered(self, id: FrameId) -> Frame {
        let Self { image, address, function, file, line, inlined } = self;
        Frame { id, image, address, function, file, line, inlined }
    }
}

/// A number as the value of a point. One that is too large for it is the largest.
pub fn point_value(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// One sample while it is built.
pub struct SampleBuilder<'a> {
    points: &'a mut Points,
    stream: &'a mut dyn Stream,
    facts: SampleFacts,
}

/// What a sampler says of a sample beside its points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleFacts {
    /// See [`SampleBuilder::paused`].
    pub paused: Option<Duration>,
    /// See [`SampleBuilder::partial`].
    pub partial: bool,
}

impl<'a> SampleBuilder<'a> {
    /// A sample whose points go to `points`.
    pub fn new(points: &'a mut Points, stream: &'a mut dyn Stream) -> Self {
        Self { points, stream, facts: SampleFacts::default() }
    }

    /// This metric of this subject has this value from now on.
    pub fn point(&mut self, subject: SubjectId, metric: MetricId, value: i64) {
        self.points.push(Point { subject, metric, value });
    }

    /// Says for how long the target was paused or blocked for this sample, for a sampler that knows
    /// better than that it was all of the sample's time. The budget is charged with it.
    pub fn paused(&mut self, time: Duration) {
        self.facts.paused = Some(self.facts.paused.unwrap_or_default().saturating_add(time));
    }

    /// Says that this sample covers only some of the sampler's subjects: those that it has points of,
    /// whether they have changed or not. The others were not observed.
    pub fn partial(&mut self) {
        self.facts.partial = true;
    }

    /// What was said of the sample beside its points.
    #[must_use]
    pub fn facts(&self) -> SampleFacts {
        self.facts
    }

    /// All that a sample is made of, for whoever hands it on.
    pub fn parts(&mut self) -> (&mut Points, &mut dyn Stream, &mut SampleFacts) {
        (self.points, self.stream, &mut self.facts)
    }

    /// The stream, for a subject or an event that comes up in a sample.
    pub fn stream(&mut self) -> &mut dyn Stream {
        self.stream
    }
}
