//! The project's chores: `cargo xtask check | test [SUITE…] | fuzz [SECONDS] | bless | dist |
//! release-check`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command of the developers'")]

mod dist;
mod fuzz;
mod other_machine;
mod release;
mod suites;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  check                      format, lints (for aarch64 too), and the C header against crates/seepmeter-abi
  test                       all tests
  test SUITE [ARGUMENT…]     the tests of one suite of tests/tests, or of one package; the arguments go to
                             cargo test, as in: cargo xtask test run bad_input -- --nocapture
  fuzz [SECONDS [FUZZER…]]   the fuzzers of fuzz/, so many seconds each (60 if no number is given)
  bless                      write the C header, the snapshots and the outputs in the book again
  dist                       a release in target/packages: a tar file, and a package for Debian
  release-check              versions, changelog, licences, and the frozen copy of the C header

SEEPMETER_LONG=1 runs the long tests too.";

/// How long each fuzzer runs if nobody says it.
const FUZZ_SECONDS: u32 = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["check"] => check(),
        ["test", rest @ ..] => test(rest),
        ["fuzz"] => fuzz::run(&root(), FUZZ_SECONDS, &[]),
        ["fuzz", seconds, only @ ..] => match seconds.parse() {
            Ok(seconds) => fuzz::run(&root(), seconds, only),
            Err(_) => Err(anyhow::anyhow!("`{seconds}` is no number of seconds")),
        },
        ["bless"] => bless(),
        ["dist"] => dist::run(&root()),
        ["release-check"] => release::check(&root()),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn check() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    other_machine::check(&root())?;
    // A workspace of its own, which nothing else builds without a nightly toolchain.
    let fuzzers = ["--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz-check"];
    cargo(&[&["check"], &fuzzers[..]].concat(), &[])?;
    cargo(&["test", "--quiet", "-p", "seepmeter-abi"], &[])
}

fn test(arguments: &[&str]) -> Result<()> {
    let Some((suite, rest)) = arguments.split_first() else {
        // All failures at once: a run of everything takes long.
        return cargo(&["test", "--workspace", "--no-fail-fast"], &[]);
    };
    let which = suites::find(&root(), suite)?;
    let mut words = vec!["test"];
    words.extend(which.iter().map(String::as_str));
    words.extend(rest);
    cargo(&words, &[])
}

/// Tests write the outputs that they compare, if the environment says so.
fn bless() -> Result<()> {
    let book = ["test", "-p", "seepmeter-tests", "--test", "book"];
    cargo(&["test", "--quiet", "-p", "seepmeter-abi"], &[("SEEPMETER_BLESS", "1")])?;
    cargo(&book, &[("SEEPMETER_BLESS", "1"), ("INSTA_UPDATE", "always")])?;
    println!("\nRead `git diff` before you commit: each change is one that users see.");
    Ok(())
}

/// Runs cargo in the workspace, with these variables.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    println!("== {line}");
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot run {line}"))?;
    ensure!(status.success(), "{line}: {status}");
    Ok(())
}
