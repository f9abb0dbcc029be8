//! What the tests share: the target, and a stream that remembers.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use seepmeter_plugin::record::{
    Bytes, Event, EventKind, FrameId, ImageId, MetricId, MetricSpec, Points, StackId, SubjectId,
    SubjectKind, Unit,
};
use seepmeter_plugin::{
    Error, NewFrame, NewSubject, Options, Plugin, RunningSampler, SampleBuilder, Sampler, Stream,
    Target, Until, Waited,
};
use seepmeter_sampler_smaps::{RunningSmaps, Smaps, SmapsOptions};

pub const MIB: usize = 1 << 20;

/// Long enough for any machine; a test that waits this long has failed.
pub const TIME_LIMIT: Duration = Duration::from_secs(180);

/// The program that is watched. It is killed when it is let go of.
pub struct Program {
    pub child: Child,
    answers: BufReader<ChildStdout>,
}

impl Program {
    pub fn start() -> Self {
        let mut child = Command::new(seepmeter_tests::test_target())
            .arg("obey")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the target starts");
        let answers = BufReader::new(child.stdout.take().expect("it has a standard output"));
        let mut program = Self { child, answers };
        // It answers, so it is past its exec.
        assert_eq!(program.ask("hello"), "what?");
        program
    }

    /// Tells it a deed without waiting for its answer.
    pub fn tell(&mut self, deed: &str) {
        let input = self.child.stdin.as_mut().expect("it has a standard input");
        writeln!(input, "{deed}").expect("it listens");
    }

    /// Has it do a deed.
    pub fn ask(&mut self, deed: &str) -> String {
        self.tell(deed);
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        answer.trim_end().to_owned()
    }

    /// Has it make a mapping, and touches it.
    pub fn map(&mut self, kind: &str, bytes: usize) -> usize {
        let at = self.ask(&format!("{kind} {bytes}")).parse().expect("an address");
        if kind != "reserve" {
            self.ask(&format!("touch {at} {bytes}"));
        }
        at
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream that keeps all that is emitted.
pub struct Memory {
    begin: Instant,
    metrics: Vec<(String, SubjectKind)>,
    pub subjects: Vec<NewSubject>,
    pub events: Vec<Event>,
    values: HashMap<(u32, String), i64>,
}

/// The subjects of targets: those of the sampler come behind.
pub const TARGETS: u32 = 8;

impl Stream for Memory {
    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId {
        assert!([Unit::Bytes, Unit::Count].contains(&metric.unit), "{:?}", metric.unit);
        assert!(!metric.help.is_empty());
        self.metrics.push((metric.name.to_owned(), metric.subject_kind.clone()));
        MetricId(u32::try_from(self.metrics.len() - 1).unwrap())
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        self.subjects.push(subject);
        SubjectId(u32::try_from(self.subjects.len() - 1).unwrap() + TARGETS)
    }

    fn image(&mut self, _: Bytes, _: Option<Box<str>>) -> ImageId {
        unreachable!("it knows no code")
    }

    fn frame(&mut self, _: NewFrame) -> FrameId {
        unreachable!("it knows no code")
    }

    fn stack(&mut self, _: Vec<FrameId>, _: Option<Bytes>) -> StackId {
        unreachable!("it knows no code")
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn keep_alive(&mut self, reason: &str) {
        unreachable!("no target needs it after the run: {reason}")
    }
}

impl Memory {
    /// The subjects of mappings that are there: defined, and not ended.
    pub fn living(&self) -> impl Iterator<Item = (u32, &NewSubject)> {
        let ended = |id: u32| {
            self.events
                .iter()
                .any(|event| event.kind.ends_subject() && event.subject == Some(SubjectId(id)))
        };
        self.subjects
            .iter()
            .zip(TARGETS..)
            .map(|(subject, id)| (id, subject))
            .filter(move |(id, _)| !ended(*id))
    }

    pub fn names(&self) -> Vec<String> {
        self.living().map(|(_, subject)| subject.name.to_string()).collect()
    }

    /// The living subject whose name begins so.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.living()
            .find(|(_, subject)| subject.name.to_string().starts_with(name))
            .map(|(id, _)| id)
    }

    pub fn value(&self, subject: u32, metric: &str) -> Option<i64> {
        self.values.get(&(subject, metric.to_owned())).copied()
    }

    /// All living subjects' values together.
    pub fn sum(&self, metric: &str) -> i64 {
        self.living().filter_map(|(id, _)| self.value(id, metric)).sum()
    }

    /// The texts of the events that say what was not observed, or in another way than usual.
    pub fn shortcomings(&self) -> Vec<String> {
        let texts = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Incomplete { text, .. } | EventKind::Fallback { text } => Some(text),
            _ => None,
        });
        texts.map(ToString::to_string).collect()
    }
}

/// The sampler at work.
pub struct Watcher {
    smaps: RunningSmaps,
    pub memory: Memory,
    wake: (PipeReader, Option<PipeWriter>),
    /// Of the last sample.
    pub points: Points,
    /// How many points of the last sample had the value that stood already.
    pub repeated: usize,
    /// The last sample was partial.
    pub partial: bool,
}

impl Watcher {
    pub fn new(pid: i32, options: &[(&str, &str)]) -> Result<Self, Error> {
        Self::under(Path::new("/proc"), pid, options)
    }

    pub fn under(proc_root: &Path, pid: i32, options: &[(&str, &str)]) -> Result<Self, Error> {
        let pairs: Vec<_> =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let smaps = Smaps::new(SmapsOptions::from_pairs(&pairs).map_err(Error::failed)?)?;
        let mut memory = Memory {
            begin: Instant::now(),
            metrics: Vec::new(),
            subjects: Vec::new(),
            events: Vec::new(),
            values: HashMap::new(),
        };
        let smaps = smaps.start(&mut memory)?;
        let (reader, writer) = io::pipe().expect("a pipe");
        let wake = (reader, Some(writer));
        let mut watcher =
            Self { smaps, memory, wake, points: Points::new(), repeated: 0, partial: false };
        watcher.add(proc_root, pid, 0)?;
        Ok(watcher)
    }

    /// Adds a target.
    pub fn add(&mut self, proc_root: &Path, pid: i32, subject: u32) -> Result<(), Error> {
        let target = Target {
            pid,
            start_time: 0,
            subject: SubjectId(subject),
            spawned: false,
            proc_root: proc_root.to_owned(),
            executable: None,
        };
        self.smaps.add_target(&target, &mut self.memory)
    }

    pub fn remove(&mut self, subject: u32) {
        self.smaps.remove_target(SubjectId(subject), &mut self.memory).expect("it lets go");
    }

    /// Samples, and hurries: all the budget there is, and sweeps without a rest.
    pub fn eager(pid: i32, detail: &str) -> Self {
        let options =
            [("budget", "100"), ("sweep-every", "1ms"), ("heartbeat", "1ms"), ("detail", detail)];
        Self::new(pid, &options).expect("it starts")
    }

    pub fn sample(&mut self) -> Result<(), Error> {
        self.points.clear();
        let mut sample = SampleBuilder::new(&mut self.points, &mut self.memory);
        self.smaps.sample(&mut sample)?;
        self.partial = sample.facts().partial;
        self.repeated = 0;
        for point in &self.points {
            let (metric, kind) = &self.memory.metrics[point.metric.0 as usize];
            let of_process = point.subject.0 < TARGETS;
            assert_eq!(
                of_process,
                *kind == SubjectKind::Process,
                "{metric} of {:?}",
                point.subject
            );
            let before = self.memory.values.insert((point.subject.0, metric.clone()), point.value);
            self.repeated += usize::from(before == Some(point.value));
        }
        Ok(())
    }

    /// Ends its waits, as the engine does at the end.
    pub fn wake_up(&mut self) {
        self.wake.1 = None;
    }

    /// Lets it wait in its own way.
    pub fn wait(&mut self, how_long: Duration) {
        let until = Until { deadline: Instant::now() + how_long, wake: self.wake.0.as_fd() };
        if self.smaps.wait(until, &mut self.memory).expect("it waits") == Waited::PleaseSleep {
            std::thread::sleep(until.deadline.saturating_duration_since(Instant::now()));
        }
    }

    /// Samples until something is so, and says how long that took.
    pub fn until(&mut self, what: &str, mut so: impl FnMut(&Memory) -> bool) -> Duration {
        let begin = Instant::now();
        loop {
            self.sample().expect("a sample");
            if so(&self.memory) {
                return begin.elapsed();
            }
            if begin.elapsed() > TIME_LIMIT {
                panic!("not {what}; there are {:#?}", self.memory.names());
            }
            self.wait(Duration::from_millis(20));
        }
    }
}
