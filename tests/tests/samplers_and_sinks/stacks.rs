//! The sink `stacks`: folded stacks of a live run, and of its recording.

use std::ffi::OsString;
use std::path::Path;

use nix::sys::signal::Signal;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{Recording, RunningProgram, run_target, seepmeter, test_target, words};

/// The stacks of folded lines, each with its weight.
fn folded(text: &str) -> Vec<(&str, i64)> {
    let lines = text.lines().map(|line| line.rsplit_once(' ').expect("a stack and a weight"));
    lines.map(|(stack, weight)| (stack, weight.parse().expect("a weight"))).collect()
}

/// Runs a target to its end under this sampler, and returns what the sink writes; a replay has to write
/// the same. `act` does what the target needs.
fn stacks_of(
    sampler: &str,
    weight: &str,
    target: Vec<OsString>,
    act: impl FnOnce(&mut RunningProgram),
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("stacks,weight={weight}");
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "--budget",
        "100%",
        "-s",
        sampler,
        "-o",
        "jsonl,path=r.jsonl",
        "-o",
        format!("{sink},path=folded"),
        "--",
        test_target()
    ];
    let mut running = seepmeter(words.into_iter().chain(target)).in_folder(folder.path()).start();
    act(&mut running);
    let _ = running.finish().expect(0);
    let live = std::fs::read_to_string(folder.path().join("folded")).unwrap();
    assert_eq!(replayed(&folder.path().join("r.jsonl"), &sink), live);
    live
}

fn replayed(recording: &Path, sink: &str) -> String {
    seepmeter(words!["replay", "--no-summary", "-o", sink, recording]).done().expect(0).out()
}

#[test]
fn each_thread_has_a_line_with_its_name_its_functions_and_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let target = run_target("stand", words!["2"]).start();
    let _ = target.line("ready");
    let recorded = format!("jsonl,path={}", path.display());
    let words = words![
        "attach",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "--budget",
        "100%",
        "-s",
        "ptrace",
        "-o",
        recorded,
        "-o",
        "stacks",
        target.pid().to_string()
    ];
    let watcher = seepmeter(words).start();
    let _ = Recording::await_samples(&path, 5);
    watcher.signal(Signal::SIGINT);
    let live = watcher.finish().expect(0).out();
    let _ = target.finish().expect(0);
    let lines = folded(&live);
    let samples = Recording::read(&path).samples().count() as i64;
    for (thread, function) in
        [("test-target", "inner"), ("worker-0", "works"), ("worker-1", "works")]
    {
        let function = format!(";test_target::stand::{function};");
        let is_it =
            |stack: &str| stack.starts_with(&format!("{thread};")) && stack.contains(&function);
        let own: Vec<_> = lines.iter().filter(|(stack, _)| is_it(stack)).collect();
        assert!(own.len() == 1 && own[0].1 == samples, "{thread}, {samples} samples: {live}");
    }
    assert_eq!(lines.len(), 3, "{live}");
    assert_eq!(replayed(&path, "stacks"), live);
}

#[test]
fn growth_is_no_weight_of_stacks_and_following_memory_calls_must_be_asked_for_twice() {
    let refused = |flags: &[&str], parts: &[&str]| {
        let words = words!["run", "-q"].into_iter().chain(flags.iter().map(Into::into));
        let done = seepmeter(words.chain(words!["--", "echo", "never"])).done();
        assert_eq!(done.expect_complaint(125, parts).out(), "");
    };
    let instead = ["weight", "growth can't be given", "calls=memory,unsafe=yes", "weight=mapped"];
    refused(&["-s", "ptrace", "-o", "stacks,weight=growth"], &instead);
    let risk = ["sampler ptrace", "the target crashes", "add unsafe=yes"];
    refused(&["-s", "ptrace,calls=memory"], &risk);
    refused(&["-s", "ptrace,calls=memory,unsafe=no"], &risk);
}

#[test]
fn what_a_stack_has_mapped_is_as_it_is_at_the_end() {
    let live =
        stacks_of("ptrace,calls=memory,unsafe=yes", "mapped", words!["map", "3"], |running| {
            for turn in 1..=2 {
                running.say("");
                let _ = running.nth_line("mapped", turn);
            }
        });
    let mapped_by = |function: &str| -> i64 {
        let function = format!(";test_target::map::{function};");
        let lines = folded(&live).into_iter().filter(|(stack, _)| stack.contains(&function));
        lines.map(|(_, bytes)| bytes).sum()
    };
    // Three threads, twice.
    const KIB: i64 = 6 << 10;
    assert_eq!(mapped_by("keeps"), 10 * 64 * KIB, "{live}");
    assert_eq!(mapped_by("gives_back"), 32 * KIB, "{live}");
    assert_eq!(mapped_by("moves"), 48 * KIB, "{live}");
}

#[test]
fn a_stream_without_stacks_is_an_error_that_says_what_to_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(5, 1).write(folder.path(), "flat.jsonl");
    let _ = seepmeter(words!["replay", "--no-summary", "-o", "stacks", path])
        .done()
        .expect_complaint(125, &["sink stacks", "no stacks were sampled", "-s ptrace"]);
}
