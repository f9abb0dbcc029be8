//! A command that is watched with all its descendants, and what is known of them afterwards.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use seepmeter_process::Process;
use seepmeter_process::proc::ProcRoot;
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Event, EventKind, Record, SubjectId, SubjectKind};
use seepmeter_tests::{
    FinishedRun, Recording, Run, RunningProgram, eventually, run, seepmeter, slower, words,
};
use serde_json::Value;

pub(crate) const MIB: i64 = 1 << 20;

/// What a process of the test targets, or a shell, holds beside what it was asked to hold, at most.
pub(crate) const OWN: i64 = 4 * MIB;

/// Where a program is: the system's own rather than a script of the same name that starts one, which would be a
/// tree of its own.
pub(crate) fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/bin", "/usr/sbin"].map(PathBuf::from).into_iter();
    let mut all = folders.chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    all.find(|path| path.is_file())
}

/// A command that is to be watched. It runs in a folder of its own.
pub(crate) struct Watched {
    pub(crate) folder: Folder,
    command: Vec<OsString>,
    interval: &'static str,
    flags: Vec<OsString>,
}

/// A folder, in which or below which whatever a test starts works. What works there when it is dropped is killed:
/// servers write their titles over their environment, by which a test knows its processes otherwise.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The processes that work there.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let pids = std::fs::read_dir("/proc").into_iter().flatten();
        let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.has(*pid)).collect()
    }

    fn has(&self, pid: i32) -> bool {
        let works_in = std::fs::read_link(format!("/proc/{pid}/cwd"));
        works_in.is_ok_and(|folder| folder.starts_with(self.path()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for pid in self.processes() {
            if let Ok(process) = Process::open(pid, &ProcRoot::default())
                && self.has(pid)
            {
                let _ = process.signal(Signal::SIGKILL);
            }
        }
    }
}

impl Watched {
    pub(crate) fn new(command: Vec<OsString>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder: Folder(folder), command, interval: "10ms", flags: Vec::new() }
    }

    /// A script of sh. `$T` in it is the program of the test targets.
    pub(crate) fn script(script: &str) -> Self {
        Self::new(words!["sh", "-c", script])
    }

    /// Further flags of seepmeter.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(Into::into));
        self
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// So much time lies between two samples.
    pub(crate) fn every(self, interval: &'static str) -> Self {
        Self { interval, ..self }
    }

    /// A file in its folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn in_folder(&self, run: Run) -> Run {
        run.in_folder(self.folder.path()).env("T", seepmeter_tests::test_target())
    }

    /// The run under seepmeter, which itself prints nothing but its own faults.
    pub(crate) fn watch(&self) -> Run {
        let outputs = ["jsonl,path=r.jsonl", "summary,path=summary.txt", "text,path=text.txt"];
        let outputs = outputs.iter().flat_map(|output| words!["-o", output]);
        let words =
            words!["run", "-q", "--no-summary", "-i", self.interval].into_iter().chain(outputs);
        let words = words.chain(self.flags.iter().cloned()).chain(words!["--"]);
        self.in_folder(seepmeter(words.chain(self.command.iter().cloned())))
    }

    /// The run without seepmeter.
    pub(crate) fn alone(&self) -> Run {
        let mut words = self.command.iter().cloned();
        let program = PathBuf::from(words.next().unwrap());
        self.in_folder(run(program, words))
    }

    /// Runs it with and without seepmeter at the same time, to its end; asserts that output and status are the
    /// same, and that no process stays behind.
    pub(crate) fn both(self) -> Seen {
        let (watched, alone) = (self.watch().start(), self.alone().start());
        self.same(watched.finish(), &alone.finish())
    }

    /// What was seen of a run, which printed the same and ended the same as one without seepmeter.
    pub(crate) fn same(self, done: FinishedRun, alone: &FinishedRun) -> Seen {
        let lines = |text: String| {
            // Of a server that was told to end: on a busy machine, seepmeter takes its time too.
            let own = |line: &&str| !line.starts_with("seepmeter: SIGTERM: waiting for sink");
            let mut lines: Vec<String> = text.lines().filter(own).map(str::to_owned).collect();
            // Jobs that run at the same time print in any order.
            lines.sort_unstable();
            lines
        };
        assert_eq!(lines(done.out()), lines(alone.out()), "{}", done.output());
        assert_eq!(lines(done.err()), lines(alone.err()), "{}", done.output());
        assert_eq!(done.status, alone.status, "{}", done.output());
        eventually("all have ended", || self.folder.processes().is_empty().then_some(()));
        self.seen(done)
    }

    pub(crate) fn seen(self, done: FinishedRun) -> Seen {
        let recording = Recording::read(&self.path("r.jsonl"));
        Seen { recording, folder: self.folder, done }
    }
}

/// What was seen of a run.
pub(crate) struct Seen {
    pub(crate) recording: Recording,
    pub(crate) folder: Folder,
    pub(crate) done: FinishedRun,
}

/// A process that was seen.
#[derive(Clone, Debug)]
pub(crate) struct SeenProcess {
    pub(crate) subject: SubjectId,
    /// What it was called last.
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) parent: Option<SubjectId>,
    /// The largest resident set that was sampled.
    pub(crate) peak: Option<i64>,
    pub(crate) end: Option<EventKind>,
}

/// What all processes hold at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) t: u64,
    /// Their resident sets, added up.
    pub(crate) rss: i64,
    /// Without the pages of files and of shared memory.
    pub(crate) private: i64,
    pub(crate) processes: usize,
}

impl Seen {
    /// All processes, in the order in which they were found.
    pub(crate) fn processes(&self) -> Vec<SeenProcess> {
        let subjects = self.recording.subjects(&SubjectKind::Process);
        let mut all: BTreeMap<SubjectId, SeenProcess> = BTreeMap::new();
        for subject in subjects {
            let pid = subject.get(attribute::PID).expect("a process has a pid");
            let (name, parent, subject) = (subject.name.to_string(), subject.parent, subject.id);
            let process = SeenProcess { subject, name, pid, parent, peak: None, end: None };
            all.insert(subject, process);
        }
        for record in &self.recording.records {
            let Record::Event(Event { subject: Some(subject), kind, .. }) = record else {
                continue;
            };
            let Some(process) = all.get_mut(subject) else { continue };
            match kind {
                EventKind::Exec { name: Some(name) } => process.name = name.to_string(),
                kind if kind.ends_subject() => process.end = Some(kind.clone()),
                _ => {}
            }
        }
        for (_, subject, rss) in self.recording.points("rss") {
            if let Some(process) = all.get_mut(&subject) {
                process.peak = process.peak.max(Some(rss));
            }
        }
        all.into_values().collect()
    }

    /// Those with this name.
    pub(crate) fn named(&self, name: &str) -> Vec<SeenProcess> {
        self.processes().into_iter().filter(|process| process.name == name).collect()
    }

    /// The sum after each sample of a resident set.
    pub(crate) fn sums(&self) -> Vec<Sum> {
        let ids = |name: &str| {
            let of_process = self.recording.metrics().filter(|metric| {
                &*metric.name == name && metric.subject_kind == SubjectKind::Process
            });
            of_process.map(|metric| metric.id).collect::<Vec<_>>()
        };
        let (rss_ids, shared_ids) = (ids("rss"), ids("shared"));
        let (mut rss, mut shared) = (HashMap::new(), HashMap::new());
        let mut sums = Vec::new();
        for record in &self.recording.records {
            match record {
                Record::Sample(sample) => {
                    for point in &sample.points {
                        if rss_ids.contains(&point.metric) {
                            rss.insert(point.subject, point.value);
                        } else if shared_ids.contains(&point.metric) {
                            shared.insert(point.subject, point.value);
                        }
                    }
                    let (all, shared): (i64, i64) = (rss.values().sum(), shared.values().sum());
                    let private = all - shared;
                    sums.push(Sum { t: sample.t, rss: all, private, processes: rss.len() });
                }
                Record::Event(Event { subject: Some(subject), kind, .. })
                    if kind.ends_subject() =>
                {
                    rss.remove(subject);
                    shared.remove(subject);
                }
                _ => {}
            }
        }
        sums
    }

    /// The largest sum.
    pub(crate) fn peak(&self) -> Sum {
        self.sums().into_iter().max_by_key(|sum| sum.rss).expect("a sample")
    }

    /// Asserts that so much was held at one time, of private memory, and by no more than `own` for each process
    /// more.
    #[track_caller]
    pub(crate) fn assert_held(&self, truth: i64, own: i64) {
        let peak = self.sums().into_iter().max_by_key(|sum| sum.private).expect("a sample");
        let most = truth + own * i64::try_from(peak.processes).unwrap();
        assert!(
            (truth..=most).contains(&peak.private),
            "{} MiB in {} processes, and the truth is {} MiB: {:#?}",
            peak.private / MIB,
            peak.processes,
            truth / MIB,
            self.processes()
        );
    }

    /// Asserts that descendants held so much when the target had ended.
    #[track_caller]
    pub(crate) fn assert_held_after_target(&self, truth: i64) {
        let target = Some(self.recording.target());
        let end = self.recording.events("exited").into_iter().find(|event| event.subject == target);
        let end = end.expect("an end of the target").t;
        let held = self.sums().into_iter().any(|sum| sum.t > end && sum.private >= truth);
        assert!(held, "no descendant was watched behind the end: {}", self.summary());
    }

    /// How many processes were never followed.
    pub(crate) fn brief(&self) -> u64 {
        let counts = self.recording.events("brief-processes").into_iter();
        let count = |event: &Event| match event.kind {
            EventKind::BriefProcesses { processes } => processes,
            _ => 0,
        };
        counts.map(count).sum()
    }

    /// Asserts that there were so many processes in all: exactly, if the kernel reports each, and no more otherwise.
    #[track_caller]
    pub(crate) fn assert_counted(&self, truth: usize) {
        let counted = self.processes().len() + usize::try_from(self.brief()).unwrap();
        if self.has_events() && self.recording.events("incomplete").is_empty() {
            assert_eq!(counted, truth, "{}", self.summary());
        } else {
            assert!((1..=truth).contains(&counted), "{counted} of {truth}: {}", self.summary());
        }
    }

    fn has_events(&self) -> bool {
        let discovery = self.recording.events("discovery")[0];
        let EventKind::Discovery { text, .. } = &discovery.kind else { return false };
        text.to_string().starts_with("process events")
    }

    pub(crate) fn summary(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("summary.txt")).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("text.txt")).unwrap()
    }

    /// The verdicts on the run as if it had been so many times slower, that on the sum last.
    pub(crate) fn judged_slower(&self, times: u64) -> Vec<Value> {
        judged(&self.slower(times))
    }

    /// A recording of the run as if it had been so many times slower.
    pub(crate) fn slower(&self, times: u64) -> PathBuf {
        slower(&self.folder.path().join("r.jsonl"), times)
    }

    /// The verdicts on the run, that on the sum last.
    pub(crate) fn judged(&self) -> Vec<Value> {
        judged(&self.folder.path().join("r.jsonl"))
    }

    /// Asserts that all processes but those that ran on have ended.
    #[track_caller]
    pub(crate) fn assert_all_ended(&self) {
        let running: Vec<_> =
            self.processes().into_iter().filter(|process| process.end.is_none()).collect();
        assert!(running.is_empty(), "{running:#?}");
    }
}

fn judged(recording: &Path) -> Vec<Value> {
    let printed = seepmeter(words!["judge", "--json", recording]).done().expect(0).out();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The verdict on the sum of all processes.
pub(crate) fn sum_of(verdicts: &[Value]) -> &Value {
    let sum = verdicts.last().expect("a verdict");
    assert_eq!(sum["scope"], "all-targets", "{sum:#}");
    sum
}

/// The part of the growth that is that of processes whose name begins with this.
pub(crate) fn share_of(verdict: &Value, name: &str) -> f64 {
    let shares = verdict["shares"].as_array().unwrap_or_else(|| panic!("no shares: {verdict:#}"));
    let of_name = shares.iter().filter(|it| it["subject"].as_str().unwrap().starts_with(name));
    of_name.map(|it| it["share"].as_f64().unwrap_or(0.0)).sum()
}

/// Ends a run that serves until it gets TERM.
pub(crate) fn terminate(running: RunningProgram) -> FinishedRun {
    running.signal(Signal::SIGTERM);
    running.finish()
}
