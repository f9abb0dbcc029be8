//! Shapes of trees: wrappers, daemons, supervisors, deep and busy ones.

use std::collections::HashSet;

use nix::sys::signal::Signal;
use seepmeter_record::EventKind;
use seepmeter_tests::{eventually, long_or_not_run, words};

use crate::watched::{MIB, OWN, Watched, share_of, sum_of};

/// A shell that starts a program which leaks so many MiB a second, for so many seconds.
fn wrapper(rate: u32, seconds: u32) -> Watched {
    let script =
        format!("#!/bin/sh\necho begin\n$T grow {rate} {seconds}\necho error >&2\nexit 3\n");
    let watched = Watched::new(words!["sh", "./start.sh"]);
    watched.file("start.sh", &script)
}

#[test]
fn trap_51_the_leak_of_a_program_that_a_script_starts_is_growth_of_that_program() {
    let seen = wrapper(8, 4).both();
    assert_eq!(seen.done.status.code(), Some(3));
    seen.assert_held(32 * MIB, OWN);
    seen.assert_counted(2);
    seen.assert_all_ended();
    let verdicts = seen.judged_slower(30);
    let sum = sum_of(&verdicts);
    assert_eq!(sum["classification"], "growing", "{sum:#}");
    assert!(share_of(sum, "test-target") >= 0.9, "{sum:#}");
    let rate = sum["rate"]["estimate"].as_f64().unwrap() * 30.0 / MIB as f64;
    assert!((6.0..=10.0).contains(&rate), "{rate} MiB/s of 8");
}

#[test]
fn a_wrapped_leak_is_found_in_two_minutes() {
    if !long_or_not_run("a wrapped leak in two minutes") {
        return;
    }
    let seen = wrapper(1, 120).every("200ms").both();
    let verdicts = seen.judged();
    let sum = sum_of(&verdicts);
    assert_eq!(sum["classification"], "growing", "{sum:#}");
    assert!(share_of(sum, "test-target") >= 0.9, "{sum:#}");
    assert!(seen.summary().contains("in test-target"), "{}", seen.summary());
}

#[test]
fn a_version_whose_tests_leak_in_a_grandchild_is_worse_and_the_same_again_is_not() {
    let run = |rate: u32| {
        let makefile = format!("test:\n\t@sh -c '$$T grow {rate} 4; :'\n");
        Watched::new(words!["make", "-s", "test"]).file("Makefile", &makefile)
    };
    let watched = [0, 0, 0, 0, 4, 4].map(run);
    let running: Vec<_> = watched.iter().map(|watched| watched.watch().start()).collect();
    let done = running.into_iter().map(seepmeter_tests::RunningProgram::finish);
    let seen: Vec<_> =
        watched.into_iter().zip(done).map(|(watched, done)| watched.seen(done.expect(0))).collect();
    let recordings: Vec<_> = seen.iter().map(|seen| seen.slower(30)).collect();
    let compare = |flags: &[&str], new: std::ops::Range<usize>| {
        let words = words!["compare"].into_iter().chain(flags.iter().map(Into::into));
        let base = recordings[..2].iter().map(Into::into);
        let new = recordings[new].iter().map(Into::into);
        seepmeter_tests::seepmeter(words.chain(base).chain(words!["--"]).chain(new)).done()
    };
    let worse = compare(&["--fail-on", "worse"], 4..6).expect(100).out();
    assert!(worse.starts_with("worse  rss of 2 new against 2 base runs"), "{worse}");
    assert!(worse.contains("  worse  test-target"), "{worse}");
    let again = compare(&["--fail-on", "worse"], 2..4).expect(0).out();
    // Two runs of each are too few to be sure that they are alike.
    assert!(!again.starts_with("worse"), "{again}");
    // It holds 16 MiB more at its end than at its begin, and gains 8 MiB a minute as it is 30 times slower.
    for (gate, status) in [
        ("growing", 100),
        ("rate>1MiB/min", 100),
        ("rate>64MiB/min", 0),
        ("peak>16MiB", 100),
        ("peak>64MiB", 0),
        ("subject(test-target).rate>1MiB/min", 100),
    ] {
        let judge = words!["judge", "--fail-on", gate, &recordings[5]];
        let done = seepmeter_tests::seepmeter(judge).done().expect(status);
        assert!(!done.err().contains("not evaluated"), "{gate}: {}", done.output());
    }
}

#[test]
fn jobs_of_make_are_counted_and_print_and_fail_as_they_do_alone() {
    let mut makefile = "all: fails".to_owned();
    (0..40).for_each(|n| makefile += &format!(" t{n}"));
    makefile += "\nfails: big\n\t@echo fails >&2; exit 7\n";
    makefile += "big:\n\t@$$T grow 64 1\n";
    (0..40).for_each(|n| makefile += &format!("t{n}:\n\t@echo {n}; :\n"));
    let watched = Watched::new(words!["make", "-k", "-j2"]).file("Makefile", &makefile);
    let seen = watched.both();
    assert_eq!(seen.done.status.code(), Some(2));
    assert!(seen.done.err().contains("Error 7"), "{}", seen.done.output());
    seen.assert_held(64 * MIB, OWN);
    // make, a shell for each of 42 recipes of which one executes or forks the big one.
    let forked = seen.named("test-target")[0].parent.is_some_and(|parent| {
        seen.processes()
            .iter()
            .any(|process| process.subject == parent && process.name.starts_with("sh"))
    });
    seen.assert_counted(43 + usize::from(forked));
    let brief = seen.brief();
    if brief > 0 {
        assert!(seen.summary().contains("lived too briefly to be sampled"), "{}", seen.summary());
    }
    seen.assert_all_ended();
}

#[test]
fn a_daemon_is_named_as_still_running_when_the_target_has_ended() {
    let watched = Watched::script("$T fork-and-exit 20; echo $?");
    let mut running = watched.watch().start();
    let daemon = running.number("left", 1);
    // The run ends with its target, though the daemon goes on.
    let done = running.wait().expect(0);
    assert_eq!(done.out(), format!("left {daemon}\n0\n"));
    assert!(running.tree.members().contains(&daemon));
    let seen = watched.seen(done);
    let expected = format!("1 descendant is still running: test-target (pid {daemon})");
    let summary = seen.summary().replace(" (child)", "");
    assert!(summary.contains(&expected), "{summary}");
    let left = seen.processes().into_iter().find(|process| process.pid == daemon).unwrap();
    assert!(!matches!(left.end, Some(EventKind::Exited { .. })), "{left:?}");
    running.end_input();
    running.tree.assert_gone();
}

#[test]
fn a_daemon_is_watched_to_its_end_if_that_is_asked_for() {
    let watched = Watched::script("$T fork-and-exit 20").with(&["--wait-tree"]);
    let alone = watched.alone().done();
    let mut running = watched.watch().start();
    let daemon = running.number("left", 1);
    eventually("the daemon alone", || {
        let members = running.tree.members();
        (members.len() == 2 && members.contains(&daemon)).then_some(())
    });
    let mut full = None;
    eventually("a sample of all that the daemon holds", || {
        let recording = seepmeter_tests::Recording::try_read(&watched.path("r.jsonl")).ok()?;
        let large = recording.points("rss").iter().any(|(_, _, rss)| *rss > 20 * MIB);
        let at = *full.get_or_insert_with(|| recording.samples().count());
        if !large {
            full = None;
        }
        (large && recording.samples().count() > at + 10).then_some(())
    });
    assert!(running.runs());
    running.end_input();
    let done = running.finish();
    assert_eq!(done.status, alone.status, "{}", done.output());
    assert!(done.out().ends_with("orphan done\n"), "{}", done.output());
    let seen = watched.seen(done);
    seen.assert_held(20 * MIB, OWN);
    seen.assert_held_after_target(20 * MIB);
    seen.assert_all_ended();
}

/// Starts a child that grows to 16 MiB and ends, again and again.
fn supervisor(times: u32) -> Watched {
    Watched::script(&format!(
        "i=0; while [ $i -lt {times} ]; do $T grow 16 1; i=$((i + 1)); done; exit 4"
    ))
}

#[test]
fn a_child_that_a_supervisor_starts_again_and_again_is_one_role() {
    let seen = supervisor(4).both();
    seen.assert_held(16 * MIB, OWN);
    seen.assert_counted(5);
    let verdicts = seen.judged_slower(40);
    let role = verdicts.iter().find(|it| it["scope"] == "role").expect("a role");
    assert_eq!(
        (&role["target"], &role["processes"]),
        (&"test-target".into(), &4.into()),
        "{role:#}"
    );
    assert_ne!(sum_of(&verdicts)["classification"], "growing", "{:#}", sum_of(&verdicts));
    seen.assert_all_ended();
}

#[test]
fn a_child_in_a_session_of_its_own_is_part_of_the_tree() {
    let seen = Watched::script("setsid -w $T grow 40 1; echo $?").both();
    seen.assert_held(40 * MIB, OWN);
    assert_eq!(seen.named("test-target").len(), 1, "{:#?}", seen.processes());
    seen.assert_all_ended();
}

#[test]
fn children_that_hardly_live_are_all_counted_and_cost_little() {
    const CHILDREN: usize = 1_500;
    let script =
        format!("i=0; while [ $i -lt {CHILDREN} ]; do /bin/true; i=$((i + 1)); done; echo $i");
    let watched = Watched::script(&script).every("auto");
    let seen = watched.both();
    seen.assert_counted(1 + CHILDREN);
    let summary = seen.summary();
    assert!(summary.contains("lived too briefly to be sampled"), "{summary}");
    let own = seen.recording.footer().cost.peak_rss.unwrap();
    // A build for tests takes more than one for users.
    assert!(own < 40 << 20, "seepmeter has taken {} MiB", own >> 20);
    seen.assert_all_ended();
}

#[test]
fn a_tree_forty_deep_is_seen_to_its_deepest_process() {
    let watched = Watched::script("exec $T nest 40 2");
    let alone = watched.alone().done();
    let running = watched.watch().start();
    let deepest = running.number("deepest", 1);
    eventually("all are sampled", || {
        let recording = seepmeter_tests::Recording::try_read(&watched.path("r.jsonl")).ok()?;
        let rss = recording.points("rss").into_iter().map(|(_, subject, _)| subject);
        (rss.collect::<HashSet<_>>().len() == 40).then_some(())
    });
    let done = running.finish();
    assert_eq!(done.status, alone.status, "{}", done.output());
    let seen = watched.seen(done);
    seen.assert_held(80 * MIB, OWN);
    seen.assert_counted(40);
    let processes = seen.processes();
    let mut place = processes.iter().find(|process| process.pid == deepest).unwrap();
    let mut depth = 1;
    while let Some(parent) = place.parent {
        place = processes.iter().find(|process| process.subject == parent).unwrap();
        depth += 1;
    }
    assert_eq!(depth, 40, "{processes:#?}");
    seen.assert_all_ended();
}

#[test]
fn children_of_a_target_that_is_killed_are_named_as_still_running() {
    let watched = Watched::script("exec 3<&0; $T hold 10 <&3 & $T hold 10; :");
    let mut running = watched.watch().start();
    let _ = running.nth_line("ready", 2);
    let target = eventually("the shell", || {
        let recording = seepmeter_tests::Recording::try_read(&watched.path("r.jsonl")).ok()?;
        (recording.points("rss").len() > 3).then(|| recording.target_pid())
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(target), Signal::SIGKILL).unwrap();
    let done = running.wait();
    running.end_input();
    running.tree.assert_gone();
    let seen = watched.seen(done);
    assert!(seen.summary().contains("killed by signal 9"), "{}", seen.summary());
    assert!(seen.summary().contains("2 descendants are still running"), "{}", seen.summary());
}
