//! How many ticks get a sample at high rates, and whether the others are reported.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Bench;
use crate::process::run;
use crate::reads::bare_read;
use crate::recording::Recording;
use crate::table::Row;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let seconds = bench.pick(30, 4);
    let (slow, slow_share) = rate(bench, 1_000_000, seconds)?;
    let bare = bare_share(Duration::from_millis(1), seconds)?;
    let (fast, _) = rate(bench, 100_000, bench.pick(10, 2))?;
    Ok(vec![
        Row::promise(
            "rate reached at 1 kHz",
            "≥ 99.9 % of ticks, all others reported",
            slow.measured,
            slow_share >= 0.999 && slow.all_reported,
        ),
        Row::figure(
            "rate of a bare loop at 1 kHz, after that",
            format!("{:.2} % of {} ticks", bare * 100.0, seconds * 1000),
        ),
        Row::promise(
            "rate reached at 10 kHz",
            "works, late and missed ones reported",
            fast.measured,
            fast.all_reported,
        ),
    ])
}

struct Rate {
    measured: String,
    /// Every tick without a sample is reported as missed, and no sample is dropped.
    all_reported: bool,
}

fn rate(bench: &Bench, interval: u64, seconds: u32) -> Result<(Rate, f64)> {
    let path = bench.file("rate.jsonl");
    run(Command::new(&bench.seepmeter)
        .args(["run", "-q", "-i", &format!("{}us", interval / 1000), "-o"])
        .arg(format!("jsonl,path={}", path.display()))
        .args(["--", "sleep", &seconds.to_string()]))?;
    let recording = Recording::read(&path)?;
    let ticks = u64::from(seconds) * 1_000_000_000 / interval;
    let share = recording.sample_times.len() as f64 / ticks as f64;
    let holes = recording.holes(interval)?;
    let Recording { late, missed, ref footer, .. } = recording;
    // A late sample shifts the first or the last time by less than a tick.
    let all_reported = missed.abs_diff(holes) <= 1
        && (late, missed) == (footer.late, footer.missed)
        && recording.dropped() == 0;
    let measured = format!(
        "{:.2} % of {ticks} ticks; reported: {late} late, {missed} missed; {holes} holes found, {} dropped",
        share * 100.0,
        recording.dropped(),
    );
    Ok((Rate { measured, all_reported }, share))
}

/// The share of ticks that a loop gets which only sleeps until the next tick and reads statm once: the
/// ticks that it misses are lost to other programs on the machine.
fn bare_share(interval: Duration, seconds: u32) -> Result<f64> {
    let statm = File::open("/proc/self/statm")?;
    let ticks = u128::from(seconds) * 1_000_000_000 / interval.as_nanos();
    let begin = Instant::now();
    let (mut tick, mut taken) = (0, 0_u32);
    while tick < ticks {
        bare_read(statm.as_raw_fd())?;
        taken += 1;
        tick = begin.elapsed().as_nanos() / interval.as_nanos() + 1;
        let due = interval * u32::try_from(tick)?;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    Ok(f64::from(taken) / ticks as f64)
}
