//! What it costs a program to be stopped and sampled.
//!
//! Each figure is compared with one that was measured in the same run, in turns with it, for the machine
//! is seldom quiet. `cargo run --release -p seepmeter-tracer-bench [-- --quick]`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod calls;
mod pause;
mod program;
mod table;
mod throughput;

use std::error::Error;

use table::Row;

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|word| word == "--quick");
    let programs = program::Programs::compile()?;
    let mut rows = Vec::new();
    for (threads, pairs) in [(1, 600), (8, 400), (64, 200)] {
        rows.push(pause::measure(&programs, threads, if quick { pairs / 4 } else { pairs })?);
    }
    rows.push(calls::measure(&programs, if quick { 3 } else { 9 })?);
    rows.extend(pause::busy(&programs, if quick { 20 } else { 60 })?);
    rows.extend(throughput::measure(&programs, if quick { 4 } else { 12 })?);
    print!("{}", table::markdown(&rows));
    if rows.iter().all(Row::is_reached) { Ok(()) } else { Err("not all is reached".into()) }
}
