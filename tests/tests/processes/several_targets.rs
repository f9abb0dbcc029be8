//! `attach PID PID`: each process has its own subject, end and verdict, and there is one sum.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use seepmeter_record::conventions::attribute;
use seepmeter_record::{End, SubjectId, SubjectKind, TargetOrigin};
use seepmeter_tests::{
    FinishedRun, Recording, Run, RunningProgram, eventually, run_target, seepmeter, words,
};
use serde_json::Value;

const MIB: i64 = 1 << 20;

/// Two processes of one program, of 4 and of 32 MiB, and a folder with what is written of them.
struct Pair {
    folder: tempfile::TempDir,
    small: RunningProgram,
    large: RunningProgram,
}

impl Pair {
    fn new() -> Self {
        let [small, large] = ["4", "32"].map(|mib| {
            let target = run_target("hold", words![mib]).start();
            let _ = target.line("ready");
            target
        });
        Self { folder: tempfile::tempdir().unwrap(), small, large }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn attach(&self, flags: &[&str]) -> Run {
        let words = words!["attach", "-i", "20ms", "-o", "jsonl,path=r.jsonl"];
        let words = words.into_iter().chain(flags.iter().map(Into::into));
        let pids = [&self.small, &self.large].map(|target| target.pid().to_string());
        seepmeter(words.chain(words![pids[0], pids[1]])).in_folder(self.folder.path())
    }

    /// Waits until the recording has so many more samples than now.
    fn wait_for_samples(&self, count: usize) {
        let samples = || {
            let recording = Recording::try_read(&self.path("r.jsonl")).ok()?;
            Some(recording.samples().count())
        };
        let before = samples().unwrap_or(0);
        eventually("samples on disk", || (samples()? >= before + count).then_some(()));
    }

    /// Ends the small one and, when it is known to have ended and the large one was sampled on, the
    /// large one.
    fn end_one_after_the_other(
        self,
        attached: RunningProgram,
    ) -> (FinishedRun, tempfile::TempDir, [i32; 2]) {
        let pids = [self.small.pid(), self.large.pid()];
        self.wait_for_samples(5);
        let Self { folder, small, large } = self;
        let _ = small.finish().expect(0);
        let path = folder.path().join("r.jsonl");
        eventually("samples after the end of one", || {
            let recording = Recording::try_read(&path).ok()?;
            let gone = recording.events("gone").first()?.t;
            (recording.samples().filter(|sample| sample.t > gone).count() > 5).then_some(())
        });
        let _ = large.finish().expect(0);
        (attached.finish().expect(0), folder, pids)
    }
}

#[test]
fn the_stream_has_each_target_with_its_own_subject_and_its_own_end() {
    let pair = Pair::new();
    let attached = pair.attach(&["-q", "--no-summary"]).start();
    let (_, folder, pids) = pair.end_one_after_the_other(attached);
    let recording = Recording::read(&folder.path().join("r.jsonl"));
    let targets = &recording.header().targets;
    let origins: Vec<_> = targets.iter().map(|target| target.origin.clone()).collect();
    assert_eq!(origins, pids.map(TargetOrigin::Pid));
    let [small, large] = [targets[0].subject, targets[1].subject];
    assert_ne!(small, large);
    for (subject, pid) in [(small, pids[0]), (large, pids[1])] {
        let subject = recording.subject(subject);
        assert_eq!(subject.kind, SubjectKind::Process);
        assert_eq!(subject.get(attribute::PID), Some(pid));
        assert!(subject.get(attribute::START_TIME).is_some());
        assert_eq!(recording.footer().end_of(subject.id), Some(End::Gone));
    }
    let subjects_of = |kind: &str| -> Vec<Option<SubjectId>> {
        recording.events(kind).iter().map(|event| event.subject).collect()
    };
    assert_eq!(subjects_of("attached"), [Some(small), Some(large)]);
    assert_eq!(subjects_of("gone"), [Some(small), Some(large)]);
    // Each value is that of its own process, and nothing is sampled of one that has ended. The large one
    // gives its memory back on its way out.
    let gone = recording.events("gone")[0].t;
    for (t, subject, rss) in recording.points("rss") {
        assert!(rss < 16 * MIB || subject == large, "{rss} at {t} ns");
        assert!(rss > 32 * MIB || subject == small || t > gone, "{rss} at {t} ns");
        assert!(subject == large || t <= gone, "the small one has a sample at {t} ns");
    }
}

#[test]
fn lines_and_tables_name_each_target_and_the_summary_has_each_end_each_verdict_and_one_sum() {
    let pair = Pair::new();
    let flags = ["-o", "text", "-o", "csv,path=r.csv", "-o", "verdict,json=yes,path=r.json"];
    let attached = pair.attach(&flags).start();
    let (done, folder, pids) = pair.end_one_after_the_other(attached);
    let err = done.err();
    let lines: Vec<&str> = err.lines().collect();
    let [small, large] = pids.map(|pid| format!("test-target (pid {pid})"));
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    for name in [&small, &large] {
        assert_eq!(count(&format!(" s  {name} ended")), 1, "{}", done.output());
        assert!(count(&format!("  {name}")) > 5, "{}", done.output());
        assert_eq!(count(&format!("target     {name}, ended")), 1, "{}", done.output());
        assert_eq!(count(&format!("  inconclusive  rss of {name}: ")), 1, "{}", done.output());
    }
    assert_eq!(
        count("verdict    inconclusive  rss of 2 targets (shared pages once): "),
        1,
        "{}",
        done.output()
    );
    assert_eq!(lines.iter().filter(|line| line.starts_with("rss  ")).count(), 2);
    // No live line shows a target after its end.
    let end = lines.iter().position(|line| line.contains(&format!("{small} ended"))).unwrap();
    let live = lines[end + 1..].iter().filter(|line| line.contains(" s  rss "));
    let is_of_large = |line: &&str| line.contains(&large);
    assert!(live.clone().count() > 3 && live.clone().all(is_of_large), "{}", done.output());
    assert_rows(&folder.path().join("r.csv"));
    let text = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
    let verdicts: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |verdict: &Value| (verdict["scope"].clone(), verdict["pid"].clone());
    let wanted = [
        ("target".into(), pids[0].into()),
        ("target".into(), pids[1].into()),
        ("all-targets".into(), Value::Null),
    ];
    assert_eq!(verdicts.iter().map(of).collect::<Vec<_>>(), wanted, "{text}");
}

/// The rows of the small one come first and end first, and each has its own values.
fn assert_rows(path: &Path) {
    let mut table = csv::Reader::from_path(path).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (subject, rss) = (column("subject"), column("rss"));
    let rows: Vec<(String, i64)> = table
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[subject].to_owned(), row[rss].parse().unwrap()))
        .collect();
    let small = rows[0].0.clone();
    assert!(rows.iter().all(|(subject, rss)| *rss < 16 * MIB || *subject != small), "{rows:?}");
    assert!(rows.iter().any(|(_, rss)| *rss > 32 * MIB), "{rows:?}");
    let last = rows.iter().rposition(|(subject, _)| *subject == small).unwrap();
    assert!(last > 5 && rows.len() - last > 5, "{rows:?}");
}

#[test]
fn gates_are_held_against_the_sum() {
    // Of 4 and 32 MiB, and what a small program has.
    for (gate, status) in [("peak>36MiB", 100), ("peak>100MiB", 0)] {
        let pair = Pair::new();
        let flags = ["-q", "--no-summary", "-d", "300ms", "--fail-on", gate];
        let done = pair.attach(&flags).done().expect(status);
        assert_eq!(done.complaints().len(), usize::from(status == 100), "{}", done.output());
        for target in [pair.small, pair.large] {
            let _ = target.finish().expect(0);
        }
    }
}

#[test]
fn a_signal_ends_the_watch_and_leaves_all_of_them_running() {
    let mut pair = Pair::new();
    let attached = pair.attach(&[]).start();
    pair.wait_for_samples(3);
    attached.signal(Signal::SIGINT);
    let done = attached.finish().expect(0);
    assert_eq!(done.err().matches(", still running\n").count(), 2, "{}", done.output());
    let recording = Recording::read(&pair.path("r.jsonl"));
    let ends: Vec<End> = recording.footer().ends.iter().map(|target| target.end).collect();
    assert_eq!(ends, [End::Left, End::Left]);
    for target in [&mut pair.small, &mut pair.large] {
        assert!(target.runs());
    }
    for target in [pair.small, pair.large] {
        let _ = target.finish().expect(0);
    }
}

#[test]
fn every_sampler_of_parts_has_parts_of_each() {
    for (sampler, kind) in [
        ("smaps", SubjectKind::MappingGroup),
        ("smaps,mode=full,detail=mapping", SubjectKind::Mapping),
        ("ptrace", SubjectKind::Thread),
    ] {
        let pair = Pair::new();
        let attached = pair.attach(&["-q", "--no-summary", "-s", "statm", "-s", sampler]).start();
        eventually("parts of both", || {
            let recording = Recording::try_read(&pair.path("r.jsonl")).ok()?;
            let parts = recording.subjects(&kind);
            let of = |target: SubjectId| parts.iter().any(|part| part.parent == Some(target));
            recording.header().targets.iter().all(|target| of(target.subject)).then_some(())
        });
        let (_, folder, _) = pair.end_one_after_the_other(attached);
        let recording = Recording::read(&folder.path().join("r.jsonl"));
        assert!(recording.events("sampler-failed").is_empty(), "{sampler}");
    }
}

#[test]
fn a_process_that_is_given_twice_is_watched_once_and_none_is_an_error_before_any_is_watched() {
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1).to_string();
    let attach = |pids: &[&str]| {
        let words = words!["attach"].into_iter().chain(pids.iter().map(Into::into));
        seepmeter(words).done()
    };
    let done = attach(&["-q", "-d", "100ms", &pid, "-p", &pid]).expect(0);
    assert_eq!(done.err().matches("target  ").count(), 1, "{}", done.output());
    let done = attach(&[&pid, "4194304"]).expect_complaint(125, &["4194304", "no process"]);
    assert_eq!(done.err().lines().count(), 1, "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn the_end_of_one_target_costs_the_others_one_sample_of_a_sampler_that_pauses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let short = run_target("hold", words!["4"]).start();
    let long = run_target("hold", words!["4"]).start();
    let _ = (short.line("ready"), long.line("ready"));
    let words =
        words!["attach", "-q", "-i", "1h", "-d", "2s", "--no-summary", "-o", "jsonl,path=r"];
    let pids = [short.pid().to_string(), long.pid().to_string()];
    let attached = seepmeter(words.into_iter().chain(words![pids[0], pids[1]]));
    let attached = attached.in_folder(folder.path()).start();
    let path = folder.path().join("r");
    eventually("the first sample", || Recording::try_read(&path).ok()?.samples().next().map(drop));
    let _ = short.finish().expect(0);
    let _ = attached.finish().expect(0);
    let recording = Recording::read(&path);
    assert_eq!(recording.events("gone").len(), 1);
    // The first tick, the end of the one, and the end of the watch: the next tick is in an hour.
    assert_eq!(recording.samples().count(), 3);
    let _ = long.finish().expect(0);
}
