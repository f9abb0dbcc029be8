//! The exit status is the target's own, and a failed exec is reported as what it is.

use nix::sys::signal::Signal;
use seepmeter_record::End;
use seepmeter_tests::{Recording, run, seepmeter, test_target, words};

#[test]
fn the_exit_status_is_the_targets_own() {
    for status in [0, 1, 3, 42, 124, 125, 126, 127, 128, 255] {
        let done =
            seepmeter(words!["run", "-q", "--", test_target(), "exit-code", status.to_string()])
                .done();
        assert!(done.expect(status).err().contains(&format!("exited with status {status}")));
    }
}

#[test]
fn a_target_that_a_signal_killed_gives_128_and_the_signals_number() {
    for signal in
        [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGPIPE]
    {
        let number = signal as i32;
        let done =
            seepmeter(words!["run", "-q", "--", test_target(), "kill-self", number.to_string()])
                .done();
        let printed = done.expect(128 + number).err();
        assert!(printed.contains(&format!("killed by signal {number} ({signal})")), "{printed}");
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_reported_with_its_name_and_why() {
    for name in ["no-such-command-anywhere", "./no-such-file", "/etc/passwd/below-a-file"] {
        let _ = seepmeter(words!["run", "--no-summary", "--", name])
            .done()
            .expect_complaint(127, &["cannot execute", name]);
    }
    let _ = seepmeter(words!["run", "--no-summary", "--", "no-such-command-anywhere"])
        .done()
        .expect_complaint(127, &["No such file or directory", "PATH"]);
}

#[test]
fn a_command_that_cannot_be_executed_is_126_and_reported_with_its_name_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    for name in [plain.to_str().unwrap(), folder.path().to_str().unwrap()] {
        let _ = seepmeter(words!["run", "--no-summary", "--", name])
            .done()
            .expect_complaint(126, &["cannot execute", name, "Permission denied"]);
    }
}

#[test]
fn a_script_whose_interpreter_is_missing_is_127_and_the_message_names_the_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), "#!/no/such/interpreter\n");
    let _ = seepmeter(words!["run", "--no-summary", "--", script])
        .done()
        .expect_complaint(127, &["cannot execute", "interpreter"]);
}

#[test]
fn a_script_without_a_first_line_of_its_own_is_run_by_sh_as_execvp_does() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), "echo \"$1\"; exit 9\n");
    let done = seepmeter(words!["run", "-q", "--", script, "hello"]).done().expect(9);
    assert_eq!(done.out(), "hello\n");
}

#[test]
fn a_failed_exec_leaves_nothing_running_and_records_no_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    // done() asserts that no process stays behind. A file is not even made for such a run; a stream has it.
    let done = seepmeter(words!["run", "-i", "1ms", "-o", "jsonl", "--", "./nowhere"]).done();
    std::fs::write(&path, done.expect(127).stdout).unwrap();
    let recording = Recording::read(&path);
    assert_eq!(recording.samples().count(), 0);
    assert_eq!(recording.events("exec-failed").len(), 1);
    assert_eq!(recording.events("exec").len(), 0);
    assert_eq!(recording.end(), End::NotStarted(2));
}

#[test]
fn a_sink_that_fails_gives_125_if_the_target_ended_well_and_the_targets_status_if_not() {
    // Every write to /dev/full fails with ENOSPC.
    let full = ["run", "-i", "1ms", "-o", "jsonl,path=/dev/full", "--"];
    let run =
        |target: &str| seepmeter(full.iter().copied().chain(["sh", "-c", target]).map(Into::into));
    let _ = run("read x; exit 0").done().expect_complaint(125, &["jsonl", "/dev/full", "No space"]);
    let _ = run("read x; exit 7").done().expect_complaint(7, &["/dev/full"]);
}

#[test]
fn seepmeters_own_failure_is_125() {
    let _ = seepmeter(words!["run"]).done().expect(125);
    let _ = seepmeter(words!["attach", "no-pid"]).done().expect(125);
    let _ = seepmeter(words!["nonsense"]).done().expect(125);
    let _ = seepmeter(words!["--help"]).done().expect(0);
    let _ = seepmeter(words!["--version"]).done().expect(0);
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let done = seepmeter(words!["completions", shell]).done().expect(0);
        assert!(done.out().contains("seepmeter") && done.out().contains("replay"));
    }
    assert!(seepmeter(words!["man"]).done().expect(0).out().contains(".TH seepmeter"));
}

/// Another program writes it, for the reason of [`seepmeter_tests::copy_seepmeter`].
fn script(folder: &std::path::Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("script");
    let words = words!["-c", r#"cat > "$0" && chmod 755 "$0""#, path];
    let _ = run("sh", words).with_input(text.as_bytes()).expect(0);
    path
}
