//! The recordings of real programs in tests/recordings: each is whole, small, and has an answer, an
//! argument and a script; the table names none that is not there; and the judge is right on each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use seepmeter_record::jsonl::Ending;
use seepmeter_tests::{Recording, seepmeter, words};
use serde_json::Value;

const COLUMNS: [&str; 6] = ["file", "answer", "program", "version", "how", "why"];
const WORDS: [&str; 3] = ["growing", "steady", "inconclusive"];

/// What the judge can't say yet, though it is right: each with the reason. Only `inconclusive` may
/// stand here, never a false alarm nor a leak that is called steady.
const NOT_YET: [(&str, &str); 2] = [
    (
        "node-map-leak.jsonl.zst",
        "its cycle of two and a half minutes comes round three times in eight minutes, and three floors \
         tell no leak from a heap that finds its size",
    ),
    (
        "perl-cycles-leak.jsonl.zst",
        "its first minute and a half climbs four times as fast as the rest, under swings of some MB: a \
         logarithm meets it as well as a line does",
    ),
];

const LARGEST: u64 = 200_000;
const LARGEST_TOGETHER: u64 = 2_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// The rows of ANSWERS.csv.
fn answers() -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(folder().join("ANSWERS.csv")).expect("the table");
    assert_eq!(reader.headers().expect("a header"), COLUMNS.as_slice());
    let rows = reader.records().map(|row| row.expect("a row as long as the header"));
    rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
}

fn recordings() -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).expect("the recordings");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("a plain name"))
        .filter(|name| name.ends_with(".jsonl.zst"))
        .collect()
}

#[test]
fn every_recording_has_one_answer_and_every_answer_a_recording() {
    let answers = answers();
    let named: BTreeSet<String> = answers.iter().map(|row| row[0].clone()).collect();
    assert_eq!(named.len(), answers.len(), "one is named twice");
    assert_eq!(named, recordings());
}

#[test]
fn answers_are_of_the_three_words_and_are_argued() {
    for row in answers() {
        assert!(row[1].split('|').all(|word| WORDS.contains(&word)), "{}: {}", row[0], row[1]);
        assert!(row.iter().all(|cell| !cell.trim().is_empty()), "{} lacks a cell", row[0]);
    }
}

#[test]
fn every_recording_has_the_script_that_its_row_names() {
    for row in answers() {
        let name = row[0].trim_end_matches(".jsonl.zst");
        assert!(folder().join("make").join(name).is_file(), "there is no make/{name}");
        assert!(row[4].starts_with(&format!("make/{name}")), "{}: {}", row[0], row[4]);
    }
}

#[test]
fn recordings_are_whole_and_of_no_ones_machine() {
    for name in recordings() {
        let recording = Recording::read(&folder().join(&name));
        assert_eq!(recording.ending, Ending::Whole, "{name}");
        let header = format!("{:?}", recording.header());
        assert!(header.contains("recordings"), "{name} tells its machine's name: {header}");
        assert!(recording.series("rss").len() >= 10, "{name} has hardly a sample");
    }
}

#[test]
fn recordings_are_small() {
    let size = |name: &String| fs::metadata(folder().join(name)).expect("a file").len();
    let sizes: Vec<u64> = recordings().iter().map(size).collect();
    assert!(sizes.iter().all(|&size| size < LARGEST), "{sizes:?}");
    assert!(sizes.iter().sum::<u64>() < LARGEST_TOGETHER, "{sizes:?}");
}

/// What `seepmeter judge --json` says of each recording: a line each, in order.
fn verdicts(names: &[&str]) -> Vec<String> {
    let mut arguments = words!["judge", "--json"];
    arguments.extend(names.iter().map(|name| folder().join(name).into_os_string()));
    let judged = seepmeter(arguments).done().expect(0).out();
    let verdict = |line: &str| -> String {
        let said: Value = serde_json::from_str(line).expect("JSON");
        said["classification"].as_str().expect("a verdict").to_owned()
    };
    let said: Vec<String> = judged.lines().map(verdict).collect();
    assert_eq!(said.len(), names.len(), "{judged}");
    said
}

#[test]
fn the_judge_is_right_on_every_recording_of_a_real_program() {
    let answers = answers();
    let names: Vec<&str> = answers.iter().map(|row| row[0].as_str()).collect();
    let mut wrong = vec![];
    let mut grave = vec![];
    for (row, said) in answers.iter().zip(verdicts(&names)) {
        let right: Vec<&str> = row[1].split('|').collect();
        if right.contains(&said.as_str()) {
            continue;
        }
        let line = format!("{} is {}, and was called {said}", row[0], row[1]);
        if said != "inconclusive" {
            grave.push(line.clone());
        }
        wrong.push((row[0].as_str(), line));
    }
    assert!(grave.is_empty(), "a false word is never excused:\n{}", grave.join("\n"));

    let excused: BTreeSet<&str> = NOT_YET.iter().map(|(name, _)| *name).collect();
    let now_wrong: BTreeSet<&str> = wrong.iter().map(|(name, _)| *name).collect();
    let lines: Vec<&str> = wrong.iter().map(|(_, line)| line.as_str()).collect();
    let new: Vec<_> = now_wrong.difference(&excused).collect();
    assert!(new.is_empty(), "newly wrong: {new:?}; all that are wrong:\n{}", lines.join("\n"));
    let better: Vec<_> = excused.difference(&now_wrong).collect();
    assert!(better.is_empty(), "right now, or gone: take {better:?} out of NOT_YET");
}
