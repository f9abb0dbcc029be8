//! The book's page on the recording format is right: its lines are records, and its tables are complete.

use std::collections::BTreeSet;

use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::jsonl::{Ending, Reader, parse, write_record};
use seepmeter_record::{EventKind, MappingClass, SubjectKind};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/recording-format.md");

fn page() -> String {
    std::fs::read_to_string(PAGE).unwrap()
}

/// The lines that are records.
fn records(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter(|line| line.starts_with("{\""))
}

/// The cells of a table, by the line of its column names, with no marks of code around them.
fn table<'a>(page: &'a str, columns: &str) -> Vec<Vec<&'a str>> {
    let (_, behind) = page.split_once(&format!("\n{columns}\n")).expect(columns);
    let rows = behind.lines().skip(1).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &'a str| row.split(" | ").map(|cell| cell.trim_matches('`')).collect();
    rows.map(cells).collect()
}

fn first_cells<'a>(page: &'a str, columns: &str) -> Vec<&'a str> {
    table(page, columns).into_iter().map(|row| row[0]).collect()
}

#[test]
fn every_line_of_the_page_is_a_record_and_is_written_as_it_stands_there() {
    let page = page();
    let mut kinds = BTreeSet::new();
    for line in records(&page) {
        let record = parse(line.as_bytes()).unwrap().expect(line);
        let mut written = Vec::new();
        write_record(&mut written, &record).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
        kinds.insert(line.split('"').nth(1).unwrap());
    }
    let all = "event footer frame header image metric sample stack subject";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
}

#[test]
fn the_first_recording_of_the_page_is_whole() {
    let page = page();
    let (_, recording) = page.split_once("$ cat run.jsonl\n").unwrap();
    let (recording, _) = recording.split_once("```").unwrap();
    let mut reader = Reader::new(recording.as_bytes());
    let mut records = 0;
    while reader.next_record().unwrap().is_some() {
        records += 1;
    }
    assert_eq!((records, reader.ending()), (recording.lines().count(), Ending::Whole));
}

#[test]
fn the_table_of_metrics_is_that_of_the_conventions() {
    let conventions: Vec<Vec<&str>> = metric::ALL
        .iter()
        .map(|spec| vec![spec.name, spec.unit.as_str(), spec.kind.as_str(), spec.help])
        .collect();
    assert_eq!(table(&page(), "| name | unit | kind | meaning |"), conventions);
}

#[test]
fn the_table_of_attributes_is_that_of_the_conventions() {
    let conventions: Vec<Vec<&str>> =
        attribute::ALL.iter().map(|(name, help)| vec![*name, *help]).collect();
    assert_eq!(table(&page(), "| attribute | meaning |"), conventions);
}

#[test]
fn the_tables_of_kinds_and_classes_are_those_of_the_conventions() {
    let page = page();
    let kinds: Vec<&str> = SubjectKind::KNOWN.iter().map(SubjectKind::as_str).collect();
    assert_eq!(first_cells(&page, "| kind | what it is |"), kinds);
    let classes: Vec<&str> = MappingClass::KNOWN.iter().map(MappingClass::as_str).collect();
    assert_eq!(first_cells(&page, "| class | what the memory is |"), classes);
}

#[test]
fn the_table_of_events_names_every_kind_and_its_fields() {
    let page = page();
    let rows = table(&page, "| kind | fields | meaning |");
    let rows: Vec<(&str, String)> =
        rows.iter().map(|row| (row[0], row[1].replace(['`', '?'], ""))).collect();
    let known: Vec<(&str, String)> =
        EventKind::KNOWN.iter().map(|(kind, fields)| (*kind, fields.join(", "))).collect();
    assert_eq!(rows, known);
}
