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

/// The tests that the rows of the table name.
fn rows() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/reliability.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split("\n## Faults\n").nth(1).expect("the page has a section Faults");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|word| word.contains("::"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_test_of_a_fault_is_in_the_table_of_the_book_and_each_row_has_its_test() {
    let (tests, rows) = (tests(), rows());
    let without_row: Vec<_> = tests.difference(&rows).collect();
    let without_test: Vec<_> = rows.difference(&tests).collect();
    assert!(without_row.is_empty(), "tests that have no row: {without_row:#?}");
    assert!(without_test.is_empty(), "rows whose tests do not exist: {without_test:#?}");
}
