//! The sink `exec`: the stream on a program's standard input.

use std::ffi::OsString;
use std::path::Path;

use seepmeter_record::{EventKind, jsonl::Ending};
use seepmeter_tests::{FinishedRun, Recording, Run, Terminal, seepmeter, test_target, words};

/// A run of this target with a sink `exec` beside a recording.
fn run_words(interval: &str, exec: &str, target: Vec<OsString>) -> Vec<OsString> {
    let sinks = words!["-o", exec, "-o", "jsonl,path=r.jsonl", "--"];
    let words = words!["run", "-q", "--no-summary", "-i", interval];
    words.into_iter().chain(sinks).chain(target).collect()
}

/// A run of 0.1 s with this program beside a recording.
fn with_program(folder: &Path, command: &str) -> Run {
    let exec = format!("exec,command={}", command.replace(',', ",,"));
    let words = run_words("5ms", &exec, words!["sleep", "0.1"]);
    seepmeter(words).in_folder(folder)
}

fn recording(folder: &Path) -> Recording {
    let recording = Recording::read(&folder.join("r.jsonl"));
    assert_eq!(recording.ending, Ending::Whole);
    assert!(recording.samples().count() > 0);
    recording
}

fn failed(folder: &Path, command: &str, parts: &[&str]) -> FinishedRun {
    let done = with_program(folder, command).done().expect_complaint(125, parts);
    assert!(done.complaints()[0].starts_with("sink exec,command="), "{}", done.output());
    let _ = recording(folder);
    done
}

#[test]
fn a_program_gets_the_stream_as_a_recording_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let _ = with_program(folder.path(), "cat > copy").done().expect(0);
    let [copy, recorded] =
        ["copy", "r.jsonl"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
    assert!(copy == recorded);
    let _ = recording(folder.path());
}

#[test]
fn what_a_program_prints_is_on_standard_output_before_seepmeter_ends() {
    let folder = tempfile::tempdir().unwrap();
    let done = with_program(folder.path(), "grep -c sample; sleep 0.3; echo end").done().expect(0);
    assert!(done.out().ends_with("\nend\n"), "{}", done.output());
}

#[test]
fn a_program_that_has_read_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let done = with_program(folder.path(), "head -n 1 > first").done().expect(0);
    assert_eq!(done.complaints(), [""; 0]);
    let first = std::fs::read_to_string(folder.path().join("first")).unwrap();
    assert!(first.starts_with("{\"header\""), "{first}");
    let _ = recording(folder.path());
}

#[test]
fn a_program_that_dies_in_the_middle_is_reported_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for (end, part) in
        [("kill -SEGV $$", "killed by signal 11"), ("exit 7", "exited with status 7")]
    {
        // The target ends when it is known.
        let exec = format!("exec,command=read line; {end}");
        let words = run_words("5ms", &exec, words![test_target(), "hold", "1"]);
        let running = seepmeter(words).in_folder(folder.path()).start();
        let _ = running.line("ready");
        let _ = running.error_line(part);
        seepmeter_tests::eventually("a sample behind the event", || {
            let recording = Recording::try_read(&folder.path().join("r.jsonl")).ok()?;
            let failed = recording.events("sink-failed").first()?.t;
            (recording.samples().last()?.t > failed).then_some(())
        });
        let done = running.finish().expect_complaint(125, &["sink exec,command=", part]);
        let recording = recording(folder.path());
        let failed = recording.events("sink-failed");
        assert_eq!(failed.len(), 1, "{}", done.output());
        let EventKind::SinkFailed { reason } = &failed[0].kind else { unreachable!() };
        assert!(reason.to_string().contains(part), "{reason}");
    }
}

#[test]
fn a_program_that_fails_at_the_end_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let _ = failed(folder.path(), "cat > /dev/null; exit 3", &["exited with status 3"]);
}

#[test]
fn a_program_that_there_is_not_is_reported_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let _ = failed(folder.path(), "no-such-program 2> /dev/null", &["status 127", "installed"]);
    let words = words!["run", "-o", "exec,command= ", "--", "true"];
    let _ = seepmeter(words).done().expect_complaint(125, &["sink exec", "`command` is empty"]);
}

#[test]
fn a_program_that_reads_slowly_holds_up_neither_the_target_nor_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    // It reads nothing for a second, and by then the pipe has long been full.
    let exec = "exec,command=sleep 1; wc -l > lines";
    let words = run_words("100us", exec, words!["sleep", "0.5"]);
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let recording = recording(folder.path());
    assert!(recording.footer().t < 900_000_000, "{}", done.output());
    let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap();
    assert!(lines.trim().parse::<usize>().unwrap() >= recording.samples().count() / 2, "{lines}");
}

#[test]
fn a_ctrl_c_in_the_terminal_does_not_end_the_program_before_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let exec = "exec,command=cat > copy; echo the program has seen the end";
    let words = run_words("5ms", exec, words![test_target(), "hold", "1"]);
    let mut running = seepmeter(words).in_folder(folder.path()).on_terminal().start();
    let _ = running.line("ready");
    let copy = folder.path().join("copy");
    seepmeter_tests::eventually("the program reads", || {
        std::fs::metadata(&copy).is_ok_and(|copy| copy.len() > 0).then_some(())
    });
    running.type_keys(Terminal::CTRL_C);
    let done = running.finish().expect(130);
    assert!(done.out().contains("the program has seen the end"), "{}", done.output());
    let copy = Recording::read(&copy);
    assert_eq!(copy.ending, Ending::Whole);
    assert_eq!(copy.records, Recording::read(&folder.path().join("r.jsonl")).records);
}
