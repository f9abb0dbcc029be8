//! System calls end as without a tracer: no EINTR that would not have been, and no later.
//!
//! Traps 34 and 35.

mod support;

use std::time::Duration;

use support::{Target, later, state, stop_again_and_again, tracee, until};

/// Every call that waits.
const CALLS: [&str; 17] = [
    "poll",
    "ppoll",
    "select",
    "nanosleep",
    "clock_nanosleep",
    "futex",
    "read",
    "recv",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "sigtimedwait",
    "semtimedop",
    "io_getevents",
    // Not by the C library.
    "inline",
    // Of sockets that wait for a limited time.
    "recv-limited",
    "accept-limited",
];

fn number(said: &str, name: &str) -> f64 {
    let mut words = said.split_ascii_whitespace();
    words.find(|word| *word == name).unwrap_or_else(|| panic!("no {name} in {said:?}"));
    words.next().unwrap().parse().unwrap()
}

#[test]
fn trap_34_no_call_gives_eintr_that_would_not_without_a_tracer() {
    for call in CALLS {
        let target = Target::start(&format!("counted {call} 20"));
        let stops = stop_again_and_again(target.pid(), Duration::from_micros(700), |n| n == 150);
        assert_eq!(stops, 150);
        let (said, status) = target.rest();
        assert_eq!(status.code(), Some(0), "{call}: {said}");
        assert_eq!(number(&said, "eintr"), 0.0, "{call}: {said}");
        assert!(number(&said, "calls") > 3.0, "{call}: {said}");
    }
}

/// A call that is restarted at each stop must not begin its time anew at each. 700 ms under stops every
/// 100 ms would never end.
#[test]
fn a_wait_that_is_interrupted_again_and_again_is_over_when_it_should_be() {
    for call in CALLS.into_iter().filter(|call| !matches!(*call, "read" | "recv")) {
        let target = Target::start(&format!("timed {call} 700"));
        let stops =
            stop_again_and_again(target.pid(), Duration::from_millis(100), |_| target.has_ended());
        assert!((3..=9).contains(&stops), "{call}: {stops} stops");
        let (said, _) = target.rest();
        let took = number(&said, "took");
        // If its time can't be shortened, it ends at the first stop after its time.
        let is_shortened = !matches!(call, "inline" | "recv-limited" | "accept-limited");
        let late = if is_shortened { 100.0 } else { 250.0 };
        assert!((700.0..700.0 + late).contains(&took), "{call}: {said}");
        assert!(!said.contains("EINTR"), "{call}: {said}");
    }
}

/// The first stop that sees a call must know how long it has waited, for a stop a second would otherwise
/// make many a timer late by nearly a second.
#[test]
fn a_wait_that_is_interrupted_once_is_over_when_it_should_be() {
    for call in ["epoll_wait", "epoll_pwait2", "semtimedop", "nanosleep"] {
        let target = Target::start(&format!("timed {call} 1000"));
        until("it waits", || state(target.pid()) == Some('S'));
        std::thread::sleep(Duration::from_millis(700));
        stop_again_and_again(target.pid(), Duration::ZERO, |stops| stops == 1);
        let (said, _) = target.rest();
        assert!((1000.0..1200.0).contains(&number(&said, "took")), "{call}: {said}");
    }
}

#[test]
fn a_wait_for_ever_stays_one() {
    for call in ["epoll_wait", "epoll_pwait2", "sigtimedwait", "semtimedop", "io_getevents"] {
        let target = Target::start(&format!("timed {call} -1"));
        until("it waits", || state(target.pid()) == Some('S'));
        let mut tracee = tracee(&target);
        for _ in 0..50 {
            drop(tracee.stop(later()).unwrap());
        }
        drop(tracee);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(state(target.pid()), Some('S'), "{call} has ended");
    }
}

/// A handler ends the calls that it would have ended, and no others.
#[test]
fn in_a_storm_of_signals_calls_end_as_without_a_tracer() {
    let rounds = 300.0;
    for (words, ends) in [
        ("storm epoll_wait 300", true),
        ("storm-restart epoll_wait 300", true),
        ("storm read 300", true),
        ("storm-restart read 300", false),
        ("storm sigtimedwait 300", true),
        ("storm nanosleep 300", true),
    ] {
        let target = Target::start(words);
        let stops =
            stop_again_and_again(target.pid(), Duration::from_micros(300), |_| target.has_ended());
        assert!(stops > 20, "{words}: {stops} stops");
        let (said, status) = target.rest();
        assert_eq!(status.code(), Some(0), "{words}: {said}");
        assert_eq!(number(&said, "spurious"), 0.0, "{words}: {said}");
        assert_eq!(number(&said, "eintr"), if ends { rounds } else { 0.0 }, "{words}: {said}");
    }
}

/// Trap 35: while it is traced, signals that it ignores wake it too.
#[test]
fn trap_35_signals_that_are_ignored_end_no_call() {
    let target = Target::start("ignored");
    let stops = stop_again_and_again(target.pid(), Duration::from_micros(500), |n| n == 400);
    assert_eq!(stops, 400);
    assert_eq!(target.rest().0, "eintr 0\n");
}
