//! What can't be traced is refused with the reason and the next step, and comes to no harm.

mod support;
#[path = "support/tracer.rs"]
#[allow(dead_code, clippy::exit, unreachable_pub, reason = "several test programs use parts of it")]
mod tracer;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use seepmeter_tracer::{TraceError, Tracee, TraceeOptions};
use support::{Target, compile, not_run, program, state, until};
use tracer::{Instructions, own_program};

/// Some user that is not root.
const NOBODY: u32 = 65534;

fn error(pid: i32) -> TraceError {
    Tracee::new(pid, TraceeOptions::default()).unwrap_err()
}

#[test]
fn a_process_that_is_traced_already_is_refused_with_its_tracer() {
    let target = Target::start("idle 2");
    let mut gdb = match Command::new("gdb")
        .args(["-nx", "-q", "-batch", "-ex", "shell cat", "-p", &target.pid().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
    {
        Ok(gdb) => gdb,
        Err(error) => return not_run(&format!("gdb: {error}")),
    };
    until("gdb has it", || {
        support::status(target.pid(), "TracerPid") == Some(gdb.id().to_string())
    });
    let error = error(target.pid());
    assert!(
        matches!(&error, TraceError::Traced { tracer, name, .. }
            if *tracer == gdb.id().cast_signed() && name == "gdb"),
        "{error:?}"
    );
    assert!(error.to_string().contains(&format!("by process {} (gdb)", gdb.id())), "{error}");
    drop(gdb.stdin.take());
    gdb.wait().unwrap();
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn a_process_that_has_gone_and_one_that_only_waits_to_be_reaped_are_refused() {
    let mut command = Command::new(program());
    command.args(["say", "x"]);
    let target = Target::spawn(command);
    let pid = target.pid();
    until("it is a zombie", || state(pid) == Some('Z'));
    assert!(matches!(error(pid), TraceError::Gone { .. }));
    drop(target);
    assert!(matches!(error(pid), TraceError::Gone { .. }));
}

#[test]
fn the_tracers_own_process_is_refused() {
    assert!(matches!(error(std::process::id().cast_signed()), TraceError::Own { .. }));
}

#[test]
fn a_kernel_thread_is_refused() {
    if support::status(2, "Name").as_deref() != Some("kthreadd") {
        return not_run("there are no kernel threads here");
    }
    let error = error(2);
    assert!(matches!(&error, TraceError::Kernel { name, .. } if name == "kthreadd"), "{error:?}");
}

/// Runs the tracer of the tests as somebody who may trace little; returns what it says.
fn as_nobody(pid: i32) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        not_run("only root can become another user");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    // A user who may not enter our folders can execute a copy elsewhere.
    let tracer = folder.path().join("tracer");
    std::fs::copy(own_program(), &tracer).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let instructions = Instructions { pid, stops: 1, pause: Duration::ZERO };
    let output = instructions.command(&tracer).uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(!output.status.success());
    Some(String::from_utf8(output.stderr).unwrap())
}

#[test]
fn another_users_process_is_refused() {
    let target = Target::start("idle 1");
    let Some(said) = as_nobody(target.pid()) else { return };
    assert!(said.contains("belongs to user 0, and the tracer runs as user 65534"), "{said}");
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn a_process_that_is_not_dumpable_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("target");
    std::fs::copy(program(), &copy).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let mut command = Command::new(&copy);
    if !nix::unistd::geteuid().is_root() {
        return not_run("only root can become another user");
    }
    command.arg("not-dumpable").uid(NOBODY).gid(NOBODY);
    let mut target = Target::spawn(command);
    target.until("ready");
    let said = as_nobody(target.pid()).unwrap();
    assert!(said.contains("has made itself not dumpable"), "{said}");
    // And root may.
    assert!(Tracee::new(target.pid(), TraceeOptions::default()).is_ok());
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn a_32_bit_process_is_refused_and_runs_on() {
    let path = match compile("target.c", &["-m32", "-static"]) {
        Ok(path) => path,
        Err(why) => return not_run(&format!("no compiler for 32-bit programs: {why}")),
    };
    let mut command = Command::new(&path);
    command.args(["idle", "3"]);
    let mut target = Target::spawn(command);
    std::fs::remove_file(&path).unwrap();
    target.until("ready");
    let error = error(target.pid());
    assert!(matches!(error, TraceError::ThirtyTwoBit { .. }), "{error:?}");
    assert!(!target.has_ended());
    assert_eq!(target.rest().0, "done\n");
}

#[test]
fn yamas_scope_is_explained() {
    let knob = "/proc/sys/kernel/yama/ptrace_scope";
    let Ok(scope) = std::fs::read_to_string(knob) else {
        return not_run("this kernel has no Yama");
    };
    if scope.trim() == "0" {
        return not_run("ptrace_scope is 0");
    }
    // A child of another process of the same user.
    let mut shell = Command::new("sh")
        .args(["-c", "cat & echo $!; wait"])
        .uid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if let Some(said) = as_nobody(line.trim().parse().unwrap()) {
        assert!(said.contains(knob), "{said}");
    }
    drop(shell.stdin.take());
    shell.wait().unwrap();
}
