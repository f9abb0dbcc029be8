//! Traps 1, 2, 7, 8 and 16: who is watched, from when, and until when.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{AttachError, ChildSignals, Command, Process, Streams};
use seepmeter_record::End;
use seepmeter_tests::{
    Recording, eventually, not_run, recorded, run_target, seepmeter, seepmeter_path, test_target,
    words,
};

fn spawn(words: &[&str]) -> seepmeter_process::HeldChild {
    let command = Command::new(words.iter().map(|word| (*word).to_owned())).unwrap();
    command.spawn(&ChildSignals::as_they_are().unwrap()).unwrap()
}

fn executable(pid: i32) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

#[test]
fn trap_1_a_held_child_is_still_the_old_program_and_release_returns_at_the_exec_itself() {
    let own = std::env::current_exe().unwrap();
    for _ in 0..50 {
        let held = spawn(&["sleep", "60"]);
        let pid = held.process().pid();
        assert_eq!(executable(pid), own, "it must not have executed anything yet");
        let child = held.release().unwrap();
        // However soon this is read: the exec has happened.
        assert_ne!(executable(pid), own);
        child.process().signal(Signal::SIGKILL).unwrap();
        child.process().wait().unwrap();
        assert_eq!(child.reap().unwrap(), End::Killed(9));
    }
}

#[test]
fn a_command_has_the_streams_and_variables_that_it_was_given_and_the_rest_is_the_parents() {
    let (input, mut to_input) = std::io::pipe().unwrap();
    let (mut from_output, output) = std::io::pipe().unwrap();
    let script =
        "read line; echo $line $GIVEN $HOME $(env | grep -c ^HOME=) ${PATH:+path}; echo error >&2";
    let command = Command::new(["sh", "-c", script]).unwrap();
    let command = command.with_variable("GIVEN", "given").unwrap();
    let command = command.with_variable("HOME", "/changed").unwrap();
    let streams = Streams { input: input.into(), output: output.into() };
    let command = command.with_streams(streams);
    let held = command.spawn(&ChildSignals::as_they_are().unwrap()).unwrap();
    drop(command);
    to_input.write_all(b"typed\n").unwrap();
    let child = held.release().unwrap();
    let mut said = String::new();
    from_output.read_to_string(&mut said).unwrap();
    child.process().wait().unwrap();
    assert_eq!(child.reap().unwrap(), End::Exited(0));
    assert_eq!(said, "typed given /changed 1 path\nerror\n");
    assert!(Command::new(["true"]).unwrap().with_variable("A", "b\0c").is_err());
}

#[test]
fn trap_1_a_held_child_waits_as_long_as_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mut holder = run_target("holder", words![test_target(), "mark", mark]).start();
    let pid = holder.number("held", 1);
    eventually("it sleeps in its read", || {
        let wchan = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        wchan.starts_with(&format!("{} ", libc::SYS_read)).then_some(())
    });
    assert!(!mark.exists());
    holder.say("go");
    let done = holder.finish().expect(0);
    assert!(done.out().contains("released\nExited(0)"), "{}", done.output());
    assert!(mark.exists());
}

#[test]
fn trap_1_no_sample_of_the_command_is_of_seepmeter_itself() {
    let (_folder, path, sink) = recorded();
    for _ in 0..10 {
        let words = words!["run", "-i", "1ms", "-o", sink, "--", test_target(), "exit-code", "0"];
        let _ = seepmeter(words).done().expect(0);
        let recording = Recording::read(&path);
        let exec = recording.events("exec")[0].t;
        let spawned = recording.events("spawned")[0].t;
        assert!(spawned <= exec);
        // A forked seepmeter maps far more than this small program ever does.
        let own = std::fs::metadata(seepmeter_path()).unwrap().len() as i64;
        for (t, vsize) in recording.series("vsize") {
            assert!(vsize < own + (8 << 20), "the sample at {t} ns is of {vsize} bytes");
        }
    }
}

#[test]
fn trap_2_a_failed_exec_is_reported_with_its_errno_and_the_child_is_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    std::fs::copy(test_target(), &binary).unwrap();
    let writer = std::fs::OpenOptions::new().append(true).open(&binary).unwrap();
    for (name, errno) in [
        ("/no/such/file", libc::ENOENT),
        ("/etc/passwd", libc::EACCES),
        ("/", libc::EACCES),
        (binary.to_str().unwrap(), libc::ETXTBSY),
    ] {
        let held = spawn(&[name]);
        let pid = held.process().pid();
        let error = held.release().expect_err(name);
        assert_eq!(error.errno, errno, "{name}");
        assert_eq!(error.found(), errno != libc::ENOENT);
        // Reaped: it is no child of ours any more.
        assert_eq!(waitpid(Pid::from_raw(pid), None), Err(nix::errno::Errno::ECHILD));
    }
    drop(writer);
}

#[test]
fn trap_2_the_command_tells_a_failed_exec_from_a_program_that_ends_at_once() {
    let missing = seepmeter(words!["run", "-q", "--", "./nowhere"]).done();
    let _ = missing.expect_complaint(127, &["cannot execute ./nowhere"]);
    let quick = seepmeter(words!["run", "-q", "--", "sh", "-c", "exit 127"]).done().expect(127);
    assert!(quick.err().contains("exited with status 127"), "{}", quick.output());
    assert_eq!(quick.complaints(), [""; 0]);
}

#[test]
fn a_held_child_whose_seepmeter_is_killed_ends_and_never_executes_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mut holder = run_target("holder", words![test_target(), "mark", mark]).start();
    let held = holder.number("held", 1);
    assert!(holder.tree.members().contains(&held));
    holder.signal(Signal::SIGKILL);
    let _ = holder.wait().expect_killed(Signal::SIGKILL);
    holder.tree.assert_gone();
    assert!(!mark.exists());
}

/// The same through the command: stopped by ptrace at the very fork, killed there.
#[test]
fn a_seepmeter_that_is_killed_at_its_fork_leaves_no_held_child() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let words = words!["run", "-q", "--", test_target(), "mark", mark];
    // A tracee stops at its exec, and its tracer is the thread that has spawned it: this one.
    let running = seepmeter(words).before_exec(|| ptrace::traceme().map_err(Into::into)).start();
    let pid = Pid::from_raw(running.pid());
    let stop = waitpid(pid, None).unwrap();
    assert!(matches!(stop, WaitStatus::Stopped(_, Signal::SIGTRAP)), "{stop:?}");
    let forks = ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACEVFORK;
    ptrace::setoptions(pid, forks).unwrap();
    ptrace::cont(pid, None).unwrap();
    let fork = loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_FORK) => {
                break ptrace::getevent(pid).unwrap();
            }
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let child = Pid::from_raw(i32::try_from(fork).unwrap());
    let _ = waitpid(child, Some(WaitPidFlag::__WALL)).unwrap();
    ptrace::detach(child, None).unwrap();
    assert!(running.tree.members().contains(&child.as_raw()));
    kill(pid, Signal::SIGKILL).unwrap();
    running.tree.assert_gone();
    assert!(!mark.exists(), "the command has run");
}

#[test]
fn trap_7_a_process_that_got_the_pid_of_another_is_never_taken_for_it() {
    let Some((old, pid)) = ended_process() else { return };
    let old_start = old.start_time();
    next_clock_tick();
    let Some(new) = Reborn::with_pid(pid, "trap 7 (the API)") else { return };
    assert!(old.has_ended().unwrap());
    assert!(!old.signal(Signal::SIGKILL).unwrap(), "the signal went to another process");
    let other = Process::open(pid, &ProcRoot::default()).unwrap();
    assert!(!other.has_ended().unwrap());
    assert_ne!(other.start_time(), old_start, "pid and start time make the key");
    drop(new);
}

/// A process of ours that has ended and is reaped, held by its pidfd.
fn ended_process() -> Option<(Process, i32)> {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = child.id() as i32;
    let process = Process::open(pid, &ProcRoot::default()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    Some((process, pid))
}

/// Start times are in clock ticks of 10 ms.
fn next_clock_tick() {
    std::thread::sleep(Duration::from_millis(30));
}

#[test]
fn trap_7_the_command_never_samples_a_process_that_got_the_pid_of_its_target() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let path = folder.path().join(format!("{round}.jsonl"));
        let sink = format!("jsonl,path={}", path.display());
        // Larger than this test, which is what gets the pid.
        let mut target = run_target("hold", words!["256"]).start();
        let pid = target.number("ready", 1);
        let mut running =
            seepmeter(words!["attach", "-i", "1ms", "-o", sink, pid.to_string()]).start();
        let _ = Recording::await_samples(&path, 10);
        running.signal(Signal::SIGSTOP);
        eventually("it is stopped", || stopped(running.pid()).then_some(()));
        target.signal(Signal::SIGKILL);
        let _ = target.wait();
        next_clock_tick();
        let Some(new) = Reborn::with_pid(pid, "trap 7 (the command)") else { return };
        running.signal(Signal::SIGCONT);
        let _ = running.wait().expect(0);
        drop(new);
        let recording = Recording::read(&path);
        assert_eq!(recording.end(), End::Gone);
        for (t, rss) in recording.series("rss") {
            assert!(rss > 200 << 20, "the sample at {t} ns is of another process, of {rss} bytes");
        }
    }
}

fn stopped(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// A copy of this process that has a pid which was another's, and does nothing.
struct Reborn(Pid);

impl Reborn {
    /// clone3(2) with `set_tid` asks for the pid; that needs CAP_CHECKPOINT_RESTORE.
    fn with_pid(pid: i32, test: &str) -> Option<Self> {
        for _ in 0..200 {
            let wanted = [pid];
            // SAFETY: all zeros is a valid clone_args.
            let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
            arguments.exit_signal = libc::SIGCHLD as u64;
            arguments.set_tid = wanted.as_ptr() as u64;
            arguments.set_tid_size = 1;
            // SAFETY: a fork; the child makes nothing but async-signal-safe system calls.
            let born = unsafe {
                libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments))
            };
            match born {
                0 => loop {
                    // SAFETY: pause(2) does nothing but wait; ends with its parent's kill.
                    unsafe {
                        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                        libc::pause()
                    };
                },
                1.. => {
                    assert_eq!(born, i64::from(pid));
                    return Some(Self(Pid::from_raw(pid)));
                }
                // Somebody else has got it meanwhile, and may let it go.
                _ if nix::errno::Errno::last() == nix::errno::Errno::EEXIST => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => {
                    not_run(test, &format!("clone3 with set_tid: {}", nix::errno::Errno::last()));
                    return None;
                }
            }
        }
        not_run(test, "somebody else has got the pid");
        None
    }
}

impl Drop for Reborn {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

#[test]
fn trap_8_children_and_threads_that_die_during_a_sample_cost_no_sample_and_no_message() {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-i", "1ms", "-o", sink, "--", test_target(), "churn", "300", "4"];
    let done = seepmeter(words).done().expect(0);
    assert_eq!(done.complaints(), [""; 0], "{}", done.output());
    let recording = Recording::read(&path);
    for kind in ["sampler-failed", "skipped"] {
        assert!(recording.events(kind).is_empty(), "{:?}", recording.events(kind));
    }
    assert_eq!(recording.footer().samples, recording.samples().count() as u64);
    assert!(recording.largest("rss") > 4 << 20);
}

#[test]
fn trap_8_a_target_that_dies_during_a_sample_is_no_error() {
    let (_folder, path, sink) = recorded();
    for sampler in ["statm", "statm,peak=interval", "statm,peak=off"] {
        for _ in 0..10 {
            let words = words!["run", "-i", "100us", "-s", sampler, "-o", sink, "--", "true"];
            let done = seepmeter(words).done().expect(0);
            assert_eq!(done.complaints(), [""; 0], "{}", done.output());
            let recording = Recording::read(&path);
            assert_eq!(recording.end(), End::Exited(0));
            assert!(recording.series("rss").iter().all(|(_, rss)| *rss > 0));
        }
    }
}

/// A host that waits for the process takes the stops that its tracer waits for; polling does not.
#[test]
fn trap_16_waiting_for_the_end_does_not_take_the_stops_of_a_tracer() {
    let child = spawn(&["sleep", "60"]).release().unwrap();
    let pid = Pid::from_raw(child.process().pid());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| child.process().wait());
        let tracer = scope.spawn(|| {
            ptrace::seize(pid, ptrace::Options::empty()).unwrap();
            for _ in 0..100 {
                ptrace::interrupt(pid).unwrap();
                // It would hang here if anybody else had taken the stop.
                eventually("a stop", || {
                    match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                        Ok(WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)) => Some(()),
                        Ok(WaitStatus::StillAlive) => None,
                        other => panic!("{other:?}"),
                    }
                });
                assert!(!child.process().has_ended().unwrap());
                ptrace::cont(pid, None).unwrap();
            }
            ptrace::interrupt(pid).unwrap();
            waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
            ptrace::detach(pid, None).unwrap();
            kill(pid, Signal::SIGKILL).unwrap();
        });
        tracer.join().unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(child.reap().unwrap(), End::Killed(9));
}

#[test]
fn trap_16_a_target_that_a_debugger_stops_is_watched_on_and_ends_as_ever() {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-i", "1ms", "-o", sink, "--", test_target(), "hold", "2"];
    let mut running = seepmeter(words).start();
    let target = Pid::from_raw(running.number("ready", 1));
    ptrace::seize(target, ptrace::Options::empty()).unwrap();
    for _ in 0..20 {
        ptrace::interrupt(target).unwrap();
        let stop = waitpid(target, Some(WaitPidFlag::__WALL)).unwrap();
        assert!(matches!(stop, WaitStatus::PtraceEvent(..)), "{stop:?}");
        assert!(running.runs());
        ptrace::cont(target, None).unwrap();
    }
    ptrace::interrupt(target).unwrap();
    let _ = waitpid(target, Some(WaitPidFlag::__WALL)).unwrap();
    ptrace::detach(target, None).unwrap();
    let _ = running.finish().expect(0);
    assert_eq!(Recording::read(&path).end(), End::Exited(0));
}

#[test]
fn an_exec_chain_is_one_process_to_its_end() {
    let (_folder, path, sink) = recorded();
    let words = words![
        "run",
        "-i",
        "1ms",
        "-o",
        sink,
        "--",
        test_target(),
        "exec-chain",
        "20",
        test_target(),
        "saw",
        "8",
        "2",
        "5"
    ];
    let done = seepmeter(words).done().expect(0);
    let pid: i32 = done.out().split_whitespace().nth(2).unwrap().parse().unwrap();
    assert_eq!(done.out().matches(&format!(" {pid}\n")).count(), 21);
    let recording = Recording::read(&path);
    assert_eq!(recording.target_pid(), pid);
    assert!(recording.largest("rss") > 4 << 20, "the last link is watched too");
}

#[test]
fn a_target_that_leaves_a_child_behind_ends_when_it_ends_and_the_child_lives_on() {
    let mut running = seepmeter(words!["run", "-q", "--", test_target(), "fork-and-exit"]).start();
    let orphan = running.number("left", 1);
    let done = running.wait().expect(0);
    assert!(done.err().contains("exited with status 0"), "{}", done.output());
    assert_eq!(running.tree.members(), [orphan]);
    running.end_input();
    let _ = running.line("orphan done");
    running.tree.assert_gone();
}

#[test]
fn opening_what_is_no_process_says_what_it_is() {
    let open = |pid| Process::open(pid, &ProcRoot::default());
    assert!(matches!(open(i32::MAX), Err(AttachError::NoSuchProcess { .. })));
    assert!(matches!(open(0), Err(AttachError::NoSuchProcess { .. })));
    let own = open(getpid().as_raw()).unwrap();
    assert!(!own.has_ended().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            sender.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = receiver.recv().unwrap();
        let error = open(tid).expect_err("a thread is no process");
        assert!(
            matches!(error, AttachError::Thread { pid, .. } if pid == getpid().as_raw()),
            "{error}"
        );
        drop(end);
    });
    let mut child = std::process::Command::new("true").stdin(Stdio::null()).spawn().unwrap();
    let pid = child.id() as i32;
    eventually("it is a zombie", || {
        let mut stat = String::new();
        std::fs::File::open(format!("/proc/{pid}/stat")).ok()?.read_to_string(&mut stat).ok()?;
        stat.contains(") Z ").then_some(())
    });
    assert!(matches!(open(pid), Err(AttachError::Ended { .. })));
    child.wait().unwrap();
}
