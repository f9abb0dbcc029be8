//! `attach --follow-restarts`: a target that is started again is watched on, and judged apart.

use nix::sys::signal::Signal;
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Event, SubjectId, SubjectKind};
use seepmeter_tests::{
    FinishedRun, Recording, RunningProgram, eventually, run, seepmeter, slower, words,
};
use serde_json::Value;

use crate::by_name::Named;

/// A program is started three times, one after another, by a shell: `command` has its path as `$P`.
fn restarted_by_a_supervisor(named: &Named, command: &str) -> FinishedRun {
    let script = format!("read go; for n in 1 2 3; do {command}; done");
    let mut supervisor = run("sh", words!["-c", script]).env("P", named.program()).start();
    let sink = format!("jsonl,path={}", named.recording().display());
    let flags = words!["attach", "-q", "-i", "5ms", "-o", sink, "--wait", "--follow-restarts=5s"];
    let watching = seepmeter(flags.into_iter().chain(words![named.name])).start();
    eventually("the wait", || waits(watching.pid()).then_some(()));
    supervisor.say("go");
    let done = watching.finish();
    let _ = supervisor.finish().expect(0);
    done
}

/// True once a thread waits for processes beside the one that serves signals.
fn waits(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.is_ok_and(|threads| threads.count() > 1)
}

/// The pids of the targets in a recording, each the successor of the one before.
fn successors(named: &Named) -> Vec<i32> {
    let recording = Recording::read(&named.recording());
    let subjects = recording.subjects(&SubjectKind::Process);
    let targets: Vec<_> = subjects.into_iter().filter(|it| it.parent.is_none()).collect();
    let before = [None].into_iter().chain(targets.iter().map(|target| Some(target.id)));
    for (target, before) in targets.iter().zip(before) {
        assert_eq!(target.get(attribute::PREDECESSOR), before, "{target:?}");
    }
    targets.iter().map(|target| target.get(attribute::PID).expect("a pid")).collect()
}

/// What `judge` says of each epoch of a recording whose run is taken for so many times slower.
fn epochs(named: &Named, times: u64) -> Vec<Value> {
    let path = slower(&named.recording(), times);
    let done = seepmeter(words!["judge", "--json", path]).done().expect(0);
    done.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that there are three epochs, judged to be this, at least one of them. On a machine that has no time for
/// samples one may be inconclusive.
fn assert_each_is(epochs: &[Value], classification: &str) {
    let numbers: Vec<_> = epochs.iter().map(|it| it["epoch"]["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    let all: Vec<_> = epochs.iter().map(|it| it["classification"].as_str().unwrap()).collect();
    assert!(all.contains(&classification), "{all:?}");
    assert!(all.iter().all(|it| [classification, "inconclusive"].contains(it)), "{all:?}");
}

#[test]
fn a_leak_that_its_supervisor_restarts_is_growing_in_each_epoch_and_none_has_a_sample_of_another() {
    let named = Named::new();
    let done = restarted_by_a_supervisor(&named, "$P grow 4 4").expect(0);
    let last = format!("{} (pid ", named.name);
    assert!(done.err().contains("was not started again within 5 s"), "{}", done.output());
    assert_eq!(done.err().matches("\nrestarted  ").count(), 2, "{}", done.output());
    assert!(done.err().contains(&format!(" → {last}")), "{}", done.output());
    assert_eq!(successors(&named).len(), 3);

    let epochs = epochs(&named, 40);
    assert_each_is(&epochs, "growing");
    let grows = |epoch: &&Value| epoch["classification"] == "growing";
    for epoch in epochs.iter().filter(grows) {
        let second = |pointer: &str| epoch.pointer(pointer).and_then(Value::as_f64).unwrap();
        let (begin, end) = (second("/epoch/begin"), second("/epoch/end"));
        assert!(begin <= second("/span/from") && second("/span/to") <= end, "{}", epoch["span"]);
    }
    let path = slower(&named.recording(), 40);
    let gate = seepmeter(words!["judge", "--fail-on", "growing", path]).done().expect(100);
    assert!(gate.err().contains("gate `growing` fires: "), "{}", gate.output());
    let begin = format!("growing  rss of {last}");
    let lines = gate.out().lines().filter(|line| line.starts_with(&begin)).count();
    assert_eq!(lines, epochs.iter().filter(grows).count(), "{}", gate.output());
    let replayed =
        seepmeter(words!["replay", "-q", "--fail-on", "growing", path]).done().expect(100);
    assert!(replayed.err().contains(&format!("verdict    {begin}")), "{}", replayed.output());
    let compared = seepmeter(words!["compare", named.recording(), "--", path]).done().expect(0);
    let notice = "its target was started again 2 times; what came before the last time is left out";
    assert_eq!(compared.err().matches(notice).count(), 2, "{}", compared.output());
}

#[test]
fn a_healthy_program_that_its_supervisor_restarts_is_steady_in_each_epoch() {
    let named = Named::new();
    let _ = restarted_by_a_supervisor(&named, "sleep 4 | $P hold 20 >&2").expect(0);
    let epochs = epochs(&named, 40);
    assert_each_is(&epochs, "steady");
}

/// Ends a process that the test has started, as a crash would.
fn kill(target: RunningProgram) -> i32 {
    let pid = target.pid();
    target.signal(Signal::SIGKILL);
    let _ = target.finish().expect_killed(Signal::SIGKILL);
    pid
}

/// Waits until the live lines say that this one has become that one.
fn await_restart(watching: &RunningProgram, named: &Named, before: i32, after: i32) {
    let name = &named.name;
    let line = format!("restarted: {name} (pid {before}) → {name} (pid {after}) after ");
    let _ = watching.error_line(&line);
}

/// Watches with live lines, and waits for the first.
fn watch(named: &Named, flags: &[&str]) -> RunningProgram {
    let watching = named.attach(&[&["-o", "text", "--follow-restarts"], flags].concat()).start();
    let _ = watching.error_line("rss ");
    watching
}

#[test]
fn what_has_a_pid_is_followed_by_its_program_and_not_by_another_that_ran_beside_it() {
    let named = Named::new();
    let (target, beside) = (named.start(), named.start());
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    // What has begun when the target ended may be its successor: this one shall have begun long before.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
    eventually("two seconds", || (std::time::Instant::now() > end).then_some(()));
    let first = kill(target);
    let second = named.start();
    await_restart(&watching, &named, first, second.pid());
    watching.signal(Signal::SIGINT);
    let done = watching.finish().expect(0);
    assert!(done.err().contains(", still running"), "{}", done.output());
    assert_eq!(successors(&named), [first, second.pid()]);
    [beside, second].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn the_worker_of_a_killed_server_is_no_successor_and_leaves_before_it() {
    let named = Named::new();
    let server = || {
        let server = run(named.program(), words!["nest", "2", "4"]).start();
        let worker = server.number("deepest", 1);
        (server, worker)
    };
    let (mut first, _worker) = server();
    let watching = watch(&named, &[&named.name]);
    let killed = first.pid();
    first.signal(Signal::SIGKILL);
    let has_ended =
        || Recording::try_read(&named.recording()).ok().filter(|it| !it.events("gone").is_empty());
    let _ = eventually("its end", has_ended);
    let (second, _) = server();
    await_restart(&watching, &named, killed, second.pid());
    watching.signal(Signal::SIGINT);
    let _ = watching.finish().expect(0);
    assert_eq!(successors(&named), [killed, second.pid()]);
    let recording = Recording::read(&named.recording());
    let of = |kind: &str| recording.events(kind)[0].clone();
    let (left, ended): (Event, Event) = (of("detached"), of("gone"));
    assert_eq!((left.subject, ended.subject), (Some(SubjectId(1)), Some(SubjectId(0))));
    assert!(left.t <= ended.t);
    let epochs = epochs(&named, 1);
    assert_eq!(epochs.last().unwrap()["processes"], 2);
    first.end_input();
    let _ = first.finish().expect_killed(Signal::SIGKILL);
    let _ = second.finish().expect(0);
}

#[test]
fn a_gate_fires_for_an_epoch_that_has_ended_and_ctrl_c_ends_the_wait_for_the_next() {
    let named = Named::new();
    let large = run(named.program(), words!["hold", "60"]).start();
    let _ = large.line("ready");
    let watching = watch(&named, &["--fail-on", "peak>50MiB", &named.name]);
    let (first, second) = (kill(large), named.start());
    await_restart(&watching, &named, first, second.pid());
    let begin = Recording::read(&named.recording()).samples().count();
    let samples = || Recording::try_read(&named.recording()).ok().map(|it| it.samples().count());
    eventually("samples of the second", || samples().filter(|count| *count > begin + 5));
    let _ = kill(second);
    let ends = || Recording::try_read(&named.recording()).ok().map(|it| it.events("gone").len());
    eventually("its end", || ends().filter(|ends| *ends == 2));
    watching.signal(Signal::SIGINT);
    let done = watching.finish().expect(100);
    assert!(done.err().contains("gate `peak>50MiB` fires: epoch 1: it is "), "{}", done.output());
    let short =
        format!("inconclusive  rss of {} (pid {first}) in epoch 1: it ended before", named.name);
    assert!(done.err().contains(&short), "{}", done.output());
}

#[test]
fn the_wait_for_a_successor_has_the_limit_that_was_given_and_the_duration() {
    let named = Named::new();
    for (flags, ends) in [
        (&["--follow-restarts=50ms"][..], "was not started again within 50 ms"),
        (&["--follow-restarts", "-d", "300ms"], ", ended\n"),
    ] {
        let target = named.start();
        let flags = [flags, &["-o", "text", &named.name]].concat();
        let watching = named.attach(&flags).start();
        let _ = watching.error_line("rss ");
        let _ = kill(target);
        let done = watching.finish().expect(0);
        assert!(done.err().contains(ends), "{}", done.output());
        // The run has one epoch, and nothing is said of any.
        assert!(!done.err().contains("epoch"), "{}", done.output());
    }
}

#[test]
fn restarts_of_several_targets_are_refused() {
    let named = Named::new();
    let pair = [named.start(), named.start()];
    let [one, other] = [pair[0].pid().to_string(), pair[1].pid().to_string()];
    for words in [&[&*one, &*other][..], &["--all", &named.name]] {
        let flags = [&["--follow-restarts"], words].concat();
        let message = "--follow-restarts goes on with one target";
        let _ = named.attach(&flags).done().expect_complaint(125, &[message]);
        assert!(!named.recording().exists());
    }
    pair.into_iter().for_each(|target| _ = target.finish().expect(0));
}

#[test]
fn the_status_line_shows_the_wait_and_the_restart() {
    let named = Named::new();
    let target = named.start();
    let words = words!["attach", "-q", "--status=always", "--follow-restarts", named.name];
    let mut watching = seepmeter(words).on_terminal().start();
    let shows = |watching: &RunningProgram, what: &str| {
        eventually(what, || watching.said().contains(what).then_some(()));
    };
    shows(&watching, " s  rss ");
    let first = kill(target);
    shows(&watching, &format!("{} (pid {first}) has ended; waiting", named.name));
    let second = named.start();
    shows(&watching, &format!("restarted: {} (pid {first}) → ", named.name));
    watching.type_keys(seepmeter_tests::Terminal::CTRL_C);
    let _ = watching.finish().expect(0);
    let _ = second.finish().expect(0);
}
