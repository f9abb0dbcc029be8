//! `attach NAME`, `--name GLOB` and `--wait`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use seepmeter_tests::{
    Recording, Run, RunningProgram, eventually, run, seepmeter, test_target, words,
};

/// A folder with the test targets' program under a name that no other process has.
pub(crate) struct Named {
    folder: tempfile::TempDir,
    pub(crate) name: String,
}

impl Named {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("named-{}-{number}", std::process::id());
        // Where a hard link can be made.
        let folder = tempfile::tempdir_in(test_target().parent().unwrap()).unwrap();
        std::fs::hard_link(test_target(), folder.path().join(&name)).unwrap();
        Self { folder, name }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    pub(crate) fn recording(&self) -> PathBuf {
        self.folder.path().join("r.jsonl")
    }

    /// One that holds memory until its input ends.
    pub(crate) fn start(&self) -> RunningProgram {
        let target = run(self.program(), words!["hold", "4"]).start();
        let _ = target.line("ready");
        target
    }

    pub(crate) fn attach(&self, flags: &[&str]) -> Run {
        let sink = format!("jsonl,path={}", self.recording().display());
        let words = words!["attach", "-q", "-i", "20ms", "-o", sink];
        seepmeter(words.into_iter().chain(flags.iter().map(Into::into)))
    }
}

/// The pids of the targets that the user has named.
fn targets(recording: &Path) -> Vec<i32> {
    let recording = Recording::read(recording);
    let pid = |target: &seepmeter_record::TargetInfo| match target.origin {
        seepmeter_record::TargetOrigin::Pid(pid) => pid,
        ref other => panic!("{other:?}"),
    };
    recording.header().targets.iter().map(pid).collect()
}

#[test]
fn a_process_is_attached_to_by_its_name_and_by_a_pattern() {
    let named = Named::new();
    let target = named.start();
    let pattern = format!("[mn]{}", &named.name[1..]);
    for flags in [&[&*named.name][..], &["--name", &pattern], &["-p", &target.pid().to_string()]] {
        let flags: Vec<&str> = flags.iter().copied().chain(["-d", "100ms"]).collect();
        let _ = named.attach(&flags).done().expect(0);
        assert_eq!(targets(&named.recording()), [target.pid()], "{flags:?}");
    }
    let _ = target.finish().expect(0);
}

#[test]
fn a_script_is_attached_to_by_its_own_name_and_not_the_shell_that_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("work-{}.sh", std::process::id());
    std::fs::write(folder.path().join(&script), "echo ready; read line\n").unwrap();
    let command = format!("sh ./{script}; echo done");
    let wrapper = run("sh", words!["-c", command]).in_folder(folder.path()).start();
    let _ = wrapper.line("ready");
    let path = folder.path().join("r.jsonl");
    let sink = format!("jsonl,path={}", path.display());
    let words = words!["attach", "-q", "-d", "100ms", "-o", sink, script];
    let _ = seepmeter(words).done().expect(0);
    let [pid] = targets(&path)[..] else { panic!("one target") };
    assert_ne!(pid, wrapper.pid());
    let _ = wrapper.finish().expect(0);
}

#[test]
fn several_processes_of_a_name_are_listed_and_none_is_watched_unless_all_are_wanted() {
    let named = Named::new();
    let pair = [named.start(), named.start()];
    let mut pids = [pair[0].pid(), pair[1].pid()];
    pids.sort_unstable();
    let done = named.attach(&[&named.name]).done();
    let message = format!("2 processes match {}; choose by pid, or give --all", named.name);
    let done = done.expect_complaint(125, &[&message]);
    let error = done.err();
    let lines: Vec<&str> = error.lines().skip(2).collect();
    assert_eq!(lines.len(), 2, "{error}");
    for (line, pid) in lines.iter().zip(pids) {
        assert!(line.trim_start().starts_with(&format!("{pid} ")), "{error}");
        assert!(line.ends_with(&format!("{} hold 4", named.name)), "{error}");
    }
    assert!(!named.recording().exists());

    let redacted = named.attach(&["--redact-args", &named.name]).done().expect(125).err();
    assert!(redacted.ends_with(&format!("{}\n", named.name)), "{redacted}");

    let _ = named.attach(&["--all", "-d", "100ms", &named.name]).done().expect(0);
    assert_eq!(targets(&named.recording()), pids);
    pair.into_iter().for_each(|target| _ = target.finish().expect(0));
}

#[test]
fn a_process_and_its_descendants_of_the_same_name_are_one_tree_and_its_root_is_the_target() {
    let named = Named::new();
    let root = run(named.program(), words!["nest", "3", "1"]).start();
    let _ = root.line("deepest");
    let _ = named.attach(&["-d", "200ms", &named.name]).done().expect(0);
    assert_eq!(targets(&named.recording()), [root.pid()]);
    assert_eq!(Recording::read(&named.recording()).events("attached").len(), 3);
    let _ = named.attach(&["-d", "200ms", "--tree=off", "--all", &named.name]).done().expect(0);
    assert_eq!(targets(&named.recording()).len(), 3);
    let _ = root.finish().expect(0);
}

#[test]
fn a_name_that_nobody_has_is_an_error_that_names_the_next_step() {
    let name = Named::new().name;
    let missing = format!("there is no process whose name matches {name}; --wait waits for one");
    seepmeter(words!["attach", name]).done().expect_complaint(125, &[&missing]);
    let late = format!("no process whose name matches {name} has appeared in 50 ms");
    seepmeter(words!["attach", "--wait=50ms", name]).done().expect_complaint(125, &[&late]);
}

#[test]
fn seepmeter_and_what_has_started_it_are_never_meant() {
    let name = format!("caller-{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join(&name);
    std::fs::write(&script, "\"$@\"; exit $?\n").unwrap();
    let words = words!["sh".to_owned(), script, seepmeter_tests::seepmeter_path(), "attach", name];
    let done = run("env", words).done().expect(125);
    assert!(done.err().contains("there is no process whose name matches"), "{}", done.output());
}

#[test]
fn wait_begins_the_watch_when_the_process_appears_and_then_the_duration_begins() {
    let named = Named::new();
    let waiting = named.attach(&["--wait", "-d", "300ms", &named.name]).start();
    let target = named.start();
    let done = waiting.finish().expect(0);
    assert_eq!(targets(&named.recording()), [target.pid()]);
    assert!(done.err().contains("still running"), "{}", done.output());
    let watched = Recording::read(&named.recording()).footer().t;
    assert!(watched >= 300_000_000, "{watched} ns");
    let _ = target.finish().expect(0);
}

#[test]
fn a_signal_ends_the_wait_and_nothing_is_written() {
    let named = Named::new();
    let waiting = named.attach(&["--wait", &named.name]).start();
    eventually("the wait", || waits(waiting.pid()).then_some(()));
    waiting.signal(Signal::SIGINT);
    let done = waiting.finish().expect(130);
    assert!(done.err().contains("SIGINT came before the run had begun"), "{}", done.output());
    assert!(!named.recording().exists());
}

/// True once a thread waits for processes beside the one that serves signals.
fn waits(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.is_ok_and(|threads| threads.count() > 1)
}
