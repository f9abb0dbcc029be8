//! Reports in a real browser: Debian's chromium, driven by playwright-core. The checks are in
//! `tests/browser/report.mjs`; here are the reports that they are made on.

use std::path::Path;
use std::process::Command;

use seepmeter_record::conventions::{MappingClass, attribute};
use seepmeter_record::{Unit, human};
use seepmeter_tests::plugin::repository;
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{long_or_not_run, not_run, seepmeter, test_target, words};
use serde_json::json;

const TEST: &str = "reports in a browser";
const MIB: i64 = 1 << 20;

/// The program of the browser, if all that it takes is here.
fn browser() -> Option<String> {
    if !long_or_not_run(TEST) {
        return None;
    }
    let node = Command::new("node").arg("--version").output();
    if node.is_err() {
        not_run(TEST, "node is not installed: apt-get install nodejs");
        return None;
    }
    if !repository("tests/browser/node_modules/playwright-core").is_dir() {
        not_run(TEST, "playwright-core is not installed: npm ci --prefix tests/browser");
        return None;
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&paths).map(|path| path.join("chromium")).find(|it| it.is_file());
    if found.is_none() {
        not_run(TEST, "chromium is not installed: apt-get install chromium");
    }
    found.map(|path| path.display().to_string())
}

#[test]
fn reports_are_drawn_where_their_data_is_and_react_and_load_nothing() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    make_reports(folder.path());
    let mut command = Command::new("node");
    command.arg(repository("tests/browser/report.mjs")).arg(folder.path()).arg(browser);
    if std::env::var_os("SEEPMETER_BLESS").is_some() {
        command.arg(repository("docs/src/screenshots"));
    }
    let done = command.current_dir(repository("tests/browser")).output().unwrap();
    let [out, err] = [done.stdout, done.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(done.status.success() && out.matches("\nok ").count() >= 20, "{out}\n{err}");
}

fn make_reports(folder: &Path) {
    steps(folder);
    for (name, run) in [
        ("leak", leak()),
        ("hostile", hostile()),
        ("large", large()),
        ("empty", Synthetic::rss(0, |_| 0)),
        ("flame", flame(20_000)),
        ("flame-base", flame(0)),
    ] {
        let _ = run.write(folder, &format!("{name}.jsonl"));
    }
    let script = "\"$0\" saw 4 4 2 & \"$0\" saw 4 4 2; wait";
    let run = words![
        "run",
        "-q",
        "-i",
        "20ms",
        "-s",
        "statm",
        "-s",
        "smaps",
        "-o",
        "jsonl,path=tree.jsonl",
        "--"
    ];
    let target = words!["sh", "-c", script, test_target()];
    let _ = seepmeter(run.into_iter().chain(target)).in_folder(folder).done().expect(0);
    for name in ["leak", "steps", "hostile", "large", "empty", "tree", "flame"] {
        let [report, recording] = ["html", "jsonl"].map(|it| format!("{name}.{it}"));
        let _ =
            seepmeter(words!["report", "-o", report, recording]).in_folder(folder).done().expect(0);
    }
    compared(folder);
    let both = words!["report", "-o", "flames.html", "flame-base.jsonl", "flame.jsonl"];
    let _ = seepmeter(both).in_folder(folder).done().expect(0);
    // A run of service.py with the samplers statm and smaps.
    let recording = repository("tests/browser/service.jsonl.zst");
    let _ = seepmeter(words!["report", "-o", "service.html", recording])
        .in_folder(folder)
        .done()
        .expect(0);
    std::fs::write(folder.join("figures.json"), figures().to_string()).unwrap();
}

/// A heap that leaks towards a limit that is in sight, beside parts that do not.
fn leak() -> Synthetic {
    Synthetic::leak(600, 1)
        .with(attribute::CGROUP_LIMIT, 70_000_000)
        .part("[heap]", MappingClass::Heap, |i| 30_000_000 + 19_000 * i + noise(2, i, 40_000))
        .part("anonymous mappings of 64 KiB–1 MiB", MappingClass::Anonymous, |i| {
            12_000_000 + 1_000 * i
        })
        .part("/usr/lib/libc.so.6 r-xp", MappingClass::File, |_| 1_200_000)
        .part("/usr/bin/made-up r-xp", MappingClass::File, |_| 600_000)
        .part("[stack]", MappingClass::MainStack, |i| 136_000 + 4_096 * (i / 200))
}

/// Plateaus of 25 s, high and low by turns, and nothing sampled for a while.
fn steps(folder: &Path) {
    let plateau = |i: i64| if i / 25 % 2 == 0 { 20 * MIB } else { 60 * MIB };
    let path = Synthetic::rss(1_000, plateau).write(folder, "steps.jsonl");
    let recording = std::fs::read_to_string(&path).unwrap();
    let is_in_gap = |line: &str| {
        let t = line.strip_prefix("{\"sample\":{\"t\":").and_then(|rest| rest.split(',').next());
        t.and_then(|t| t.parse().ok())
            .is_some_and(|t: u64| (500..560).contains(&(t / 1_000_000_000)))
    };
    let kept: String =
        recording.lines().filter(|line| !is_in_gap(line)).map(|line| format!("{line}\n")).collect();
    assert!(kept.len() < recording.len(), "there is no gap");
    std::fs::write(path, kept).unwrap();
}

/// One stack maps all at the start, one leaks, one gives back in the second half; a thread goes from one stack to
/// another at 300 s.
fn flame(rate: i64) -> Synthetic {
    Synthetic::leak(600, 1)
        .stack(&["_start", "main", "load_cache", "mmap"])
        .maps(|_| 8 * MIB)
        .stack(&["_start", "main", "serve", "keep_session", "mmap"])
        .maps(move |i| MIB + rate * i)
        .stack(&["_start", "main", "serve", "give_back", "mmap"])
        .maps(|i| if i < 400 { 4 * MIB } else { MIB })
        .stack(&["_start", "main", "serve", "sleep"])
        .thread("worker", |i| if i < 300 { 3 } else { 0 })
}

fn hostile() -> Synthetic {
    let name = "</script><img src=x onerror=alert(1)>";
    Synthetic::leak(300, 1)
        .named(name)
        .part(name, MappingClass::Heap, |i| 30_000_000 + 20_000 * i)
        .part("=cmd|' /C calc'!A0", MappingClass::File, |_| 1_000_000)
        .stack(&["main", name, "</style></script><script>alert(2)</script>"])
        .maps(|i| 4096 * i)
        .thread(name, |_| 0)
}

fn large() -> Synthetic {
    let mut run = Synthetic::leak(2_000, 1);
    for stack in 0..5_000 {
        let function = format!("application::module_{stack:05}::handle<alloc::vec::Vec<u8>>");
        let names = ["main", "serve", "dispatch", &function, "mmap"];
        run = run.stack(&names).maps(move |i| MIB + (i + stack) / 50 * stack);
    }
    for part in 0..5_000 {
        let name = format!("/srv/application/releases/{part:05}/lib/libmodule-{part:05}.so r--p");
        run = run.part(&name, MappingClass::File, move |i| MIB + (i + part) / 50 * part);
    }
    run
}

/// Two runs each of a base that is steady and of a version that leaks.
fn compared(folder: &Path) {
    let mut words = words!["report", "-o", "compared.html"];
    for (side, runs) in [("b", [1, 2]), ("n", [3, 4])] {
        if side == "n" {
            words.push("--".into());
        }
        for seed in runs {
            let run =
                if side == "n" { Synthetic::leak(600, seed) } else { Synthetic::flat(900, seed) };
            words.push(
                run.write(folder, &format!("{side}{seed}.jsonl")).file_name().unwrap().into(),
            );
        }
    }
    let _ = seepmeter(words).in_folder(folder).done().expect(0);
}

/// What the page's functions must give: a function, what it is called with, and what is expected.
fn figures() -> serde_json::Value {
    let mut cases = Vec::new();
    for value in [0.0, 1.0, 1023.0, 1024.0, 1_488_978.0, 32_505_856.0, -1536.0, 3.3e12, 9.9e15] {
        cases.push(json!(["amount", [value, "bytes"], human::amount(value, Unit::Bytes)]));
        cases.push(json!(["change", [value, "count"], human::change(value, Unit::Count)]));
        cases.push(json!(["rate", [value, "bytes"], human::rate(value, Unit::Bytes)]));
        cases.push(json!(["rate", [value / 1e5, "count"], human::rate(value / 1e5, Unit::Count)]));
        let [low, high] = [value - 100.0, value * 1.1 + 50.0];
        let said = human::rate_with_interval(value, low, high, Unit::Bytes).replace("95 % CI ", "");
        cases.push(json!(["rateWithInterval", [[low, value, high], "bytes"], said]));
    }
    for nanos in [
        0,
        850_000,
        12_300_000,
        4_200_000_000,
        59_960_000_000,
        552_000_000_000,
        12_000_000_000_000,
        187_200_000_000_000_u64,
    ] {
        cases.push(json!(["duration", [nanos as f64 / 1e9], human::duration(nanos)]));
    }
    cases.into()
}
