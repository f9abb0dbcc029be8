//! `seepmeter scale`: bytes for each unit of work, on real programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use seepmeter_tests::{FinishedRun, not_run, seepmeter, words};
use serde_json::Value;

/// Keeps a string of 1,000 bytes for each unit. Perl's exit does not free them.
const LEAK: &str = "my $n = shift; push @kept, 'x' x 1000 for 1 .. $n";
/// Keeps nothing.
const HEALTHY: &str = "my $n = shift; my $x = 'x' x 1000 . $_ for 1 .. $n";

fn scale(flags: &[&str], command: &[&str]) -> FinishedRun {
    let words = words!["scale"].into_iter().chain(flags.iter().map(Into::into));
    seepmeter(words.chain(words!["--"]).chain(command.iter().map(Into::into))).done()
}

fn perl(flags: &[&str], script: &str) -> FinishedRun {
    scale(flags, &["perl", "-e", script, "{n}"])
}

const FEW: [&str; 2] = ["-n", "2000,4000,8000"];
const MANY: [&str; 2] = ["-n", "20000,40000,80000"];

fn json(done: &FinishedRun) -> Value {
    serde_json::from_str(&done.out()).unwrap_or_else(|error| panic!("{error}\n{}", done.output()))
}

#[test]
fn a_leak_is_measured_in_runs_of_milliseconds() {
    let done = perl(&FEW, LEAK).expect(0);
    let line = done.out();
    assert!(line.starts_with("leaks 1.0"), "{}", done.output());
    assert!(line.contains("KiB per unit (95 % CI 1"), "{line}");
    assert!(line.contains("; 5 runs each of n=2000, 4000, 8000; peak RSS"), "{line}");
    assert!(line.trim_end().ends_with("heap 100 % of the growth"), "{line}");
    assert_eq!(done.err(), "");
}

#[test]
fn what_keeps_nothing_is_constant_and_gates_on_growth_stay_quiet() {
    let done = perl(&[&MANY[..], &["--fail-on", "growing"]].concat(), HEALTHY).expect(0);
    assert!(done.out().starts_with("constant "), "{}", done.output());
    assert!(done.out().contains(" MiB, at most ") || done.out().contains(" KiB, at most "));
}

#[test]
fn amounts_are_found_if_none_are_given() {
    let done = perl(&["--json"], LEAK).expect(0);
    let report = json(&done);
    assert_eq!(report["answer"], "leaks", "{report}");
    let amounts: Vec<u64> =
        report["amounts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(amounts.len() >= 3 && amounts.windows(2).all(|pair| pair[1] == 2 * pair[0]));
    let seconds = report["runs"].as_array().unwrap().iter().map(|run| run["seconds"].as_f64());
    let longest = seconds.flatten().fold(0.0, f64::max);
    assert!(amounts.last() > Some(&20_000) || longest > 0.2, "{amounts:?} {longest}");
}

#[test]
fn gates_fire_with_their_status_and_say_what_decided() {
    let done = perl(&[&FEW[..], &["--fail-on", "per-unit>1000B"]].concat(), LEAK).expect(100);
    assert!(done.err().contains("gate `per-unit>1000B` fires: it is between 1"), "{}", done.err());
    let flags = ["--fail-on", "growing", "--fail-status", "7"];
    perl(&[&FEW[..], &flags].concat(), LEAK).expect(7);
    perl(&[&FEW[..], &["--fail-on", "per-unit>10KiB"]].concat(), LEAK).expect(0);
    scale(&["--fail-on", "rate>1MiB/min"], &["true"]).expect_complaint(125, &["per-unit>16B"]);
}

#[test]
fn growth_that_ends_saturates_and_is_no_leak() {
    let script = "my $n = shift; for (1 .. $n) { push @kept, 'x' x 1000 if @kept < 5000 }";
    let done = perl(&[&FEW[..], &["--fail-on", "growing"]].concat(), script).expect(0);
    assert!(done.out().starts_with("inconclusive saturating"), "{}", done.output());
    // Found by doubling, the amounts go far beyond the bound.
    let done = perl(&[], script).expect(0);
    assert!(done.out().starts_with("constant "), "{}", done.output());
}

#[test]
fn growth_that_gets_faster_is_a_leak_and_said_to_be_so() {
    let script = "my $n = shift; push @kept, 'x' x (1000 + $_) for 1 .. $n";
    let done = perl(&FEW, script).expect(0);
    assert!(done.out().starts_with("leaks "), "{}", done.output());
    assert!(done.out().contains("grows faster than n"), "{}", done.output());
}

#[test]
fn what_is_freed_before_the_end_is_constant_and_the_peak_says_so() {
    // A string of a size that malloc maps by itself, and gives back whole.
    let script = "my $n = shift; my $x = 'x' x (500 * $n); undef $x";
    let done = perl(&["-n", "2000,4000,8000"], script).expect(0);
    let lines: Vec<String> = done.out().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("constant "), "{lines:?}");
    assert!(lines[1].contains("the peak grows by") && lines[1].contains("_exit"), "{lines:?}");
}

#[test]
fn python_frees_all_at_its_end_so_a_growing_peak_is_no_all_clear() {
    let python = std::process::Command::new("python3").args(["-c", ""]).status();
    if !python.is_ok_and(|status| status.success()) {
        not_run("scale on Python", "there is no python3");
        return;
    }
    let script = "import os, sys; kept = [(i, i + 1) for i in range(int(sys.argv[1]))]";
    let run = |script: &str| {
        let done = scale(&["-n", "40000,80000,160000"], &["python3", "-c", script, "{n}"]);
        done.expect(0)
    };
    let tidy = run(script);
    assert!(!tidy.out().starts_with("constant"), "{}", tidy.output());
    assert!(tidy.out().contains("Python frees then"), "{}", tidy.output());
    let untidy = run(&format!("{script}; os._exit(0)"));
    assert!(untidy.out().starts_with("leaks 1"), "{}", untidy.output());
}

#[test]
fn small_blocks_that_were_freed_are_no_leak() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("freed");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/scale/programs/freed_small.c");
    let compiled = std::process::Command::new("cc").arg("-o").arg(&program).arg(source).status();
    assert!(compiled.unwrap().success(), "the tests need a C compiler");
    let done = scale(&MANY, &[program.to_str().unwrap(), "{n}"]).expect(0);
    assert!(done.out().starts_with("constant "), "{}", done.output());
    // A setting of the user's own stays, and counts.
    let own = seepmeter(words!["scale", "-n", "20000,40000,80000", "--", program, "{n}"])
        .env("GLIBC_TUNABLES", "glibc.malloc.mxfast=128")
        .done()
        .expect(0);
    assert!(own.out().starts_with("leaks "), "{}", own.output());
}

#[test]
fn the_variable_has_the_amount_and_a_child_that_leaks_is_found_under_its_shell() {
    let script = LEAK.replace("shift", "$ENV{SEEPMETER_N}");
    let shell = format!("perl -e \"\\$0; {}\"; true", script.replace('$', "\\$"));
    let done = scale(&FEW, &["sh", "-c", &shell]).expect(0);
    assert!(done.out().starts_with("leaks 1.0"), "{}", done.output());
    assert!(done.out().contains("up to 2 processes"), "{}", done.output());
}

#[test]
fn the_leaks_of_three_workers_that_run_at_one_time_add_up() {
    // None ends before all have what they keep.
    let pool = "my $n = shift; pipe R, W; pipe A, B; \
        for (1 .. 3) { next if fork; close B; push @kept, 'x' x 1000 for 1 .. $n; \
        syswrite W, 'x'; sysread A, my $go, 1; exit } \
        sysread R, my $done, 1 for 1 .. 3; close B; wait for 1 .. 3";
    let done = perl(&FEW, pool).expect(0);
    assert!(done.out().starts_with("leaks 3."), "{}", done.output());
    assert!(done.out().contains("KiB per unit"), "{}", done.output());
}

#[test]
fn more_processes_for_more_work_are_no_leak() {
    let shell = "i=0; while [ $i -lt {n} ]; do perl -e 1; i=$((i + 1)); done";
    let done = scale(&["-n", "2,4,8", "--negligible", "64KiB"], &["sh", "-c", shell]).expect(0);
    assert!(done.out().starts_with("constant "), "{}", done.output());
}

#[test]
fn a_command_that_takes_no_notice_of_the_amount_is_no_all_clear() {
    let done = scale(&["-n", "1000000,2000000,4000000"], &["perl", "-e", "1"]).expect(0);
    assert!(done.out().starts_with("inconclusive "), "{}", done.output());
    assert!(done.out().contains("does the command use {n} or SEEPMETER_N?"), "{}", done.out());
}

#[test]
fn a_run_that_fails_ends_it_with_its_status_and_its_output() {
    let shell = "echo to-output {n}; echo to-error >&2; exit 3";
    let done = scale(&FEW, &["sh", "-c", shell]).expect(3);
    assert_eq!(done.out(), "");
    let said = done.err();
    assert!(said.starts_with("to-output 2000\nto-error\n"), "{said}");
    assert!(said.contains("the run of n=2000 exited with status 3"), "{said}");
    scale(&FEW, &["sh", "-c", "kill -SEGV $$"]).expect(128 + 11);
}

#[test]
fn what_runs_print_is_shown_only_if_it_is_asked_for() {
    let script = format!("{LEAK}; print qq(line\\n)");
    let quiet = perl(&FEW, &script).expect(0);
    assert_eq!(quiet.out().lines().count(), 1, "{}", quiet.output());
    let shown = perl(&[&FEW[..], &["--show-output"]].concat(), &script).expect(0);
    assert_eq!(shown.out().lines().filter(|line| *line == "line").count(), 15);
    // More than a pipe holds.
    let script = format!("print 'x' x 1000000; {LEAK}");
    assert!(perl(&FEW, &script).expect(0).out().starts_with("leaks "));
}

#[test]
fn a_command_that_can_t_be_run_and_too_few_amounts_say_so() {
    scale(&FEW, &["/no/such/program"]).expect_complaint(127, &["cannot execute"]);
    scale(&FEW, &["/etc/passwd"]).expect_complaint(126, &["cannot execute"]);
    scale(&["-n", "1,2,2"], &["true"]).expect_complaint(125, &["three different amounts"]);
    scale(&[], &[]).expect_complaint(125, &["COMMAND is missing"]);
}

#[test]
fn the_time_limit_ends_a_run_and_the_answer_is_inconclusive() {
    // The shell's child is ended too: the test would complain of it otherwise.
    let flags = ["--time", "1s", "--fail-on", "inconclusive"];
    let done = scale(&flags, &["sh", "-c", "sleep 1000; true"]).expect(100);
    assert!(done.out().starts_with("inconclusive not enough data yet"), "{}", done.output());
    assert!(done.out().contains("see --time"), "{}", done.output());
}

#[test]
fn a_signal_ends_the_run_that_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let shell = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
    let running = seepmeter(words!["scale", "-n", "1,2,3", "--", "sh", "-c", shell]).start();
    let pid: i32 = seepmeter_tests::eventually("the run", || {
        std::fs::read_to_string(&file).ok()?.trim().parse().ok()
    });
    running.signal(Signal::SIGTERM);
    running.finish().expect(128 + Signal::SIGTERM as i32);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the run is still there");
}

#[test]
fn a_setuid_program_is_not_traced_and_its_last_samples_count() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("perl");
    std::fs::copy("/usr/bin/perl", &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let script = format!("{LEAK}; select undef, undef, undef, 0.1");
    let done = scale(&FEW, &[copy.to_str().unwrap(), "-e", &script, "{n}"]).expect(0);
    assert!(done.out().starts_with("leaks 1.0"), "{}", done.output());
    assert!(done.out().contains("could not be traced"), "{}", done.output());
    assert_eq!(done.err().matches("sampled and not traced").count(), 1, "{}", done.err());
}

#[test]
fn a_child_of_a_program_that_can_t_be_traced_is_sampled_too() {
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("sh");
    std::fs::copy("/bin/sh", &shell).unwrap();
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let script = format!(
        "perl -e '{}; select undef, undef, undef, 0.1' {{n}}; true",
        LEAK.replace('\'', "\"")
    );
    let done = scale(&FEW, &[shell.to_str().unwrap(), "-c", &script]).expect(0);
    assert!(done.out().starts_with("leaks 1.0"), "{}", done.output());
    assert!(done.out().contains("up to 2 processes"), "{}", done.output());
}

#[test]
fn the_json_has_its_schema_and_what_every_run_held() {
    let report = json(&perl(&[&FEW[..], &["--json", "--fail-on", "growing"]].concat(), LEAK));
    assert_eq!(report["schema"], "seepmeter.scale/1");
    assert_eq!((&report["answer"], &report["reason"]), (&"leaks".into(), &"linear".into()));
    assert_eq!(report["gates"][0]["fired"], true);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 15);
    for run in runs {
        assert_eq!(run["exact"], true);
        let classes = run["classes"].as_object().unwrap();
        let sum: u64 = classes.values().map(|bytes| bytes.as_u64().unwrap()).sum();
        assert_eq!(Some(sum), run["memory"].as_u64(), "{run}");
        assert!(run["peak_rss"].as_u64() >= run["memory"].as_u64(), "{run}");
    }
}
