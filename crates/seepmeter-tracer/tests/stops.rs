//! Stopping all threads of real processes, whatever they are doing, and letting them go.

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seepmeter_tracer::{LatePolicy, LateThread, PtraceStop, TraceError, Tracee, TraceeOptions};
use support::{Target, later, signal, state, status, stop_again_and_again, tracee, until};

/// Traps 17 and 19: the one thread seizes, interrupts and sees all.
#[test]
fn all_threads_are_stopped_if_they_are_1_or_8_or_64_or_500() {
    for count in [1, 8, 64, 500] {
        let target = Target::start(&format!("idle {count}"));
        let mut tracee = tracee(&target);
        let stop = tracee.stop(later()).unwrap();
        let stopped: HashSet<i32> = stop.threads().map(|thread| thread.tid()).collect();
        let all: HashSet<i32> = target.threads().into_iter().collect();
        assert_eq!((stopped.len(), stopped == all), (count, true));
        for tid in &all {
            assert_eq!((*tid, state(*tid)), (*tid, Some('t')));
        }
        stop.detach();
        for tid in &all {
            until("it runs untraced", || {
                state(*tid) != Some('t') && status(*tid, "TracerPid").as_deref() == Some("0")
            });
        }
        drop(tracee);
        assert_eq!(target.rest().0, "done\n");
    }
}

#[test]
fn nothing_moves_during_a_stop_and_everything_after_it() {
    let mut target = Target::spawn({
        let mut command = std::process::Command::new(support::program());
        command.args(["spin", "9"]);
        command
    });
    let lines = target.until("ready");
    let address = lines[0].strip_prefix("counts 0x").unwrap();
    let address = u64::from_str_radix(address, 16).unwrap();
    let mut tracee = tracee(&target);
    let mut before = [[0u8; 64]; 9];
    for _ in 0..20 {
        let stop = tracee.stop(later()).unwrap();
        assert_eq!(stop.late(), []);
        let counts = || {
            let mut bytes = [[0; 64]; 9];
            let read = stop.memory().read(address, bytes.as_flattened_mut()).unwrap();
            assert_eq!(read, 9 * 64);
            bytes
        };
        let first = counts();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(first, counts(), "it moved");
        assert_ne!(first, before, "it had not moved on since the last stop");
        before = first;
        for thread in stop.threads().filter(|thread| thread.tid() != target.pid()) {
            assert_eq!(thread.registers().system_call(), None, "a thread that spins is in no call");
        }
        stop.detach();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_thread_that_is_born_during_the_stop_is_stopped_too() {
    let mut target = Target::start("births");
    let mut tracee = tracee(&target);
    let mut seen = HashSet::new();
    for _ in 0..300 {
        let stop = tracee.stop(later()).unwrap();
        let stopped: HashSet<i32> = stop.threads().map(|thread| thread.tid()).collect();
        for tid in target.threads() {
            // A thread that has ended and is not reaped yet is no longer one to stop.
            let ended = || state(tid).is_none_or(|state| matches!(state, 'Z' | 'X'));
            assert!(stopped.contains(&tid) || ended(), "{tid} is {:?}", state(tid));
        }
        seen.extend(stopped);
        stop.detach();
        tracee.settle(later());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(seen.len() > 30, "threads came and went: {}", seen.len());
    drop(tracee);
    target.end_input();
    let (said, status) = target.rest();
    assert_eq!((said.as_str(), status.code()), ("all ran\n", Some(0)));
}

#[test]
fn a_stop_that_is_dropped_or_panicked_through_lets_all_go() {
    let target = Target::start("idle 8");
    let mut tracee = tracee(&target);
    drop(tracee.stop(later()).unwrap());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _stop = tracee.stop(later()).unwrap();
        std::panic::resume_unwind(Box::new("the sampler panics"));
    }));
    assert!(panicked.is_err());
    drop(tracee);
    assert_eq!(target.rest().0, "done\n");
}

/// Trap 33 and the wait that no signal ends: a thread in vfork(2) can't stop before its child has
/// executed a program. It is listed, the stop does not wait for it, and it is let go when it stops.
#[test]
fn a_thread_in_vfork_is_late_and_comes_to_no_harm() {
    let target = Target::start("vfork 400");
    until("it is in vfork", || state(target.pid()) == Some('D'));
    let mut tracee = {
        // The first try of all waits for longer than the child sleeps.
        let began = Instant::now();
        let tracee = Tracee::new(target.pid(), TraceeOptions::default());
        assert!(began.elapsed() < Duration::from_secs(30));
        tracee.unwrap()
    };
    assert!(tracee.settle(later()));
    drop(tracee);
    assert_eq!(target.rest().0, "child 0\n");

    let target = Target::start("vfork 1500");
    until("it is in vfork", || state(target.pid()) == Some('D'));
    let mut tracee =
        Tracee::new(target.pid(), TraceeOptions { late: LatePolicy::SampleOthers, urgent: true })
            .unwrap();
    let stop = tracee.stop(Instant::now() + Duration::from_millis(10)).unwrap();
    assert_eq!(stop.late(), [LateThread { tid: target.pid(), state: Some('D') }]);
    assert_eq!(stop.threads().count(), 0);
    stop.detach();
    assert!(!tracee.settle(Instant::now() + Duration::from_millis(1)));
    assert!(tracee.settle(later()));
    drop(tracee);
    assert_eq!(target.rest().0, "child 0\n");
}

#[test]
fn a_late_thread_is_an_error_if_that_was_asked_for() {
    let target = Target::start("vfork 1500");
    until("it is in vfork", || state(target.pid()) == Some('D'));
    let options = TraceeOptions { late: LatePolicy::Fail, urgent: true };
    let error = Tracee::new(target.pid(), options).unwrap_err();
    let late = LateThread { tid: target.pid(), state: Some('D') };
    assert!(matches!(&error, TraceError::Late { threads, .. } if *threads == [late]));
    assert!(error.to_string().contains("in state D"), "{error}");
    assert_eq!(target.rest().0, "child 0\n");
}

#[test]
fn trap_33_vfork_under_stops_all_the_time_works() {
    let target = Target::start("vfork 50");
    stop_again_and_again(target.pid(), Duration::from_millis(1), |_| false);
    assert_eq!(target.rest().0, "child 0\n");
}

#[test]
fn a_wait_in_sigsuspend_goes_on_and_ends_with_its_signal() {
    let target = Target::start("suspended");
    until("it waits", || state(target.pid()) == Some('S'));
    let stops = stop_again_and_again(target.pid(), Duration::from_millis(1), |stops| stops == 50);
    assert_eq!(stops, 50);
    assert!(!target.has_ended());
    signal(target.pid(), Signal::SIGUSR1);
    assert_eq!(target.rest().0, "result -1 errno EINTR handled 1\n");
}

/// Trap 3: a leader that has ended, while its threads run on.
#[test]
fn threads_that_outlive_their_leader_are_stopped() {
    let target = Target::start("leader-ends");
    until("the leader has ended", || state(target.pid()) == Some('Z'));
    let mut tracee = tracee(&target);
    for _ in 0..20 {
        let stop = tracee.stop(later()).unwrap();
        let tids: Vec<i32> = stop.threads().map(|thread| thread.tid()).collect();
        assert_eq!(tids.len(), 1);
        assert_ne!(tids[0], target.pid());
    }
    drop(tracee);
    let (said, status) = target.rest();
    assert_eq!((said.as_str(), status.code()), ("outlived\n", Some(5)));
}

#[test]
fn a_leader_that_ends_between_stops_is_no_harm() {
    for _ in 0..30 {
        let mut target = Target::spawn({
            let mut command = std::process::Command::new(support::program());
            command.args(["leader-ends"]);
            command
        });
        let mut tracee = tracee(&target);
        target.until("ready");
        for _ in 0..20 {
            drop(tracee.stop(later()).unwrap());
        }
        target.end_input();
        drop(tracee);
        let (said, status) = target.rest();
        assert_eq!((said.as_str(), status.code()), ("outlived\n", Some(5)));
    }
}

#[test]
fn a_stopped_thread_says_where_it_is() {
    let target = Target::start("timed read 0");
    until("it waits", || state(target.pid()) == Some('S'));
    let mut tracee = tracee(&target);
    let stop = tracee.stop(later()).unwrap();
    let thread = stop.threads().next().unwrap();
    let call = thread.registers().system_call().unwrap();
    assert_eq!((call.number, call.arguments[2]), (libc::SYS_read, 1));
    assert_eq!(thread.ptrace_stop(), PtraceStop::Interrupt);
    let mut top = [0; 64];
    assert_eq!(stop.memory().read(thread.registers().stack_pointer(), &mut top).unwrap(), 64);
    let timing = stop.detach();
    assert_eq!(timing.pause(), timing.stop + timing.sample + timing.resume);
    assert!(timing.stop > Duration::ZERO && timing.resume > Duration::ZERO);
}
