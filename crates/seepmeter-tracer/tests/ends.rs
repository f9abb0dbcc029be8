//! Ends: of the target beside a host that reaps it, and of a tracer that is killed.

mod support;

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use support::{Target, long, program, state, status, stop_again_and_again, until};

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
    // SAFETY: a descriptor of our own, of a child that is not reaped yet.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        assert!(pidfd >= 0);
        let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        assert_eq!(libc::poll(&raw mut poll, 1, 60_000), 1);
        libc::close(pidfd);
    }
}

/// As the one above, where the tracer goes on stopping threads while the process ends.
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

fn alone() -> String {
    let output = Command::new(program()).arg("work").output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    String::from_utf8(output.stdout).unwrap()
}

/// Trap 22 and 20: a tracer that is killed leaves a target that runs on, with the same output and the
/// same exit status. The moments are random; 200 of them in the long tests.
#[test]
fn a_tracer_killed_at_any_moment_leaves_the_target_unharmed() {
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
        let mut tracer = Command::new(env!("CARGO_BIN_EXE_tracer-test-tracer"))
            .args([pid.to_string(), "1000000".to_owned(), "0".to_owned()])
            .spawn()
            .unwrap();
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

/// The same for one that is stopped for good at the moment: nothing is left halted.
#[test]
fn a_tracer_killed_while_the_target_stands_still_lets_it_go() {
    let target = Target::start("idle 64");
    let pid = target.pid();
    for _ in 0..20 {
        let mut tracer = Command::new(env!("CARGO_BIN_EXE_tracer-test-tracer"))
            .args([pid.to_string(), "1000000".to_owned(), "0".to_owned()])
            .spawn()
            .unwrap();
        until("it is halted", || state(pid) == Some('t'));
        tracer.kill().unwrap();
        tracer.wait().unwrap();
        for tid in target.threads() {
            until("it runs on", || state(tid) == Some('S'));
            assert_eq!(status(tid, "TracerPid").as_deref(), Some("0"));
        }
    }
    assert_eq!(target.rest().0, "done\n");
}
