//! The schemas in docs/ are what answers are.

use std::path::Path;

use seepmeter_record::MappingClass;
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{run, seepmeter, words};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn schema(of: &str) -> Value {
    let text = std::fs::read_to_string(format!("{ROOT}/docs/{of}.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Where a value is not what a schema asks for. Knows the words that ours uses, and no others. A field
/// that the schema does not name is wrong here: it would be one that was forgotten.
fn faults(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |is: bool, what: &str| {
        if !is {
            faults.push(format!("{place}: {value} is not {what}"));
        }
    };
    let mut below = Vec::new();
    for (word, asked) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "const" => check(value == asked, &asked.to_string()),
            "enum" => check(asked.as_array().unwrap().contains(value), &asked.to_string()),
            "type" => check(is_of_one(value, asked), &asked.to_string()),
            "$ref" => {
                let pointer = asked.as_str().unwrap().trim_start_matches('#');
                below.extend(self::faults(root, root.pointer(pointer).unwrap(), value, place));
            }
            "anyOf" => {
                let each = asked.as_array().unwrap().iter();
                let each: Vec<_> = each.map(|s| self::faults(root, s, value, place)).collect();
                if each.iter().all(|faults| !faults.is_empty()) {
                    below.extend(each.into_iter().flatten());
                }
            }
            "required" => {
                for key in asked.as_array().unwrap() {
                    check(value.get(key.as_str().unwrap()).is_some(), &format!("with {key}"));
                }
            }
            "properties" => {
                for (key, value) in each(value) {
                    match asked.get(key) {
                        Some(asked) => {
                            let place = format!("{place}.{key}");
                            below.extend(self::faults(root, asked, value, &place));
                        }
                        None => check(false, &format!("without {key:?}")),
                    }
                }
            }
            // Of names that are not known before.
            "additionalProperties" => below.extend(each(value).flat_map(|(key, value)| {
                self::faults(root, asked, value, &format!("{place}.{key}"))
            })),
            "items" => {
                for (at, value) in value.as_array().into_iter().flatten().enumerate() {
                    below.extend(self::faults(root, asked, value, &format!("{place}[{at}]")));
                }
            }
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            other => panic!("{place}: the checker does not know `{other}`"),
        }
    }
    faults.extend(below);
    faults
}

/// The fields of an object; nothing has none.
fn each(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// True if a value is of a type, or of one of several.
fn is_of_one(value: &Value, types: &Value) -> bool {
    let types = types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice);
    types.iter().any(|name| is_of(value, name.as_str().unwrap()))
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type `{other}`"),
    }
}

#[track_caller]
fn assert_fits(verdict: &Value) {
    assert_is("verdict", verdict);
}

#[track_caller]
fn assert_is(of: &str, answer: &Value) {
    let schema = schema(of);
    let faults = faults(&schema, &schema, answer, "");
    assert!(faults.is_empty(), "{}\n{answer:#}", faults.join("\n"));
}

fn judged(flags: &[&str], path: &Path) -> Value {
    let words = words!["judge", "--json"].into_iter().chain(flags.iter().map(Into::into));
    let done = seepmeter(words.chain(words![path])).done();
    serde_json::from_str(&done.out()).unwrap_or_else(|error| panic!("{error}\n{}", done.output()))
}

#[test]
fn verdicts_of_every_word_and_with_every_field_fit_their_schema() {
    let folder = tempfile::tempdir().unwrap();
    let all = Synthetic::leak(600, 1)
        .with(attribute::CGROUP_LIMIT, 512_000_000)
        .part("heap", MappingClass::Heap, |i| 20_000 * i)
        .of_part(metric::THP, |i| 20_000 * i)
        .child("worker", 9, |_| 4_096)
        .write(folder.path(), "all.jsonl");
    let gates = ["--fail-on", "growing", "--fail-on", "subject(heap).rate>0"];
    let printed = judged(&gates, &all);
    assert_fits(&printed);
    for key in ["rate", "span", "shares", "limit"] {
        assert!(!printed[key].is_null(), "{key} is wanted here: {printed:#}");
    }
    assert_eq!(printed["gates"].as_array().map(Vec::len), Some(2));
    let counts = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 40 + i)
        .with(attribute::DESCRIPTOR_LIMIT, 4_096)
        .cgroup("/shop", 1 << 30, |i| 50_000_000 + 20_000 * i)
        .write(folder.path(), "counts.jsonl");
    for metric in ["fds", "cgroup_anon"] {
        let printed = judged(&["--metric", metric], &counts);
        assert_fits(&printed);
        assert!(!printed["limit"].is_null(), "{printed:#}");
    }
    let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
    assert_fits(&judged(&[], &flat));
    let short = Synthetic::leak(5, 3).write(folder.path(), "short.jsonl");
    assert_fits(&judged(&[], &short));
    let masked = Synthetic::rss(800, |i| 140_000_000 + noise(9, i, 9_000))
        .part("heap", MappingClass::Heap, |i| 50_000_000 + 20_000 * i)
        .part("cache", MappingClass::File, |i| 90_000_000 - 20_000 * i)
        .write(folder.path(), "masked.jsonl");
    assert_fits(&judged(&[], &masked));
}

#[test]
fn verdicts_on_each_epoch_of_a_target_that_was_started_again_fit_their_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(5, 3).write(folder.path(), "restarted.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, footer) = text.trim_end().rsplit_once('\n').unwrap();
    let successor = [
        r#"{"event":{"t":5000000000,"kind":"gone","subject":0}}"#,
        r#"{"subject":{"id":99,"kind":"process","name":"shop","attributes":{"pid":8,"predecessor":0}}}"#,
        r#"{"event":{"t":6000000000,"kind":"attached","subject":99}}"#,
    ];
    std::fs::write(&path, [before, &successor.join("\n"), footer, ""].join("\n")).unwrap();
    let done = seepmeter(words!["judge", "--json", path]).done().expect(0);
    let epochs: Vec<Value> =
        done.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    epochs.iter().for_each(assert_fits);
    let gap = |epoch: &Value| epoch["epoch"]["gap"].clone();
    assert_eq!(epochs.iter().map(gap).collect::<Vec<_>>(), [Value::Null, 1.0.into()]);
}

#[test]
fn verdicts_on_real_recordings_fit_their_schema() {
    let folder = std::fs::read_dir(format!("{ROOT}/tests/recordings")).unwrap();
    let mut judged_any = false;
    for path in folder.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "zst") {
            assert_fits(&judged(&[], &path));
            judged_any = true;
        }
    }
    assert!(judged_any, "there are no recordings");
}

#[test]
fn the_verdict_of_a_live_run_fits_its_schema() {
    let sink = "verdict,json=yes,path=-";
    let words = words!["run", "-q", "--no-summary", "-i", "5ms", "-o", sink, "-s", "statm"];
    let words = words.into_iter().chain(words!["-s", "smaps", "--fail-on", "peak>1TiB", "--"]);
    let done = seepmeter(words.chain(words!["sleep", "0.2"])).done().expect(0);
    assert_fits(&serde_json::from_str(&done.out()).unwrap());
}

fn printed(words: Vec<std::ffi::OsString>) -> Value {
    let done = seepmeter(words).done();
    serde_json::from_str(&done.out()).unwrap_or_else(|error| panic!("{error}\n{}", done.output()))
}

#[test]
fn comparisons_fit_their_schema_with_one_run_and_with_several() {
    let folder = tempfile::tempdir().unwrap();
    let run = |seed: u64, rate: i64| {
        Synthetic::rss(600, move |i| 100_000_000 + rate * i + noise(seed, i, 40_000))
            .part("heap", MappingClass::Heap, move |i| 50_000_000 + rate * i)
            .write(folder.path(), &format!("{seed}.jsonl"))
    };
    let [a, b, c, d] = [(1, 0), (2, 0), (3, 30_000), (4, 30_000)].map(|(n, rate)| run(n, rate));
    assert_is("comparison", &printed(words!["compare", "--json", &a, &b, "--", &c, &d]));
    assert_is("comparison", &printed(words!["compare", "--json", &a, "--", &c]));
}

#[test]
fn answers_of_scale_fit_their_schema() {
    for script in ["push @kept, 'x' x 1000 for 1 .. shift", "1"] {
        let flags = words!["scale", "--json", "-n", "2000,4000,8000", "--fail-on", "growing"];
        let command = words!["--", "perl", "-e", script, "{n}"];
        let answer = printed(flags.into_iter().chain(command).collect());
        assert_is("scale", &answer);
        assert!(!answer["runs"].as_array().unwrap().is_empty(), "{answer:#}");
    }
}

#[test]
fn verdicts_by_work_fit_their_schema() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).part("heap", MappingClass::Heap, |i| 20_000 * i);
    let recording = leak.write(folder.path(), "leak.jsonl");
    for rises in [1, 0] {
        let marked = super::work::with_marks(&recording, |i| rises * 100 * i);
        let words = words!["judge", "--per", "n", "--json", "--fail-on", "growing", marked];
        assert_is("work", &printed(words));
    }
}

#[test]
fn the_checker_finds_what_does_not_fit() {
    let schema = schema("verdict");
    let folder = tempfile::tempdir().unwrap();
    let good = judged(&[], &Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl"));
    for (key, value) in [
        ("classification", Value::from("leaking")),
        ("floors_used", Value::from(1.5)),
        ("rate", serde_json::json!({"estimate": 1.0, "low": 0.5})),
        ("gates", serde_json::json!([{"gate": "growing", "fired": "yes", "why": ""}])),
        ("mood", Value::from("good")),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!faults(&schema, &schema, &bad, "").is_empty(), "{key}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("unit");
    assert!(!faults(&schema, &schema, &bad, "").is_empty(), "unit");
}

/// A C program that forgets a block of 200 B in each millisecond.
const LEAKING: &str = r#"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    puts("ready");
    fflush(stdout);
    struct pollfd input = {0, POLLIN, 0};
    while (poll(&input, 1, 1) == 0) ((volatile char *)malloc(200))[0] = 1;
}
"#;

#[test]
fn all_that_heap_says_of_a_process_fits_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("leaking.c"), folder.path().join("leaking"));
    std::fs::write(&source, LEAKING).unwrap();
    let cc = std::process::Command::new("cc").arg(&source).arg("-o").arg(&program).status();
    assert!(cc.expect("a C compiler").success());
    let mut running = run(program, words![]).start();
    let _ = running.line("ready");
    let ask = |flags: &[&str], status: i32| -> Value {
        let pid = running.pid().to_string();
        let words = words!["heap", pid, "--json"].into_iter();
        let done = seepmeter(words.chain(flags.iter().map(Into::into))).done().expect(status);
        let answer = serde_json::from_str(&done.out()).unwrap();
        assert_is("heap", &answer);
        answer
    };
    let grown = ask(&["--diff", "1s"], 0);
    assert_eq!(grown["growth"][0]["class"], "200 B of malloc", "{grown:#}");
    let unreachable = &grown["growth"][0]["holders"]["unreachable"];
    assert!(unreachable.as_u64().is_some_and(|count| count > 10), "{grown:#}");
    let all = ask(&[], 0);
    assert!(all["account"]["rss"].as_u64() > all["account"]["items"]["unreachable"].as_u64());
    assert!(all["account"]["unexplained"].as_i64().is_some_and(|it| it.abs() < 4096), "{all:#}");
    let leaks = ask(&["--leaks=200ms"], 1);
    let group = &leaks["leaks"]["groups"][0];
    assert_eq!((&group["shape"], &group["class"]), (&"block".into(), &"200 B of malloc".into()));
    let why = ask(&["--why", "200 B of malloc"], 0);
    assert!(why["holders"]["unreachable"].as_u64() > Some(10), "{why:#}");
    let holds = ask(&["--holds", group["example"].as_str().unwrap()], 0);
    assert_eq!(holds["retained"]["blocks"]["bytes"], 200, "{holds:#}");
    running.end_input();
    let _ = running.finish().expect(0);
}
