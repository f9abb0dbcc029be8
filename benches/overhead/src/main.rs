//! What seepmeter costs, against what it promises: one run, one table.
//!
//! Every figure is compared with another of the same run, measured in turns with it, since machines are
//! noisy. `cargo build --release && cargo run --release -p seepmeter-overhead-bench`
//! takes about four minutes; `--quick` takes less time and is less certain.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks to a person")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use table::Row;

mod cost;
mod counts;
mod own_rss;
mod process;
mod rate;
mod reads;
mod recording;
mod start_up;
mod statistics;
mod table;
mod target;
mod throughput;

/// Measure what seepmeter costs, and hold it against what it promises
#[derive(Parser)]
struct Flags {
    /// Take less time, and be less certain
    #[arg(long)]
    quick: bool,
    /// The seepmeter to measure [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    seepmeter: Option<PathBuf>,
    /// Measure only the parts with these names (reads, counts, cost, rate, rss, start-up, throughput)
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Be the busy target for this many milliseconds
    #[arg(long, hide = true, value_name = "MS")]
    busy: Option<u64>,
}

/// What every part needs.
struct Bench {
    seepmeter: PathBuf,
    quick: bool,
    /// For output files.
    folder: tempfile::TempDir,
}

/// A part of the benchmark: its name, and what measures it.
type Part = (&'static str, fn(&Bench) -> Result<Vec<Row>>);

const PARTS: [Part; 7] = [
    ("reads", reads::measure),
    ("counts", counts::measure),
    ("cost", cost::measure),
    ("rate", rate::measure),
    ("rss", own_rss::measure),
    ("start-up", start_up::measure),
    ("throughput", throughput::measure),
];

fn main() -> Result<()> {
    let flags = Flags::parse();
    if let Some(millis) = flags.busy {
        let (rounds, cpu) = target::busy(Duration::from_millis(millis));
        println!("{rounds} {cpu}");
        return Ok(());
    }
    let bench = Bench::new(flags.seepmeter, flags.quick)?;
    let mut rows = Vec::new();
    for (name, measure) in PARTS {
        if flags.only.is_empty() || flags.only.iter().any(|only| only == name) {
            eprintln!("measuring: {name}");
            rows.extend(measure(&bench).with_context(|| format!("cannot measure {name}"))?);
        }
    }
    print!("{}", table::markdown(&rows));
    Ok(())
}

impl Bench {
    fn new(seepmeter: Option<PathBuf>, quick: bool) -> Result<Self> {
        let seepmeter = match seepmeter {
            Some(path) => path,
            None => std::env::current_exe()?.with_file_name("seepmeter"),
        };
        ensure!(
            seepmeter.exists(),
            "there is no {}; `cargo build --release` makes it",
            seepmeter.display()
        );
        Ok(Self { seepmeter, quick, folder: tempfile::tempdir()? })
    }

    /// One of two values, by whether `--quick` was given.
    fn pick<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
