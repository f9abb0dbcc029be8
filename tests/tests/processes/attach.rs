//! `attach` watches what runs already and leaves it as it was.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use seepmeter_record::{End, TargetOrigin};
use seepmeter_tests::{
    Recording, Run, RunningProgram, copy_seepmeter, eventually, not_run, recorded, run, run_target,
    seepmeter, words,
};

/// A target that holds 4 MiB until its input ends, and its pid.
fn target() -> (RunningProgram, i32) {
    let target = run_target("hold", words!["4", "1"]).start();
    let pid = target.number("ready", 1);
    (target, pid)
}

fn attach(pid: i32, flags: &[&str]) -> Run {
    let words = words!["attach"].into_iter().chain(flags.iter().map(Into::into));
    seepmeter(words.chain(words![pid.to_string()]))
}

#[test]
fn attach_ends_when_its_process_ends() {
    let (_folder, path, sink) = recorded();
    let (target, pid) = target();
    let running = attach(pid, &["-i", "5ms", "-o", &sink]).start();
    let _ = Recording::await_samples(&path, 4);
    let _ = target.finish().expect(0);
    let done = running.finish().expect(0);
    assert!(done.err().contains("ended"), "{}", done.output());
    let recording = Recording::read(&path);
    assert_eq!(recording.header().targets[0].origin, TargetOrigin::Pid(pid));
    assert_eq!(recording.target_pid(), pid);
    assert_eq!(recording.end(), End::Gone);
    assert_eq!(recording.events("attached").len(), 1);
    assert_eq!(recording.events("gone").len(), 1);
    assert!(recording.largest("rss") > 4 << 20);
}

#[test]
fn attach_ends_at_its_duration_and_leaves_the_process_running() {
    let (mut target, pid) = target();
    let done = attach(pid, &["-q", "-i", "5ms", "-d", "100ms"]).done().expect(0);
    assert!(done.err().contains("still running"), "{}", done.output());
    assert!(target.runs());
    let _ = target.finish().expect(0);
}

/// Three hundred samples are wanted, and there are four: those of 0 to 3 s.
#[test]
fn the_remaining_time_is_estimated_from_a_few_samples_and_the_last_line_is_printed_once() {
    let (target, pid) = target();
    let done = attach(pid, &["-i", "1s", "-d", "3s"]).done().expect(0);
    let _ = target.finish().expect(0);
    let err = done.err();
    let (_, rest) =
        err.split_once("not enough data yet; needs ").unwrap_or_else(|| panic!("{err}"));
    let (needs, _) = rest.split_once(" more (or `-i 300ms`: ").unwrap_or_else(|| panic!("{err}"));
    assert!(["4 m 55 s", "4 m 56 s", "4 m 57 s", "4 m 58 s"].contains(&needs), "{err}");
    // The end of the duration is a tick as well as the end.
    let lines: Vec<&str> = err.lines().filter(|line| line.contains(" s  rss ")).collect();
    assert_eq!(lines.len(), 4, "{err}");
}

#[test]
fn the_remaining_time_is_estimated_from_the_second_sample_on() {
    let (target, pid) = target();
    let running = attach(pid, &["-i", "1s"]).start();
    eventually("two lines", || (running.error_lines(" s  rss ").len() == 2).then_some(()));
    running.signal(Signal::SIGINT);
    let done = running.finish().expect(0);
    let _ = target.finish().expect(0);
    let needs = ["4 m 57 s", "4 m 58 s", "4 m 59 s"];
    let said = |needs: &&str| done.err().contains(&format!("yet; needs {needs} more"));
    assert!(needs.iter().any(said), "{}", done.output());
}

#[test]
fn an_attach_that_ends_at_a_tick_has_one_sample_there() {
    let (target, pid) = target();
    // The duration is over just after the last tick, and never before it.
    let flags = ["-i", "1s", "-d", "2010ms", "--no-summary", "-o", "text,style=pages,path=-"];
    let done = attach(pid, &flags).done().expect(0);
    let out = done.out();
    assert_eq!(out.lines().count(), 3, "{out}");
    let _ = target.finish().expect(0);
}

#[test]
fn attach_ends_well_at_a_signal_and_sends_none_on() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let target = run_target("catch-signals", []).start();
        let pid = target.number("ready", 1);
        let running = attach(pid, &["-i", "5ms"]).start();
        let _ = running.error_line("rss");
        running.signal(signal);
        let done = running.finish().expect(0);
        assert!(done.err().contains("still running"), "{}", done.output());
        assert_eq!(target.finish().expect(0).out(), format!("ready {pid}\ndone\n"));
    }
}

/// A shell starts background jobs of scripts with INT and QUIT ignored, and nohup ignores HUP: Ctrl-C
/// and the end of the terminal are then none of seepmeter's business.
#[test]
fn attach_goes_on_at_signals_that_it_was_started_to_ignore() {
    let (target, pid) = target();
    let ignored = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];
    let mut running = attach(pid, &["-i", "5ms"])
        .before_exec(move || {
            for signal in ignored {
                // SAFETY: SIG_IGN runs no code of ours.
                unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }?;
            }
            Ok(())
        })
        .start();
    let _ = running.error_line("rss");
    for signal in ignored {
        running.signal(signal);
    }
    eventually("further lines", || {
        (!running.runs() || running.error_lines("rss").len() > 30).then_some(())
    });
    assert!(running.runs(), "it ended at a signal that it should ignore");
    let _ = target.finish().expect(0);
    let _ = running.finish().expect(0);
}

#[test]
fn attach_to_a_thread_names_its_process() {
    let (target, pid) = target();
    let tid = target.number("ready", 2);
    let parts = [format!("{tid} is a thread"), format!("attach to {pid}")];
    let _ = attach(tid, &[]).done().expect_complaint(125, &[&parts[0], &parts[1]]);
    let _ = target.finish().expect(0);
}

#[test]
fn attach_to_a_zombie_says_that_it_has_ended() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id() as i32;
    eventually("it is a zombie", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.contains(") Z ").then_some(())
    });
    let _ = attach(pid, &[]).done().expect_complaint(125, &[&pid.to_string(), "has ended"]);
    child.wait().unwrap();
}

#[test]
fn attach_to_a_thread_of_the_kernel_says_that_it_has_no_memory() {
    // kthreadd, if this pid namespace has it.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n") {
        let _ = attach(2, &[]).done().expect_complaint(125, &["kthreadd", "kernel"]);
    } else {
        not_run("attach to a thread of the kernel", "this pid namespace shows none");
    }
}

#[test]
fn attach_works_as_another_user_as_far_as_procfs_lets_it() {
    if !Uid::effective().is_root() {
        return not_run("attach as another user", "needs root");
    }
    let copy = Copy::new();
    let (target, pid) = target();
    let done =
        copy.attach(pid, &["-q", "-i", "5ms", "-d", "100ms"]).before_exec(become_nobody).done();
    assert!(done.err().contains("rss "), "statm is for everybody\n{}", done.output());
    let _ = done.expect(0);
    let refused =
        copy.attach(pid, &["-s", "statm,peak=interval"]).before_exec(become_nobody).done();
    let _ = refused.expect_complaint(125, &["clear_refs", "Permission denied", "peak=run"]);
    let refused = copy.attach(pid, &["-s", "smaps"]).before_exec(become_nobody).done();
    let _ = refused.expect_complaint(125, &["/smaps: permission denied", "CAP_SYS_PTRACE"]);
    let refused = copy.attach(pid, &["-s", "fds"]).before_exec(become_nobody).done();
    let parts = ["/fd: permission denied; a process's descriptors are shown to its own user"];
    let _ = refused.expect_complaint(125, &parts);
    let _ = target.finish().expect(0);
}

#[test]
fn trap_11_attach_to_a_process_that_hidepid_hides_names_hidepid() {
    if !Uid::effective().is_root() {
        return not_run("hidepid", "needs root");
    }
    if let Err(error) = run("/bin/true", []).before_exec(mount_hidden).try_start() {
        return not_run("hidepid", &format!("procfs can't be mounted with it: {error}"));
    }
    let copy = Copy::new();
    let (target, pid) = target();
    let hidden = copy.attach(pid, &[]).before_exec(mount_hidden).before_exec(become_nobody);
    let _ = hidden.done().expect_complaint(125, &[&pid.to_string(), "hidepid"]);
    let _ = target.finish().expect(0);
}

/// Procfs anew in a mount namespace of its own, where other users' processes are not shown.
fn mount_hidden() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("hidepid=2"))?;
    Ok(())
}

fn become_nobody() -> io::Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(65534))?;
    setuid(Uid::from_raw(65534))?;
    Ok(())
}

/// A copy of the command where every user may execute it.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let mode = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        copy_seepmeter(&folder.path().join("seepmeter"));
        Self(folder)
    }

    fn attach(&self, pid: i32, flags: &[&str]) -> Run {
        let words = words!["attach"].into_iter().chain(flags.iter().map(Into::into));
        run(self.0.path().join("seepmeter"), words.chain(words![pid.to_string()]))
    }
}
