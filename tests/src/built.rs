//! Where the programs are, and that they are built.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the built programs, that of the running test: `target/debug`, say. Builds them first,
/// once in a run of the tests.
///
/// # Panics
/// If they can't be built.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        // A test is in FOLDER/deps.
        let folder = test.ancestors().nth(2).expect("a test is in target/PROFILE/deps");
        build_once(folder);
        folder.to_owned()
    })
}

/// The path of the command.
#[must_use]
pub fn seepmeter_path() -> PathBuf {
    folder().join("seepmeter")
}

/// The path of the program that has all the targets of `tests/targets/`: its first argument says which.
#[must_use]
pub fn test_target() -> PathBuf {
    folder().join("test-target")
}

/// Copies the command to this path. Another program does so: if this one had the file open for writing, a
/// child that another test forks at this moment would have it open too, and the copy could not be executed.
///
/// # Panics
/// If it can't be copied.
#[track_caller]
pub fn copy_seepmeter(to: &Path) {
    let status = Command::new("cp").args([seepmeter_path().as_path(), to]).status().expect("cp");
    assert!(status.success(), "cannot copy to {}: {status}", to.display());
}

/// Builds, unless another test of this very run has. Some runners start a process for each test, and
/// even a build that does nothing takes a good part of a second.
fn build_once(folder: &Path) {
    let stamp = folder.join(".seepmeter-tests-built");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&stamp)
        .expect("stamp");
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => file.lock().expect("lock"),
        Err(TryLockError::Error(error)) => panic!("cannot lock {}: {error}", stamp.display()),
    }
    let runner = runner();
    let mut built_for = String::new();
    file.read_to_string(&mut built_for).expect("stamp");
    if runner.as_ref().is_some_and(|runner| *runner == built_for) {
        return;
    }
    build(folder);
    file.set_len(0).and_then(|()| file.rewind()).expect("stamp");
    file.write_all(runner.unwrap_or_default().as_bytes()).expect("stamp");
}

/// Which run of the tests this is: that of its parent, if that is cargo or nextest.
fn runner() -> Option<String> {
    let parent = nix::unistd::getppid();
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).ok()?;
    let (name, fields) = stat.rsplit_once(')')?;
    let start_time = fields.split_whitespace().nth(19)?;
    name.contains("(cargo").then(|| format!("{parent} {start_time}"))
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let output = Command::new(env!("CARGO"))
        // With the tests, so that the features are those that `cargo test` builds with; with others all would be built twice.
        .args(["build", "--quiet", "--workspace", "--lib", "--bins", "--tests"])
        .args(["--profile", profile, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.parent().expect("a target folder"))
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo build of the programs failed:\n{said}");
}
