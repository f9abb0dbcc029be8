//! The sampler `ptrace`: what it emits of a target that stands still, and that it does no harm to one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use seepmeter_record::{EventKind, Record, StackId, SubjectId, SubjectKind};
use seepmeter_tests::{
    Recording, Run, RunningProgram, eventually, folder, not_run, run, run_target, seepmeter,
    test_target, words,
};

/// A target that is ready.
fn standing(threads: u32) -> RunningProgram {
    let target = run_target("stand", words![threads.to_string()]).start();
    let _ = target.line("ready");
    target
}

/// Watches a process for so many samples and one more.
fn attached(target: &RunningProgram, sampler: &str, samples: usize) -> Recording {
    let words = words![
        "attach",
        "-q",
        "--no-summary",
        "-i",
        "20ms",
        "--budget",
        "100%",
        "-s",
        sampler,
        "-o",
        "jsonl",
        target.pid().to_string()
    ];
    let watcher = seepmeter(words).start();
    let _ = watcher.nth_line("{\"sample\":", samples);
    watcher.signal(Signal::SIGINT);
    let done = watcher.finish().expect(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    std::fs::write(&path, done.stdout).unwrap();
    Recording::read(&path)
}

/// A run of a command under samples that may take all of the time, recorded in a folder as `r.jsonl`.
fn sampled_by(folder: &Path, sampler: &str, interval: &str, command: Vec<OsString>) -> Run {
    let watching = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        interval,
        "--budget",
        "100%",
        "-s",
        sampler,
        "-o",
        "jsonl,path=r.jsonl",
        "--"
    ];
    seepmeter(watching.into_iter().chain(command)).in_folder(folder)
}

/// The functions of each thread's last stack, by the thread's name.
fn stacks(recording: &Recording) -> HashMap<String, String> {
    let stacks = recording.points("stack").into_iter().map(|(_, thread, stack)| {
        let stack = StackId(u32::try_from(stack).expect("a stack's number"));
        (recording.name(thread), recording.functions(stack))
    });
    stacks.collect()
}

#[test]
fn each_thread_has_the_stack_of_the_functions_that_it_is_in() {
    let target = standing(2);
    let recording = attached(&target, "ptrace", 4);
    let stacks = stacks(&recording);
    let main = &stacks["test-target"];
    assert!(main.starts_with("_start;"), "{main}");
    assert!(
        main.contains(
            "main;test_target::stand::run;test_target::stand::outer;test_target::stand::inner;"
        ),
        "{main}"
    );
    for worker in ["worker-0", "worker-1"] {
        let stack = &stacks[worker];
        assert!(
            stack.starts_with("clone") && stack.contains(";test_target::stand::works;"),
            "{stack}"
        );
    }
    // The stack of a thread that has not moved is not emitted again, and equal stacks are one.
    let emitted = recording.points("stack");
    assert_eq!(emitted.len(), 3, "{emitted:?}");
    assert_eq!(emitted.iter().map(|(_, _, stack)| stack).collect::<HashSet<_>>().len(), 2);
    let _ = target.finish().expect(0);
}

#[test]
fn a_target_that_was_spawned_is_sampled_from_its_first_instruction() {
    let folder = tempfile::tempdir().unwrap();
    let command = words!["sh", "-c", "cat > /dev/null; exit 7"];
    let running = sampled_by(folder.path(), "ptrace", "10ms", command).start();
    let stacks = || -> Option<Vec<String>> {
        let recording = Recording::try_read(&folder.path().join("r.jsonl")).ok()?;
        let stacks = recording.records.iter().filter_map(|record| match record {
            Record::Stack(stack) => Some(recording.functions(stack.id)),
            _ => None,
        });
        Some(stacks.collect())
    };
    // `sh` waits for `cat`, and has nothing of seepmeter's own code, in which it was held.
    eventually("a stack in which it waits", || {
        stacks()?.iter().any(|stack| stack.contains("wait")).then_some(())
    });
    let _ = running.finish().expect(7);
    let stacks = stacks().unwrap();
    assert!(!stacks.iter().any(|stack| stack.contains("seepmeter")), "{stacks:?}");
}

#[test]
fn the_plugin_in_a_file_does_what_the_built_in_one_does() {
    let target = standing(1);
    let library = folder().join("libseepmeter_sampler_ptrace.so");
    let recording = attached(&target, &library.to_string_lossy(), 4);
    assert!(stacks(&recording)["worker-0"].contains("test_target::stand::works"));
    let _ = target.finish().expect(0);
}

#[test]
fn a_pause_has_its_parts_and_the_values_of_its_instant() {
    let target = standing(3);
    let recording = attached(&target, "ptrace,read=stacks,smaps", 4);
    for (_, values) in recording.target_values() {
        assert_eq!(values["threads"], 4);
        let parts = ["pause_stop", "pause_read", "pause_resume"];
        assert_eq!(values["pause"], parts.iter().map(|part| values[*part]).sum::<i64>());
        assert!((1_000..1_000_000_000).contains(&values["pause"]), "{values:?}");
    }
    // What is resident of the mappings is what is resident of the whole. Kernels before 6.16 count the
    // latter with an error of some pages for each CPU.
    let mut resident: HashMap<SubjectId, i64> = HashMap::new();
    let target_subject = recording.target();
    for (_, subject, value) in recording.points("rss") {
        resident.insert(subject, value);
    }
    let whole = resident.remove(&target_subject).unwrap();
    let parts: i64 = resident.values().sum();
    assert!((whole - parts).abs() <= 64 * 4096, "{whole} is not {parts}");
    let _ = target.finish().expect(0);
}

#[test]
fn only_threads_that_match_the_pattern_are_sampled_and_registers_if_they_are_asked_for() {
    let target = standing(12);
    let recording = attached(&target, "ptrace,read=registers,threads=worker-1?", 4);
    let names: HashSet<String> = recording
        .subjects(&SubjectKind::Thread)
        .iter()
        .map(|thread| thread.name.to_string())
        .collect();
    assert_eq!(names, HashSet::from(["worker-10".to_owned(), "worker-11".to_owned()]));
    let pointer = if cfg!(target_arch = "x86_64") { "rsp" } else { "sp" };
    let pointers = recording.points(pointer);
    let of: HashSet<SubjectId> = pointers.iter().map(|(_, thread, _)| *thread).collect();
    assert!(of.len() == 2 && pointers.iter().all(|(_, _, value)| *value > 1 << 32), "{pointers:?}");
    assert!(recording.points("stack").is_empty() && recording.points("vsize").is_empty());
    let _ = target.finish().expect(0);
}

#[test]
fn what_does_not_fit_into_the_pause_is_left_out_and_reported() {
    let target = standing(4);
    let recording = attached(&target, "ptrace,read=smaps,max-pause=1us", 4);
    let events = recording.events("incomplete");
    assert!(!events.is_empty());
    for event in events {
        let EventKind::Incomplete { text, .. } = &event.kind else { unreachable!() };
        let text = text.to_string();
        let late = text.contains("threads that had not stopped within 1 µs");
        assert!(late || text.contains("left out of a pause of at most 1 µs: "), "{text}");
    }
    let _ = target.finish().expect(0);
}

#[test]
fn a_thread_that_ends_is_reported_as_gone() {
    let mut target = run_target("churn", words!["100000", "1"]).start();
    let _ = target.line("ready");
    let recording = attached(&target, "ptrace", 4);
    let gone: HashSet<SubjectId> =
        recording.events("gone").iter().filter_map(|event| event.subject).collect();
    let threads = recording.subjects(&SubjectKind::Thread);
    let main = threads.iter().find(|thread| &*thread.name.to_string() == "test-target");
    assert!(main.is_some_and(|main| !gone.contains(&main.id)));
    for thread in threads.iter().filter(|thread| &*thread.name.to_string() != "test-target") {
        // It may have been there at the last sample still.
        let seen_last =
            recording.samples().last().unwrap().points.iter().any(|p| p.subject == thread.id);
        assert!(gone.contains(&thread.id) || seen_last, "{thread:?}");
    }
    assert!(target.runs());
    target.signal(Signal::SIGKILL);
    let _ = target.wait();
}

#[test]
fn trap_15_a_target_that_is_stopped_is_sampled_and_stays_stopped() {
    let mut target = standing(2);
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap()
    };
    target.signal(Signal::SIGSTOP);
    eventually("it is stopped", || (state(target.pid()) == 'T').then_some(()));
    let recording = attached(&target, "ptrace", 4);
    assert!(stacks(&recording)["worker-1"].contains("test_target::stand::works"));
    eventually("it is stopped still", || (state(target.pid()) == 'T').then_some(()));
    target.signal(Signal::SIGCONT);
    eventually("it goes on", || (state(target.pid()) == 'S').then_some(()));
    assert!(target.runs());
    let _ = target.finish().expect(0);
}

#[test]
fn another_tracer_is_named_with_its_pid() {
    let target = standing(0);
    let traced = Pid::from_raw(target.pid());
    ptrace::seize(traced, ptrace::Options::empty()).unwrap();
    let words = words!["attach", "-s", "ptrace", "-d", "1s", target.pid().to_string()];
    let tracer = format!("is traced already, by process {} ", std::process::id());
    let _ = seepmeter(words).done().expect_complaint(125, &[&tracer, "end that one first"]);
    // The test's own thread is the tracer, and lets the target go with its own end.
    target.signal(Signal::SIGKILL);
}

#[test]
fn bad_options_are_errors_before_the_target_runs() {
    for (options, part) in [
        ("read=stacks,heap", "`heap` is not one of"),
        ("threads=[", "is no pattern"),
        ("stack=3", "no sensible part of a stack"),
        ("max-pause=0ms", "max-pause"),
        ("every=", "every"),
        ("depth=3", "no option `depth`"),
    ] {
        let sampler = format!("ptrace,{options}");
        let words = words!["run", "-s", sampler, "--", "sh", "-c", "echo ran"];
        let done = seepmeter(words).done().expect_complaint(125, &[part]);
        assert!(!done.out().contains("ran"), "{options}");
    }
}

/// A line a millisecond or so, each a sum over those before it: a line that is lost, repeated or out of
/// order changes the rest.
const COUNTER: &str = r#"$| = 1; my $sum = 0; for my $i (1..1500) { $sum = ($sum * 31 + $i) % 1000003; print "$i $sum\n"; select undef, undef, undef, 0.001 } exit 23"#;

fn counted() -> String {
    let mut sum = 0u64;
    (1..=1500u64)
        .map(|i| {
            sum = (sum * 31 + i) % 1_000_003;
            format!("{i} {sum}\n")
        })
        .collect()
}

#[test]
fn a_seepmeter_that_is_killed_at_any_moment_leaves_the_target_as_it_was() {
    let kills = if seepmeter_tests::long() { 200 } else { 20 };
    let mut killed = 0;
    while killed < kills {
        let mut target = run("perl", words!["-e", COUNTER]).start();
        let _ = target.line("1 ");
        while killed < kills && target.runs() {
            killed += u32::from(kill_one(target.pid(), killed));
        }
        let done = target.wait().expect(23);
        assert!(done.out() == counted(), "the output is another after {killed} kills");
    }
}

/// Watches a process with no time between the samples, and kills the watcher some time after its start.
/// False if the process had ended before.
fn kill_one(pid: i32, turn: u32) -> bool {
    let words = words![
        "attach",
        "-q",
        "--no-summary",
        "-i",
        "1ms",
        "--budget",
        "100%",
        "-s",
        "ptrace",
        "-o",
        "jsonl,path=/dev/null",
        pid.to_string()
    ];
    let mut watcher = seepmeter(words).start();
    // Every moment should come up: a prime keeps the times from repeating.
    let moment = Duration::from_micros(u64::from(turn) * 7919 % 60_000);
    let begin = Instant::now();
    while begin.elapsed() < moment && watcher.runs() {
        std::thread::sleep(Duration::from_micros(200));
    }
    if !watcher.runs() {
        return false;
    }
    watcher.signal(Signal::SIGKILL);
    let _ = watcher.wait();
    true
}

#[test]
fn a_target_that_is_sampled_all_the_time_ends_as_it_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let watching = sampled_by(folder.path(), "ptrace", "1ms", words!["perl", "-e", COUNTER]);
    let done = watching.done().expect(23);
    assert!(done.out() == counted());
    assert!(samples_in(folder.path()) > 100);
}

fn samples_in(folder: &Path) -> usize {
    Recording::read(&folder.join("r.jsonl")).samples().count()
}

/// What is mapped by the stacks that pass through this function, at the end of a recording.
fn mapped_by(recording: &Recording, function: &str) -> i64 {
    let mut mapped: HashMap<SubjectId, i64> = HashMap::new();
    for (_, stack, bytes) in recording.points("mapped") {
        mapped.insert(stack, bytes);
    }
    let name = format!(";test_target::map::{function};");
    mapped.iter().filter(|(stack, _)| recording.name(**stack).contains(&name)).map(|(_, b)| b).sum()
}

#[test]
fn address_space_is_counted_by_the_code_that_mapped_it_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let watching = sampled_by(
        folder.path(),
        "ptrace,calls=memory,unsafe=yes",
        "20ms",
        words![test_target(), "map", "3"],
    );
    let mut watcher = watching.start();
    let _ = watcher.line("ready");
    for turn in 1..=4 {
        watcher.say("");
        let _ = watcher.nth_line("mapped", turn);
    }
    let _ = watcher.finish().expect(0);
    let recording = Recording::read(&folder.path().join("r.jsonl"));
    // Three threads, four times.
    const KIB: i64 = 12 << 10;
    assert_eq!(mapped_by(&recording, "keeps"), 10 * 64 * KIB);
    assert_eq!(mapped_by(&recording, "gives_back"), 32 * KIB);
    assert_eq!(mapped_by(&recording, "moves"), 48 * KIB);
    assert!(recording.largest("memory_calls") > 12 * 14);
}

#[test]
fn a_followed_target_ends_as_it_would_have_and_so_do_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let children = r#"my $pid = fork // die; unless ($pid) { my @kept = map { "x" x 200_000 } 1..50; exit 9 } waitpid $pid, 0; print "child ", $? >> 8, "\n"; print `echo from a shell`; "#;
    let script = format!("{children} {COUNTER}");
    let watching = sampled_by(
        folder.path(),
        "ptrace,calls=memory,unsafe=yes",
        "5ms",
        words!["perl", "-e", script],
    );
    let done = watching.done().expect(23);
    let out = done.out();
    assert!(out == format!("child 9\nfrom a shell\n{}", counted()), "{out}");
    assert!(samples_in(folder.path()) > 50);
}

#[test]
fn seepmeter_stays_with_a_followed_target_that_is_left_running() {
    // Memory is asked for all the time, also long after the watching is over.
    let script = format!(
        "my @kept; sub keep {{ push @kept, 'x' x 5000 }} {}",
        COUNTER.replace("print ", "keep; print ")
    );
    let words = words![
        "run",
        "-q",
        "-d",
        "300ms",
        "-i",
        "50ms",
        "-s",
        "ptrace,calls=memory,unsafe=yes",
        "--",
        "perl",
        "-e",
        script
    ];
    let done = seepmeter(words).done().expect(0);
    assert!(done.out() == counted(), "{}", done.out());
    let err = done.err();
    let stays = "stays until the last of them ends";
    assert!(err.contains("still running") && err.contains(stays), "{err}");
}

#[test]
fn a_followed_target_that_its_parent_has_reaped_is_not_waited_for() {
    // Who is first, the host that reaps or the tracer that samples, is chance.
    for _ in 0..15 {
        let folder = tempfile::tempdir().unwrap();
        let watching = sampled_by(
            folder.path(),
            "ptrace,calls=memory,unsafe=yes",
            "1s",
            words!["perl", "-e", "my @kept = map { 'x' x 200_000 } 1 .. 100; exit 5"],
        );
        let done = watching.done().expect(5);
        assert!(done.err().is_empty(), "{}", done.err());
    }
}

#[test]
fn a_followed_target_that_forks_all_the_time_is_not_waited_for_when_it_has_ended() {
    // A child's first stop may come before the event of its fork, and be its last.
    let script = "for i in $(seq 60); do /bin/true; done; echo out; exit 4";
    let folder = tempfile::tempdir().unwrap();
    let watching = sampled_by(
        folder.path(),
        "ptrace,calls=memory,unsafe=yes",
        "1s",
        words!["sh", "-c", script],
    );
    let done = watching.done().expect(4);
    assert_eq!((done.out().as_str(), done.err().as_str()), ("out\n", ""));
}

#[test]
fn a_followed_target_may_end_while_it_is_being_stopped() {
    // Whether it does is chance; its threads come and go all the time.
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let command = words![test_target(), "churn", "30", "4"];
        let watching = sampled_by(
            folder.path(),
            "ptrace,calls=memory,unsafe=yes,read=registers",
            "1ms",
            command,
        );
        let done = watching.done().expect(0);
        assert!(done.err().is_empty(), "{}", done.err());
    }
}

#[test]
fn a_followed_targets_waits_are_over_when_they_should_be() {
    if run("python3", words!["-c", ""]).try_start().is_err() {
        return not_run("waits of a followed target", "there is no python3 here");
    }
    let script = "import select, time\nbegin = time.monotonic()\nselect.epoll().poll(0.7)\nprint(time.monotonic() - begin)";
    let folder = tempfile::tempdir().unwrap();
    let watching = sampled_by(
        folder.path(),
        "ptrace,calls=memory,unsafe=yes",
        "50ms",
        words!["python3", "-c", script],
    );
    let done = watching.done().expect(0);
    let waited: f64 = done.out().trim().parse().expect("a time");
    // It would never end if each sample began its time anew.
    assert!((0.65..10.0).contains(&waited), "{waited}");
}

#[test]
fn a_setuid_target_that_would_lose_its_rights_is_refused_before_it_is_followed() {
    // SAFETY: asks for our own id.
    if unsafe { nix::libc::geteuid() } != 0 {
        return not_run("a setuid target as an ordinary user", "only root can become one");
    }
    let words = words!["run", "-s", "ptrace,calls=memory,unsafe=yes", "--", "su", "--version"];
    let ordinary = seepmeter(words).before_exec(|| {
        // SAFETY: async-signal-safe, and the child's own business.
        match unsafe { nix::libc::setuid(65534) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    match ordinary.try_start() {
        Ok(running) => {
            let parts = ["calls=memory would change the target", "is setuid", "as root"];
            let _ = running.finish().expect_complaint(125, &parts);
        }
        Err(error) => not_run("a setuid target", &format!("nobody may not run it: {error}")),
    }
}

#[test]
fn a_target_that_runs_already_can_not_be_followed_and_the_error_says_so() {
    let target = standing(0);
    let words = words!["attach", "-s", "ptrace,calls=memory,unsafe=yes", target.pid().to_string()];
    let parts = ["calls=memory follows a target from its first instruction", "seepmeter run"];
    let _ = seepmeter(words).done().expect_complaint(125, &parts);
    let _ = target.finish().expect(0);
}
