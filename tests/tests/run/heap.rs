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

/// A C program, compiled, that says "ready" before it waits for its input or runs on.
fn compiled(folder: &Path, source: &str) -> RunningProgram {
    let (file, binary) = (folder.join("target.c"), folder.join("target"));
    std::fs::write(&file, source).unwrap();
    let mut cc = Command::new("cc");
    let status = cc.args(["-O0", "-pthread"]).arg(&file).arg("-o").arg(&binary).status();
    assert!(status.expect("a C compiler").success(), "cc has failed");
    let running = run(binary, words![]).start();
    let _ = running.line("ready");
    running
}

/// It forgets 20 blocks of 88 B, each of which keeps one of 504 B, and 10 pairs of 56 B that point at each other.
const LEAKS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
struct node { struct node *next; void *payload; char rest[32]; };
static struct node *kept;
__attribute__((noinline)) static struct node *node(size_t size, size_t payload) {
    struct node *node = calloc(1, size);
    node->payload = payload ? calloc(1, payload) : NULL;
    return node;
}
__attribute__((noinline)) static void forget(void) {
    for (int at = 0; at < 20; at++) node(88, 500);
    for (int at = 0; at < 10; at++) {
        struct node *one = node(56, 0), *other = node(56, 0);
        one->next = other;
        other->next = one;
    }
}
__attribute__((noinline)) static void wipe(void) {
    volatile char stack[8192];
    for (unsigned at = 0; at < sizeof stack; at++) stack[at] = 0;
}
int main(void) {
    kept = node(88, 500);
    forget();
    wipe();
    puts("ready");
    fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
"#;

#[test]
fn leaked_blocks_are_in_groups_and_make_the_exit_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = compiled(folder.path(), LEAKS);
    let leaks = seepmeter(words!["heap", running.pid().to_string(), "--leaks=100ms"]);
    let report = leaks.done().expect(1).out();
    // A pointer to the last of them may still be in a register or on the stack.
    let groups = |what: &str| report.lines().filter(|line| line.contains(what)).count();
    let hanging =
        groups("20 × 88 B of malloc, and 20 blocks (9.84 KiB) that hang on that; such as");
    assert_eq!(hanging, 1, "{report}");
    assert_eq!(groups("10 cycles with 56 B of malloc; such as 0x"), 1, "{report}");
    assert!(report.contains(" 60  all leaked blocks"), "{report}");
    running.say("x");
    let _ = running.finish().expect(0);
}

/// Four threads allocate, free and reallocate as fast as they can, and keep all that they use.
const CHURN: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { SLOTS = 500 };
static void *churn(void *number) {
    unsigned seed = (unsigned)(long)number;
    char **slots = calloc(SLOTS, sizeof *slots);
    for (;;) {
        char **slot = &slots[rand_r(&seed) % SLOTS];
        size_t size = rand_r(&seed) % 2000 ? 16 + rand_r(&seed) % 3000 : 300000;
        free(*slot);
        *slot = malloc(size);
        memset(*slot, (int)seed, size);
        if (rand_r(&seed) % 8 == 0) *slot = realloc(*slot, size + 100);
        free(malloc(64));
    }
}
int main(void) {
    pthread_t thread;
    for (long at = 1; at < 4; at++) pthread_create(&thread, NULL, churn, (void *)at);
    puts("ready");
    fflush(stdout);
    churn(NULL);
}
"#;

#[test]
fn of_a_program_that_allocates_without_a_pause_nothing_is_ever_called_leaked() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = compiled(folder.path(), CHURN);
    let times = if std::env::var_os("SEEPMETER_LONG").is_some() { 50 } else { 10 };
    for _ in 0..times {
        let leaks = seepmeter(words!["heap", running.pid().to_string(), "--leaks=50ms"]);
        let report = leaks.done().expect(0).out();
        assert!(report.contains("no block is leaked"), "{report}");
        assert!(running.runs());
    }
}

#[test]
fn an_object_with_too_many_references_is_leaked_and_a_cycle_that_waits_for_the_collector_is_not() {
    let script = "import ctypes, gc, sys\nclass Node: pass\nclass Row: pass\n\
                  gc.collect()\ngc.disable()\n\
                  def cycle():\n n = Node(); n.me = n\n\
                  def leak():\n r = Row(); r.text = ['x' * 99]; ctypes.pythonapi.Py_IncRef(ctypes.py_object(r))\n\
                  for _ in range(100): cycle(); leak()\n\
                  print('ready', flush=True)\nsys.stdin.read()";
    let mut python = run("python3", words!["-c", script]).start();
    let _ = python.line("ready");
    let leaks = seepmeter(words!["heap", python.pid().to_string(), "--leaks=100ms"]);
    let report = leaks.done().expect(1).out();
    let row = report.lines().find(|line| line.contains(" × __main__.Row, and ")).expect(&report);
    // What was freed last still lies about in memory that is not cleared.
    let leaked: u32 =
        row.split(" × ").next().unwrap().rsplit("  ").next().unwrap().parse().unwrap();
    assert!(leaked >= 90, "{report}");
    assert!(!report.contains("Node"), "{report}");
    assert!(report.contains("which its collector frees unless it is off"), "{report}");
    python.end_input();
    let _ = python.finish().expect(0);
}

#[test]
fn leaks_of_what_hides_pointers_or_is_not_understood_are_an_error_and_no_all_clear() {
    let folder = tempfile::tempdir().unwrap();
    let Some(running) = program(folder.path(), "musl-gcc", &["-static"]) else {
        not_run("leaks_of_what_is_not_understood", "there is no musl-gcc here");
        return;
    };
    let leaks = seepmeter(words!["heap", running.pid().to_string(), "--leaks=50ms"]);
    let refused = leaks.done();
    let _ = refused.expect_complaint(125, &["leaks were not searched for", "no heap"]);
}

#[test]
fn beside_blocks_that_are_not_read_no_leak_is_no_all_clear() {
    let folder = tempfile::tempdir().unwrap();
    // What it is called is by whom it is taken for that allocator.
    let library = folder.path().join("libjemalloc.so.2");
    let mut cc = Command::new("cc");
    let status = cc.args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(&library).status();
    assert!(status.expect("a C compiler").success(), "cc has failed");
    let source = format!(
        "#include <dlfcn.h>\n#include <stdio.h>\n#include <unistd.h>\n\
         int main(void) {{ if (!dlopen(\"{}\", RTLD_NOW)) return 9; puts(\"ready\"); \
         fflush(stdout); char byte; return read(0, &byte, 1) < 0; }}",
        library.display()
    );
    let running = compiled(folder.path(), &source);
    let leaks = seepmeter(words!["heap", running.pid().to_string(), "--leaks=50ms"]).done();
    let leaks = leaks.expect_complaint(125, &["which blocks are leaked is not known"]);
    for part in ["no block that was read is leaked", "not read: the blocks of jemalloc"] {
        assert!(leaks.out().contains(part), "{}", leaks.output());
    }
    let diff = seepmeter(words!["heap", running.pid().to_string(), "--diff", "50ms"]).done();
    assert!(diff.expect(0).out().contains("not read: the blocks of jemalloc"));
    let _ = running.finish().expect(0);
}

#[test]
fn what_grows_in_python_is_named_with_the_module_that_holds_it() {
    let script = "import select, sys\nclass Row:\n def __init__(self, n): self.n = n\n\
                  class Registry:\n def __init__(self): self.rows = []\n\
                  class App:\n def __init__(self): self.registry = Registry()\n\
                  app = App()\nprint('ready', flush=True)\n\
                  while not select.select([sys.stdin], [], [], 0.002)[0]:\n\
                  \x20app.registry.rows.extend(Row(n) for n in range(1000, 1100))";
    let mut python = run("python3", words!["-c", script]).start();
    let _ = python.line("ready");
    let diff = seepmeter(words!["heap", python.pid().to_string(), "--diff", "1s"]);
    let report = diff.done().expect(0).out();
    let mut rows = report.lines().skip_while(|line| !line.ends_with("blocks  class"));
    let grown = rows.nth(1).expect(&report);
    assert!(grown.ends_with("  __main__.Row") && grown.contains('+'), "{report}");
    let holder = rows.next().expect(&report).trim_start();
    let path = "held by module __main__ → ['app'] __main__.App → ";
    assert!(holder.starts_with(path) && holder.contains("__main__.Registry → "), "{report}");
    let share = holder.rsplit("[*] __main__.Row: ").next().unwrap();
    let percent: f64 = share.split(' ').next().unwrap().parse().unwrap();
    assert!(percent > 95.0, "{report}");
    assert!(report.contains("no block is leaked"), "{report}");
    python.end_input();
    let _ = python.finish().expect(0);
}

/// In each millisecond it forgets a block of 200 B, and keeps one of 100 B in a list.
const GROWS: &str = r#"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
struct item { struct item *next; char text[92]; };
struct item *all_items;
__attribute__((noinline)) static void step(void) {
    struct item *item = calloc(1, sizeof *item);
    item->next = all_items;
    all_items = item;
    ((volatile char *)malloc(200))[0] = 1;
}
int main(void) {
    for (int at = 0; at < 1000; at++) step();
    puts("ready");
    fflush(stdout);
    struct pollfd input = {0, POLLIN, 0};
    while (poll(&input, 1, 1) == 0) step();
}
"#;

#[test]
fn what_grows_in_c_is_named_with_the_variable_that_holds_it_and_what_leaks_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = compiled(folder.path(), GROWS);
    let diff = seepmeter(words!["heap", running.pid().to_string(), "--diff", "1s"]);
    let report = diff.done().expect(0).out();
    let line = |what: &str| report.lines().find(|line| line.contains(what)).expect(&report);
    assert!(line("  200 B of malloc").contains('+'), "{report}");
    assert!(line("unreachable: ").contains("100 % of"), "{report}");
    assert!(
        line("held by all_items (target) → 104 B of malloc…: ").contains("100 % of"),
        "{report}"
    );
    assert!(line(" × 200 B of malloc; such as ").contains(" KiB"), "{report}");
    running.end_input();
    let _ = running.finish().expect(0);
}

#[test]
fn a_block_is_held_by_a_variable_and_keeps_alive_what_only_it_points_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = compiled(folder.path(), LEAKS);
    let pid = running.pid().to_string();
    let ask = |words: &[&str]| {
        seepmeter(["heap", &pid].iter().chain(words).map(|word| word.into())).done()
    };
    let why = ask(&["--why", "88 B of malloc"]).expect(0).out();
    let kept =
        why.lines().find(|line| line.contains("1  kept (target) → 88 B of malloc; ")).expect(&why);
    assert!(why.contains("20  nobody: unreachable"), "{why}");
    let (_, address) = kept.split_once("such as ").unwrap();
    let same = ask(&["--why", address]).expect(0).out();
    assert!(same.contains("1  kept (target) → 88 B of malloc; such as"), "{same}");
    let holds = ask(&["--holds", address]).expect(0).out();
    assert!(holds.contains("88 B of malloc, keeps alive"), "{holds}");
    assert!(holds.contains("592 B         2  all blocks, with itself"), "{holds}");
    let _ = ask(&["--holds", "0x10"]).expect_complaint(125, &["there is no block in use at 0x10"]);
    let _ = ask(&["--why", "Nothing"]).expect_complaint(125, &["no block of the class `Nothing`"]);
    running.say("x");
    let _ = running.finish().expect(0);
}
