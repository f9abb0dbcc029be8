//! Seepmeter on other kernels: Debian's of three releases, booted under software emulation.
//!
//! `tests/kernels/boot` boots one, `tests/kernels/suite.sh` runs in it and prints a line for each feature.
//! The table of the book, `docs/src/reliability.md`, section "Other kernels", is what is expected: one row
//! for each feature, one column for each kernel. `SEEPMETER_BLESS=1` writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use seepmeter_tests::{long_or_not_run, not_run, seepmeter_path, test_target};

/// The kernels, by Debian's releases.
const KERNELS: [Kernel; 3] = [
    Kernel { release: "bullseye", version: "5.10" },
    Kernel { release: "bookworm", version: "6.1" },
    Kernel { release: "trixie", version: "6.12" },
];

/// What `boot` exits with if qemu or the kernel can't be had.
const CANNOT_BE_HAD: i32 = 126;

struct Kernel {
    release: &'static str,
    version: &'static str,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// The program without its debug information, which is most of it, and which no guest has memory for.
fn stripped(program: &Path, into: &Path) -> PathBuf {
    let copy = into.join(program.file_name().expect("a file"));
    let done = Command::new("strip").arg("-g").arg("-o").arg(&copy).arg(program).status();
    assert!(done.expect("strip of binutils").success(), "strip {}", program.display());
    copy
}

/// What the suite says on a kernel. What is beside the results says why they are not as expected.
fn booted(kernel: &Kernel) -> String {
    let programs = tempfile::tempdir().unwrap();
    let output = Command::new(folder().join("boot"))
        .env("BOOT_LIMIT", "900")
        .args([kernel.release.as_ref(), folder().join("suite.sh").as_os_str()])
        .arg(stripped(&seepmeter_path(), programs.path()))
        .arg(stripped(&test_target(), programs.path()))
        .output()
        .expect("tests/kernels/boot");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let begun = format!("@@begin {}.", kernel.version);
    assert!(
        output.status.success() && said.contains(&begun),
        "{}\n{said}\n{errors}",
        output.status
    );
    said
}

/// The result of each feature, in its order.
fn results(said: &str) -> Vec<(String, String)> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("@ ")?.split_once(": "));
    lines.map(|(feature, result)| (feature.to_owned(), result.to_owned())).collect()
}

/// True if a kernel can be booted here; says loudly if qemu or the kernel can't be had. Any other failure is
/// one of the test.
fn can_be_had(kernel: &Kernel) -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        not_run(&format!("Linux {}", kernel.version), "the kernels are those of x86-64");
        return false;
    }
    let asked = Command::new(folder().join("boot")).args(["--have", kernel.release]).output();
    let asked = asked.expect("tests/kernels/boot");
    if asked.status.code() == Some(CANNOT_BE_HAD) {
        let why = String::from_utf8_lossy(&asked.stderr);
        not_run(&format!("Linux {}", kernel.version), why.lines().last().unwrap_or("no reason"));
        return false;
    }
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    true
}

/// The heading of the table's section.
const SECTION: &str = "\n## Other kernels\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reliability.md")
}

/// The cells of a row of the table.
fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The rows of the table: of each feature, the result on each kernel.
fn table() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(page()).unwrap();
    let section = text.split(SECTION).nth(1).expect("a section Other kernels");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let mut cells = cells(row);
        (cells.remove(0), cells)
    })
    .collect()
}

/// Writes the column of a kernel into the table, whose rows are then those of the results.
fn bless(column: usize, results: &[(String, String)]) {
    let known: BTreeMap<String, Vec<String>> = table().into_iter().collect();
    let row = |(feature, result): &(String, String)| {
        let unknown = || vec!["?".to_owned(); KERNELS.len()];
        let mut cells = known.get(feature).cloned().unwrap_or_else(unknown);
        cells[column].clone_from(result);
        format!("| {feature} | {} |\n", cells.join(" | "))
    };
    let text = std::fs::read_to_string(page()).unwrap();
    let section = text.find(SECTION).unwrap();
    let rule = section + text[section..].find("\n|---").unwrap() + 1;
    let begin = rule + text[rule..].find('\n').unwrap() + 1;
    let old: usize = text[begin..]
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("| "))
        .map(str::len)
        .sum();
    let rows: String = results.iter().map(row).collect();
    std::fs::write(page(), [&text[..begin], &rows, &text[begin + old..]].concat()).unwrap();
}

/// Boots a kernel and compares what the suite says there with its column of the table.
fn check(version: &str) {
    let column = KERNELS.iter().position(|kernel| kernel.version == version).unwrap();
    let kernel = &KERNELS[column];
    if !long_or_not_run(&format!("Linux {version}")) || !can_be_had(kernel) {
        return;
    }
    let said = booted(kernel);
    let results = results(&said);
    if std::env::var_os("SEEPMETER_BLESS").is_some() {
        return bless(column, &results);
    }
    let expected: BTreeMap<String, String> =
        table().into_iter().map(|(feature, mut cells)| (feature, cells.remove(column))).collect();
    let found: BTreeMap<String, String> = results.into_iter().collect();
    assert_eq!(found, expected, "Linux {version} and the book's table differ\n{said}");
}

// One test, since one kernel at a time has a CPU to itself.
#[test]
fn on_each_kernel_seepmeter_does_what_the_table_of_the_book_says() {
    KERNELS.iter().for_each(|kernel| check(kernel.version));
}

#[test]
fn the_table_has_a_result_of_each_feature_on_each_kernel() {
    let rows = table();
    assert!(rows.len() >= 20, "{rows:?}");
    for (feature, cells) in rows {
        assert_eq!(cells.len(), KERNELS.len(), "{feature}");
        assert!(cells.iter().all(|cell| !cell.is_empty() && cell != "?"), "{feature}: {cells:?}");
    }
}
