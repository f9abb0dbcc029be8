//! Runs the fuzzers of `fuzz/`, some time each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail, ensure};

/// No input may take more memory than this, in MiB: what instrumentation adds is in it.
const MAX_MIB: u32 = 400;

/// No input may take longer, in seconds.
const MAX_SECONDS: u32 = 10;

/// As long as anything that is read line by line needs to be for all of its branches.
const MAX_BYTES: u32 = 1 << 15;

/// How one fuzzer went.
struct Outcome {
    name: String,
    executions: u64,
    log: PathBuf,
    crashed: bool,
}

/// Runs all fuzzers, or those that are named, for so many seconds each, as many at a time as there are CPUs.
pub(crate) fn run(root: &Path, seconds: u32, only: &[&str]) -> Result<()> {
    let Some(cargo_fuzz) = cargo_fuzz(root) else { return Ok(()) };
    println!("== cargo fuzz build");
    let built = Command::new(cargo_fuzz)
        .args(["fuzz", "build", "--sanitizer", "none", "--target-dir", "target/fuzz"])
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .current_dir(root)
        .status()
        .context("cannot run cargo-fuzz")?;
    ensure!(built.success(), "cargo fuzz build: {built}");
    let names = targets(root)?;
    let chosen = |name: &String| only.is_empty() || only.contains(&name.as_str());
    let waiting = Mutex::new(names.into_iter().filter(chosen).rev().collect::<Vec<_>>());
    let outcomes = Mutex::new(Vec::new());
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        while let Some(name) = waiting.lock().ok().and_then(|mut names| names.pop()) {
            let outcome = fuzz(root, &name, seconds);
            outcomes
                .lock()
                .into_iter()
                .for_each(|mut all| all.push(outcome.as_ref().ok().map(report)));
            outcome?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        let ends =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a panic")));
        ends.collect::<Result<Vec<()>>>()
    })?;
    let outcomes = outcomes.into_inner().unwrap_or_default();
    ensure!(!outcomes.contains(&Some(true)), "fuzzers have found something: see the logs above");
    Ok(())
}

/// cargo-fuzz, if it can work here; says loudly if not.
fn cargo_fuzz(root: &Path) -> Option<PathBuf> {
    let toolchains = Command::new("rustup").args(["toolchain", "list"]).output();
    let toolchains = toolchains.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    if !toolchains.is_ok_and(|list| list.lines().any(|line| line.starts_with("nightly"))) {
        not_run("there is no nightly toolchain (rustup toolchain install nightly)");
        return None;
    }
    let own = root.join("target/tools/bin/cargo-fuzz");
    let program = if own.is_file() { own } else { "cargo-fuzz".into() };
    if Command::new(&program).arg("--version").output().is_err() {
        not_run(
            "cargo-fuzz is not installed (cargo install --locked --root target/tools cargo-fuzz)",
        );
        return None;
    }
    Some(program)
}

fn not_run(why: &str) {
    eprintln!("NOT RUN: the fuzzers: {why}");
}

/// The names of the fuzzers, in order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// Runs one fuzzer. What it learns is kept for the next time.
fn fuzz(root: &Path, name: &str, seconds: u32) -> Result<Outcome> {
    let work = root.join("target/fuzz");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let (corpus, found) = (work.join("corpus").join(name), work.join("found"));
    let seeds = root.join("fuzz/seeds").join(name);
    for folder in [&corpus, &found, &work.join("log")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = work.join("log").join(name);
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    // A fuzzer never comes to the end of its main, so what it writes is removed here. In memory if it can be.
    let shared = Path::new("/dev/shm");
    let memory = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(memory).context("cannot make a folder for a fuzzer")?;
    let mut command = Command::new(work.join(triple).join("release").join(name));
    command.arg(&corpus).args(seeds.is_dir().then_some(seeds));
    let status = command
        .env("TMPDIR", folder.path())
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MAX_MIB}"))
        .arg(format!("-timeout={MAX_SECONDS}"))
        .arg(format!("-max_len={MAX_BYTES}"))
        .arg(format!("-artifact_prefix={}/{name}-", found.display()))
        .arg("-print_final_stats=1")
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .with_context(|| format!("cannot run the fuzzer {name}"))?;
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    Ok(Outcome {
        name: name.to_owned(),
        executions: executions(&said),
        log,
        crashed: !status.success(),
    })
}

/// How many inputs there were, by libFuzzer's last words; 0 if it has not come to them.
fn executions(said: &str) -> u64 {
    let stat = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    stat.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// Prints how one went; true if it has found something.
fn report(outcome: &Outcome) -> bool {
    let Outcome { name, executions, log, crashed } = outcome;
    let found = if *crashed {
        format!("found something: {}", log.display())
    } else {
        "found nothing".to_owned()
    };
    println!("{name}: {executions} inputs, {found}");
    *crashed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fuzzer_is_declared_and_has_its_file() {
        let root = crate::root();
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let declared = manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/"));
        let mut declared: Vec<_> = declared.filter_map(|rest| rest.strip_suffix(".rs\"")).collect();
        declared.sort_unstable();
        assert_eq!(declared, targets(&root).unwrap());
    }

    #[test]
    fn the_number_of_inputs_is_read_from_the_last_words() {
        let said = "x\nstat::number_of_executed_units: 1234\nstat::average_exec_per_sec:  4\n";
        assert_eq!((executions(said), executions("x")), (1234, 0));
    }
}
