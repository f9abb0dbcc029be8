//! Seepmeter, its target or the machine in trouble: kills, stops, full disks, clocks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bounds::within_bounds;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use seepmeter_record::conventions::attribute;
use seepmeter_record::jsonl::Ending;
use seepmeter_record::{End, EventKind};
use seepmeter_tests::{
    Recording, RunningProgram, TestCgroup, eventually, long, long_or_not_run, not_run, recorded,
    run, run_target, seepmeter, test_target, words,
};

const SAMPLERS: [&str; 5] = ["statm", "smaps", "ptrace", "statm,peak=interval", "fds"];

/// As many kills as there is time for, and how many at once.
fn kills() -> u32 {
    if long() { 200 } else { 12 }
}
const AT_ONCE: u32 = 4;

/// A run at 1 kHz that is recorded twice, as it is and compressed.
struct Recorded {
    folder: tempfile::TempDir,
    running: RunningProgram,
    target: Pid,
}

impl Recorded {
    fn start(sampler: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [plain, packed] = files(folder.path());
        let sink = |path: &Path| format!("jsonl,path={}", path.display());
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "1ms",
            // A sampler that rests for its budget loses nothing.
            "--budget",
            "100%",
            "-s",
            sampler,
            "-o",
            sink(&plain),
            "-o",
            sink(&packed),
            "--",
            test_target(),
            "hold",
            "4"
        ];
        let running = seepmeter(words).start();
        let target = Pid::from_raw(running.number("ready", 1));
        Self { folder, running, target }
    }
}

fn files(folder: &Path) -> [PathBuf; 2] {
    ["r.jsonl", "r.jsonl.zst"].map(|name| folder.join(name))
}

/// Does this so many times, some at once, each with its turn.
fn many_times(count: u32, act: impl Fn(u32) + Sync) {
    let next = AtomicU32::new(0);
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= count {
                return;
            }
            act(turn);
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
}

/// A moment that differs from turn to turn and repeats late: a prime apart, within 2 s.
fn moment(turn: u32) -> Duration {
    Duration::from_micros(u64::from(turn) * 104_729 % 2_000_000)
}

/// The time since boot, in nanoseconds, which /proc counts the starts of processes in.
fn since_boot() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    Duration::from(now).as_nanos() as i64
}

/// When the last sample of a recording was taken, since boot, to the tick of 10 ms in which the target
/// was forked; none if there is no sample.
fn last_sample(recording: &Recording) -> Option<i64> {
    let start: u64 = recording.subject(recording.target()).get(attribute::START_TIME)?;
    let spawned = recording.events("spawned").first()?.t as i64;
    Some(start as i64 * 10_000_000 - spawned + recording.samples().last()?.t as i64)
}

/// Waits until this moment has come, or the program has ended.
fn wait_until(moment: Duration, since: Instant, running: &mut RunningProgram) {
    while since.elapsed() < moment && running.runs() {
        thread::sleep(Duration::from_micros(500));
    }
}

#[test]
fn a_seepmeter_that_is_killed_at_any_moment_loses_a_second_at_most_and_every_file_reads_back() {
    const SECOND: i64 = 1_000_000_000;
    many_times(kills(), |turn| {
        let sampler = SAMPLERS[turn as usize % SAMPLERS.len()];
        let Recorded { folder, mut running, target } = Recorded::start(sampler);
        wait_until(moment(turn), Instant::now(), &mut running);
        running.signal(Signal::SIGKILL);
        let killed = since_boot();
        let _ = running.wait().expect_killed(Signal::SIGKILL);
        assert!(running.tree.members().contains(&target.as_raw()), "the target is gone");
        for file in files(folder.path()) {
            let bytes = std::fs::metadata(&file).map_or(0, |facts| facts.len());
            // The first second may be lost whole.
            let recording = match Recording::try_read(&file) {
                Ok(recording) => recording,
                Err(error) if bytes > 0 => panic!("{sampler}, turn {turn}: {error}"),
                Err(_) => continue,
            };
            assert!(!matches!(recording.ending, Ending::Whole), "{sampler}, turn {turn}");
            let Some(last) = last_sample(&recording) else { continue };
            let lost = killed - last;
            assert!(lost < SECOND, "{sampler}, turn {turn}: {lost} ns are lost");
        }
        running.end_input();
        running.tree.assert_gone();
    });
}

#[test]
fn a_target_that_is_killed_at_any_moment_is_reported_and_its_recordings_are_whole() {
    many_times(kills(), |turn| {
        let sampler = SAMPLERS[turn as usize % SAMPLERS.len()];
        let Recorded { folder, mut running, target } = Recorded::start(sampler);
        wait_until(moment(turn) / 4, Instant::now(), &mut running);
        nix::sys::signal::kill(target, Signal::SIGKILL).unwrap();
        let done = running.wait().expect(128 + Signal::SIGKILL as i32);
        assert_eq!(done.complaints(), [""; 0], "{sampler}, turn {turn}");
        let [plain, packed] = files(folder.path()).map(|file| Recording::read(&file));
        assert_eq!(plain.ending, Ending::Whole, "{sampler}, turn {turn}");
        assert_eq!(plain.end(), End::Killed(Signal::SIGKILL as i32));
        assert_eq!(plain.records, packed.records, "{sampler}, turn {turn}");
        running.tree.assert_gone();
    });
}

/// Nanoseconds from tick to tick as a recording's only stop began: the budget may have lengthened them.
fn interval_before_the_stop(recording: &Recording) -> u64 {
    let stop = recording.events("continued")[0].t;
    let mut changes = recording.events("backed-off").into_iter().filter(|event| event.t < stop);
    let last = changes.next_back().map(|event| match event.kind {
        EventKind::BackedOff { interval } => interval,
        ref other => panic!("{other:?}"),
    });
    last.unwrap_or(recording.header().samplers[0].interval)
}

/// Of seepmeter stopped for so long: what its recording says then.
fn stopped_for(time: Duration, sampler: &str) {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-q", "--no-summary", "-i", "20ms", "-s", sampler, "-o", sink, "--"];
    let script = "i=0; while read x; do i=$((i+1)); echo line $i; done; exit 3";
    let mut running = seepmeter(words.into_iter().chain(words!["sh", "-c", script])).start();
    running.say("x");
    let _ = running.line("line 1");
    let _ = Recording::await_samples(&path, 10);
    running.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    // The target works on, all the time.
    let mut lines = 1;
    while begin.elapsed() < time {
        running.say("x");
        lines += 1;
        let _ = running.line(&format!("line {lines}"));
        thread::sleep(Duration::from_millis(100));
    }
    running.signal(Signal::SIGCONT);
    eventually("samples after it", || {
        let recording = Recording::try_read(&path).ok()?;
        let continued = recording.events("continued").first()?.t;
        (recording.samples().last()?.t > continued + 100_000_000).then_some(())
    });
    let _ = running.finish().expect(3);
    let recording = Recording::read(&path);
    assert_eq!(recording.ending, Ending::Whole);
    let missed = recording.footer().missed * interval_before_the_stop(&recording);
    let at_least = time.as_nanos() as u64 * 9 / 10;
    assert!(missed >= at_least, "{missed} ns of ticks are missed, {time:?} were");
    let times: Vec<u64> = recording.samples().map(|sample| sample.t).collect();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap >= at_least, "the longest time between samples is {gap} ns");
}

#[test]
fn a_seepmeter_that_is_stopped_for_a_while_counts_what_it_missed_and_its_target_works_on() {
    stopped_for(Duration::from_secs(2), "statm");
}

#[test]
fn a_seepmeter_that_is_stopped_for_20_seconds_goes_on_as_before() {
    if long_or_not_run("a stop of 20 seconds") {
        thread::scope(|scope| {
            let _ = ["statm", "smaps"]
                .map(|sampler| scope.spawn(move || stopped_for(Duration::from_secs(20), sampler)));
        });
    }
}

/// The library that sets the clock of a program; none if it is not installed.
fn faketime() -> Option<PathBuf> {
    let found = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let places = found.chain([PathBuf::from("/usr/local/lib")]);
    places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

#[test]
fn a_wall_clock_that_is_set_back_and_forth_changes_no_time_of_a_recording() {
    let Some(library) = faketime() else {
        return not_run("steps of the wall clock", "libfaketime is missing (Debian: faketime)");
    };
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("r.jsonl"), folder.path().join("clock"));
    std::fs::write(&clock, "+0").unwrap();
    let sink = format!("jsonl,path={}", path.display());
    let words =
        words!["run", "--no-summary", "-i", "10ms", "-o", sink, "--", test_target(), "hold", "1"];
    let begin = Instant::now();
    let running = seepmeter(words)
        .env("LD_PRELOAD", &library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .start();
    let _ = running.line("ready");
    for (step, samples) in [("-1d", 50), ("+400d", 100), ("-10y", 150), ("+0", 200)] {
        std::fs::write(&clock, step).unwrap();
        let _ = Recording::await_samples(&path, samples);
    }
    let done = running.finish().expect(0);
    assert_eq!(done.complaints(), [""; 0]);
    let took = begin.elapsed().as_nanos() as u64;
    let recording = Recording::read(&path);
    let times: Vec<u64> = recording.samples().map(|sample| sample.t).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(recording.footer().t < took, "{} of {took} ns", recording.footer().t);
}

#[test]
fn in_a_time_namespace_a_target_is_watched_as_anywhere() {
    let words = words!["-T", "--boottime", "1000000", "--monotonic", "1000000", "true"];
    if !geteuid().is_root() || run("unshare", words).try_start().is_err() {
        return not_run("a time namespace", "it needs root and an unshare(1) that knows -T");
    }
    let (_folder, path, sink) = recorded();
    let words = words!["-T", "--boottime", "1000000", "--monotonic", "1000000"];
    let command = words![seepmeter_tests::seepmeter_path(), "run", "-q", "-i", "10ms", "-o", sink];
    let target = words!["--", "sh", "-c", "sleep 0.3; exit 4"];
    let _ = run("unshare", words.into_iter().chain(command).chain(target)).done().expect(4);
    let recording = Recording::read(&path);
    assert_eq!(recording.end(), End::Exited(4));
    assert!(recording.footer().t < 1_000_000_000_000, "{}", recording.footer().t);
    assert!(recording.samples().count() > 5);
}

#[test]
fn a_target_that_the_kernel_kills_for_its_cgroups_memory_is_reported_with_all_its_samples() {
    const LIMIT: u64 = 64 << 20;
    let cgroups = [2, 1].map(|version| TestCgroup::new(version, LIMIT));
    let why: Vec<String> = cgroups.iter().filter_map(|it| it.as_ref().err().cloned()).collect();
    let Some(cgroup) = cgroups.into_iter().find_map(Result::ok) else {
        let what = "an OOM kill in a cgroup (the suite `kernels` has one too)";
        return not_run(what, &why.join("; "));
    };
    let (_folder, path, sink) = recorded();
    let procs = cgroup.folder.join("cgroup.procs");
    // Seepmeter is in the group too; the kernel takes who has the most.
    let script = format!("echo $$ >{} && exec \"$@\"", procs.display());
    let words = words!["-c", script, "sh", seepmeter_tests::seepmeter_path(), "run", "-i", "20ms"];
    let target = words!["-o", sink, "--", test_target(), "grow", "80", "10"];
    let done = run("/bin/sh", words.into_iter().chain(target)).done().expect(137);
    let message = "the target was killed by the OOM killer at its cgroup's limit of 64 MiB: memory was short in \
                its cgroup";
    assert!(done.err().contains(message), "{}", done.output());
    assert!(done.err().contains("killed by signal 9 (SIGKILL)"), "{}", done.output());
    let recording = Recording::read(&path);
    assert_eq!(recording.end(), End::Killed(9));
    let largest = recording.largest("rss");
    assert!(largest > (LIMIT / 2) as i64, "{largest} bytes were seen of {LIMIT}");
}

/// The kinds of targets that are hard to watch, one a line.
pub(super) fn hostile_kinds() -> String {
    run_target("hostile", words![]).done().expect(0).out()
}

#[test]
fn an_attached_process_that_the_kernel_kills_for_its_cgroups_memory_is_reported_as_such() {
    const LIMIT: u64 = 60 << 20;
    let cgroups = [2, 1].map(|version| TestCgroup::new(version, LIMIT));
    let why: Vec<String> = cgroups.iter().filter_map(|it| it.as_ref().err().cloned()).collect();
    let Some(cgroup) = cgroups.into_iter().find_map(Result::ok) else {
        return not_run("an OOM kill of an attached process", &why.join("; "));
    };
    let script =
        format!("echo $$ >{} && exec \"$@\"", cgroup.folder.join("cgroup.procs").display());
    let words = words!["-c", script, "sh", test_target(), "obey"];
    let mut target = run("/bin/sh", words).start();
    target.say("anonymous 104857600");
    let at = target.line("");
    let (_folder, path, sink) = recorded();
    let words = words!["attach", "-i", "20ms", "-o", sink, target.pid().to_string()];
    let watcher = seepmeter(words).start();
    let _ = Recording::await_samples(&path, 4);
    target.say(&format!("touch {at} 104857600"));
    let _ = target.finish().expect_killed(Signal::SIGKILL);
    let done = watcher.finish().expect(0);
    let message = "has ended, and the OOM killer has killed a process of its cgroup, perhaps this one at its \
                cgroup's limit of 60 MiB: memory was short in its cgroup";
    assert!(done.err().contains(message), "{}", done.output());
}

#[test]
fn a_target_that_is_hard_to_watch_is_watched_and_ends_as_it_would_have() {
    let kinds = hostile_kinds();
    let kinds: Vec<&str> = kinds.lines().collect();
    assert_eq!(kinds.len(), 31, "{kinds:?}");
    let samplers = if long() { SAMPLERS.len() } else { 2 };
    // Without what debuggers read, of which there is more than a busy machine reads in the time of these.
    let common = tempfile::tempdir_in(test_target().parent().unwrap()).unwrap();
    let small = common.path().join("test-target");
    let _ = run("strip", words!["-o", small, test_target()]).done().expect(0);
    many_times((kinds.len() * samplers) as u32, |turn| {
        let (kind, round) = (turn as usize % kinds.len(), turn as usize / kinds.len());
        let sampler = SAMPLERS[(kind + round) % SAMPLERS.len()];
        let kind = kinds[kind];
        // One of them deletes its own program: another name of the same file.
        let folder = tempfile::tempdir_in(common.path()).unwrap();
        let program = folder.path().join("test-target");
        let target = || {
            let _ = std::fs::remove_file(&program);
            std::fs::hard_link(&small, &program).unwrap();
            words![program, "hostile", kind]
        };
        let mut alone = target().into_iter();
        let alone = run(alone.next().unwrap(), alone).done().expect(7);
        let path = folder.path().join("r.jsonl");
        let sink = format!("jsonl,path={}", path.display());
        let words = words!["run", "-q", "-i", "5ms", "--budget", "100%", "-s", sampler, "-o", sink];
        let words = words.into_iter().chain(words!["--"]).chain(target());
        let done = within_bounds(words.collect());
        assert_eq!(done.status.code(), Some(7), "{kind}, {sampler}: {}", done.output());
        assert!(done.out().starts_with(&alone.out()), "{kind}, {sampler}: {}", done.output());
        let recording = Recording::read(&path);
        assert_eq!(recording.ending, Ending::Whole, "{kind}, {sampler}");
        assert_eq!(recording.end(), End::Exited(7), "{kind}, {sampler}");
        // On a machine with far more work than it can do, the first sample may take seconds, which is said.
        let starved = done.err().contains("did not return from its last call");
        assert!(starved || recording.samples().count() > 0, "{kind}, {sampler}: {}", done.output());
    });
}
