//! Signals, job control and processes that execute others, under stops all the time.

mod support;

use std::process::Command;
use std::time::Duration;

use seepmeter_tracer::{Halt, Tracee};
use support::{Target, later, state, status, stop_again_and_again, tracee, until};

fn signal(pid: i32, signal: i32) {
    // SAFETY: a signal to a child of ours that is not reaped yet.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Trap 36: a SIGTRAP of the target's own, beside the SIGTRAP by which a halt is told.
#[test]
fn no_sigtrap_of_the_targets_own_is_lost() {
    let target = Target::start("traps 3000");
    stop_again_and_again(target.pid(), Duration::from_micros(200), |_| target.has_ended());
    assert_eq!(target.rest().0, "handled 3000\n");
}

/// Trap 18: real-time signals come all, in their order, and with what they were sent with.
#[test]
fn real_time_signals_are_passed_on_unchanged() {
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

/// What waitid(2) tells the parent of job control. None where there is nothing to tell.
fn told(pid: i32) -> Option<(i32, i32)> {
    // SAFETY: zeros are a good siginfo_t, and the kernel writes to it.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let kinds = libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
        assert_eq!(libc::waitid(libc::P_PID, pid.cast_unsigned(), &raw mut info, kinds), 0);
        (info.si_pid() != 0).then(|| (info.si_code, info.si_status()))
    }
}

/// Runs the tracer in a process of its own, for the tests whose process is the parent.
fn stops_by_another(pid: i32, stops: u32) {
    let tracer = env!("CARGO_BIN_EXE_tracer-test-tracer");
    let output = Command::new(tracer).args([pid.to_string(), stops.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stopped_process_is_looked_at_and_stays_stopped_and_its_parent_notices_nothing() {
    for number in [libc::SIGSTOP, libc::SIGTSTP] {
        let target = Target::start("idle 4");
        let pid = target.pid();
        signal(pid, number);
        until("its parent is told of the stop", || told(pid) == Some((libc::CLD_STOPPED, number)));
        stops_by_another(pid, 20);
        std::thread::sleep(Duration::from_millis(10));
        for tid in target.threads() {
            assert_eq!((state(tid), status(tid, "TracerPid").as_deref()), (Some('T'), Some("0")));
        }
        assert_eq!(told(pid), None);
        signal(pid, libc::SIGCONT);
        until("its parent is told that it goes on", || {
            told(pid) == Some((libc::CLD_CONTINUED, libc::SIGCONT))
        });
        until("it runs", || state(pid) == Some('S'));
        stops_by_another(pid, 20);
        assert_eq!(told(pid), None);
        assert_eq!(target.rest().0, "done\n");
    }
}

#[test]
fn the_halt_of_a_stopped_process_says_so() {
    let target = Target::start("idle 2");
    signal(target.pid(), libc::SIGSTOP);
    until("it is stopped", || target.threads().into_iter().all(|tid| state(tid) == Some('T')));
    let mut tracee = tracee(&target);
    let stop = tracee.stop(later()).unwrap();
    let halts: Vec<Halt> = stop.threads().map(|thread| thread.halt()).collect();
    assert_eq!(halts, [Halt::Group(libc::SIGSTOP), Halt::Group(libc::SIGSTOP)]);
    stop.detach();
    signal(target.pid(), libc::SIGCONT);
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
                signal(pid, libc::SIGSTOP);
                std::thread::sleep(Duration::from_micros(700));
                signal(pid, libc::SIGCONT);
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
    let mut tracee = Tracee::new(pid, seepmeter_tracer::Options::default()).unwrap();
    let stop = tracee.stop(later()).unwrap();
    signal(pid, libc::SIGKILL);
    stop.detach();
    assert!(tracee.settle(later()));
    // The tracer is this thread still, and has left nothing in the parent's way.
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&target.rest().1), Some(9));
}
