//! Prints the benchmark of judgements as a table; the exit status is 1 when a target is missed.
//!
//! `cargo run --release -p seepmeter-judgement-bench -- [--split tuning|spent|reported]
//! [--draws N] [--length X] [--only NAME] [--no-baselines] [--by-shape] [--explain [--unsure]] [--auto]`
//!
//! `--auto` spaces the samples as the interval `auto` does.
//!
//! `--until-verdict` ends each watch as soon as its verdict is settled, and counts what it ended with.
//!
//! Where no split is named it is `tuning`, so that forgetting the flag spends nothing.
//!
//! `-- --speed` measures the time of a million-sample judgement and of downsampling ten million.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks to a person")]

use seepmeter_analysis::{Classification, Downsampler, Series, Settings, judge};
use seepmeter_judgement_bench::run::{BETWEEN, LENGTHS, Plan, judged, run};
use seepmeter_judgement_bench::{Spacing, Split, sequence, shapes, starts, table};
use seepmeter_record::Unit;
use seepmeter_verdict::explanation;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|w| w == flag);
    let after = |flag: &str| {
        let at = arguments.iter().position(|w| w == flag)?;
        arguments.get(at + 1)
    };
    let number = |flag: &str| after(flag).and_then(|w| w.parse::<f64>().ok());
    if has("--speed") {
        return speed();
    }
    if let Some(folder) = after("--starts") {
        return starts(Path::new(folder));
    }
    let split = match after("--split").map(String::as_str) {
        // Whoever forgets the flag spends nothing.
        None | Some("tuning") => Split::Tuning,
        Some("spent") => Split::Spent,
        Some("reported") => Split::Reported,
        Some(other) => {
            eprintln!("there is no split `{other}`: it is tuning, spent or reported");
            return ExitCode::from(2);
        }
    };
    let lengths = [LENGTHS.as_slice(), &BETWEEN].concat();
    let plan = Plan {
        split,
        spacing: if has("--auto") { Spacing::Auto } else { Spacing::Even },
        draws: number("--draws").unwrap_or(200.0) as u64,
        lengths: number("--length").map_or(lengths, |l| vec![l]),
        only: after("--only").cloned().unwrap_or_default(),
        baselines: !has("--no-baselines"),
        unsure: has("--unsure"),
    };
    if has("--until-verdict") {
        let plan = Plan { spacing: Spacing::Auto, ..plan };
        println!("{}", sequence::table(&sequence::run(&plan), has("--by-shape")));
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let rows = run(&plan);
    if has("--by-shape") {
        println!("{}", table::by_shape(&rows));
    }
    if has("--explain") {
        rows.iter().for_each(|row| explain(row, &plan));
    }
    println!("{}", table::table(&rows));
    let seconds = began.elapsed().as_secs_f64();
    println!("{:?} split, {} draws of each shape, {seconds:.0} s", plan.split, plan.draws);
    let missed = table::missed(&rows);
    missed.iter().for_each(|m| println!("MISSED: {m}"));
    let between = table::missed_between(&rows);
    between.iter().for_each(|m| println!("between the lengths, where no target is set: {m}"));
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what recordings of programs that start are judged at each length.
fn starts(folder: &Path) -> ExitCode {
    let all = match starts::judge_all(folder) {
        Ok(all) => all,
        Err(why) => {
            eprintln!("cannot read the recordings: {why}");
            return ExitCode::from(2);
        }
    };
    println!("| least length | growing | steady | inconclusive | called growing |");
    println!("|---:|---:|---:|---:|---|");
    for (at, seconds) in starts::LENGTHS.iter().enumerate() {
        let called = |answer| all.iter().filter(move |start| start.answers[at] == answer);
        let share = |answer| called(answer).count() as f64 * 100.0 / all.len() as f64;
        let [growing, steady, inconclusive] = Classification::ALL.map(share);
        let names: Vec<&str> =
            called(Classification::Growing).map(|start| start.name.as_str()).collect();
        let names = names.join(", ");
        println!(
            "| {seconds} s | {growing:.1} % | {steady:.1} % | {inconclusive:.1} % | {names} |"
        );
    }
    ExitCode::SUCCESS
}

/// Times the judgement of a million samples, and the downsampling of ten million.
fn speed() -> ExitCode {
    let sample = |i: u64| (i * 10_000_000, 100_000_000 + (i % 977 * 4096 + i / 3) as i64);
    let report = |what: &str, began: Instant| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
        println!("{what}: {:.0} ms ({peak})", began.elapsed().as_secs_f64() * 1e3);
    };
    let mut downsampler = Downsampler::default();
    let began = Instant::now();
    (0..10_000_000).map(sample).for_each(|(time, value)| downsampler.push(time, value));
    let series = downsampler.finish();
    report("ten million samples downsampled", began);
    let began = Instant::now();
    let answer = judge(&series, &Settings::default()).classification;
    report(&format!("and judged {answer}"), began);
    let series = Series::from_pairs((0..1_000_000).map(sample));
    let began = Instant::now();
    let answer = judge(&series, &Settings::default()).classification;
    report(&format!("a million samples, all held, judged {answer}"), began);
    ExitCode::SUCCESS
}

/// Prints why the first wrong answers of a row were given.
fn explain(row: &seepmeter_judgement_bench::run::Row, plan: &Plan) {
    let all = shapes();
    let Some(shape) = all.iter().find(|s| s.name == row.name) else { return };
    for &draw in &row.wrong {
        println!("{} ×{} draw {draw}:", row.name, row.length);
        let judgement = judged(&shape.drawn(plan.split, row.length, draw, plan.spacing));
        let lines = explanation(&judgement, Unit::Bytes);
        lines.iter().for_each(|line| println!("    {line}"));
    }
}
