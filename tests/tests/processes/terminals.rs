//! Trap 15: under a real terminal, Ctrl-C and Ctrl-Z mean what they always do.

use seepmeter_record::End;
use seepmeter_tests::{
    Recording, RunningProgram, Terminal, eventually, recorded, run, run_target, seepmeter,
    seepmeter_path, test_target, words,
};

#[test]
fn ctrl_c_reaches_the_target_once_and_seepmeter_stays_to_the_end() {
    let mut running =
        seepmeter(words!["run", "-q", "--", test_target(), "catch-signals"]).on_terminal().start();
    let _ = running.line("ready");
    running.type_keys(Terminal::CTRL_C);
    let _ = running.line("SIGINT");
    running.type_keys(Terminal::CTRL_BACKSLASH);
    let _ = running.line("SIGQUIT");
    assert!(running.runs());
    running.type_keys(Terminal::CTRL_D);
    let done = running.finish().expect(0);
    let printed = done.out();
    for signal in ["SIGINT", "SIGQUIT"] {
        assert_eq!(printed.matches(signal).count(), 1, "{printed}");
    }
    assert!(printed.contains("exited with status 0"), "{printed}");
}

#[test]
fn ctrl_c_that_ends_the_target_still_gives_the_summary_and_130() {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-i", "5ms", "-o", sink, "--", test_target(), "hold", "1"];
    let mut running = seepmeter(words).on_terminal().start();
    let _ = running.line("ready");
    running.type_keys(Terminal::CTRL_C);
    let done = running.finish().expect(130);
    assert!(done.out().contains("killed by signal 2 (SIGINT)"), "{}", done.output());
    let recording = Recording::read(&path);
    assert_eq!(recording.end(), End::Killed(2));
    assert_eq!(recording.events("forwarded").len(), 0);
}

#[test]
fn ctrl_c_ends_an_attach_and_leaves_its_process_alone() {
    let mut target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1);
    let mut running =
        seepmeter(words!["attach", "-i", "10ms", pid.to_string()]).on_terminal().start();
    eventually("a live line", || running.said().contains("rss").then_some(()));
    running.type_keys(Terminal::CTRL_C);
    let done = running.finish().expect(0);
    assert!(done.out().contains("still running"), "{}", done.output());
    assert!(target.runs());
    let _ = target.finish().expect(0);
}

#[test]
fn trap_15_ctrl_z_stops_seepmeter_and_its_target_and_fg_lets_both_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let mut shell = shell();
    shell.say(&format!(
        "{} run -q -i 5ms -o jsonl,path={} -- {} catch-signals; echo status=$?",
        seepmeter_path().display(),
        path.display(),
        test_target().display(),
    ));
    let target = shell.number("ready", 1);
    let seepmeter = parent_of(target);
    let _ = Recording::await_samples(&path, 1);
    shell.type_keys(Terminal::CTRL_Z);
    eventually("both are stopped", || {
        (state(target) == 'T' && state(seepmeter) == 'T').then_some(())
    });
    let _ = shell.line("status=");
    shell.say("echo back-at-the-shell");
    let _ = shell.line("back-at-the-shell");
    shell.say("fg; echo fg-status=$?");
    eventually("both go on", || (state(target) != 'T' && state(seepmeter) != 'T').then_some(()));
    let _ = shell.line("SIGCONT");
    shell.type_keys(Terminal::CTRL_C);
    let _ = shell.line("SIGINT");
    shell.type_keys(Terminal::CTRL_D);
    assert_eq!(shell.line("fg-status="), "fg-status=0");
    shell.say("exit");
    let done = shell.finish().expect(0);
    assert_eq!(done.out().matches("SIGCONT").count(), 1, "{}", done.output());
    let recording = Recording::read(&path);
    assert_eq!(recording.end(), End::Exited(0));
    assert_eq!(recording.events("continued").len(), 1);
}

#[test]
fn trap_15_a_target_that_is_stopped_alone_is_watched_on_and_has_not_ended() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let (_folder, path, sink) = recorded();
    let mut running =
        seepmeter(words!["run", "-i", "5ms", "-o", sink, "--", test_target(), "hold", "4"]).start();
    let target = running.number("ready", 1);
    kill(Pid::from_raw(target), Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || (state(target) == 'T').then_some(()));
    let before = std::fs::read_to_string(&path).unwrap().matches("{\"sample\"").count();
    eventually("samples go on", || {
        let text = std::fs::read_to_string(&path).unwrap();
        (text.matches("{\"sample\"").count() > before + 20).then_some(())
    });
    assert!(running.runs());
    kill(Pid::from_raw(target), Signal::SIGCONT).unwrap();
    let _ = running.finish().expect(0);
    assert_eq!(Recording::read(&path).end(), End::Exited(0));
}

/// A shell with job control, without prompts and echoes.
pub(crate) fn shell() -> RunningProgram {
    let mut shell =
        run("/bin/sh", words!["-i"]).env("PS1", "").env("ENV", "").on_terminal().start();
    shell.say("stty -echo; echo shell-is-ready");
    let _ = shell.line("shell-is-ready");
    shell
}

fn stat_field(pid: i32, n: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit_once(')').expect("a stat line").1;
    fields.split_whitespace().nth(n).expect("a field").to_owned()
}

fn state(pid: i32) -> char {
    stat_field(pid, 0).chars().next().expect("a state")
}

fn parent_of(pid: i32) -> i32 {
    stat_field(pid, 1).parse().expect("a pid")
}
