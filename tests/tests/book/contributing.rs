//! CONTRIBUTING.md says what is so: its paths are there, and so is each trap that a test cites.

use std::collections::BTreeSet;
use std::path::Path;

use crate::examples::{ROOT, rust_sources};

fn page() -> String {
    std::fs::read_to_string(format!("{ROOT}/CONTRIBUTING.md")).unwrap()
}

#[test]
fn every_trap_that_a_test_cites_is_listed() {
    let page = page();
    let mut cited = BTreeSet::new();
    for (_, text) in rust_sources() {
        let numbers =
            text.split("fn trap_").skip(1).filter_map(|name| Some(name.split_once('_')?.0));
        let numbers = numbers.filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        cited.extend(numbers.map(str::to_owned));
    }
    assert!(cited.len() > 15, "{cited:?}");
    for trap in cited {
        assert!(page.contains(&format!("\n- **{trap}.** ")), "trap {trap} is not listed");
    }
}

/// A name in capitals stands for a name of one's own.
#[test]
fn every_path_that_the_page_names_is_there() {
    let page = page();
    let page = page.split("\n## Traps\n").next().unwrap();
    let is_own = |part: &str| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase());
    let is_path = |text: &&str| {
        text.contains('/') && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '.')
    };
    let paths: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    let paths =
        paths.iter().filter(|path| !path.contains(' ') && !path.split(['/', '.', '-']).any(is_own));
    let paths: BTreeSet<&str> =
        paths.copied().filter(|path| !path.starts_with("target/")).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(Path::new(ROOT).join(path).exists(), "there is no {path}");
    }
}

#[test]
fn every_suite_of_the_end_to_end_tests_is_in_the_table() {
    let page = page();
    for entry in std::fs::read_dir(format!("{ROOT}/tests/tests")).unwrap() {
        let suite = entry.unwrap().file_name().into_string().unwrap();
        let row = format!("\n| `{suite}` |");
        assert!(page.contains(&row), "{suite} is not in the table of suites");
    }
}
