//! Which descendants are watched, and how a whole tree is ended.

use std::process::{Command, Stdio};

use seepmeter_record::EventKind;
use seepmeter_tests::eventually;

use crate::watched::{MIB, OWN, Watched};

/// A shell gives its jobs no input of their own.
const TWO: &str = "exec 3<&0; $T hold 30 <&3 & cat; wait; echo $?";

#[test]
fn without_the_tree_the_target_is_watched_alone() {
    let seen = Watched::script("$T grow 30 1; echo $?").with(&["--tree=off"]).both();
    assert_eq!(seen.processes().len(), 1, "{:#?}", seen.processes());
    assert!(seen.peak().rss < 10 * MIB);
    assert!(seen.recording.events("discovery").is_empty());
    let shown = seen.summary() + &seen.text();
    assert!(!shown.contains("processes"), "{shown}");
    assert_eq!(seen.judged().len(), 1);
}

#[test]
fn with_a_cgroup_of_its_own_the_peak_of_all_processes_is_the_kernels() {
    let script = "$T grow 20 1 & $T grow 20 1 & wait; echo $?";
    let watched = Watched::script(script).with(&["--tree=cgroup"]);
    // Both print when they begin.
    let [running, alone] = [watched.watch(), watched.alone()].map(seepmeter_tests::Run::start);
    let (done, alone) = (running.finish(), alone.finish());
    assert_eq!(done.status, alone.status, "{}", done.output());
    let seen = watched.seen(done);
    let events = seen.recording.events("cgroup-peak");
    let [event] = &events[..] else { panic!("{events:?}") };
    let EventKind::CgroupPeak { bytes, reason } = &event.kind else { panic!("{event:?}") };
    let Some(peak) = bytes else {
        // Neither is silent: what can't be had is in the summary with its reason.
        assert!(seen.summary().contains(&reason.to_string()), "{}", seen.summary());
        return seepmeter_tests::not_run("the peak of a cgroup", &reason.to_string());
    };
    let sum = seen.peak().rss;
    assert!((20 * MIB..2 * sum).contains(peak), "{peak} of {sum}");
    assert!(seen.summary().contains("with page cache and kernel memory"), "{}", seen.summary());
}

#[test]
fn with_a_filter_only_what_it_matches_is_watched_beside_the_target() {
    let watched = Watched::script(TWO).with(&["--tree-filter", "test-*"]);
    let alone = watched.alone().done();
    let running = watched.watch().start();
    let _ = running.line("ready");
    eventually("all of the 30 MiB is sampled", || {
        let recording = seepmeter_tests::Recording::try_read(&watched.path("r.jsonl")).ok()?;
        recording.points("rss").iter().any(|(_, _, rss)| *rss > 32 * MIB).then_some(())
    });
    let done = running.finish();
    assert_eq!(done.status, alone.status, "{}", done.output());
    let seen = watched.seen(done);
    let mut names: Vec<_> = seen.processes().into_iter().map(|process| process.name).collect();
    names.sort();
    assert_eq!(names, ["sh", "test-target"]);
    seen.assert_held(30 * MIB, OWN);
    seen.assert_all_ended();
}

#[test]
fn grandchildren_that_ignore_term_are_killed_with_the_tree_and_nobody_else() {
    let mut bystander = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    // A grandchild, one in a session of its own, and one whose parent has ended: none ends by TERM.
    let script = "exec 3<&0; sh -c '$T ignore-signals <&3; :' & setsid $T ignore-signals <&3 & \
                  sh -c '$T ignore-signals <&3 &'; cat";
    let watched =
        Watched::script(script).with(&["-d", "2s", "--on-stop", "end", "--grace", "300ms"]);
    let mut running = watched.watch().start();
    let last = running.nth_line("ready", 3);
    assert!(last.starts_with("ready"));
    // Its standard input stays open: nothing ends by itself.
    let done = running.wait().expect(0);
    running.tree.assert_gone();
    assert!(bystander.try_wait().unwrap().is_none(), "a process outside the tree was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    let seen = watched.seen(done);
    let ignoring = seen.processes().into_iter().filter(|it| it.name.starts_with("test-target"));
    let ends: Vec<_> = ignoring.map(|it| it.end).collect();
    assert_eq!(ends.len(), 3, "{ends:?}");
    // Of an orphan nobody but its new parent, or an event of the kernel, says how it has ended.
    let by_kill = |end: &Option<EventKind>| match end {
        Some(EventKind::Killed { signal }) => *signal == 9,
        other => other.is_some(),
    };
    assert!(ends.iter().all(by_kill), "{ends:?}");
    seen.assert_all_ended();
}

#[test]
fn a_tree_that_ends_by_term_is_not_killed() {
    let script = "exec 3<&0; trap 'exit 0' TERM; $T hold 1 <&3 & wait; wait";
    let watched = Watched::script(script).with(&["-d", "1s", "--on-stop", "end", "--grace", "50s"]);
    let mut running = watched.watch().start();
    let begin = std::time::Instant::now();
    let done = running.wait();
    assert!(begin.elapsed().as_secs() < 45, "it was waited for the grace");
    running.tree.assert_gone();
    let seen = watched.seen(done);
    for process in seen.processes() {
        assert!(!matches!(process.end, Some(EventKind::Killed { signal: 9 })), "{process:?}");
    }
    seen.assert_all_ended();
}

#[test]
fn a_signal_during_the_grace_kills_what_is_left_of_the_tree() {
    let script = "exec 3<&0; $T ignore-signals <&3 & wait";
    let flags = ["-d", "1s", "--on-stop", "end", "--grace", "500s"];
    let watched = Watched::script(script).with(&flags);
    let mut running = watched.watch().start();
    let _ = running.line("ready");
    eventually("only the descendant is left", || {
        let recording = seepmeter_tests::Recording::try_read(&watched.path("r.jsonl")).ok()?;
        (!recording.events("killed").is_empty()).then_some(())
    });
    running.signal(nix::sys::signal::Signal::SIGINT);
    let _ = running.wait().expect(0);
    running.tree.assert_gone();
}

#[test]
fn no_argument_of_a_descendant_is_written_if_arguments_are_left_out() {
    let script = "perl -we 'sleep 1; my $x = \"hunter2\"'; sh -s hunter2 </dev/null; \
                  bash -c 'exec -a hunter2 sleep 0.1'; sh -c 'sleep 0.1; : hunter2'; :";
    let plain = Watched::script(script);
    let done = plain.watch().done();
    assert!(done.status.success(), "{}", done.output());
    let text = std::fs::read_to_string(plain.path("r.jsonl")).unwrap();
    assert!(text.matches("hunter2").count() > 1, "{text}");
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean.jsonl");
    let sink = format!("jsonl,path={}", clean.display());
    let recording = plain.path("r.jsonl");
    let words = seepmeter_tests::words!["replay", "-q", "--redact-args", "-o", sink, recording];
    let replayed = seepmeter_tests::seepmeter(words).done().expect(0);
    let live = Watched::script(script).with(&["--redact-args"]);
    let done = live.watch().done();
    let written = std::fs::read_to_string(&clean).unwrap()
        + &replayed.err()
        + &std::fs::read_to_string(live.path("r.jsonl")).unwrap()
        + &done.err();
    assert!(!written.contains("hunter2"), "{written}");
}

#[test]
fn with_too_few_descriptors_the_target_is_watched_alone_and_that_is_reported() {
    let script = "ulimit -n 40; $S run -q -- sh -c '$T grow 1 1; exit 3'; echo $?";
    let words = seepmeter_tests::words!["-c", script];
    let done = seepmeter_tests::run("/bin/sh", words)
        .env("S", seepmeter_tests::seepmeter_path())
        .env("T", seepmeter_tests::test_target())
        .done();
    assert!(done.out().ends_with("3\n"), "{}", done.output());
    let why = "cannot follow the descendants of the target: no more than 40 open files are allowed";
    assert!(done.err().contains(&format!("others were not followed: {why}")), "{}", done.output());
}

#[test]
fn of_more_processes_than_can_be_followed_no_gate_passes_and_the_summary_says_why() {
    let script = "for i in $(seq 40); do sleep 60 & done; wait";
    let folder = tempfile::tempdir().unwrap();
    let limited = "ulimit -n 100; exec \"$0\" \"$@\"";
    let seepmeter = seepmeter_tests::seepmeter_path();
    let flags = ["-o", "jsonl,path=r.jsonl", "--strict", "--fail-on", "peak>1GiB"];
    let watch = ["run", "-q", "-d", "2s", "--on-stop", "end"];
    let command = ["--", "sh", "-c", script];
    let words = seepmeter_tests::words!["-c", limited, seepmeter];
    let words = words
        .into_iter()
        .chain([&watch[..], &flags, &command].concat().into_iter().map(Into::into));
    let done = seepmeter_tests::run("/bin/sh", words).in_folder(folder.path()).done();
    let more =
        "more were not followed: there are more than can be followed with this limit of open files";
    assert!(done.err().contains(more), "{}", done.output());
    assert!(done.err().contains("not all processes were followed"), "{}", done.output());
    assert_eq!(done.status.code(), Some(100), "{}", done.output());
    let recording = seepmeter_tests::Recording::read(&folder.path().join("r.jsonl"));
    assert!(!recording.events("not-followed").is_empty());
}

#[test]
fn a_spike_of_a_descendant_between_two_samples_is_in_the_peak_and_fires_the_gate() {
    let script = "perl -e 'my $x = \"x\" x 200_000_000; undef $x; sleep 2'; :";
    let watched = Watched::script(script).every("1s").with(&["--fail-on", "peak>150MiB"]);
    let done = watched.watch().done().expect(100);
    assert!(done.err().contains("gate `peak>150MiB` fires"), "{}", done.output());
}

#[test]
fn a_gate_on_the_target_by_name_sees_its_spike_with_descendants_and_without() {
    let spike = "my $x = 'x' x 200_000_000; undef $x; sleep 2";
    let forks = format!("if (!fork) {{ exec 'sleep', 3 }} {spike}; wait");
    for script in [spike, &forks] {
        let run = |gate: &str| {
            let watched = Watched::new(seepmeter_tests::words!["perl", "-e", script]).every("1s");
            watched.with(&["--fail-on", gate]).watch().done()
        };
        let fires = run("subject(perl).peak>150MiB").expect(100);
        assert!(fires.err().contains("peak>150MiB` fires: it is "), "{}", fires.output());
        // A gate that was not evaluated would say so.
        let passes = run("subject(perl).peak>1GiB").expect(0);
        assert_eq!(passes.err(), "", "{}", passes.output());
    }
}
