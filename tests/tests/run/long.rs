//! What takes longer than a test should: with `SEEPMETER_LONG=1`.

use std::path::Path;
use std::time::{Duration, Instant};

use seepmeter_tests::{
    Recording, RunningProgram, long_or_not_run, not_run, recorded, seepmeter, test_target, verdict,
    words,
};

#[test]
fn of_ten_thousand_samples_a_second_for_ten_seconds_none_is_lost_unreported() {
    if !long_or_not_run("10 kHz for 10 s") {
        return;
    }
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-i", "100us", "-o", sink, "--", test_target(), "grow", "4", "10"];
    let _ = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    let footer = recording.footer();
    let lost: u64 = footer.dropped.iter().map(|dropped| dropped.samples).sum();
    assert_eq!(footer.samples, recording.samples().count() as u64 + lost);
    let ticks = footer.samples + footer.missed;
    // Before its first tick and behind its last one a run on a busy machine takes some time too.
    assert!(ticks.abs_diff(footer.t / 100_000) < 5000, "{ticks} ticks in {} ns", footer.t);
}

#[test]
fn a_run_of_a_minute_at_one_kilohertz_does_not_let_seepmeter_grow() {
    if !long_or_not_run("a minute at 1 kHz") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (inner, outer) = (folder.path().join("inner.csv"), folder.path().join("outer.jsonl"));
    let (to_inner, to_outer) =
        (format!("csv,path={}", inner.display()), format!("jsonl,path={}", outer.display()));
    // Seepmeter judged by seepmeter.
    let words = words![
        "run",
        "-q",
        "-i",
        "100ms",
        "-o",
        to_outer,
        "--",
        seepmeter_tests::seepmeter_path(),
        "run",
        "-q",
        "-i",
        "1ms",
        "-d",
        "1m",
        "--on-stop",
        "end",
        "-o",
        to_inner,
        "--",
        test_target(),
        "grow",
        "1",
        "70"
    ];
    let _ = seepmeter(words).env("RUST_BACKTRACE", "1").done().expect(0);
    let rss: Vec<i64> =
        Recording::read(&outer).series("rss").into_iter().map(|(_, rss)| rss).collect();
    let quarter = rss.len() / 4;
    let mean = |part: &[i64]| part.iter().sum::<i64>() / i64::try_from(part.len()).unwrap();
    let (second, last) = (mean(&rss[quarter..2 * quarter]), mean(&rss[3 * quarter..]));
    assert!((last - second) * 100 < second, "{second} bytes grew to {last}");
}

/// How long the soak takes, if it was asked for.
fn soak() -> Option<Duration> {
    let time = std::env::var("SEEPMETER_SOAK").ok()?;
    Some(seepmeter_record::human::parse_duration(&time).expect("SEEPMETER_SOAK=1h"))
}

/// How many files a process has open.
fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count()
}

/// All samplers at 1 kHz, and each sink with a file of its own.
fn soaked(folder: &Path, time: Duration) -> RunningProgram {
    let seconds = format!("{}s", time.as_secs());
    let mut words = words!["run", "-q", "-i", "1ms", "--on-stop", "end", "-d", seconds];
    for sampler in ["statm,peak=interval", "smaps", "ptrace"] {
        words.extend(words!["-s", sampler]);
    }
    for (sink, file) in [
        ("text", "text"),
        ("csv", "csv"),
        ("csv,layout=long", "long.csv"),
        ("jsonl", "r.jsonl"),
        ("jsonl", "r.jsonl.zst"),
        ("stacks", "stacks"),
        ("summary", "summary"),
        ("verdict", "verdict"),
    ] {
        words.extend(words!["-o", format!("{sink},path={}", folder.join(file).display())]);
    }
    words.extend(words!["-o", "exec,command=cat >/dev/null", "--"]);
    words.extend(words![test_target(), "churn", u32::MAX.to_string()]);
    seepmeter(words).start()
}

#[test]
#[allow(clippy::print_stdout, reason = "whoever soaks for an hour wants the figures")]
fn a_soak_with_all_samplers_and_sinks_on_a_churning_target_is_flat() {
    let Some(time) = soak() else {
        return not_run("the soak", "SEEPMETER_SOAK=1h runs it for an hour");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut inner = soaked(folder.path(), time);
    let begin = Instant::now();
    let outer = folder.path().join("outer.jsonl");
    let sink = format!("jsonl,path={}", outer.display());
    let pid = inner.pid().to_string();
    let watcher = seepmeter(words!["attach", "-q", "-i", "250ms", "-o", sink, pid]).start();
    let quarter = || begin.elapsed() > time / 4;
    while !quarter() {
        std::thread::sleep(Duration::from_secs(1));
    }
    let (early, mut latest) = (descriptors(inner.pid()), 0);
    while begin.elapsed() + Duration::from_secs(2) < time && inner.runs() {
        latest = descriptors(inner.pid());
        std::thread::sleep(Duration::from_secs(1));
    }
    let _ = inner.wait().expect(0);
    let _ = watcher.finish().expect(0);
    let told = verdict(&outer, &[]);
    println!("{told}\n{early} descriptors, {latest} at the end");
    assert_ne!(told["classification"], "growing", "{told}");
    // One of a thread that is being read comes and goes.
    assert!(latest <= early + 4, "{early} descriptors became {latest}");
    let recording = Recording::read(&folder.path().join("r.jsonl"));
    let footer = recording.footer();
    println!("{} samples, {} missed, {:?} dropped", footer.samples, footer.missed, footer.dropped);
    let dropped = footer.dropped.iter().find(|dropped| dropped.sink.ends_with("r.jsonl"));
    let dropped = dropped.map_or(0, |dropped| dropped.samples);
    assert_eq!(footer.samples, recording.samples().count() as u64 + dropped);
}
