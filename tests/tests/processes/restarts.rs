//! `attach --follow-restarts`: a target that is started again is watched on, and judged apart.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Event, Sample, SubjectId, SubjectKind};
use seepmeter_tests::{
    FinishedRun, Recording, RunningProgram, eventually, run, seepmeter, seepmeter_path, slower,
    words,
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
    await_restart_of(&named.name, watching, before, after);
}

fn await_restart_of(name: &str, watching: &RunningProgram, before: i32, after: i32) {
    let line =
        format!("restarted: {name} (pid {before}) → {name} (pid {after}), watched again after ");
    let _ = watching.error_line(&line);
}

/// Watches with live lines, and waits for the first.
fn watch(named: &Named, flags: &[&str]) -> RunningProgram {
    let watching = named.attach(&[&["-o", "text", "--follow-restarts"], flags].concat()).start();
    let _ = watching.error_line("rss ");
    watching
}

/// What has matched for more than a second beside the target is no successor, and what has begun later may be.
fn let_two_seconds_pass() {
    let end = Instant::now() + Duration::from_secs(2);
    eventually("two seconds", || (Instant::now() > end).then_some(()));
}

/// Waits until the recording says that so many have ended.
fn await_ends(named: &Named, count: usize) {
    let ends = || Recording::try_read(&named.recording()).ok().map(|it| it.events("gone").len());
    eventually("the end of the target", || ends().filter(|ends| *ends == count));
}

/// Ends the watch, and asserts which targets it had, one after another.
fn end_watch(watching: RunningProgram, named: &Named, targets: &[i32]) {
    watching.signal(Signal::SIGINT);
    let _ = watching.finish().expect(0);
    assert_eq!(successors(named), targets);
}

#[test]
fn what_has_a_pid_is_followed_by_its_program_and_not_by_another_that_ran_beside_it() {
    let named = Named::new();
    let (target, beside) = (named.start(), named.start());
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    let_two_seconds_pass();
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
fn a_successor_is_sampled_at_once_by_every_sampler_however_far_the_next_tick_is() {
    let named = Named::new();
    let target = named.start();
    let sink = format!("jsonl,path={}", named.recording().display());
    let flags = words!["attach", "-q", "-i", "1h", "-s", "statm", "-s", "smaps", "-o", sink];
    let watching =
        seepmeter(flags.into_iter().chain(words!["--follow-restarts", named.name])).start();
    let samplers_of = |pid: i32| {
        let recording = Recording::try_read(&named.recording()).ok()?;
        let subjects = recording.subjects(&SubjectKind::Process);
        let subject = subjects.iter().find(|it| it.get(attribute::PID) == Some(pid))?.id;
        let is_of_it = |it: &&Sample| it.points.iter().any(|point| point.subject == subject);
        let samplers: BTreeSet<_> =
            recording.samples().filter(is_of_it).map(|it| it.sampler).collect();
        (samplers.len() == 2).then_some(())
    };
    eventually("samples of the first", || samplers_of(target.pid()));
    let _ = kill(target);
    let second = named.start();
    eventually("samples of its successor", || samplers_of(second.pid()));
    watching.signal(Signal::SIGINT);
    let _ = watching.finish().expect(0);
    let _ = second.finish().expect(0);
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
fn the_worker_of_a_killed_server_is_no_successor_without_its_tree_either() {
    let named = Named::new();
    let server = |depth| run(named.program(), words!["nest", depth, "4"]).start();
    let mut first = server("2");
    let _ = first.line("deepest");
    let watching = watch(&named, &["--tree=off", "-p", &first.pid().to_string()]);
    let killed = first.pid();
    first.signal(Signal::SIGKILL);
    await_ends(&named, 1);
    let second = server("1");
    await_restart(&watching, &named, killed, second.pid());
    end_watch(watching, &named, &[killed, second.pid()]);
    first.end_input();
    let _ = first.finish().expect_killed(Signal::SIGKILL);
    let _ = second.finish().expect(0);
}

/// A server that waits for a line before it forks a worker, which shares its standard input. The `leader` begins a
/// session of its own.
fn start_server(named: &Named, leader: &str) -> RunningProgram {
    let server = run(named.program(), words!["serve", "4", leader]).start();
    let _ = server.line("ready");
    server
}

/// It forks its worker.
fn fork_worker(server: &mut RunningProgram) {
    server.say("go");
    let _ = server.line("worker");
}

/// Kills a server as a crash would: its worker runs on until the standard input ends.
fn kill_server(server: &RunningProgram) -> i32 {
    server.signal(Signal::SIGKILL);
    server.pid()
}

/// What killed servers have left ends too.
fn end_workers(servers: impl IntoIterator<Item = RunningProgram>) {
    for mut server in servers {
        server.end_input();
        let _ = server.finish().expect_killed(Signal::SIGKILL);
    }
}

#[test]
fn a_worker_that_one_epoch_has_left_is_not_the_successor_in_a_later_one_either() {
    let named = Named::new();
    for by_pid in [false, true] {
        let mut first = start_server(&named, "-");
        let pid = first.pid().to_string();
        let flags = if by_pid { vec!["--tree=off", "-p", &pid] } else { vec![&*named.name] };
        let watching = watch(&named, &flags);
        fork_worker(&mut first);
        kill_server(&first);
        await_ends(&named, 1);
        let mut second = start_server(&named, "-");
        await_restart(&watching, &named, first.pid(), second.pid());
        fork_worker(&mut second);
        let_two_seconds_pass();
        kill_server(&second);
        await_ends(&named, 2);
        let third = named.start();
        await_restart(&watching, &named, second.pid(), third.pid());
        end_watch(watching, &named, &[first.pid(), second.pid(), third.pid()]);
        end_workers([first, second]);
        let _ = third.finish().expect(0);
    }
}

#[test]
fn what_begins_together_with_the_successor_runs_beside_it() {
    let named = Named::new();
    let target = named.start();
    let watching = watch(&named, &[&named.name]);
    let first = kill(target);
    await_ends(&named, 1);
    // Both are found at once.
    watching.signal(Signal::SIGSTOP);
    let (second, beside) = (named.start(), named.start());
    watching.signal(Signal::SIGCONT);
    await_restart(&watching, &named, first, second.pid());
    let_two_seconds_pass();
    let second = kill(second);
    await_ends(&named, 2);
    let third = named.start();
    await_restart(&watching, &named, second, third.pid());
    end_watch(watching, &named, &[first, second, third.pid()]);
    [beside, third].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn what_a_worker_forks_that_was_left_behind_is_no_successor() {
    let named = Named::new();
    let script = named.recording().with_file_name("server.sh");
    let forks = "read go; (echo worker; read more; (echo child; read rest); :); :";
    std::fs::write(&script, format!("echo ready; {forks}\n")).unwrap();
    let start = || {
        let running = run("sh", words![script]).start();
        let _ = running.line("ready");
        running
    };
    let mut first = start();
    let watching = watch(&named, &["-p", &first.pid().to_string()]);
    fork_worker(&mut first);
    let killed = kill_server(&first);
    await_ends(&named, 1);
    first.say("more");
    let _ = first.line("child");
    let second = start();
    await_restart_of("sh", &watching, killed, second.pid());
    end_watch(watching, &named, &[killed, second.pid()]);
    end_workers([first]);
    let _ = second.finish().expect(0);
}

#[test]
fn a_worker_in_a_session_of_its_own_and_one_in_that_which_its_server_began_are_no_successors() {
    let named = Named::new();
    for leader in ["worker", "server"] {
        let mut first = start_server(&named, leader);
        let watching = watch(&named, &[&named.name]);
        fork_worker(&mut first);
        let_two_seconds_pass();
        let killed = kill_server(&first);
        await_ends(&named, 1);
        let second = named.start();
        await_restart(&watching, &named, killed, second.pid());
        end_watch(watching, &named, &[killed, second.pid()]);
        end_workers([first]);
        let _ = second.finish().expect(0);
    }
}

#[test]
fn a_daemon_that_another_of_the_program_has_forked_beside_the_target_is_no_successor() {
    let named = Named::new();
    let script = named.recording().with_file_name("daemon.sh");
    let forks = "read go; exec 3<&0; (echo forked; read rest <&3) &";
    std::fs::write(&script, format!("echo ready; {forks}\n")).unwrap();
    let start = || {
        let running = run("sh", words![script]).start();
        let _ = running.line("ready");
        running
    };
    let (target, mut beside) = (start(), start());
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    beside.say("go");
    let _ = beside.line("forked");
    (0..3).for_each(|_| let_two_seconds_pass());
    let first = kill(target);
    await_ends(&named, 1);
    let second = start();
    await_restart_of("sh", &watching, first, second.pid());
    end_watch(watching, &named, &[first, second.pid()]);
    [beside, second].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn a_worker_is_no_successor_although_there_are_too_few_descriptors_to_follow_the_tree() {
    let named = Named::new();
    let mut first = start_server(&named, "-");
    fork_worker(&mut first);
    let limited = "ulimit -n 44; exec \"$0\" \"$@\"";
    let sink = format!("jsonl,path={}", named.recording().display());
    let flags = words!["attach", "-q", "-i", "20ms", "-o", sink, "-o", "text", "--follow-restarts"];
    let words = words!["-c", limited, seepmeter_path()].into_iter().chain(flags);
    let watching = run("sh", words.chain(words![named.name])).start();
    let _ = watching.error_line("cannot follow the descendants of the target");
    let _ = watching.error_line("rss ");
    let killed = kill_server(&first);
    await_ends(&named, 1);
    let second = named.start();
    await_restart(&watching, &named, killed, second.pid());
    end_watch(watching, &named, &[killed, second.pid()]);
    end_workers([first]);
    let _ = second.finish().expect(0);
}

#[test]
fn a_process_that_ran_long_before_the_end_and_executes_the_program_behind_it_is_the_successor() {
    let named = Named::new();
    let command = "echo waits; read go; exec \"$P\" hold 4";
    let mut launcher = run("sh", words!["-c", command]).env("P", named.program()).start();
    let _ = launcher.line("waits");
    let target = named.start();
    let watching = watch(&named, &[&named.name]);
    let_two_seconds_pass();
    let first = kill(target);
    await_ends(&named, 1);
    launcher.say("go");
    await_restart(&watching, &named, first, launcher.pid());
    end_watch(watching, &named, &[first, launcher.pid()]);
    let _ = launcher.finish().expect(0);
}

#[test]
fn what_another_of_the_program_forks_that_ran_beside_the_target_is_no_successor() {
    let named = Named::new();
    let script = named.recording().with_file_name("beside.sh");
    std::fs::write(&script, "echo ready; read go; (echo forked; read rest); :\n").unwrap();
    let start = || {
        let running = run("sh", words![script]).start();
        let _ = running.line("ready");
        running
    };
    let (mut beside, target) = (start(), start());
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    let_two_seconds_pass();
    let first = kill(target);
    await_ends(&named, 1);
    beside.say("go");
    let _ = beside.line("forked");
    let second = start();
    await_restart_of("sh", &watching, first, second.pid());
    end_watch(watching, &named, &[first, second.pid()]);
    [beside, second].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn a_daemon_whose_launcher_ends_at_once_is_awaited_and_is_a_successor() {
    let named = Named::new();
    let waiting = named.attach(&["-o", "text", "--wait", "--follow-restarts", &named.name]).start();
    eventually("the wait", || waits(waiting.pid()).then_some(()));
    let mut watched = Vec::new();
    for _ in 0..2 {
        let mut launcher = run(named.program(), words!["fork-and-exit", "4", "session"]).start();
        watched.push(launcher.number("left", 1));
        // If the launcher was seen while it ran, it is a target too.
        let is_watched = || {
            let recording = Recording::try_read(&named.recording()).ok()?;
            let targets = recording.subjects(&SubjectKind::Process);
            let is_daemon = |pid: Option<i32>| pid == watched.last().copied();
            targets
                .iter()
                .any(|it| it.parent.is_none() && is_daemon(it.get(attribute::PID)))
                .then_some(())
        };
        eventually("the watch of the daemon", is_watched);
        launcher.end_input();
        let _ = launcher.finish().expect(0);
    }
    waiting.signal(Signal::SIGINT);
    let _ = waiting.finish().expect(0);
    let targets = successors(&named);
    assert!(watched.iter().all(|pid| targets.contains(pid)), "{watched:?} of {targets:?}");
}

#[test]
fn a_successor_that_begins_while_descendants_are_waited_for_is_found_when_they_have_ended() {
    let named = Named::new();
    let mut first = run(named.program(), words!["nest", "2", "4"]).start();
    let _ = first.line("deepest");
    let watching = watch(&named, &["--wait-tree", "-p", &first.pid().to_string()]);
    let killed = first.pid();
    first.signal(Signal::SIGKILL);
    await_ends(&named, 1);
    let second = named.start();
    let_two_seconds_pass();
    first.end_input();
    await_restart(&watching, &named, killed, second.pid());
    end_watch(watching, &named, &[killed, second.pid()]);
    let _ = first.finish().expect_killed(Signal::SIGKILL);
    let _ = second.finish().expect(0);
    // The wait for descendants is no gap.
    let epochs = epochs(&named, 1);
    let [one, other] = [&epochs[0]["epoch"], &epochs[1]["epoch"]];
    let time = |value: &Value| value.as_f64().expect("a time");
    let gap = time(&other["begin"]) - time(&one["end"]);
    assert!((time(&other["gap"]) - gap).abs() < 1e-6, "{one} {other}");
}

#[test]
fn an_interpreter_without_a_script_is_followed_by_one_with_the_same_command_line_alone() {
    let named = Named::new();
    let start = |what: &str| {
        let command = format!("echo {what}; read rest; : {}", named.name);
        let running = run("sh", words!["-c", command]).start();
        let _ = running.line(what);
        running
    };
    let target = start("target");
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    let first = kill(target);
    await_ends(&named, 1);
    let (unrelated, second) = (start("unrelated"), start("target"));
    await_restart_of("sh", &watching, first, second.pid());
    end_watch(watching, &named, &[first, second.pid()]);
    [unrelated, second].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn a_script_is_followed_however_its_path_is_typed_and_one_of_its_name_elsewhere_is_not() {
    let named = Named::new();
    let script = format!("{}.sh", named.name);
    let folder = |name: &str| named.recording().with_file_name(name);
    for name in ["a", "b"] {
        std::fs::create_dir(folder(name)).unwrap();
        std::fs::write(folder(name).join(&script), "echo ready; read rest; :\n").unwrap();
    }
    let start = |place: &str, path: &str| {
        let running = run("sh", words![path]).in_folder(&folder(place)).start();
        let _ = running.line("ready");
        running
    };
    let target = start("a", &script);
    let watching = watch(&named, &["-p", &target.pid().to_string()]);
    let first = kill(target);
    await_ends(&named, 1);
    let unrelated = start("b", &script);
    let second = start("b", &format!("../a/{script}"));
    await_restart_of("sh", &watching, first, second.pid());
    let second = kill(second);
    await_ends(&named, 2);
    let third = start("a", &folder("a").join(&script).display().to_string());
    await_restart_of("sh", &watching, second, third.pid());
    end_watch(watching, &named, &[first, second, third.pid()]);
    [unrelated, third].into_iter().for_each(|it| _ = it.finish().expect(0));
}

#[test]
fn a_target_that_has_overwritten_its_command_line_is_said_to_be_followed_better_by_a_name() {
    let named = Named::new();
    let script = format!("$0 = '{} [3 of 10 busy]'; print \"ready\\n\"; <STDIN>", named.name);
    let target = run("perl", words!["-e", format!("$| = 1; {script}")]).start();
    let _ = target.line("ready");
    let flags = ["-d", "100ms", "--follow-restarts", "-p", &target.pid().to_string()];
    let done = named.attach(&flags).done().expect(0);
    let notice = format!("process {} has overwritten its command line", target.pid());
    assert!(done.err().contains(&notice), "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn a_restart_while_seepmeter_is_stopped_is_found_when_it_is_continued() {
    let named = Named::new();
    let target = named.start();
    let watching = watch(&named, &[&named.name]);
    watching.signal(Signal::SIGSTOP);
    let (first, second) = (kill(target), named.start());
    let_two_seconds_pass();
    watching.signal(Signal::SIGCONT);
    await_restart(&watching, &named, first, second.pid());
    end_watch(watching, &named, &[first, second.pid()]);
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
    let only = Named::new();
    let alone = only.start();
    let cases = [&[&*one, &*other][..], &["--all", &named.name], &["--all", &only.name]];
    for words in cases {
        let flags = [&["--follow-restarts"], words].concat();
        let message = "--follow-restarts goes on with one target";
        let _ = named.attach(&flags).done().expect_complaint(125, &[message]);
        assert!(!named.recording().exists());
    }
    pair.into_iter().chain([alone]).for_each(|target| _ = target.finish().expect(0));
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
