//! The table of the book and the tests of this suite are the same.

use std::collections::BTreeSet;
use std::process::Command;

/// The tests of this binary in the modules of faults, as `module::name`.
fn tests() -> BTreeSet<String> {
    let own = std::env::current_exe().unwrap();
    let listed = Command::new(own).args(["--list", "--format", "terse"]).output().unwrap();
    let lines = String::from_utf8(listed.stdout).unwrap();
    let names = lines.lines().filter_map(|line| line.strip_suffix(": test"));
    names.filter(|name| !name.starts_with("table::")).map(str::to_owned).collect()
}

/// A section of the page.
fn section(title: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/reliability.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split(&format!("\n## {title}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("the page has no section {title}"));
    section.split("\n## ").next().unwrap().to_owned()
}

/// The tests that the rows of the table name.
fn rows() -> BTreeSet<String> {
    let section = section("Faults");
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|word| word.contains("::"))
        .map(str::to_owned)
        .collect()
}

/// What the rows of a table in a section of the page begin with.
fn first_words(section: &str) -> BTreeSet<String> {
    let section = self::section(section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn each_kind_of_target_that_is_hard_to_watch_is_in_the_table_of_the_book() {
    let kinds = super::kills::hostile_kinds();
    let kinds: BTreeSet<String> = kinds.lines().map(str::to_owned).collect();
    assert_eq!(kinds, first_words("Targets that are hard to watch"));
}

#[test]
fn each_test_of_a_fault_is_in_the_table_of_the_book_and_each_row_has_its_test() {
    let (tests, rows) = (tests(), rows());
    let without_row: Vec<_> = tests.difference(&rows).collect();
    let without_test: Vec<_> = rows.difference(&tests).collect();
    assert!(without_row.is_empty(), "tests that have no row: {without_row:#?}");
    assert!(without_test.is_empty(), "rows whose tests do not exist: {without_test:#?}");
}
