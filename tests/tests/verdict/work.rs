//! `seepmeter judge --per`: verdicts with work in place of time.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use seepmeter_record::conventions::MappingClass;
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{FinishedRun, long_or_not_run, seepmeter, words};
use serde_json::Value;

/// Adds marks to a recording with a sample a second: of each sample, the counter `n` has this value.
pub(crate) fn with_marks(recording: &Path, counter: impl Fn(i64) -> i64) -> PathBuf {
    let text = std::fs::read_to_string(recording).unwrap();
    let mut marked = String::new();
    let mut sample = 0;
    for line in text.lines() {
        let _ = writeln!(marked, "{line}");
        let parsed: Value = serde_json::from_str(line).unwrap();
        if let Some(t) = parsed.get("sample").map(|sample| &sample["t"]) {
            let number = counter(sample);
            let _ = writeln!(
                marked,
                r#"{{"event":{{"t":{t},"kind":"marker","number":{number},"text":"n"}}}}"#
            );
            sample += 1;
        }
    }
    let path = recording.with_extension("marked.jsonl");
    std::fs::write(&path, marked).unwrap();
    path
}

fn judge(flags: &[&str], file: &Path) -> FinishedRun {
    let flags = flags.iter().map(Into::into);
    seepmeter(words!["judge"].into_iter().chain(flags).chain(words![file])).done()
}

/// Many units at first, and then few.
fn burst(i: i64) -> i64 {
    if i < 400 { 50 * i } else { 19_600 + i }
}

#[test]
fn a_leak_per_unit_is_found_with_its_rate_its_part_and_its_gates() {
    let folder = tempfile::tempdir().unwrap();
    let leak = |i| 4_096 * burst(i) + noise(1, i, 40_000);
    let recording = Synthetic::rss(600, move |i| 50_000_000 + leak(i))
        .part("[heap]", MappingClass::Heap, move |i| 10_000_000 + leak(i))
        .write(folder.path(), "leak.jsonl");
    let file = with_marks(&recording, burst);
    let line = judge(&["--per", "n"], &file).expect(0).out();
    assert!(line.starts_with("leaks 4 KiB per unit (95 % CI "), "{line}");
    assert!(line.contains("; rss per n, 20199 of them in 9 m 59 s; [heap] "), "{line}");
    let json = judge(&["--per", "n", "--json"], &file).expect(0).out();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["schema"], &json["counter"]), (&"seepmeter.work/1".into(), &"n".into()));
    let rate = json["per_unit"]["estimate"].as_f64().unwrap();
    assert!((rate - 4_096.0).abs() < 82.0, "{rate}");
    for (gate, status) in [("growing", 100), ("per-unit>16B", 100), ("per-unit>1MiB", 0)] {
        let done = judge(&["--per", "n", "--fail-on", gate], &file).expect(status);
        assert_eq!(done.err().contains("fires"), status == 100, "{}", done.output());
    }
}

#[test]
fn what_does_not_depend_on_the_work_is_constant_and_its_bound_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
    let line = judge(&["--per", "n"], &with_marks(&recording, |i| 1_000 * i)).expect(0).out();
    assert!(line.starts_with("constant 47.7 MiB, at most "), "{line}");
}

#[test]
fn memory_that_grows_while_the_counter_stands_still_is_no_growth_per_unit() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let file = with_marks(&recording, |i| 50 * i.min(200));
    let line = judge(&["--per", "n"], &file).expect(0).out();
    assert!(line.starts_with("inconclusive rss grows while n stands still: 7."), "{line}");
    let _ = judge(&["--per", "n", "--strict", "--fail-on", "per-unit>16B"], &file)
        .expect_complaint(100, &["gate `per-unit>16B` fails", "stands still", "--strict"]);
}

#[test]
fn too_few_units_or_too_short_a_run_is_not_enough_data_yet() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let few = judge(&["--per", "n"], &with_marks(&recording, |i| i / 60)).expect(0).out();
    assert!(few.starts_with("inconclusive not enough data yet: n rose 9 times"), "{few}");
    let recording = Synthetic::leak(40, 1).write(folder.path(), "short.jsonl");
    let short = judge(&["--per", "n"], &with_marks(&recording, |i| 10 * i)).expect(0).out();
    assert!(short.starts_with("inconclusive not enough data yet: "), "{short}");
    assert!(short.contains(" KiB per unit so far; about "), "{short}");
}

#[test]
fn a_counter_that_begins_anew_is_judged_from_there_on_and_two_writers_of_one_counter_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(1_200, 1).write(folder.path(), "leak.jsonl");
    let line = judge(&["--per", "n"], &with_marks(&recording, |i| 10 * (i % 600))).expect(0).out();
    assert!(line.starts_with("leaks ") && line.contains("it went backwards 1 time"), "{line}");
    let two = with_marks(&recording, |i| i + i % 2 * 5_000);
    let line = judge(&["--per", "n"], &two).expect(0).out();
    assert!(line.starts_with("inconclusive not enough data yet: "), "{line}");
    assert!(line.contains("give each process a counter of its own"), "{line}");
}

#[test]
fn a_counter_or_an_axis_that_there_is_not_is_an_error_that_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let _ = judge(&["--per", "n"], &recording)
        .expect_complaint(125, &["no counter `n`", "no marks of a counter were written"]);
    let file = with_marks(&recording, |i| i);
    let _ = judge(&["--per", "m"], &file).expect_complaint(125, &["no counter `m`; there are: n"]);
    let _ = judge(&["--fail-on", "per-unit>16B"], &file)
        .expect_complaint(0, &["was not evaluated", "judge --per COUNTER"]);
    let _ = judge(&["--per", "n", "--fail-on", "rate>1MiB/min"], &file)
        .expect_complaint(0, &["was not evaluated", "per-unit"]);
    let table = folder.path().join("table.csv");
    std::fs::write(&table, "time,rss\n0,1\n1,2\n").unwrap();
    let _ = judge(&["--per", "n", "--time", "time", "--value", "rss", "--unit", "B"], &table)
        .expect_complaint(125, &["another tool", "no marks"]);
}

#[test]
fn a_real_program_that_leaks_a_kilobyte_per_request_is_found() {
    if !long_or_not_run("a_real_program_that_leaks_a_kilobyte_per_request_is_found") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.jsonl");
    let sink = format!("jsonl,path={}", recording.display());
    let program = "import os, time
kept = []
for i in range(1, 101 * 100):
    kept.append(bytes(1000))
    os.write(3, b'requests %d\\n' % i)
    time.sleep(0.01)
";
    let run = words!["run", "-q", "-o", sink, "--mark-fd", "3", "--", "python3", "-c", program];
    let _ = seepmeter(run).done().expect(0);
    let json = judge(&["--per", "requests", "--json"], &recording).expect(0).out();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["answer"], "leaks", "{json}");
    let rate = json["per_unit"]["estimate"].as_f64().unwrap();
    // The bytes object, its header, and its place in the list.
    assert!((1_000.0..1_150.0).contains(&rate), "{json}");
}
