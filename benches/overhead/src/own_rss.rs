//! Seepmeter watched by seepmeter: its resident set over many samples.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::process::{run, start, wait};
use crate::recording::Recording;
use crate::statistics::median;
use crate::table::Row;

/// The budget, in bytes.
const BUDGET: i64 = 6_000_000;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let wanted = bench.pick(1_000_000, 100_000);
    let table = bench.file("own.csv");
    let recorded = bench.file("own.jsonl");
    let watched = bench.file("watched.jsonl");
    let mut first = Command::new(&bench.seepmeter);
    first
        .args(["run", "-q", "-i", "50us", "-o"])
        .arg(format!("csv,path={}", table.display()))
        .arg("-o")
        .arg(format!("jsonl,path={}", recorded.display()))
        .args(["--", "sleep", "600"]);
    let first = start(&mut first)?;
    let mut watcher = Command::new(&bench.seepmeter);
    watcher
        .args(["attach", "-q", "-i", "20ms", "-o"])
        .arg(format!("jsonl,path={}", watched.display()))
        .arg(first.id().to_string());
    let watcher = start(&mut watcher)?;
    let outcome = wait_for_lines(&table, wanted);
    // The signal is passed on to the target, and with it ends the first seepmeter, and then the second.
    run(Command::new("kill").arg(first.id().to_string()))?;
    wait(&first)?;
    wait(&watcher)?;
    outcome?;

    let samples = Recording::read(&recorded)?.footer.samples;
    let recording = Recording::read(&watched)?;
    let end = recording.rss.last().context("the watcher has no sample")?.0;
    let quarter = |number: u64| -> Vec<f64> {
        let part = end * (number - 1) / 4..end * number / 4;
        let inside = recording.rss.iter().filter(|(t, _)| part.contains(t));
        inside.map(|(_, rss)| *rss as f64).collect()
    };
    let (second, last) = (median(&quarter(2)), median(&quarter(4)));
    let largest = recording.rss.iter().map(|(_, rss)| *rss).max().unwrap_or(0);
    ensure!(second.is_finite() && last.is_finite(), "the watcher has too few samples");
    let growth = last / second - 1.0;
    Ok(vec![
        Row::promise(
            "own rss, csv and jsonl sinks, a million samples",
            "≤ 6.00 MB",
            format!("{:.2} MB at most, over {samples} samples", largest as f64 / 1e6),
            largest <= BUDGET && samples >= wanted,
        ),
        Row::promise(
            "own rss: the last quarter against the second",
            "within 1 %",
            format!("{:.3} against {:.3} MB, {:+.2} %", last / 1e6, second / 1e6, growth * 100.0),
            growth.abs() <= 0.01,
        ),
    ])
}

/// Waits until a file that grows has so many lines; at most for nine minutes, since a machine that is
/// busy with other things misses many ticks.
fn wait_for_lines(path: &Path, wanted: u64) -> Result<()> {
    let begin = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    let mut lines = 0;
    while !path.exists() && begin.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    let mut file = File::open(path)?;
    while lines <= wanted && begin.elapsed() < Duration::from_secs(540) {
        match file.read(&mut buffer)? {
            0 => thread::sleep(Duration::from_millis(250)),
            length => {
                let new = buffer[..length].iter().filter(|byte| **byte == b'\n').count();
                lines += u64::try_from(new)?;
            }
        }
    }
    Ok(())
}
