//! The sampler on real processes.

use seepmeter_plugin::record::conventions::{attribute, metric};
use seepmeter_plugin::record::{
    Attributes, CurrentValues, EventKind, Record, SubjectId, SubjectKind,
};
use seepmeter_plugin::{
    Error, NewSubject, Options, Plugin, RunningSampler, Sampler, Stream, StreamBuffer, Target,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_sampler_fds::{Fds, FdsOptions, RunningFds};
use seepmeter_tests::{RunningProgram, eventually, run_target, words};

/// A program that does what it is asked to, and the sampler that watches it.
struct Watched {
    program: RunningProgram,
    answers: usize,
    sampler: RunningFds,
    stream: StreamBuffer,
    process: SubjectId,
}

impl Watched {
    fn start(options: &[(&str, &str)]) -> Self {
        let mut program = run_target("obey", words![]).start();
        // It answers, so it is past its exec and has opened what it needs.
        program.say("hello");
        let _ = program.line("what?");
        let given: Vec<(String, String)> =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut stream = StreamBuffer::new();
        let fds = Fds::new(FdsOptions::from_pairs(&given).unwrap()).unwrap();
        let mut sampler = fds.start(&mut stream).unwrap();
        let process = stream.subject(NewSubject {
            parent: None,
            kind: SubjectKind::Process,
            name: "obey".into(),
            attributes: Attributes::new(),
        });
        let pid = program.pid();
        let target = Target {
            pid,
            start_time: ProcRoot::default().process(pid).stat().unwrap().start_time,
            subject: process,
            spawned: false,
            proc_root: "/proc".into(),
            executable: None,
        };
        sampler.add_target(&target, &mut stream).unwrap();
        Self { program, answers: 0, sampler, stream, process }
    }

    fn ask(&mut self, deed: &str) {
        self.program.say(deed);
        let answer = if deed == "close" { "closed" } else { "opened" };
        self.answers += 1;
        let count = if answer == "closed" { 1 } else { self.answers };
        let _ = self.program.nth_line(answer, count);
    }

    fn sample(&mut self) -> Result<(), Error> {
        let Self { sampler, stream, .. } = self;
        stream.sample(|sample| sampler.sample(sample))
    }

    /// Samples until a sweep has come to its end; how many samples that took.
    fn sweep(&mut self) -> usize {
        for samples in 1.. {
            self.sample().unwrap();
            if !matches!(self.stream.records().iter().rfind(|it| matches!(it, Record::Sample(_))),
                Some(Record::Sample(sample)) if sample.partial)
            {
                return samples;
            }
        }
        unreachable!()
    }

    fn values(&self) -> CurrentValues {
        let mut values = CurrentValues::default();
        self.stream.records().iter().for_each(|record| values.apply(record));
        values
    }

    fn of_process(&self, metric: &str) -> i64 {
        self.values().value(self.process, metric).unwrap()
    }

    /// How many there are in the group of this name; none if there is no such group.
    fn group(&self, name: &str) -> Option<i64> {
        let values = self.values();
        let named = values.subjects().find(|subject| *subject.name.as_bytes() == *name.as_bytes());
        values.value(named?.id, metric::FDS.name)
    }

    fn sum_of_groups(&self) -> i64 {
        let values = self.values();
        let parts = values.parts(self.process);
        parts.filter_map(|part| values.value(part, metric::FDS.name)).sum()
    }
}

/// How many descriptors there are, as everybody can count them.
fn listed(pid: i32) -> i64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count().try_into().unwrap()
}

#[test]
fn descriptors_of_each_kind_are_counted_and_the_groups_are_the_whole() {
    let mut watched = Watched::start(&[]);
    watched.sweep();
    let before = watched.of_process("fds");
    assert_eq!(before, listed(watched.program.pid()));
    let kinds = [
        ("open 3 socket", "sockets", 3),
        ("open 4 eventfd", "eventfds", 4),
        ("open 5 epoll", "epoll instances", 5),
        ("open 6 inotify", "inotify instances", 6),
        ("open 2 timerfd", "timerfds", 2),
        ("open 1 signalfd", "signalfds", 1),
        ("open 7 memfd", "memfds", 7),
    ];
    for (deed, _, _) in kinds {
        watched.ask(deed);
    }
    let pipes = watched.group("pipes").unwrap_or(0);
    watched.ask("open 5 pipe");
    watched.sweep();
    for (_, name, count) in kinds {
        assert_eq!(watched.group(name), Some(count), "{name}");
    }
    assert_eq!(watched.group("pipes"), Some(pipes + 10));
    assert_eq!(watched.of_process("fds"), before + 28 + 10);
    assert_eq!(watched.sum_of_groups(), watched.of_process("fds"));
    let status = ProcRoot::default().process(watched.program.pid()).status().unwrap();
    assert_eq!(u64::try_from(watched.of_process("threads")).ok(), status.threads);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", watched.program.pid())).unwrap();
    assert_eq!(usize::try_from(watched.of_process("mappings")), Ok(maps.lines().count()));
    watched.ask("close");
    watched.sweep();
    assert_eq!((watched.group("sockets"), watched.of_process("fds")), (Some(0), before));
}

#[test]
fn a_file_that_is_open_many_times_has_a_group_of_its_own_as_long_as_it_is() {
    let folder = std::env::temp_dir().join(format!("seepmeter-fds-{}", std::process::id()));
    std::fs::write(&folder, "").unwrap();
    let path = folder.display().to_string();
    let mut watched = Watched::start(&[]);
    watched.sweep();
    let files = watched.group("files").unwrap_or(0);
    watched.ask(&format!("open 40 file {path}"));
    watched.ask("open 3 file /proc/self/maps");
    watched.sweep();
    let _ = std::fs::remove_file(&folder);
    assert_eq!(watched.group(&format!("files {path}")), Some(40));
    assert_eq!(watched.group("files"), Some(files + 3));
    assert_eq!(watched.sum_of_groups(), watched.of_process("fds"));
    // The kernel calls it by another name now, and so it is another group.
    watched.sweep();
    assert_eq!(watched.group(&format!("files {path}")), None);
    let values = watched.values();
    let deleted = format!("{path} (deleted)");
    let subject = values.subjects().find(|it| it.get(attribute::FILE).is_some()).unwrap();
    assert_eq!(subject.get(attribute::FILE).unwrap().to_string(), deleted);
    assert_eq!(watched.group(&format!("files {deleted}")), Some(40));
    watched.ask("close");
    watched.sweep();
    assert_eq!(
        (watched.group(&format!("files {deleted}")), watched.group("files")),
        (None, Some(files))
    );
}

#[test]
fn no_more_names_have_groups_than_the_option_says() {
    let mut watched = Watched::start(&[("names", "2")]);
    for (count, file) in [(20, "maps"), (30, "stat"), (25, "status"), (9, "limits")] {
        watched.ask(&format!("open {count} file /proc/self/{file}"));
    }
    watched.sweep();
    let values = watched.values();
    let named = values.subjects().filter(|subject| subject.get(attribute::FILE).is_some());
    let mut counts: Vec<i64> =
        named.filter_map(|subject| values.value(subject.id, metric::FDS.name)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [25, 30]);
    assert_eq!(watched.sum_of_groups(), watched.of_process("fds"));
}

#[test]
fn within_a_small_budget_a_sweep_is_spread_over_samples_that_are_partial_and_that_is_reported() {
    let mut watched = Watched::start(&[("budget", "0.001"), ("mappings", "no")]);
    watched.ask("open 500 socket");
    watched.sample().unwrap();
    // What was saved up is spent by many sweeps.
    let spent = (0..2_000).find(|_| {
        watched.sample().unwrap();
        matches!(watched.stream.records().last(), Some(Record::Sample(sample)) if sample.partial)
    });
    assert!(spent.is_some());
    watched.ask("open 300 socket");
    watched.sample().unwrap();
    // The kernel counts them (Linux 6.2); by kind they are as old as the last sweep.
    if std::fs::metadata("/proc/self/fd").unwrap().len() > 0 {
        assert_eq!(watched.of_process("fds"), listed(watched.program.pid()));
    }
    assert_eq!(watched.group("sockets"), Some(500));
    eventually("the slow sweep is reported", || {
        watched.sample().unwrap();
        let reports = watched.stream.records().iter().filter(|record| {
            matches!(record, Record::Event(event) if matches!(&event.kind,
                EventKind::Incomplete { text, .. } if text.to_string().contains("budget of 0.001 %")))
        });
        (reports.count() > 0).then_some(())
    });
}

#[test]
fn a_leader_that_has_ended_has_the_descriptors_that_its_threads_use() {
    let mut watched = Watched::start(&[]);
    watched.ask("open 11 eventfd");
    watched.program.say("leader-exit");
    let process = ProcRoot::default().process(watched.program.pid());
    eventually("the leader ends", || process.stat().unwrap().has_ended().then_some(()));
    watched.ask("open 1 eventfd");
    watched.sweep();
    assert_eq!(watched.group("eventfds"), Some(12));
}
