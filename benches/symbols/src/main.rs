//! What unwinding and naming a stack cost: a program is sampled once, and what follows is timed.
//!
//! `cargo run --release -p seepmeter-symbols-bench` prints a table. It needs a C compiler.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use seepmeter_plugin::StreamBuffer;
use seepmeter_stacks::{StackTable, TargetCode};
use seepmeter_symbols::{AddressSpace, Images, ProcessCode};

#[path = "../../../crates/seepmeter-symbols/tests/real/support.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it belongs to the tests of the crate")]
mod support;

use support::{Target, ThreadSample, build};

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/seepmeter-symbols/tests/real/targets/deep.c");
    let program = folder.path().join("deep");
    let Some(program) = build("cc", &source, &program, &["-O2", "-g"]) else { return };
    let target = Target::path(&program);
    let sample = target.sample_asleep();
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let space = process.space(&sample.maps, &mut images).expect("mappings");
    let (frames, end) = sample.unwind(&space);
    assert!(end.is_whole(), "the stack is not whole: {end:?}");

    let mut rows = vec![unwound_warm(&sample, &space)];
    rows.push(unwound_cold(&sample));
    rows.extend(opened(&sample));
    rows.push(known(&sample));
    rows.extend(named(&sample));
    println!("A stack of {} frames:\n", frames.len());
    println!("{}", markdown(&rows));
}

/// A line of the table; times are in ns.
struct Row {
    what: &'static str,
    asked: Option<f64>,
    measured: f64,
}

/// The median time of one call, in ns, of 200 rounds.
fn median(calls: u32, mut call: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    let mut rounds: Vec<f64> = (0..200).map(round).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn unwound_warm(sample: &ThreadSample, space: &AddressSpace) -> Row {
    let mut frames = Vec::with_capacity(64);
    let measured = median(100, || {
        frames.clear();
        black_box(space.unwind(&sample.registers, sample.copy(), &mut frames));
    });
    Row { what: "unwinding it, its addresses known", asked: Some(10_000.0), measured }
}

/// Each time with nothing remembered but the open files.
fn unwound_cold(sample: &ThreadSample) -> Row {
    let mut images = Images::new();
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let mut process = ProcessCode::new(sample.pid, &mut images);
            let space = process.space(&sample.maps, &mut images).expect("mappings");
            let mut frames = Vec::with_capacity(64);
            let start = Instant::now();
            black_box(space.unwind(&sample.registers, sample.copy(), &mut frames));
            start.elapsed().as_nanos() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Row { what: "unwinding it, its addresses new", asked: None, measured: times[100] }
}

/// An address space: the first of all, one more of known files, and the same text again.
fn opened(sample: &ThreadSample) -> [Row; 3] {
    let first = median(1, || {
        let mut images = Images::new();
        let mut process = ProcessCode::new(sample.pid, &mut images);
        black_box(process.space(&sample.maps, &mut images).expect("mappings"));
    });
    let mut images = Images::new();
    let known = median(1, || {
        let mut process = ProcessCode::new(sample.pid, &mut images);
        black_box(process.space(&sample.maps, &mut images).expect("mappings"));
    });
    let mut process = ProcessCode::new(sample.pid, &mut images);
    let same = median(100, || {
        black_box(process.space(&sample.maps, &mut images).expect("mappings"));
    });
    [
        Row { what: "an address space, its files new", asked: None, measured: first },
        Row { what: "an address space, its files known", asked: None, measured: known },
        Row { what: "the same address space again", asked: None, measured: same },
    ]
}

/// Unwinding a stack that is in the table already, and finding it there.
fn known(sample: &ThreadSample) -> Row {
    let mut table = StackTable::new();
    let mut code = TargetCode::new(sample.pid, "/nowhere".into(), &mut table);
    code.set_maps(&sample.maps, &mut table);
    let mut stream = StreamBuffer::new();
    let mut stack = || table.stack(&code, &sample.registers, sample.copy(), &mut stream);
    stack();
    let measured = median(100, || {
        black_box(stack());
    });
    Row { what: "unwinding it, and its id, if it was sampled before", asked: None, measured }
}

/// All its names: the first time, with the symbols of all files to be read, and again.
fn named(sample: &ThreadSample) -> [Row; 2] {
    let mut times = Vec::new();
    let mut again = 0.0;
    for _ in 0..5 {
        let mut images = Images::new();
        let mut process = ProcessCode::new(sample.pid, &mut images);
        let space = process.space(&sample.maps, &mut images).expect("mappings");
        let (frames, _) = sample.unwind(&space);
        let start = Instant::now();
        for frame in &frames {
            black_box(space.resolve(frame, &mut images));
        }
        times.push(start.elapsed().as_nanos() as f64);
        again = median(100, || {
            for frame in &frames {
                black_box(space.resolve(frame, &mut images));
            }
        });
    }
    times.sort_by(f64::total_cmp);
    [
        Row { what: "all its names, the first time", asked: None, measured: times[2] },
        Row { what: "all its names, again", asked: None, measured: again },
    ]
}

fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | asked | measured | reached |\n|---|---|---|---|\n");
    for Row { what, asked, measured } in rows {
        let micros = |time: f64| format!("{:.1} µs", time / 1000.0);
        let reached = asked.map_or("", |asked| if *measured <= asked { "yes" } else { "NO" });
        let asked = asked.map_or(String::new(), |asked| format!("≤ {}", micros(asked)));
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {what} | {asked} | {} | {reached} |", micros(*measured));
    }
    text
}
