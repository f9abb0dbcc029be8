//! CPU time per sample: the whole process, against the Perl rendering of the project's ancestor.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::process::{run, wait};
use crate::statistics::median;
use crate::table::Row;

const ANCESTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers.d/ancestor.pl");

/// What several runs used together.
#[derive(Default)]
struct Sum {
    cpu: Duration,
    samples: u64,
}

impl Sum {
    /// Microseconds of CPU time per sample, without the `start_up` of each of `runs`.
    fn per_sample(&self, start_up: Duration, runs: u32) -> f64 {
        self.cpu.saturating_sub(start_up * runs).as_secs_f64() * 1e6 / self.samples as f64
    }
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let runs = bench.pick(4, 2);
    let seconds = bench.pick(10, 3);
    let (mut own, mut perl) = (Sum::default(), Sum::default());
    for _ in 0..runs {
        run_own(bench, seconds, &mut own)?;
        run_ancestor(bench, seconds, &mut perl)?;
    }
    ensure!(own.samples > 0 && perl.samples > 0, "there are no samples");
    let (own_start_up, perl_start_up) = start_up_cost(bench, bench.pick(40, 10))?;
    let own_cost = own.per_sample(own_start_up, runs);
    let perl_cost = perl.per_sample(perl_start_up, runs);
    let ratio = perl_cost / own_cost;
    let measured = |sum: &Sum, cost: f64, start_up: Duration| {
        format!(
            "{cost:.1} µs ({:.1} with the {:.1} ms of its start-up; {} samples)",
            sum.per_sample(Duration::ZERO, runs),
            start_up.as_secs_f64() * 1e3,
            sum.samples
        )
    };
    Ok(vec![
        Row::promise(
            "CPU per sample at 100 Hz, csv sink, whole process",
            "≤ 50 µs",
            measured(&own, own_cost, own_start_up),
            own_cost <= 50.0,
        ),
        Row::figure(
            "CPU per sample at 100 Hz, the ancestor in Perl",
            measured(&perl, perl_cost, perl_start_up),
        ),
        Row::promise(
            "CPU per sample, the ancestor's over seepmeter's",
            "≥ 5 ×",
            format!("{ratio:.1} ×"),
            ratio >= 5.0,
        ),
    ])
}

/// Seepmeter with the csv sink, on a program.
fn own_command(bench: &Bench, table: &Path) -> Command {
    let mut command = Command::new(&bench.seepmeter);
    command.args(["run", "-q", "-i", "10ms", "-o"]).arg(format!("csv,path={}", table.display()));
    command
}

fn run_own(bench: &Bench, seconds: u32, sum: &mut Sum) -> Result<()> {
    let table = bench.file("cost.csv");
    let usage = run(own_command(bench, &table).args(["--", "sleep", &seconds.to_string()]))?;
    sum.cpu += usage.cpu;
    // The first line names the columns.
    sum.samples += lines(&table)?.saturating_sub(1);
    Ok(())
}

/// The ancestor prints to a file too, or it would be spared the writing.
fn run_ancestor(bench: &Bench, seconds: u32, sum: &mut Sum) -> Result<()> {
    let output = bench.file("ancestor.txt");
    let child = Command::new("perl")
        .args([ANCESTOR, "0.01", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .spawn()
        .context("cannot run perl")?;
    sum.cpu += wait(&child)?;
    sum.samples += lines(&output)?;
    Ok(())
}

/// The CPU time of watching `true` with each.
fn start_up_cost(bench: &Bench, runs: usize) -> Result<(Duration, Duration)> {
    let table = bench.file("start-up.csv");
    let (mut own, mut perl) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        own.push(run(own_command(bench, &table).args(["--", "true"]))?.cpu.as_secs_f64());
        let usage = run(Command::new("perl").args([ANCESTOR, "0.01", "true"]))?;
        perl.push(usage.cpu.as_secs_f64());
    }
    Ok((Duration::from_secs_f64(median(&own)), Duration::from_secs_f64(median(&perl))))
}

fn lines(path: &Path) -> Result<u64> {
    let mut lines = 0;
    for line in BufReader::new(File::open(path)?).lines() {
        line?;
        lines += 1;
    }
    Ok(lines)
}
