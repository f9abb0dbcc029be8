//! Bad input is reported in one clear message, before anything of the target has run.

use std::ffi::OsString;
use std::path::Path;

use seepmeter_tests::{Recording, run_target, seepmeter, test_target, words};

/// Runs a target that leaves a mark, with these flags, and asserts that it has not run.
fn refused(flags: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let words = words!["run"].into_iter().chain(flags.iter().map(Into::into));
    let words = words.chain(words!["--", test_target(), "mark", mark]);
    let done = seepmeter(words).in_folder(folder.path()).done().expect(125);
    assert!(!mark.exists(), "the target has run: {flags:?}");
    let complaints = done.complaints();
    assert_eq!(complaints.len(), 1, "{flags:?}: one message is wanted\n{}", done.output());
    for part in parts {
        assert!(done.err().contains(part), "{flags:?}: {part:?} is missing\n{}", done.output());
    }
    assert_eq!(done.out(), "");
    let summary = |line: &str| line.starts_with("target  ") || line.starts_with("watched  ");
    assert!(!done.err().lines().any(summary), "{flags:?}: nothing was watched\n{}", done.output());
}

#[test]
fn a_good_run_leaves_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let _ = seepmeter(words!["run", "-q", "--", test_target(), "mark", mark]).done().expect(0);
    assert!(mark.exists());
}

#[test]
fn an_unknown_sampler_or_sink_is_reported_with_the_nearest_name() {
    refused(&["-s", "statn"], &["no sampler `statn`", "`statm`"]);
    refused(&["-o", "jsnol"], &["no sink `jsnol`", "`jsonl`"]);
    refused(&["-o", "cvs,path=x"], &["no sink `cvs`", "`csv`"]);
    refused(&["-o", "parquet-of-wood"], &["no sink `parquet-of-wood`", "text, csv, jsonl"]);
    refused(&["-o", "csv", "-o", "texxt"], &["no sink `texxt`", "`text`"]);
}

#[test]
fn an_unknown_option_key_is_reported_with_the_known_ones() {
    refused(&["-o", "csv,pth=x"], &["csv", "`pth`", "path", "layout"]);
    refused(&["-s", "statm,peek=run"], &["statm", "`peek`", "peak"]);
    refused(&["-s", "statm,evry=1s"], &["statm", "`evry`", "every"]);
    refused(&["-o", "jsonl,level=3"], &["jsonl", "`level`", "path"]);
}

#[test]
fn a_bad_option_value_is_reported_with_what_would_be_right() {
    refused(&["-s", "statm,peak=always"], &["statm", "`peak`", "run|interval|off"]);
    refused(&["-s", "statm,every=5"], &["`every`", "no unit", "500ms"]);
    refused(&["-o", "text,style=poem"], &["`style`", "line|pages"]);
    refused(&["-o", "csv,path"], &["`path`", "KEY=VALUE"]);
    refused(&["-o", "csv,path=a,path=b"], &["`path`", "twice"]);
    refused(&["-o", "csv,path="], &["path"]);
}

#[test]
fn a_bad_duration_is_reported_with_what_would_be_right() {
    for flag in ["-i", "-d", "--grace"] {
        refused(&[flag, "5"], &["no unit", "500ms"]);
        refused(&[flag, "soon"], &["not a duration", "500ms"]);
        refused(&[flag, "0s"], &["zero"]);
    }
}

#[test]
fn an_output_that_cannot_be_made_is_reported_with_its_path() {
    refused(
        &["-o", "csv,path=no-such-folder/out.csv"],
        &["no-such-folder/out.csv", "No such file"],
    );
    refused(&["-o", "jsonl,path=."], &["cannot create .", "directory"]);
    refused(&["-o", "csv,path=/proc/nothing.csv"], &["/proc/nothing.csv"]);
    // The good sink before it does not make the target run.
    refused(&["-o", "csv,path=good.csv", "-o", "csv,path=no/bad.csv"], &["no/bad.csv"]);
}

#[test]
fn flags_that_make_no_sense_are_errors() {
    refused(&["--on-stop", "end"], &["--duration"]);
    refused(&["-d", "1s", "--on-stop", "explode"], &["leave", "end"]);
    refused(&["--intervall", "1s"], &["--interval"]);
}

#[test]
fn a_pid_that_is_none_is_reported_with_the_next_step() {
    let attach = |pid: &str| seepmeter(words!["attach", "--no-summary", pid]).done();
    let _ = attach("4194304").expect_complaint(125, &["4194304", "no process"]);
    for bad in ["0", "-1", "init", "99999999999"] {
        let done = attach(bad).expect(125);
        assert!(!done.complaints().is_empty() || done.err().contains("error"), "{}", done.output());
    }
}

/// A recording, to be spoilt.
fn good(folder: &Path) -> String {
    let path = folder.join("good.jsonl");
    let sink = format!("jsonl,path={}", path.display());
    let words =
        words!["run", "-q", "-i", "1ms", "-o", sink, "--", test_target(), "saw", "1", "2", "5"];
    let _ = seepmeter(words).done().expect(0);
    assert!(Recording::read(&path).samples().count() > 3);
    std::fs::read_to_string(path).unwrap()
}

fn replay(text: &str) -> seepmeter_tests::FinishedRun {
    seepmeter(words!["replay", "--no-summary", "-o", "csv", "-"]).with_input(text.as_bytes())
}

#[test]
fn a_recording_of_another_format_names_both_formats_and_who_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let other = good(folder.path()).replacen("\"format\":1", "\"format\":2", 1);
    let _ = replay(&other)
        .expect_complaint(125, &["standard input", "format 2", "format 1", "seepmeter 0."]);
}

/// The first line of a recording as it was before the first release: one target, and no kinds of metrics.
const BEFORE_THE_FIRST_RELEASE: &str = r#"{"header":{"format":1,"seepmeter":"0.1.0","start":"2026-11-23T14:37:04.224620667+00:00","host":"recordings","kernel":"6.18.44","page_size":4096,"target":{"command":["python3","ctypes_leak.py"]},"samplers":[{"name":"statm","interval":250000000,"options":{"peak":"run"}}]}}"#;

#[test]
fn a_recording_from_before_the_first_release_is_refused_in_one_sentence() {
    let rest = r#"{"metric":{"id":0,"name":"rss","unit":"bytes","help":"resident set"}}"#;
    let text = format!("{BEFORE_THE_FIRST_RELEASE}\n{rest}\n");
    for command in [words!["replay", "-o", "csv", "-"], words!["judge", "-"]] {
        let done = seepmeter(command).with_input(text.as_bytes());
        let parts = ["standard input", "format from before the first release", "record it again"];
        let done = done.expect_complaint(125, &parts);
        assert_eq!((done.out().as_str(), done.err().lines().count()), ("", 1), "{}", done.output());
    }
}

#[test]
fn a_metric_that_no_sampler_has_is_an_error_before_the_target_runs() {
    let parts = ["--metric nope", "no sampler of this run", "there are: rss, vsize"];
    refused(&["--metric", "nope", "-o", "csv,path=out.csv", "-o", "text"], &parts);
    refused(&["--metric", "rss", "--metric", "nope"], &parts);
    refused(&["--metric", "nope", "-s", "smaps"], &["--metric nope", "there are: rss, pss"]);
    // It is one of the other sampler's.
    refused(&["--metric", "pss"], &["--metric pss", "no sampler of this run"]);
}

#[test]
fn an_attach_that_fails_prints_one_message_and_no_summary() {
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1).to_string();
    for (flags, part) in [
        (&["--metric", "nope"][..], "--metric nope"),
        (&["-s", "ptrace,calls=memory,unsafe=yes"], "calls=memory"),
        (&["-s", "statm,peek=run"], "`peek`"),
        (&["-o", "csv,path=no-such-folder/out.csv"], "no-such-folder"),
    ] {
        let words = words!["attach"].into_iter().chain(flags.iter().map(Into::into));
        let done = seepmeter(words.chain(words![pid])).done().expect_complaint(125, &[part]);
        assert_eq!((done.out().as_str(), done.err().lines().count()), ("", 1), "{}", done.output());
    }
    let done = seepmeter(words!["attach", "4194304"]).done();
    let done = done.expect_complaint(125, &["4194304", "no process"]);
    assert_eq!(done.err().lines().count(), 1, "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn a_broken_line_is_reported_with_its_number_and_the_lines_before_it_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let good = good(folder.path());
    let mut lines: Vec<&str> = good.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("{\"sample\"")).unwrap() + 2;
    let number = format!("line {}", at + 1);
    let samples = lines[..at].iter().filter(|line| line.starts_with("{\"sample\"")).count();
    for broken in ["{\"sample\":{\"t\":1,", "nonsense", "{\"sample\":{\"t\":-5}}", "", "[]"] {
        lines[at] = broken;
        let done = replay(&(lines.join("\n") + "\n"));
        let done = done.expect_complaint(125, &["standard input", &number]);
        assert_eq!(done.out().lines().count(), 1 + samples, "{}", done.output());
    }
    lines[at] = r#"{"sample":{"t":1,"sampler":0,"duration":1,"points":[[7,7,7]]}}"#;
    let _ = replay(&lines.join("\n")).expect_complaint(125, &[&number, "defined"]);
}

#[test]
fn a_file_that_is_no_recording_is_reported_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.jsonl");
    let replay = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        seepmeter(words!["replay", "--no-summary", path]).done()
    };
    let _ = replay(b"").expect_complaint(125, &["odd.jsonl", "empty"]);
    let _ = replay(b"time,rss\n1,2\n").expect_complaint(125, &["odd.jsonl", "line 1", "jsonl"]);
    let _ = replay(&[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]).expect_complaint(125, &["odd.jsonl"]);
    let _ = replay(&[0, 159, 146, 150]).expect_complaint(125, &["odd.jsonl"]);
    let nowhere = seepmeter(words!["replay", "--no-summary", "no-such-recording"]).done();
    let _ = nowhere.expect_complaint(125, &["no-such-recording", "No such file"]);
    let folder_itself = seepmeter(words!["replay", "--no-summary", folder.path()]).done();
    let _ = folder_itself.expect_complaint(125, &["directory"]);
}

#[test]
fn a_sink_of_a_replay_that_cannot_be_made_is_reported_too() {
    let folder = tempfile::tempdir().unwrap();
    let _ = good(folder.path());
    let path = folder.path().join("good.jsonl");
    let done =
        seepmeter(words!["replay", "--no-summary", "-o", "csv,path=/no/such/x.csv", path]).done();
    let _ = done.expect_complaint(125, &["/no/such/x.csv"]);
}

#[test]
fn common_slips_are_answered_with_the_words_that_were_meant() {
    let slips = [
        ("run -o out.csv -- true", "did you mean `-o csv,path=out.csv`?"),
        ("run -o jsonl:a.jsonl -- true", "did you mean `-o jsonl,path=a.jsonl`?"),
        ("run -s statm,smaps -- true", "for two plugins, give the flag twice"),
        ("sh -c true", "did you mean `seepmeter run -- sh -c true`?"),
        ("1234", "did you mean `seepmeter attach 1234`?"),
    ];
    for (typed, meant) in slips {
        let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let done = seepmeter(words).done().expect(125);
        assert!(done.err().contains(meant), "{}", done.output());
    }
    assert!(
        seepmeter(words![]).done().expect(0).out().contains("Usage: seepmeter [OPTIONS] <COMMAND>")
    );
}

#[test]
fn a_flag_behind_a_script_is_warned_of_unless_two_dashes_stand_before_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "exit 0").unwrap();
    let run = |before: &str, behind: &str| {
        let split = |words: &str| words.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        let words = words!["run", "-q", "--no-summary"];
        let all = [words, split(before), words!["sh", script], split(behind)].concat();
        seepmeter(all).done().expect(0).err().to_owned()
    };
    let slips = [
        ("--fail-on growing", "--fail-on"),
        ("-s smaps", "-s smaps"),
        ("-o jsonl,path=no.jsonl", "-o jsonl,path=no.jsonl"),
    ];
    for (behind, flag) in slips {
        let err = run("", behind);
        assert!(err.contains(&format!("`{flag}` stands behind the command")), "{err}");
        assert_eq!(run("--", behind), "");
    }
    assert_eq!(run("", "-s 3 -o csv -i 1s -q"), "");
}
