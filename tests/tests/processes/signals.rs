//! Signals reach the target, each once, and no signal costs a sample.

use nix::sys::signal::Signal;
use seepmeter_record::jsonl::Ending;
use seepmeter_record::{End, EventKind};
use seepmeter_tests::{
    Recording, Run, RunningProgram, eventually, run, seepmeter, seepmeter_path, test_target, words,
};

const FORWARDED: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGQUIT,
    Signal::SIGINT,
];

/// A run with a recording at `r.jsonl` of a folder of its own.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("r.jsonl")
    }

    fn run(&self, target: &str, arguments: &[&str]) -> Run {
        let sink = format!("jsonl,path={}", self.path().display());
        let words = words!["run", "-i", "5ms", "-o", sink, "--", test_target(), target];
        seepmeter(words.into_iter().chain(arguments.iter().map(Into::into)))
    }

    fn read(&self) -> Recording {
        Recording::read(&self.path())
    }
}

#[test]
fn every_signal_that_seepmeter_alone_gets_reaches_the_target_exactly_once() {
    let recorded = Recorded::new();
    let running = recorded.run("catch-signals", &[]).start();
    let _ = running.line("ready");
    // What is passed on before the run has begun is in no recording.
    let _ = Recording::await_samples(&recorded.path(), 1);
    for signal in FORWARDED {
        running.signal(signal);
        let _ = running.line(signal.as_str());
    }
    let done = running.finish().expect(0);
    let printed: Vec<String> = done.out().lines().skip(1).map(str::to_owned).collect();
    let wanted: Vec<&str> =
        FORWARDED.iter().map(|signal| signal.as_str()).chain(["done"]).collect();
    assert_eq!(printed, wanted);
    let recording = recorded.read();
    let kinds: Vec<&EventKind> =
        recording.events("forwarded").iter().map(|event| &event.kind).collect();
    let wanted = FORWARDED.map(|signal| EventKind::Forwarded { signal: signal as i32 });
    assert_eq!(kinds, wanted.each_ref());
}

#[test]
fn a_target_that_a_forwarded_signal_ends_keeps_all_its_samples_and_a_footer() {
    for signal in FORWARDED {
        let recorded = Recorded::new();
        let running = recorded
            .run("hold", &["1"])
            .before_exec(|| {
                nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
                Ok(())
            })
            .start();
        let _ = running.line("ready");
        let _ = Recording::await_samples(&recorded.path(), 3);
        running.signal(signal);
        let mut running = running;
        let done = running.wait().expect(128 + signal as i32);
        running.tree.assert_gone();
        assert!(done.err().contains("killed by signal"), "{}", done.output());
        let recording = recorded.read();
        let footer = recording.footer();
        assert_eq!(recording.end(), End::Killed(signal as i32));
        assert_eq!(footer.samples, recording.samples().count() as u64);
        assert!(footer.dropped.is_empty());
    }
}

#[test]
fn one_term_leaves_a_target_that_ignores_it_alone_and_a_second_one_within_the_grace_kills_it() {
    let recorded = Recorded::new();
    let words = words!["run", "-q", "--grace", "1m", "--", test_target(), "ignore-signals"];
    let mut running = seepmeter(words).start();
    let _ = running.line("ready");
    running.signal(Signal::SIGTERM);
    // INT comes behind TERM and does not count as a second one.
    running.signal(Signal::SIGINT);
    eventually("TERM is read", || pending(running.pid(), Signal::SIGTERM).is_none().then_some(()));
    // The same sender's second signal at once may be meant as one; a person's comes later.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(running.runs());
    running.signal(Signal::SIGTERM);
    let _ = running.wait().expect(128 + 9);
    running.tree.assert_gone();
    drop(recorded);
}

#[test]
fn a_second_term_after_the_grace_is_a_first_one_again() {
    let words = words!["run", "-q", "--grace", "1ms", "--", test_target(), "ignore-signals"];
    let running = seepmeter(words).start();
    let _ = running.line("ready");
    for _ in 0..3 {
        running.signal(Signal::SIGTERM);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let done = running.finish().expect(0);
    assert!(done.out().ends_with("done\n"));
}

/// `timeout` sends TERM to its child, and then to the whole group, its child again among them. That is
/// one wish, and the target may take its time to end.
#[test]
fn timeout_asks_once_however_many_terms_come_with_it() {
    let script = "trap 'echo tidy; exit 4' TERM; echo ready; while :; do sleep 0.01; done";
    for _ in 0..5 {
        let words = words!["0.5", seepmeter_path(), "run", "-q", "--", "sh", "-c", script];
        let done = run("/usr/bin/timeout", words).done().expect(124);
        assert!(done.out().contains("tidy"), "{}", done.output());
        assert!(done.err().contains("exited with status 4"), "{}", done.output());
    }
}

#[test]
fn nohup_keeps_a_run_alive_and_whole() {
    let words = words![seepmeter_path(), "run", "-q", "--", test_target(), "hold", "1"];
    let mut running = run("/usr/bin/nohup", words).start();
    let _ = running.line("ready");
    running.signal(Signal::SIGHUP);
    running.signal(Signal::SIGHUP);
    assert!(running.runs());
    let done = running.finish().expect(0);
    assert!(done.err().contains("exited with status 0"), "{}", done.output());
}

#[test]
fn a_parent_that_ignores_sigchld_does_not_cost_the_exit_status() {
    let ignore = || {
        use nix::sys::signal::{SigHandler, signal};
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
        Ok(())
    };
    let status = seepmeter(words!["run", "-q", "--", test_target(), "exit-code", "6"]);
    let _ = status.before_exec(ignore).done().expect(6);
    let killed = seepmeter(words!["run", "-q", "--", test_target(), "kill-self", "9"]);
    let _ = killed.before_exec(ignore).done().expect(137);
    // And the target finds it ignored, as it would without seepmeter.
    let run = seepmeter(words!["run", "-q", "--", "grep", "SigIgn", "/proc/self/status"]);
    let printed = run.before_exec(ignore).done().expect(0).out();
    let mask = u64::from_str_radix(printed.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert!(mask & (1 << (Signal::SIGCHLD as u64 - 1)) != 0, "{printed}");
}

#[test]
fn signals_that_were_blocked_stay_blocked_for_the_target() {
    let block = || {
        let set: nix::sys::signal::SigSet = [Signal::SIGUSR1].into_iter().collect();
        set.thread_block()?;
        Ok(())
    };
    let run = seepmeter(words!["run", "-q", "--", "grep", "SigBlk", "/proc/self/status"]);
    let printed = run.before_exec(block).done().expect(0).out();
    assert!(printed.trim_end().ends_with("200"), "{printed}");
}

#[test]
fn a_recording_survives_that_seepmeter_is_killed_and_replays() {
    for name in ["r.jsonl", "r.jsonl.zst"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let sink = format!("jsonl,path={}", path.display());
        let words = words!["run", "-i", "1ms", "-o", sink, "--", test_target(), "hold", "1"];
        let mut running = seepmeter(words).start();
        let target = running.number("ready", 1);
        let _ = Recording::await_samples(&path, 20);
        running.signal(Signal::SIGKILL);
        let _ = running.wait().expect_killed(Signal::SIGKILL);
        // Seepmeter dying leaves the target running.
        assert!(running.tree.members().contains(&target));
        running.end_input();
        running.tree.assert_gone();
        let recording = Recording::read(&path);
        assert!(recording.samples().count() > 20);
        assert!(!matches!(recording.ending, Ending::Whole));
        let done = seepmeter(words!["replay", "-o", "csv", path]).done().expect(0);
        assert_eq!(done.out().lines().count(), recording.samples().count() + 1);
        assert!(done.err().contains("the recording has no end"), "{}", done.output());
    }
}

#[test]
fn whole_lines_are_on_disk_within_a_second_or_so_while_the_run_goes_on() {
    let recorded = Recorded::new();
    let running = recorded.run("hold", &["1"]).start();
    let _ = running.line("ready");
    for count in [1, 50, 100] {
        let _ = Recording::await_samples(&recorded.path(), count);
    }
    let _ = running.finish().expect(0);
    assert_eq!(recorded.read().ending, Ending::Whole);
}

#[test]
fn at_the_end_of_the_duration_the_target_is_left_running_by_default() {
    let recorded = Recorded::new();
    let sink = format!("jsonl,path={}", recorded.path().display());
    let words =
        words!["run", "-i", "5ms", "-d", "100ms", "-o", sink, "--", test_target(), "hold", "1"];
    let mut running: RunningProgram = seepmeter(words).start();
    let target = running.number("ready", 1);
    let done = running.wait().expect(0);
    assert!(done.err().contains("still running"), "{}", done.output());
    assert_eq!(running.tree.members(), [target]);
    assert_eq!(recorded.read().end(), End::Left);
    running.end_input();
    running.tree.assert_gone();
}

#[test]
fn on_stop_end_asks_the_target_to_end_and_kills_it_after_the_grace() {
    let stop = |target: &str| {
        let stop = words!["run", "-q", "-d", "500ms", "--on-stop", "end", "--grace", "200ms", "--"];
        seepmeter(stop.into_iter().chain(words![test_target(), target])).start()
    };
    // That it dies because it was told to is what was asked for, and no failure.
    let mut polite = stop("hold");
    let printed = polite.wait().expect(0).err();
    assert!(printed.contains("killed by signal 15"), "{printed}");
    polite.tree.assert_gone();
    let mut stubborn = stop("ignore-signals");
    let printed = stubborn.wait().expect(0).err();
    assert!(printed.contains("killed by signal 9"), "{printed}");
    stubborn.tree.assert_gone();
}

/// Whether a signal waits for a process, and nobody has taken it yet.
fn pending(pid: i32, signal: Signal) -> Option<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"))?;
    let mask = u64::from_str_radix(line.trim(), 16).ok()?;
    (mask & (1 << (signal as u64 - 1)) != 0).then_some(())
}
