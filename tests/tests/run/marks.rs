//! Marks: what a target or a shell says of the work that it does.

use std::path::Path;

use seepmeter_tests::{Recording, eventually, run_target, seepmeter, seepmeter_path, words};
use serde_json::Value;

/// The marks of a recording: text and number.
fn marks(path: &Path) -> Vec<(String, Option<i64>)> {
    let text = std::fs::read_to_string(path).unwrap();
    let events = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line.get("event").filter(|event| event["kind"] == "marker").cloned()
    });
    let mark =
        |event: Value| (event["text"].as_str().unwrap().to_owned(), event["number"].as_i64());
    events.map(mark).collect()
}

fn counter(name: &str, number: i64) -> (String, Option<i64>) {
    (name.to_owned(), Some(number))
}

fn text(text: &str) -> (String, Option<i64>) {
    (text.to_owned(), None)
}

/// What a script for sh(1) marks under `seepmeter run` with these flags.
fn marks_of(flags: &[&str], script: &str) -> Vec<(String, Option<i64>)> {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.jsonl");
    let sink = format!("jsonl,path={}", recording.display());
    let words = words!["run", "-q", "--no-summary", "-o", sink];
    let words = words.into_iter().chain(flags.iter().map(Into::into));
    let script = script.replace("@seepmeter", &seepmeter_path().display().to_string());
    let done = seepmeter(words.chain(words!["--", "sh", "-c", script])).done().expect(0);
    assert_eq!(done.out() + &done.err(), "");
    let _ = Recording::read(&recording);
    marks(&recording)
}

#[test]
fn what_a_command_writes_to_its_descriptor_becomes_events() {
    let script = "echo n 1 >&3; echo loading done >&3; (echo n 2 >&3); printf 'last 7' >&3";
    let mut read = marks_of(&["--mark-fd", "3"], script);
    read.sort();
    read.retain(|mark| *mark != counter("n", 1));
    assert_eq!(read, [counter("last", 7), text("loading done"), counter("n", 2)]);
}

#[test]
fn a_shell_sends_marks_to_the_socket() {
    let script = "@seepmeter mark loading done; for i in 1 2 3; do @seepmeter mark requests $i; done; @seepmeter mark -n -7; @seepmeter mark -n 9 errors";
    let read = marks_of(&["--marks"], script);
    assert_eq!(read.first(), Some(&text("loading done")));
    assert!(read.contains(&counter("requests", 3)), "{read:?}");
    assert!(read.contains(&counter("n", -7)) && read.contains(&counter("errors", 9)), "{read:?}");
}

#[test]
fn both_ways_can_be_had_at_once_and_any_number_of_the_descriptor() {
    let read = marks_of(&["--marks", "--mark-fd", "9"], "echo a 1 >&9; @seepmeter mark b 2");
    assert!(read.contains(&counter("a", 1)) && read.contains(&counter("b", 2)), "{read:?}");
}

#[test]
fn without_a_flag_a_command_finds_neither_descriptor_nor_variable() {
    let script = "test -z \"$SEEPMETER_MARKS\" && ! (echo x >&3) 2>/dev/null";
    assert_eq!(marks_of(&[], script), []);
}

#[test]
fn lines_that_are_no_marks_are_counted_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.jsonl");
    let sink = format!("jsonl,path={}", recording.display());
    let script =
        "printf '\\377\\376\\n' >&3; head -c 600 /dev/zero | tr '\\0' x >&3; echo >&3; echo ok >&3";
    let words = words!["run", "-o", sink, "-o", "text", "--mark-fd", "3", "--", "sh", "-c", script];
    let done = seepmeter(words).done().expect(0);
    assert_eq!(marks(&recording), [text("ok")]);
    for reason in
        ["1 mark dropped: they are longer than 512 bytes", "1 mark dropped: they are not UTF-8"]
    {
        assert!(done.err().contains(reason), "{}", done.output());
    }
}

#[test]
fn a_mark_acts_on_no_terminal() {
    let script = "printf 'a \\033[31m b\\n' >&3";
    let done =
        seepmeter(words!["run", "--mark-fd", "3", "--", "sh", "-c", script]).done().expect(0);
    assert!(done.err().contains("mark a \\u{1b}[31m b"), "{}", done.output());
    assert!(!done.err().contains('\u{1b}'), "{}", done.output());
}

#[test]
fn running_processes_send_marks_to_a_socket_at_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, recording) = (folder.path().join("marks"), folder.path().join("run.jsonl"));
    let sink = format!("jsonl,path={}", recording.display());
    let mut target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1).to_string();
    let watch = seepmeter(words!["attach", "-q", "-o", sink, "--marks", socket, pid]).start();
    eventually("the socket is there", || socket.exists().then_some(()));
    let sent = seepmeter(words!["mark", "-n", "12", "requests"]).env("SEEPMETER_MARKS", &socket);
    let _ = sent.done().expect(0);
    let taken = seepmeter(words!["attach", "-q", "--marks", socket, pid]).done();
    let _ = taken.expect_complaint(125, &["exists already", "remove it"]);
    assert!(socket.exists());
    target.end_input();
    let _ = watch.finish().expect(0);
    assert_eq!(marks(&recording), [counter("requests", 12)]);
    assert!(!socket.exists());
}

#[test]
fn the_socket_is_for_this_user_alone_and_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = "stat -c '%a %n' $SEEPMETER_MARKS $(dirname $SEEPMETER_MARKS)";
    let done = seepmeter(words!["run", "-q", "--no-summary", "--marks", "--", "sh", "-c", script])
        .env("XDG_RUNTIME_DIR", folder.path())
        .done()
        .expect(0);
    let modes: Vec<String> =
        done.out().lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(modes, ["600", "700"], "{}", done.output());
    assert!(done.out().contains(&folder.path().display().to_string()), "{}", done.output());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_descriptor_that_cannot_be_had_is_refused_before_the_command_runs() {
    let ran = tempfile::tempdir().unwrap().path().join("ran");
    let touch = words!["--", "touch", ran];
    let with = |flags: &[&str]| {
        let flags = flags.iter().map(Into::into);
        let words: Vec<_> =
            words!["run", "-q"].into_iter().chain(flags).chain(touch.clone()).collect();
        words
    };
    for number in ["0", "2", "-1", "x"] {
        let flag = format!("--mark-fd={number}");
        let _ = seepmeter(with(&[&flag])).done().expect_complaint(125, &["from 3 on"]);
    }
    let taken = format!(
        "exec 5>/dev/null; exec {} run -q --mark-fd 5 -- touch {}",
        seepmeter_path().display(),
        ran.display()
    );
    let done = seepmeter_tests::run("/bin/sh", words!["-c", taken]).done();
    let _ = done.expect_complaint(125, &["--mark-fd 5", "open already"]);
    let _ = seepmeter(with(&["--mark-fd", "2000000000"]))
        .done()
        .expect_complaint(125, &["--mark-fd 2000000000", "ulimit -n"]);
    assert!(!ran.exists());
}

#[test]
fn a_mark_that_nobody_receives_is_an_error_unless_it_is_optional() {
    let mark = |flags: &[&str]| {
        let flags = flags.iter().map(Into::into);
        seepmeter(words!["mark"].into_iter().chain(flags))
    };
    let _ =
        mark(&["x"]).done().expect_complaint(125, &["SEEPMETER_MARKS is not set", "run --marks"]);
    let _ = mark(&["--optional", "x"]).done().expect(0);
    let gone = |flags| mark(flags).env("SEEPMETER_MARKS", "/nowhere/marks").done();
    let _ = gone(&["x"]).expect_complaint(125, &["/nowhere/marks", "has it ended?"]);
    let _ = gone(&["--optional", "x"]).expect(0);
    for (flags, why) in
        [(&["a\nb"][..], "several lines"), (&[" "], "empty"), (&["-n", "1", "two words"], "blanks")]
    {
        let _ = mark(flags).done().expect_complaint(125, &[why]);
    }
}

#[test]
fn a_python_program_writes_marks_and_the_line_of_a_sample_has_the_counter() {
    let program = "import os, time\nfor i in range(1, 301):\n    os.write(3, b'frames %d\\n' % i)\n    time.sleep(0.01)\n";
    if !Path::new("/usr/bin/python3").exists() {
        let test = "a_python_program_writes_marks_and_the_line_of_a_sample_has_the_counter";
        return seepmeter_tests::not_run(test, "there is no python3");
    }
    let words = words!["run", "--mark-fd", "3", "--", "python3", "-c", program];
    let done = seepmeter(words).done().expect(0);
    let lines = done.err();
    let has = lines.lines().any(|line| line.contains("  rss ") && line.contains("  frames "));
    assert!(has, "{lines}");
}
