//! Plugins that hang, exit or crash.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use seepmeter_record::jsonl::Ending;
use seepmeter_tests::plugin::cc;
use seepmeter_tests::{FinishedRun, Recording, Run, seepmeter, words};

/// Compiles the sink that does this (`-DIN_WRITE=exit(0)`) in one of its calls.
fn sink(folder: &Path, name: &str, does: &str) -> PathBuf {
    // Nothing is built while a test measures.
    let _ = seepmeter_tests::folder();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let include = format!("-I{}", root.join("../include").display());
    let source = root.join("tests/faults/sink.c");
    cc(&source, &folder.join(name), &[&include, does, "-Wno-infinite-recursion"])
}

/// A run in this folder with the sink `./sink.so` beside a recording; the target exits with 6.
fn run(folder: &Path) -> Run {
    let script = "sleep 0.3; exit 6";
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-o",
        "./sink.so",
        "-o",
        "jsonl,path=r.jsonl",
        "--",
        "sh",
        "-c",
        script
    ];
    seepmeter(words).in_folder(folder).before_exec(|| Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?))
}

fn run_with(does: &str) -> (tempfile::TempDir, FinishedRun) {
    let folder = tempfile::tempdir().unwrap();
    let _ = sink(folder.path(), "sink.so", does);
    let done = run(folder.path()).done();
    (folder, done)
}

#[test]
fn a_library_whose_constructor_never_returns_is_named_and_hangs_neither_the_run_nor_its_exit() {
    let folder = tempfile::tempdir().unwrap();
    let _ = sink(folder.path(), "sink.so", "-DIN_CONSTRUCTOR=hang()");
    let begin = Instant::now();
    let done = run(folder.path()).done();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}\n{}", done.output());
    let parts = ["./sink.so", "did not answer within 10 seconds"];
    let _ = done.expect_complaint(125, &parts);
    // A signal ends it at once.
    let running = run(folder.path()).start();
    seepmeter_tests::eventually("the library is loaded", || {
        let maps = running.tree.members().into_iter();
        let mut maps =
            maps.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/maps")).ok());
        maps.any(|maps| maps.contains("sink.so")).then_some(())
    });
    let begin = Instant::now();
    running.signal(Signal::SIGINT);
    let _ = running.finish().expect(130);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_list_runs_nothing_of_what_it_lists_and_blames_the_right_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (name, does) in [
        ("seepmeter-exits-sink.so", "-DIN_CONSTRUCTOR=exit(0)"),
        ("seepmeter-faults-sink.so", "-DIN_CONSTRUCTOR=fault()"),
        ("seepmeter-good-sink.so", "-DNOTHING"),
        ("seepmeter-hangs-sink.so", "-DIN_CONSTRUCTOR=hang()"),
        ("seepmeter-prints-sink.so", "-DIN_CONSTRUCTOR=puts(\"loud\")"),
    ] {
        let _ = sink(folder.path(), name, does);
    }
    let begin = Instant::now();
    let done = seepmeter(words!["plugins", "--plugin-dir", folder.path()]).done().expect(125);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    for good in ["good", "prints"] {
        assert!(done.out().contains(&format!("seepmeter-{good}-sink.so")), "{}", done.output());
    }
    assert!(!done.out().contains("loud"), "{}", done.output());
    let complaints = done.complaints();
    for (bad, why) in [
        ("exits", "it called exit while it was loaded"),
        ("faults", "it crashed while it was loaded (SIGSEGV)"),
        ("hangs", "it did not answer within 10 seconds"),
    ] {
        let own = |line: &&String| line.contains(&format!("seepmeter-{bad}-sink.so: {why}"));
        assert_eq!(complaints.iter().filter(own).count(), 1, "{bad}\n{}", done.output());
    }
    assert_eq!(complaints.len(), 3, "{}", done.output());
}

#[test]
fn a_plugin_that_exits_is_named_and_the_targets_status_comes_through() {
    for (does, part) in [
        ("-DIN_WRITE=exit(0)", "./sink.so: it called exit in its call `write`"),
        ("-DIN_STOP=exit(0)", "./sink.so: it called exit in its call `stop`"),
        ("-DIN_WRITE=exit_elsewhere()", "a plugin called exit on a thread of its own"),
    ] {
        let (folder, done) = run_with(does);
        let done = done.expect(6);
        assert!(done.err().contains(part), "{does}\n{}", done.output());
        assert_eq!(Recording::read(&folder.path().join("r.jsonl")).ending, Ending::Whole, "{does}");
    }
    for does in ["-DIN_CREATE=exit(0)", "-DIN_CONSTRUCTOR=exit(0)"] {
        let _ = run_with(does).1.expect_complaint(125, &["./sink.so", "it called exit"]);
    }
}

/// A recording of more than may wait for a sink.
fn long_recording(folder: &Path) -> PathBuf {
    seepmeter_tests::synthetic::Synthetic::flat(200_000, 1).write(folder, "long.jsonl")
}

#[test]
fn a_plugin_that_exits_in_a_replay_is_named_and_the_replay_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let recording = long_recording(folder.path());
    let replay = |does: &str, others: &[&str]| {
        let _ = sink(folder.path(), "sink.so", does);
        let words = words!["replay", "-q", "-o", "./sink.so"];
        let others = others.iter().map(Into::into).chain(words![recording]);
        seepmeter(words.into_iter().chain(others)).in_folder(folder.path()).done().expect(125)
    };
    for (does, call) in [("-DIN_WRITE=exit(0)", "write"), ("-DIN_STOP=exit(0)", "stop")] {
        let done = replay(does, &["-o", "csv,path=all.csv"]);
        let part = format!("./sink.so: it called exit in its call `{call}`");
        assert!(done.err().contains(&part), "{does}\n{}", done.output());
        let rows = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
        assert!(rows.lines().count() > 200_000, "{does}: {} rows", rows.lines().count());
    }
    // No sink is left.
    let _ = replay("-DIN_WRITE=exit(0)", &[]);
}

#[test]
fn a_library_that_says_too_much_of_itself_is_refused_by_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let library = sink(folder.path(), "sink.so", "-DLONG_ABOUT");
    let parts = ["./sink.so", "longer than 1 MiB", "limit"];
    let _ = run(folder.path()).done().expect_complaint(125, &parts);
    let parts = ["sink.so", "longer than 1 MiB", "limit"];
    let _ = seepmeter(words!["plugins", library]).done().expect_complaint(125, &parts);
}

#[test]
fn a_plugin_that_crashes_is_named_with_its_call_and_the_signal_does_what_it_does() {
    for (does, signal, call) in [
        ("-DIN_WRITE=fault()", Signal::SIGSEGV, "`write`"),
        ("-DIN_WRITE=raise(SIGBUS)", Signal::SIGBUS, "`write`"),
        ("-DIN_WRITE=raise(SIGFPE)", Signal::SIGFPE, "`write`"),
        ("-DIN_WRITE=__builtin_trap()", Signal::SIGILL, "`write`"),
        ("-DIN_CREATE=abort()", Signal::SIGABRT, "`create`"),
    ] {
        let (_folder, done) = run_with(does);
        let done = done.expect_killed(signal);
        let part = format!("the plugin ./sink.so crashed in its call {call} ({signal})");
        assert_eq!(done.err().matches(&part).count(), 1, "{does}\n{}", done.output());
    }
    // Rust's own words on a stack that has overflowed are kept.
    let done = run_with("-DIN_WRITE=overflow()").1.expect_killed(Signal::SIGABRT);
    assert!(done.err().contains("crashed in its call `write` (SIGSEGV)"), "{}", done.output());
    assert!(done.err().contains("has overflowed its stack"), "{}", done.output());
}

#[test]
fn what_a_plugin_has_left_in_a_stream_of_c_is_written_at_the_end() {
    let done = run_with("-DIN_STOP=printf(\"left\")").1.expect(6);
    assert!(done.out().ends_with("left"), "{}", done.output());
}
