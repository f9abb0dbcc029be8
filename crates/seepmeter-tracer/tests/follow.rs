//! Following the memory calls of a process from before its exec.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seepmeter_tracer::{AddressSpaceId, FollowStatus, Follower, MemoryCallKind, TraceEvent};
use support::{LIMIT, Target, not_run, program, signal, state, until};

const PAGE: u64 = 4096;

/// A process that waits in a read before it executes target.c, as seepmeter's children do.
fn held(words: &str) -> Target {
    let script = "echo held; read line; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program()).args(words.split_ascii_whitespace());
    let mut target = Target::spawn(command);
    target.until("held");
    until("it waits", || state(target.pid()) == Some('S'));
    target
}

/// A call as it was reported.
#[derive(Debug, Clone, Copy)]
struct ReportedCall {
    space: AddressSpaceId,
    kind: MemoryCallKind,
    arguments: [u64; 6],
    result: u64,
}

/// Handles all events until all processes have ended.
fn follow(follower: &mut Follower, mut emit: impl FnMut(TraceEvent<'_>)) {
    let deadline = Instant::now() + LIMIT;
    while follower.handle_events(deadline, None, &mut emit).unwrap() == FollowStatus::Running {
        assert!(Instant::now() < deadline, "it never ends");
    }
}

#[test]
fn every_call_of_every_thread_and_process_is_reported_in_its_order() {
    let mut target = held("maps 4");
    let mut follower = Follower::begin(target.pid()).unwrap();
    let root = follower.space(target.pid()).unwrap();
    let (mut calls, mut forks, mut execs, mut ends) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut in_order = true;
    target.say("go");
    follow(&mut follower, |event| match event {
        TraceEvent::MemoryCall(call) => {
            in_order &= call.in_order;
            let mut top = [0; 8];
            let stack = call.registers.stack_pointer();
            assert_eq!(call.memory.read(stack, &mut top).unwrap(), 8);
            calls.push(ReportedCall {
                space: call.space,
                kind: call.kind,
                arguments: call.arguments,
                result: call.result,
            });
        }
        TraceEvent::Forked { space, of, .. } => forks.push((space, of)),
        TraceEvent::Executed { space, .. } => execs.push(space),
        TraceEvent::Exited { .. } => ends += 1,
        _ => {}
    });
    let (said, status) = target.rest();
    assert_eq!((said.as_str(), status.code()), ("child\nmapped 4\n", Some(0)));
    // The shell's program, ours, and that of the child by vfork.
    assert_eq!((execs.len(), forks.len(), ends), (2, 2, 3));
    let ours = execs[0];
    assert_ne!(ours, root);
    assert!(forks[0].1 == ours && forks[0].0 != ours, "a fork has a space of its own");
    assert_eq!(forks[1], (ours, ours), "a vfork has not");
    assert!(calls.iter().any(|call| call.kind == MemoryCallKind::Break && call.space == ours));
    for (number, space) in [(0, ours), (1, ours), (2, ours), (3, ours), (50, forks[0].0)] {
        let length = (100 + number) * PAGE;
        let count = |kind, wanted: &dyn Fn(&ReportedCall) -> bool| {
            calls.iter().filter(|c| c.kind == kind && c.space == space && wanted(c)).count()
        };
        assert_eq!(count(MemoryCallKind::Map, &|c| c.arguments[1] == length), 40);
        assert_eq!(count(MemoryCallKind::Advise, &|c| c.arguments[1] == length), 40);
        assert_eq!(count(MemoryCallKind::Remap, &|c| c.arguments[2] == 2 * length), 40);
        assert_eq!(count(MemoryCallKind::Unmap, &|c| c.arguments[1] == 2 * length), 40);
    }
    assert!(!calls.iter().any(|call| call.arguments[0] == 1), "a failed call was reported");
    if in_order {
        replay(&calls, ours);
    } else {
        not_run("the order of the calls: one slept for so long that others were let go");
    }
}

/// No mapping is reported at a place of another one that was reported before and not unmapped: so the
/// order is that of the kernel.
fn replay(calls: &[ReportedCall], space: AddressSpaceId) {
    let mut mapped: BTreeMap<u64, u64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.space == space) {
        let (start, length) = (call.arguments[0], call.arguments[1]);
        let anonymous = call.arguments[4] as u32 == u32::MAX;
        let (gone, new) = match call.kind {
            MemoryCallKind::Map if anonymous && start == 0 => (None, Some((call.result, length))),
            MemoryCallKind::Remap => (Some(start), Some((call.result, call.arguments[2]))),
            MemoryCallKind::Unmap => (Some(start), None),
            _ => continue,
        };
        if let Some(start) = gone {
            mapped.remove(&start);
        }
        if let Some((start, length)) = new {
            let end = start + length;
            let overlap =
                mapped.range(..end).next_back().filter(|(other, long)| **other + **long > start);
            // What was unmapped in part only is not known to this simple replay; the tests' blocks are not.
            assert_eq!(overlap, None, "{call:x?}");
            mapped.insert(start, length);
        }
    }
}

/// Trap 33: children by vfork under the options that follow them.
#[test]
fn everything_else_goes_on_as_without_a_tracer() {
    for words in [
        "work",
        "vfork 30",
        "executes 500",
        "traps 200",
        "real-time 500",
        "glibcs-own 60",
        "storm epoll_wait 100",
        "storm-restart read 100",
    ] {
        let mut target = held(words);
        let alone = Command::new(program())
            .args(words.split_ascii_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut follower = Follower::begin(target.pid()).unwrap();
        target.say("go");
        follow(&mut follower, |_| {});
        let (said, status) = target.rest();
        assert_eq!(said, String::from_utf8(alone.stdout).unwrap(), "{words}");
        assert_eq!(status.code(), alone.status.code(), "{words}");
    }
}

#[test]
fn a_caller_that_panics_leaves_no_thread_stopped() {
    let mut target = held("maps 2");
    let follower = Follower::begin(target.pid()).unwrap();
    target.say("go");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let mut follower = follower;
        // Dropping the follower, while it unwinds, follows the target to its end.
        follow(&mut follower, |event| {
            if let TraceEvent::MemoryCall(_) = event {
                std::panic::resume_unwind(Box::new("the caller panics"));
            }
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(target.rest().0, "child\nmapped 4\n");
}

#[test]
fn job_control_of_a_followed_process_works() {
    let mut target = held("idle 3");
    let pid = target.pid();
    let mut follower = Follower::begin(pid).unwrap();
    target.say("go");
    let for_some_ms = |follower: &mut Follower, ms| {
        let until = Instant::now() + Duration::from_millis(ms);
        assert_eq!(
            follower.handle_events(until, None, &mut |_| {}).unwrap(),
            FollowStatus::Running
        );
    };
    for_some_ms(&mut follower, 300);
    target.until("ready");
    for _ in 0..3 {
        signal(pid, Signal::SIGSTOP);
        for_some_ms(&mut follower, 30);
        assert!(matches!(state(pid), Some('t' | 'T')));
        signal(pid, Signal::SIGCONT);
        for_some_ms(&mut follower, 30);
        assert_eq!(state(pid), Some('S'));
    }
    target.end_input();
    follow(&mut follower, |_| {});
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn handling_events_ends_at_the_deadline_and_when_it_is_woken() {
    let mut target = held("idle 1");
    let mut follower = Follower::begin(target.pid()).unwrap();
    target.say("go");
    let began = Instant::now();
    follower.handle_events(began + Duration::from_millis(100), None, &mut |_| {}).unwrap();
    assert!((100..2000).contains(&began.elapsed().as_millis()));
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    follower.handle_events(began + LIMIT, Some(reader.as_fd()), &mut |_| {}).unwrap();
    assert!(began.elapsed() < LIMIT / 2);
    target.end_input();
    follow(&mut follower, |_| {});
    target.until("ready");
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn a_followed_process_can_be_stopped_for_samples() {
    let mut target = held("births");
    let pid = target.pid();
    let mut follower = Follower::begin(pid).unwrap();
    target.say("go");
    let mut samples = 0;
    for _ in 0..100 {
        let until = Instant::now() + Duration::from_millis(5);
        follower.handle_events(until, None, &mut |_| {}).unwrap();
        let stop = follower.stop(pid, Instant::now() + LIMIT).unwrap();
        assert!(stop.late().is_empty(), "{:?}", stop.late());
        for tid in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let tid: i32 = tid.unwrap().file_name().to_str().unwrap().parse().unwrap();
            let state = state(tid).unwrap_or('X');
            assert!(matches!(state, 't' | 'T' | 'Z' | 'X'), "{tid} is {state}");
        }
        samples += usize::from(stop.threads().count() > 1);
        stop.resume();
    }
    assert!(samples > 10, "{samples} samples with threads");
    target.end_input();
    follow(&mut follower, |_| {});
    target.until("ready");
    assert_eq!(target.rest().0, "all ran\n");
}

/// Trap 21, held down as it is: this is why following is opt-in.
#[test]
fn with_its_tracer_gone_a_followed_process_can_not_map_memory() {
    let mut target = held("maps 1");
    let pid = target.pid();
    std::thread::spawn(move || {
        let follower = Follower::begin(pid).unwrap();
        // What a killed tracer would not do either.
        std::mem::forget(follower);
    })
    .join()
    .unwrap();
    target.say("go");
    assert!(!target.rest().1.success());
}
