//! For how long a process stands still for a snapshot, beside a fork of its own.
//!
//! The two are measured in turns, for the machine is seldom quiet.
//! `cargo run --release -p seepmeter-snapshot-bench [-- --quick]`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use seepmeter_snapshot::{Snapshot, SnapshotOptions};

/// What a fork of the process's own may be exceeded by.
const FACTOR: f64 = 1.2;

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|word| word == "--quick");
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("target");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/target.c");
    let cc = Command::new("cc").args(["-O1", source, "-o"]).arg(&program).status()?;
    if !cc.success() {
        return Err("cc has failed".into());
    }
    println!("| size | asked | pause | a fork of its own | | second stop |");
    println!("|---|---|---|---|---|---|");
    let sizes: &[u32] = if quick { &[100, 1024] } else { &[100, 1024, 4096] };
    let mut all = true;
    for &size in sizes {
        all &= measure(&program, size, if quick { 7 } else { 15 })?;
    }
    if all { Ok(()) } else { Err("not all is reached".into()) }
}

struct Target {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Target {
    fn start(program: &Path, size: u32) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(program);
        let command = command.arg(size.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut target = Self { child, lines };
        target.line()?;
        Ok(target)
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        Ok(self.lines.next().ok_or("it has ended")??)
    }

    /// How many milliseconds a fork takes.
    fn fork(&mut self) -> Result<f64, Box<dyn Error>> {
        self.child.stdin.as_mut().ok_or("no input")?.write_all(b"\n")?;
        Ok(self.line()?.parse::<f64>()? / 1e6)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(program: &Path, size: u32, turns: u32) -> Result<bool, Box<dyn Error>> {
    let mut target = Target::start(program, size)?;
    let pid = target.child.id().cast_signed();
    let (mut ours, mut theirs, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        theirs.push(target.fork()?);
        let snapshot = Snapshot::take(pid, SnapshotOptions::default())?;
        ours.push(snapshot.pause().pause().as_secs_f64() * 1e3);
        ends.push(snapshot.end()?.pause().as_secs_f64() * 1e3);
    }
    let (ours, theirs, end) = (median(ours), median(theirs), median(ends));
    let ratio = ours / theirs;
    println!(
        "| {size} MiB | ≤ {FACTOR} × | {ours:.1} ms | {theirs:.1} ms | {ratio:.2} × | {end:.2} ms |"
    );
    Ok(ratio <= FACTOR)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
