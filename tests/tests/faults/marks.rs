//! Marks, when something goes wrong: the target must neither wait nor die.

use std::path::Path;

use nix::sys::signal::Signal;
use seepmeter_tests::{Recording, RunningProgram, eventually, run_target, seepmeter, words};

/// When it gets a line, marks that fill every pipe, as fast as `head` writes them; then it says `written`.
const FLOOD: &str = "echo begun; read line; yes 'n 123456789' | head -c 8000000 >&3 && echo written; read line; echo after >&3 && echo alive";

/// A run of that, which has begun.
fn flood(flags: &[&str]) -> RunningProgram {
    let flags = flags.iter().map(Into::into);
    let words = words!["run", "-q", "--no-summary", "--mark-fd", "3"].into_iter().chain(flags);
    let run = seepmeter(words.chain(words!["--", "sh", "-c", FLOOD])).start();
    let _ = run.line("begun");
    run
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_target_that_writes_marks_without_end_neither_waits_nor_grows_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.jsonl");
    let sink = format!("jsonl,path={}", recording.display());
    let mut run = flood(&["-o", &sink]);
    run.say("on");
    let _ = run.line("written");
    run.say("on");
    let _ = run.line("alive");
    let _ = run.finish().expect(0);
    // 600,000 marks of one counter, and at most fifty events a second.
    assert!(recording.metadata().unwrap().len() < 4_000_000);
    let text = std::fs::read_to_string(&recording).unwrap();
    assert!(text.contains(r#""kind":"marker","number":123456789,"text":"n""#), "{text}");
}

#[test]
fn a_target_goes_on_writing_marks_when_its_seepmeter_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    // It writes into the file, since nobody reads its output any more.
    let script = format!(
        "echo begun; read line; yes 'n 1' | head -c 4000000 >&3; echo $? >{0}.new; mv {0}.new {0}",
        done.display()
    );
    let words = words!["run", "-q", "--marks", "--mark-fd", "3", "--", "sh", "-c", script];
    let mut run = seepmeter(words).env("XDG_RUNTIME_DIR", folder.path()).start();
    let _ = run.line("begun");
    assert_eq!(entries(folder.path()), 1, "the socket has a folder");
    run.signal(Signal::SIGKILL);
    run.say("on");
    let status = eventually("the target writes four megabytes of marks", || {
        std::fs::read_to_string(&done).ok()
    });
    assert_eq!(status, "0\n");
    eventually("the folder of the socket is gone", || (entries(folder.path()) == 1).then_some(()));
    run.tree.assert_gone();
}

#[test]
fn a_target_that_is_left_behind_goes_on_writing_marks() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let script = format!(
        "while ! test -e {1}; do sleep 0.05; done; yes 'n 1' | head -c 4000000 >&3; echo $? >{0}.new; mv {0}.new {0}",
        done.display(),
        folder.path().join("go").display()
    );
    let words = words!["run", "-q", "-d", "200ms", "--mark-fd", "3", "--", "sh", "-c", script];
    let mut run = seepmeter(words).start();
    eventually("seepmeter ends", || (!run.runs()).then_some(()));
    std::fs::write(folder.path().join("go"), "").unwrap();
    let status = eventually("the target writes four megabytes of marks", || {
        std::fs::read_to_string(&done).ok()
    });
    assert_eq!(status, "0\n");
    run.tree.assert_gone();
}

#[test]
fn a_target_writes_marks_while_its_seepmeter_is_stopped() {
    let mut run = flood(&[]);
    run.signal(Signal::SIGSTOP);
    run.say("on");
    let _ = run.line("written");
    run.say("on");
    let _ = run.line("alive");
    run.signal(Signal::SIGCONT);
    let _ = run.finish().expect(0);
}

#[test]
fn the_socket_for_marks_is_removed_whatever_signal_ends_seepmeter() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGKILL] {
        let folder = tempfile::tempdir().unwrap();
        let mut target = run_target("hold", words!["1"]).start();
        let pid = target.number("ready", 1).to_string();
        let socket = folder.path().join("marks");
        let recording = folder.path().join("r.jsonl");
        let sink = format!("jsonl,path={}", recording.display());
        let words = words!["attach", "-q", "--marks", socket, "-o", sink, pid];
        let mut watch = seepmeter(words).start();
        // Whoever removes the socket is there by then.
        let _ = Recording::await_samples(&recording, 1);
        assert!(socket.exists());
        watch.signal(signal);
        eventually("seepmeter ends", || (!watch.runs()).then_some(()));
        eventually("the socket is gone", || (!socket.exists()).then_some(()));
        watch.tree.assert_gone();
        target.end_input();
    }
}
