//! ExitWait: of the target beside a host that reaps it, and of a tracer that is killed.

mod support;
#[path = "support/tracer.rs"]
#[allow(dead_code, clippy::exit, unreachable_pub, reason = "several test programs use parts of it")]
mod tracer;

use std::io::Read;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use support::{Target, long, program, state, status, stop_again_and_again, until};
use tracer::{Instructions, own_program};

/// Trap 16: the process that spawned the target waits for its end in one thread, and traces in another.
/// The tracer takes neither the target's end nor its status away, and the host none of the stops.
#[test]
fn the_host_reaps_and_the_tracer_does_not() {
    for _ in 0..20 {
        let mut child = Command::new(program()).arg("work").stdout(Stdio::piped()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let stops = std::thread::scope(|scope| {
            let tracer =
                scope.spawn(|| stop_again_and_again(pid, Duration::from_micros(300), |_| false));
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(said.lines().count(), 13);
            poll_end(pid);
            // The tracer must have left the status where it is.
            assert_eq!(child.wait().unwrap().code(), Some(7));
            tracer.join().unwrap()
        });
        assert!(stops > 5, "{stops} stops");
    }
}

/// Waits until the process's pidfd says that it has ended.
fn poll_end(pid: i32) {
    // SAFETY: the call takes numbers alone. (nix has no pidfd_open.)
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    assert!(pidfd >= 0);
    // SAFETY: the kernel has just given it to us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let mut entry = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut entry, 60_000u16), Ok(1));
}

/// As the one above, but the tracer goes on stopping threads while the process ends.
#[test]
fn a_process_that_ends_in_the_middle_of_a_stop_has_ended_for_its_parent() {
    for _ in 0..30 {
        let mut target = Target::start("births");
        let pid = target.pid();
        let (ended, end) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                stop_again_and_again(pid, Duration::ZERO, |_| end.try_recv().is_ok());
            });
            std::thread::sleep(Duration::from_millis(10));
            target.end_input();
            let (said, status) = target.rest();
            let _ = ended.send(());
            assert_eq!((said.as_str(), status.code()), ("all ran\n", Some(0)));
        });
    }
}

/// Starts a tracer that stops the process all the time.
fn tracer_of(pid: i32) -> Child {
    let instructions = Instructions { pid, stops: 1_000_000, pause: Duration::ZERO };
    instructions.command(&own_program()).spawn().unwrap()
}

fn alone() -> String {
    let output = Command::new(program()).arg("work").output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    String::from_utf8(output.stdout).unwrap()
}

/// Trap 22 and 20: a tracer that is killed leaves a target that runs on, with the same output and the
/// same exit status. The moments are random; 200 of them in the long tests.
#[test]
fn trap_22_a_tracer_killed_at_any_moment_leaves_the_target_unharmed() {
    let alone = alone();
    let kills = if long() { 200 } else { 25 };
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut while_traced = 0;
    for round in 0..kills {
        let mut target = Target::spawn({
            let mut command = Command::new(program());
            command.arg("work");
            command
        });
        let pid = target.pid();
        let mut tracer = tracer_of(pid);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let first = target.line();
        std::thread::sleep(Duration::from_micros(seed % 30_000));
        let traced = status(pid, "TracerPid").is_some_and(|tracer| tracer != "0");
        while_traced += u32::from(traced);
        tracer.kill().unwrap();
        tracer.wait().unwrap();
        let (rest, status) = target.rest();
        assert_eq!(format!("{first}\n{rest}"), alone, "round {round}");
        assert_eq!(status.code(), Some(7), "round {round}");
    }
    assert!(while_traced * 4 > kills, "only {while_traced} of {kills} were killed while tracing");
}

/// The same for one that is surely stopped at the moment: nothing is left stopped.
#[test]
fn a_tracer_killed_while_the_target_is_stopped_lets_it_go() {
    let target = Target::start("idle 64");
    let pid = target.pid();
    for _ in 0..20 {
        let mut tracer = tracer_of(pid);
        until("it is stopped", || state(pid) == Some('t'));
        tracer.kill().unwrap();
        tracer.wait().unwrap();
        for tid in target.threads() {
            until("it runs on", || state(tid) == Some('S'));
            assert_eq!(status(tid, "TracerPid").as_deref(), Some("0"));
        }
    }
    assert_eq!(target.rest().0, "done\n");
}
