//! `seepmeter heap` on real processes and core files.

use std::path::Path;
use std::process::Command;

use seepmeter_tests::{FinishedRun, RunningProgram, not_run, run, seepmeter, words};

/// A C program that keeps 1,000 blocks of 1,000 B and forgets 100 of 2,000 B, then says so.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *kept[1000];
__attribute__((noinline)) static void forget(void) {
    for (int at = 0; at < 100; at++) memset(malloc(2000), 1, 2000);
}
__attribute__((noinline)) static void wipe(void) {
    volatile char stack[8192];
    for (unsigned at = 0; at < sizeof stack; at++) stack[at] = 0;
}
int main(void) {
    for (int at = 0; at < 1000; at++) memset(kept[at] = malloc(1000), 1, 1000);
    forget();
    wipe();
    puts("ready");
    fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
"#;

/// The program, compiled by `compiler`; none if there is no such compiler.
fn program(folder: &Path, compiler: &str, flags: &[&str]) -> Option<RunningProgram> {
    let source = folder.join("program.c");
    std::fs::write(&source, PROGRAM).unwrap();
    let binary = folder.join("program");
    let mut cc = Command::new(compiler);
    let status = cc.arg("-O0").args(flags).arg(&source).arg("-o").arg(&binary).status().ok()?;
    assert!(status.success(), "{compiler} has failed");
    let running = run(binary, words![]).start();
    let _ = running.line("ready");
    Some(running)
}

/// The bytes of a line of the account, as they are shown.
fn shown<'r>(report: &'r str, name: &str) -> &'r str {
    let line = report.lines().find(|line| line.ends_with(name));
    line.unwrap_or_else(|| panic!("there is no {name} in\n{report}")).trim_start()
}

fn bytes(line: &str) -> f64 {
    let mut words = line.split_whitespace();
    let number: f64 = words.next().unwrap().parse().unwrap();
    let unit = words.next().unwrap();
    let units = ["B", "KiB", "MiB", "GiB"];
    number * 1024f64.powi(units.iter().position(|it| *it == unit).unwrap() as i32)
}

fn heap_of(running: &RunningProgram) -> FinishedRun {
    seepmeter(words!["heap", running.pid().to_string()]).done()
}

#[test]
fn the_account_of_a_program_adds_up_to_its_resident_set_and_its_classes_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = program(folder.path(), "cc", &[]).expect("a C compiler");
    let report = heap_of(&running).expect(0).out();
    let all = bytes(shown(&report, "resident set (VmRSS)"));
    let unexplained = bytes(shown(&report, "unexplained")).abs();
    assert!(unexplained <= all / 1000.0, "{report}");
    assert!(report.contains("1000  1000 B of malloc"), "{report}");
    // One of them may still be in a register or on the stack.
    let forgotten = shown(&report, " unreachable");
    assert!(forgotten.contains("100  2008 B of malloc, "), "{report}");
    assert!(report.contains("not called leaked"), "{report}");
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    assert_eq!(std::fs::read_to_string(children).unwrap(), "", "the copy was reaped");
    assert!(running.runs());
    running.say("x");
    let _ = running.finish().expect(0);
}

#[test]
fn a_core_file_has_the_same_blocks_and_it_is_said_what_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let running = program(folder.path(), "cc", &[]).expect("a C compiler");
    let live = heap_of(&running).expect(0).out();
    let prefix = folder.path().join("core");
    let pid = running.pid().to_string();
    let gcore = Command::new("gcore").arg("-o").arg(&prefix).arg(&pid).output();
    let Ok(gcore) = gcore else {
        not_run("a_core_file_has_the_same_blocks", "there is no gcore (gdb) here");
        return;
    };
    assert!(gcore.status.success(), "{}", String::from_utf8_lossy(&gcore.stderr));
    let core = format!("{}.{pid}", prefix.display());
    let report = seepmeter(words!["heap", "--core", core]).done().expect(0).out();
    assert_eq!(shown(&report, "all blocks"), shown(&live, "all blocks"));
    assert!(report.contains("unreachable is not known: what the kernel keeps"), "{report}");
    assert!(!report.contains("resident set"), "{report}");
}

#[test]
fn an_allocator_that_is_not_understood_is_refused_and_the_rest_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let Some(running) = program(folder.path(), "musl-gcc", &["-static"]) else {
        not_run("an_allocator_that_is_not_understood", "there is no musl-gcc here");
        return;
    };
    let refused = heap_of(&running).expect_complaint(125, &["the heap is not shown", "no heap"]);
    let report = refused.out();
    assert!(bytes(shown(&report, "other anonymous memory")) >= 1.2e6, "{report}");
    assert!(!report.contains("blocks"), "{report}");
}

#[test]
fn the_objects_of_python_are_blocks_and_the_account_adds_up() {
    let script = "import sys\nclass Row: pass\nx = [Row() for n in range(10000)]\n\
                  print('ready', flush=True)\nsys.stdin.read()";
    let mut python = run("python3", words!["-c", script]).start();
    let _ = python.line("ready");
    let report = heap_of(&python).expect(0).out();
    let all = bytes(shown(&report, "resident set (VmRSS)"));
    assert!(bytes(shown(&report, "unexplained")).abs() <= all / 1000.0, "{report}");
    assert!(report.contains("10000  __main__.Row"), "{report}");
    assert!(report.contains("  list (buffer)"), "{report}");
    python.end_input();
    let _ = python.finish().expect(0);
}
