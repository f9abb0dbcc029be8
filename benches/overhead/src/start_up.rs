//! The wall time that watching adds to a program that ends at once.

use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::process::run;
use crate::statistics::median;
use crate::table::Row;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (mut plain, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..bench.pick(300, 60) {
        plain.push(run(&mut Command::new("true"))?.wall.as_secs_f64() * 1e3);
        let mut command = Command::new(&bench.seepmeter);
        watched.push(run(command.args(["run", "-q", "--", "true"]))?.wall.as_secs_f64() * 1e3);
    }
    let (plain, watched) = (median(&plain), median(&watched));
    let over = watched - plain;
    Ok(vec![Row::promise(
        "wall of `seepmeter run -q -- true` over plain `true`",
        "≤ 5 ms over",
        format!("{watched:.2} against {plain:.2} ms, {over:.2} over"),
        over <= 5.0,
    )])
}
