//! Seepmeter judged by seepmeter: its resident set over many samples.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::process::{start, wait};
use crate::recording::Recording;
use crate::statistics::median;
use crate::table::Row;

/// The budget, in bytes.
const BUDGET: i64 = 6_000_000;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    // At 20 kHz a noisy machine misses some ticks, so some time is left over.
    let seconds = bench.pick(60, 8);
    let wanted = bench.pick(1_000_000, 100_000);
    let taken = bench.file("own.jsonl");
    let judged = bench.file("judged.jsonl");
    let mut first = Command::new(&bench.seepmeter);
    first
        .args(["run", "-q", "-i", "50us", "-o"])
        .arg(format!("csv,path={}", bench.file("own.csv").display()))
        .arg("-o")
        .arg(format!("jsonl,path={}", taken.display()))
        .args(["--", "sleep", &seconds.to_string()]);
    let first = start(&mut first)?;
    let judge = Command::new(&bench.seepmeter)
        .args(["attach", "-q", "-i", "20ms", "-o"])
        .arg(format!("jsonl,path={}", judged.display()))
        .arg(first.id().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run the second seepmeter")?;
    wait(&first)?;
    wait(&judge)?;

    let samples = Recording::read(&taken)?.footer.samples;
    let recording = Recording::read(&judged)?;
    let end = recording.rss.last().context("the judge saw nothing")?.0;
    let quarter = |number: u64| -> Vec<f64> {
        let part = end * (number - 1) / 4..end * number / 4;
        let inside = recording.rss.iter().filter(|(t, _)| part.contains(t));
        inside.map(|(_, rss)| *rss as f64).collect()
    };
    let (second, last) = (median(&quarter(2)), median(&quarter(4)));
    let largest = recording.rss.iter().map(|(_, rss)| *rss).max().unwrap_or(0);
    ensure!(second.is_finite() && last.is_finite(), "the judge saw too little");
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
