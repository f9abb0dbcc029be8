//! What the watching takes from a busy target.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::Bench;
use crate::statistics::median;
use crate::table::Row;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let pairs = bench.pick(40, 8);
    let millis = bench.pick("1000", "500");
    let own = std::env::current_exe()?;
    let plain = || rounds(Command::new(&own).args(["--busy", millis]));
    let watched = || {
        let mut command = Command::new(&bench.seepmeter);
        command.args(["run", "-q", "--no-summary", "-i", "1ms", "--"]).arg(&own);
        rounds(command.args(["--busy", millis]))
    };
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        // Who goes first takes turns, since what went before leaves its traces.
        let (with, without) = if pair % 2 == 0 {
            let with = watched()?;
            (with, plain()?)
        } else {
            let without = plain()?;
            (watched()?, without)
        };
        ratios.push(with / without);
    }
    let ratio = median(&ratios);
    Ok(vec![Row::promise(
        "throughput of a busy target, statm at 1 kHz, over unwatched",
        "≥ 0.98",
        format!("{ratio:.3} (median of {pairs} pairs)"),
        ratio >= 0.98,
    )])
}

/// The rounds that the busy target tells of.
fn rounds(command: &mut Command) -> Result<f64> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("{command:?} told {text:?}, which is no number"))
}
