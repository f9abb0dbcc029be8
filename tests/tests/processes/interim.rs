//! What is known before the end: the status line, the summary so far, and a watch that ends with its verdict.

use std::time::Instant;

use nix::sys::signal::Signal;
use seepmeter_tests::{
    Terminal, eventually, long_or_not_run, run_target, seepmeter, seepmeter_path, test_target,
    words,
};

use crate::terminals::shell;

/// To the begin of the line, and what stands there is gone.
const CLEAR: &str = "\r\u{1b}[K";

#[test]
fn sigusr1_to_attach_prints_the_summary_so_far_and_the_watch_goes_on() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let mut running = seepmeter(words!["attach", "-i", "10ms", pid.to_string()]).start();
    let _ = running.error_line("rss ");
    for n in 1..=2 {
        running.signal(Signal::SIGUSR1);
        let summaries =
            || (running.error_lines("verdict    inconclusive").len() == n).then_some(());
        eventually("the summary so far", summaries);
    }
    assert!(running.runs());
    running.signal(Signal::SIGINT);
    let done = running.finish().expect(0);
    assert_eq!(done.err().matches(", still running").count(), 3, "{}", done.output());
    // What sampling cost is known at the end only.
    assert_eq!(done.err().matches("seepmeter  ").count(), 1, "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn sigusr1_gets_its_summary_also_if_the_next_sample_is_far_away() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let running = seepmeter(words!["attach", "-i", "1h", pid.to_string()]).start();
    let _ = running.error_line("rss ");
    running.signal(Signal::SIGUSR1);
    let _ = running.error_line("verdict    inconclusive");
    running.signal(Signal::SIGINT);
    let _ = running.finish().expect(0);
    let _ = target.finish().expect(0);
}

#[test]
fn the_status_line_shows_the_verdict_as_it_forms_and_is_gone_before_the_summary() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let words = words!["attach", "-q", "--status=always", pid.to_string()];
    let mut running = seepmeter(words).on_terminal().start();
    eventually("the verdict as it forms", || {
        running.said().contains("inconclusive  rss: not enough data yet").then_some(())
    });
    assert!(running.said().contains(" s  rss "), "{}", running.said());
    running.type_keys(Terminal::CTRL_C);
    let done = running.finish().expect(0);
    let lines = screen(&done.out());
    assert!(lines[0].starts_with("target     "), "{lines:#?}");
    assert!(lines.iter().all(|line| line.chars().count() < 200), "{lines:#?}");
    let _ = target.finish().expect(0);
}

#[test]
fn live_lines_stand_above_the_status_line_and_are_whole() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let words = words!["attach", "-i", "20ms", "--status=always", pid.to_string()];
    let mut running = seepmeter(words).on_terminal().start();
    eventually("some status lines", || {
        (running.said().matches("not enough data yet").count() > 2).then_some(())
    });
    running.type_keys(Terminal::CTRL_C);
    let done = running.finish().expect(0);
    let lines = screen(&done.out());
    let live = lines.iter().take_while(|line| !line.starts_with("target ")).collect::<Vec<_>>();
    assert!(live.len() > 50, "{lines:#?}");
    for line in live {
        assert!(line.contains(" s  rss ") && !line.contains("not enough"), "{line:?}");
    }
    let _ = target.finish().expect(0);
}

#[test]
fn there_is_no_status_line_where_a_target_writes_in_quiet_or_in_a_pipe() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1).to_string();
    let on_terminal = |words| seepmeter(words).on_terminal().done().expect(0).out();
    let quiet = on_terminal(words!["attach", "-q", "-d", "1500ms", pid.clone()]);
    assert!(!quiet.contains(CLEAR), "{quiet:?}");
    let never = on_terminal(words!["attach", "--status=never", "-d", "1500ms", pid.clone()]);
    assert!(!never.contains(CLEAR), "{never:?}");
    // A spawned target has the terminal as well.
    let shared = on_terminal(words!["run", "--", "sleep", "1.5"]);
    assert!(!shared.contains(CLEAR), "{shared:?}");
    let always = on_terminal(words!["run", "-q", "--status=always", "--", "sleep", "2.5"]);
    assert!(always.contains(CLEAR), "{always:?}");
    let auto = on_terminal(words!["attach", "-d", "2500ms", pid.clone()]);
    assert!(auto.contains(CLEAR), "{auto:?}");
    let pipe = seepmeter(words!["attach", "--status=always", "-d", "1500ms", pid]).done().expect(0);
    assert!(!pipe.err().contains('\r'), "{}", pipe.output());
    let _ = target.finish().expect(0);
}

#[test]
fn ctrl_z_clears_the_status_line_and_fg_brings_it_back() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let mut shell = shell();
    let program = seepmeter_path();
    shell.say(&format!("{} attach -q --status=always {pid}", program.display()));
    eventually("a status line", || shell.said().contains(" s  rss ").then_some(()));
    shell.type_keys(Terminal::CTRL_Z);
    shell.say("echo back-at-the-shell");
    let _ = shell.line("back-at-the-shell");
    let before = shell.said();
    let stopped = before.rfind(CLEAR).expect("it was cleared");
    assert!(!before[stopped..].contains(" s  rss "), "{before:?}");
    shell.say("fg");
    eventually("a status line again", || {
        shell.said()[before.len()..].contains(" s  rss ").then_some(())
    });
    shell.type_keys(Terminal::CTRL_C);
    let _ = shell.line("watched ");
    shell.say("exit");
    let _ = shell.finish().expect(0);
    let _ = target.finish().expect(0);
}

#[test]
fn a_job_in_the_background_draws_no_status_line() {
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1);
    let mut shell = shell();
    let program = seepmeter_path();
    shell.say(&format!("{} attach -q --status=always -d 1500ms {pid} &", program.display()));
    let _ = shell.line("target ");
    assert!(!shell.said().contains(CLEAR), "{:?}", shell.said());
    shell.say("exit");
    let _ = shell.finish();
    let _ = target.finish().expect(0);
}

#[test]
fn until_verdict_has_the_duration_as_its_limit_and_treats_the_target_as_at_its_end() {
    let words = words![
        "run",
        "-q",
        "--until-verdict",
        "-d",
        "300ms",
        "--on-stop",
        "end",
        "--",
        "sleep",
        "600"
    ];
    let done = seepmeter(words).done().expect(0);
    assert!(done.err().contains("SIGTERM"), "{}", done.output());
    assert!(done.err().contains("inconclusive"), "{}", done.output());
    let without_end = words!["run", "-q", "--on-stop", "end", "--", "true"];
    let done = seepmeter(without_end).done();
    assert!(done.err().contains("--until-verdict"), "{}", done.output());
}

#[test]
fn until_verdict_ends_the_watch_of_a_plain_leak_after_two_minutes_or_so() {
    const NAME: &str = "until_verdict_ends_the_watch_of_a_plain_leak_after_two_minutes_or_so";
    if !long_or_not_run(NAME) {
        return;
    }
    // Of the limit, the verdict would be growing too, and only after it.
    let flags = words!["run", "-q", "--until-verdict", "-d", "20m", "--on-stop", "end"];
    let gates = words!["--fail-on", "growing", "--"];
    let leak = words![test_target(), "leak", "4000", "2000", "3600"];
    let begin = Instant::now();
    let done = seepmeter(flags.into_iter().chain(gates).chain(leak)).done().expect(100);
    assert!(done.err().contains("verdict    growing  rss +"), "{}", done.output());
    let took = begin.elapsed().as_secs();
    assert!((100..600).contains(&took), "{took} s\n{}", done.output());
}

/// What a terminal shows at last of what was written to it, line by line.
fn screen(written: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in written.replace("\r\n", "\n").split_inclusive(['\n', '\r']) {
        let text = part.trim_end_matches(['\n', '\r']);
        let line = lines.last_mut().expect("a line");
        match text.strip_prefix("\u{1b}[K") {
            Some(rest) => *line = rest.to_owned(),
            None => line.push_str(text),
        }
        if part.ends_with('\n') {
            lines.push(String::new());
        }
    }
    lines
}
