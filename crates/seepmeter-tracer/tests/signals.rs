//! Signals, job control and processes that execute others, under stops all the time.

mod support;
#[path = "support/tracer.rs"]
#[allow(dead_code, clippy::exit, unreachable_pub, reason = "several test programs use parts of it")]
mod tracer;

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use seepmeter_tracer::{PtraceStop, Tracee};
use support::{Target, later, signal, state, status, stop_again_and_again, tracee, until};
use tracer::{Instructions, own_program};

/// Trap 36: a SIGTRAP of the target's own, beside the SIGTRAP of a ptrace-stop.
#[test]
fn trap_36_no_sigtrap_of_the_targets_own_is_lost() {
    let target = Target::start("traps 3000");
    stop_again_and_again(target.pid(), Duration::from_micros(200), |_| target.has_ended());
    assert_eq!(target.rest().0, "handled 3000\n");
}

/// Trap 18: real-time signals come all, in their order, and with what they were sent with.
#[test]
fn trap_18_real_time_signals_are_passed_on_unchanged() {
    let target = Target::start("real-time 2000");
    stop_again_and_again(target.pid(), Duration::from_micros(200), |_| target.has_ended());
    assert_eq!(target.rest().0, "taken 2000 misordered 0\n");
}

/// Trap 18: the signals 32 and 33, which glibc keeps for itself.
#[test]
fn glibcs_own_signals_are_passed_on() {
    let target = Target::start("glibcs-own 300");
    stop_again_and_again(target.pid(), Duration::from_micros(200), |_| target.has_ended());
    assert_eq!(target.rest().0, "cancelled 300 failed 0\n");
}

/// What a wait of its parent returns of job control.
fn job_control(pid: i32) -> WaitStatus {
    let kinds = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    waitid(Id::Pid(Pid::from_raw(pid)), kinds).unwrap()
}

/// Runs the tracer in a process of its own, for the tests whose process is the parent.
fn stops_by_another(pid: i32, stops: u32) {
    let instructions = Instructions { pid, stops, pause: Duration::from_millis(1) };
    let output = instructions.command(&own_program()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stopped_process_is_sampled_and_stays_stopped_and_its_parent_notices_nothing() {
    for stop in [Signal::SIGSTOP, Signal::SIGTSTP] {
        let target = Target::start("idle 4");
        let pid = target.pid();
        let process = Pid::from_raw(pid);
        signal(pid, stop);
        let stopped = WaitStatus::Stopped(process, stop);
        until("its parent sees the stop", || job_control(pid) == stopped);
        stops_by_another(pid, 20);
        std::thread::sleep(Duration::from_millis(10));
        for tid in target.threads() {
            assert_eq!((state(tid), status(tid, "TracerPid").as_deref()), (Some('T'), Some("0")));
        }
        assert_eq!(job_control(pid), WaitStatus::StillAlive);
        signal(pid, Signal::SIGCONT);
        let continued = WaitStatus::Continued(process);
        until("its parent sees that it continues", || job_control(pid) == continued);
        until("it runs", || state(pid) == Some('S'));
        stops_by_another(pid, 20);
        assert_eq!(job_control(pid), WaitStatus::StillAlive);
        assert_eq!(target.rest().0, "done\n");
    }
}

#[test]
fn a_stopped_process_is_in_a_group_stop() {
    let target = Target::start("idle 2");
    signal(target.pid(), Signal::SIGSTOP);
    until("it is stopped", || target.threads().into_iter().all(|tid| state(tid) == Some('T')));
    let mut tracee = tracee(&target);
    let stop = tracee.stop(later()).unwrap();
    let stops: Vec<PtraceStop> = stop.threads().map(|thread| thread.ptrace_stop()).collect();
    assert_eq!(stops, [PtraceStop::Group(libc::SIGSTOP), PtraceStop::Group(libc::SIGSTOP)]);
    stop.detach();
    signal(target.pid(), Signal::SIGCONT);
    assert_eq!(target.rest().0, "done\n");
}

/// Signals of job control in quick succession, at whatever point of a stop they come.
#[test]
fn job_control_under_stops_all_the_time_works() {
    let target = Target::start("idle 4");
    let pid = target.pid();
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            for _ in 0..100 {
                signal(pid, Signal::SIGSTOP);
                std::thread::sleep(Duration::from_micros(700));
                signal(pid, Signal::SIGCONT);
                std::thread::sleep(Duration::from_micros(700));
            }
        });
        stop_again_and_again(pid, Duration::from_micros(100), |_| sender.is_finished());
        sender.join().unwrap();
    });
    until("it runs", || state(pid) == Some('S'));
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn an_exec_by_a_thread_that_is_not_the_leader_works_at_any_moment() {
    for after in (0..2000).step_by(40) {
        let target = Target::start(&format!("executes {after}"));
        stop_again_and_again(target.pid(), Duration::from_micros(50), |_| target.has_ended());
        let (said, status) = target.rest();
        assert_eq!((said.as_str(), status.code()), ("executed\n", Some(3)), "after {after} µs");
    }
}

#[test]
fn a_program_that_is_killed_during_a_stop_has_ended_for_its_parent_at_once() {
    let target = Target::start("idle 8");
    let pid = target.pid();
    let mut tracee = Tracee::new(pid, seepmeter_tracer::TraceeOptions::default()).unwrap();
    let stop = tracee.stop(later()).unwrap();
    signal(pid, Signal::SIGKILL);
    stop.detach();
    assert!(tracee.settle(later()));
    // The tracer is this thread still, and has left nothing in the parent's way.
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&target.rest().1), Some(9));
}
