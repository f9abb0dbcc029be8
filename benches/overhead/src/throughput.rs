//! The throughput that a busy target loses when it is watched.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::Bench;
use crate::statistics::median;
use crate::table::Row;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let pairs = bench.pick(40, 8);
    let millis = bench.pick("1000", "500");
    let own = std::env::current_exe()?;
    let plain = || work(Command::new(&own).args(["--busy", millis]));
    let watched = || {
        let mut command = Command::new(&bench.seepmeter);
        command.args(["run", "-q", "--no-summary", "-i", "1ms", "--"]).arg(&own);
        work(command.args(["--busy", millis]))
    };
    let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Which run is first alternates, since a run affects the one after it.
        let (with, without) = if pair % 2 == 0 {
            let with = watched()?;
            (with, plain()?)
        } else {
            let without = plain()?;
            (watched()?, without)
        };
        ratios.push(with.rounds / without.rounds);
        cpu_ratios.push((with.rounds / with.cpu) / (without.rounds / without.cpu));
    }
    let ratio = median(&ratios);
    let promise = Row::promise(
        "throughput of a busy target, statm at 1 kHz, over unwatched",
        "≥ 0.98",
        format!("{ratio:.3} (median of {pairs} pairs)"),
        ratio >= 0.98,
    );
    // How much CPU time it gets depends on the machine's load too; what it does with it does not.
    let figure = Row::figure(
        "the same for each second of CPU time that the target got",
        format!("{:.3}", median(&cpu_ratios)),
    );
    Ok(vec![promise, figure])
}

/// What the busy target printed.
struct Work {
    rounds: f64,
    cpu: f64,
}

fn work(command: &mut Command) -> Result<Work> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.trim().split_once(' ');
    let parsed = numbers.map(|(rounds, cpu)| (rounds.parse(), cpu.parse()));
    let Some((Ok(rounds), Ok(cpu))) = parsed else {
        bail!("{command:?} printed {text:?}, which is not two numbers");
    };
    Ok(Work { rounds, cpu })
}
