//! The sampler on real processes.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{
    Attributes, End, Event, EventKind, MetricId, Point, Record, Sample, StackDefinitions, StackId,
    Subject, SubjectId, SubjectKind,
};
use seepmeter_plugin::{
    Error, ErrorKind, NewSubject, Options, Plugin, RunningSampler, Sampler, Stream, StreamBuffer,
    Target as SampledTarget, Until,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{ChildSignals, Command};
use seepmeter_sampler_ptrace::{Ptrace, PtraceOptions, RunningPtrace};

#[path = "../../../crates/seepmeter-symbols/tests/real/support.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it belongs to the tests of another crate")]
mod support;

use support::{Target, build};

/// A sampler in a run without an engine.
struct Run {
    stream: StreamBuffer,
    sampler: RunningPtrace,
}

impl Run {
    fn new(options: &[(&str, &str)]) -> Self {
        let pairs: Vec<(String, String)> =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut stream = StreamBuffer::new();
        let sampler = Ptrace::new(PtraceOptions::from_pairs(&pairs).unwrap()).unwrap();
        let sampler = sampler.start(&mut stream).unwrap();
        Self { stream, sampler }
    }

    fn add(&mut self, pid: i32, spawned: bool) -> Result<SubjectId, Error> {
        let subject = self.stream.subject(NewSubject {
            parent: None,
            kind: SubjectKind::Process,
            name: format!("process {pid}").into(),
            attributes: Attributes::new(),
        });
        let target = SampledTarget {
            pid,
            start_time: ProcRoot::default().process(pid).stat().unwrap().start_time,
            subject,
            spawned,
            proc_root: "/proc".into(),
            executable: None,
        };
        self.sampler.add_target(&target, &mut self.stream)?;
        Ok(subject)
    }

    fn sample(&mut self) -> Result<(), Error> {
        let Self { stream, sampler } = self;
        stream.sample(|sample| sampler.sample(sample))
    }

    fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> {
        self.stream.records().iter().filter_map(|record| match record {
            Record::Sample(sample) => Some(sample),
            _ => None,
        })
    }

    fn last_sample(&self) -> &Sample {
        self.samples().next_back().expect("a sample")
    }

    /// The points of a metric in some samples.
    fn points_of<'s>(&self, name: &str, samples: impl Iterator<Item = &'s Sample>) -> Vec<Point> {
        let metrics = self.stream.records().iter().filter_map(|record| match record {
            Record::Metric(metric) => Some((metric.id, &*metric.name)),
            _ => None,
        });
        let names: HashMap<MetricId, &str> = metrics.collect();
        let points = samples.flat_map(|sample| &sample.points);
        points.filter(|point| names[&point.metric] == name).copied().collect()
    }

    /// The points of a metric in the last sample.
    fn points(&self, name: &str) -> Vec<Point> {
        self.points_of(name, self.samples().next_back().into_iter())
    }

    fn subject(&self, id: SubjectId) -> &Subject {
        let is_it = |record: &&Record| matches!(record, Record::Subject(it) if it.id == id);
        match self.stream.records().iter().find(is_it) {
            Some(Record::Subject(subject)) => subject,
            _ => panic!("{id:?} is not defined"),
        }
    }

    /// How much is mapped by the stacks of a process that pass through a function of `main`.
    fn mapped_by(&self, function: &str, process: SubjectId) -> i64 {
        let points = self.points_of("mapped", self.samples());
        let mapped: HashMap<SubjectId, i64> =
            points.iter().map(|point| (point.subject, point.value)).collect();
        let definitions = self.definitions();
        let is_by = |subject: &Subject| {
            assert_eq!((&subject.kind, subject.parent), (&SubjectKind::Stack, Some(process)));
            let stack = definitions.stack(subject.get(attribute::STACK).unwrap()).unwrap();
            let mut frames = definitions.frames(stack);
            let is_by = frames.any(|frame| frame.function == Some(function.into()));
            assert_eq!(is_by, subject.name.to_string().contains(&format!(";main;{function};")));
            is_by
        };
        mapped.iter().filter(|(id, _)| is_by(self.subject(**id))).map(|(_, bytes)| bytes).sum()
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.stream.records().iter().filter_map(|record| match record {
            Record::Event(event) => Some(event),
            _ => None,
        })
    }

    fn definitions(&self) -> StackDefinitions {
        let mut definitions = StackDefinitions::default();
        self.stream.records().iter().for_each(|record| definitions.apply(record));
        definitions
    }
}

/// A program in which main calls a, which calls b, which calls c, which sleeps.
fn chain() -> PathBuf {
    let targets = "../../crates/seepmeter-symbols/tests/real/targets";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(targets).join("chain.c")
}

/// A program of the tests with debug information, and a folder that it is in.
fn program(source: &Path) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let flags = ["-O1", "-g", "-Wl,--build-id=sha1"];
    build("cc", source, &path, &flags).map(|path| (folder, path))
}

fn stack_id(point: &Point) -> StackId {
    StackId(u32::try_from(point.value).unwrap())
}

#[test]
fn a_stack_comes_back_from_its_records_with_build_id_function_file_and_line() {
    let Some((_folder, path)) = program(&chain()) else { return };
    let target = Target::path(&path);
    target.asleep(target.pid());
    let mut run = Run::new(&[]);
    let process = run.add(target.pid(), false).unwrap();
    run.sample().unwrap();

    let [point] = run.points("stack")[..] else { panic!("{:?}", run.last_sample()) };
    let thread = run.subject(point.subject);
    assert_eq!((&thread.kind, thread.parent), (&SubjectKind::Thread, Some(process)));
    assert_eq!(
        (thread.name.to_string().as_str(), thread.get(attribute::TID)),
        ("program", Some(target.pid()))
    );
    let definitions = run.definitions();
    let stack = definitions.stack(stack_id(&point)).unwrap();
    assert_eq!(stack.truncated, None);
    let frames: Vec<_> = definitions.frames(stack).collect();
    let first = frames.iter().position(|frame| frame.function == Some("c".into())).unwrap();
    let text = std::fs::read_to_string(chain()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let calls = [("c", "pause();"), ("b", "c();"), ("a", "b(n + 1);"), ("main", "a(argc);")];
    for (frame, (function, call)) in frames[first..].iter().zip(calls) {
        assert_eq!(frame.function, Some(function.into()));
        assert!(frame.file.as_ref().unwrap().to_string().ends_with("chain.c"), "{frame:?}");
        let line = usize::try_from(frame.line.unwrap()).unwrap();
        assert_eq!(lines[line - 1].trim(), call);
        let image = definitions.image(frame).unwrap();
        assert_eq!(image.path.to_string(), path.display().to_string());
        assert_eq!(image.build_id.as_ref().unwrap().len(), 40);
    }
}

#[test]
fn two_targets_have_subjects_of_their_own_and_share_their_stacks() {
    let Some((_folder, path)) = program(&chain()) else { return };
    let targets = [Target::path(&path), Target::path(&path)];
    targets.iter().for_each(|target| target.asleep(target.pid()));
    let mut run = Run::new(&[("read", "stacks,smaps"), ("max-pause", "10s")]);
    let processes = targets.each_ref().map(|target| run.add(target.pid(), false).unwrap());
    run.sample().unwrap();

    assert!(!run.last_sample().partial);
    let [one, other] = run.points("stack")[..] else { panic!("{:?}", run.last_sample()) };
    assert_eq!(one.value, other.value);
    let parents = [one, other].map(|point| run.subject(point.subject).parent);
    assert_eq!(parents, processes.map(Some));
    let mut heaps: Vec<Option<SubjectId>> = Vec::new();
    for point in run.points("private_dirty") {
        let group = run.subject(point.subject);
        assert_eq!(group.kind, SubjectKind::MappingGroup);
        if group.get(attribute::CLASS).unwrap().as_str() == "main-stack" {
            heaps.push(group.parent);
        }
    }
    assert_eq!(heaps, processes.map(Some));
    // What has not changed is not emitted again; the times and what is of the whole process is.
    run.sample().unwrap();
    assert!(run.points("stack").is_empty());
    let pauses: Vec<SubjectId> = run.points("pause").iter().map(|point| point.subject).collect();
    assert_eq!(pauses, processes);
}

#[test]
fn a_target_that_is_gone_costs_the_other_nothing_and_a_later_one_is_sampled_too() {
    let Some((_folder, path)) = program(&chain()) else { return };
    let mut first = Target::path(&path);
    let second = Target::path(&path);
    let mut run = Run::new(&[]);
    let gone = run.add(first.pid(), false).unwrap();
    let stays = run.add(second.pid(), false).unwrap();
    run.sample().unwrap();
    first.end();
    run.sample().unwrap();
    assert!(!run.last_sample().partial);
    assert_eq!(run.points("pause").iter().map(|point| point.subject).collect::<Vec<_>>(), [stays]);
    run.sampler.remove_target(gone, &mut run.stream).unwrap();
    let third = Target::path(&path);
    let later = run.add(third.pid(), false).unwrap();
    run.sample().unwrap();
    let sampled: Vec<SubjectId> = run.points("pause").iter().map(|it| it.subject).collect();
    assert_eq!(sampled, [stays, later]);
    assert_eq!(run.events().count(), 0, "{:?}", run.events().collect::<Vec<_>>());
    // With the last one gone there is nothing to sample.
    for subject in [stays, later] {
        run.sampler.remove_target(subject, &mut run.stream).unwrap();
    }
    assert_eq!(run.sample().unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn a_target_that_refuses_a_stop_costs_the_other_nothing_and_the_stream_says_so() {
    let Some((_folder, path)) = program(&chain()) else { return };
    let targets = [Target::path(&path), Target::path(&path)];
    targets.iter().for_each(|target| target.asleep(target.pid()));
    let mut run = Run::new(&[]);
    let [free, traced] = targets.each_ref().map(|target| run.add(target.pid(), false).unwrap());
    run.sample().unwrap();

    let pid = targets[1].pid();
    let (say, seized) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let tracer = std::thread::spawn(move || {
        ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()).unwrap();
        say.send(()).unwrap();
        // The kernel lets the target go when the tracer ends.
        let _ = ended.recv();
    });
    seized.recv().unwrap();
    run.sample().unwrap();
    // A partial sample has all of what it covers, changed or not.
    assert!(run.last_sample().partial);
    let parent = |point: &Point| run.subject(point.subject).parent;
    assert_eq!(run.points("stack").iter().map(parent).collect::<Vec<_>>(), [Some(free)]);
    let [event] = &run.events().collect::<Vec<_>>()[..] else { panic!("one event") };
    let EventKind::Incomplete { count: Some(1), text } = &event.kind else { panic!("{event:?}") };
    assert_eq!(event.subject, Some(traced));
    let text = text.to_string();
    assert!(text.contains("left out of this sample") && text.contains("traced already"), "{text}");

    drop(end);
    tracer.join().unwrap();
    run.sample().unwrap();
    assert!(!run.last_sample().partial);
    let paused: Vec<SubjectId> = run.points("pause").iter().map(|point| point.subject).collect();
    assert_eq!(paused, [free, traced]);
}

#[test]
fn what_is_mapped_is_of_the_stack_that_mapped_it_and_a_second_target_is_refused() {
    let mapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mapper.c");
    let Some((_folder, path)) = program(&mapper) else { return };
    let command = Command::new([path.as_os_str()]).unwrap();
    let held = command.spawn(&ChildSignals::as_they_are().unwrap()).unwrap();
    let pid = held.process().pid();
    let mut run = Run::new(&[("calls", "memory"), ("unsafe", "yes")]);
    let process = run.add(pid, true).unwrap();
    let refused = run.add(std::process::id().cast_signed(), false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Skip);
    assert!(refused.to_string().contains("no second target"), "{refused}");

    let release = std::thread::spawn(move || held.release());
    let (reader, _writer) = std::io::pipe().unwrap();
    let begin = Instant::now();
    while run.mapped_by("keeps", process) != 3 << 18 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", run.stream);
        let deadline = Instant::now() + Duration::from_millis(20);
        run.sampler.wait(Until { deadline, wake: reader.as_fd() }, &mut run.stream).unwrap();
        run.sample().unwrap();
    }
    assert!(run.points("memory_calls")[0].value > 2);
    assert_eq!(run.events().count(), 0);

    let child = release.join().unwrap().unwrap();
    assert!(child.process().signal(Signal::SIGKILL).unwrap());
    run.sampler.remove_target(process, &mut run.stream).unwrap();
    run.sampler.stop(&mut run.stream).unwrap();
    assert_eq!(child.reap().unwrap(), End::Killed(libc::SIGKILL));
}

#[test]
fn a_process_that_runs_already_is_not_followed() {
    let mut run = Run::new(&[("calls", "memory"), ("unsafe", "yes")]);
    let error = run.add(std::process::id().cast_signed(), false).unwrap_err().to_string();
    assert!(
        error.contains("from its first instruction") && error.contains("seepmeter run"),
        "{error}"
    );
}
