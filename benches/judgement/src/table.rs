//! The table, and whether the targets are met.

use crate::baselines::BASELINES;
use crate::run::{Counts, LENGTHS, Row};
use crate::shape::Health;
use std::fmt::Write;

/// Healthy called growing: at most this part, at every length.
pub const MOST_FALSE_ALARMS: f64 = 0.005;
/// Leaky called growing, at the length one would like and beyond: at least this part.
pub const LEAST_DETECTED: f64 = 0.97;
/// Leaky called steady: at most this part, at every length.
pub const MOST_MISSED: f64 = 0.01;

/// Adds up the answers of all shapes of one health at one length.
pub fn total(rows: &[Row], health: Health, length: f64) -> Counts {
    let mut sum = Counts::default();
    let rows = rows.iter().filter(|r| r.health == health && r.length == length);
    rows.for_each(|row| sum += row.counts);
    sum
}

fn lengths(rows: &[Row]) -> Vec<f64> {
    let mut all: Vec<f64> = rows.iter().map(|r| r.length).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn part(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// The table: a line for each health and length, what Seepmeter said, what the baselines said.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let names = BASELINES.map(|r| r.0).join(" | ");
    let _ = writeln!(out, "|  | length | growing | steady | inconclusive | {names} |");
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|");
    for health in [Health::Healthy, Health::Leaky] {
        for length in lengths(rows) {
            let counts = total(rows, health, length);
            if counts.draws() > 0 {
                line(&mut out, &format!("{health:?}"), length, &counts);
            }
        }
    }
    out
}

/// The same for each shape.
pub fn by_shape(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        line(&mut out, &format!("{:?}: {}", row.health, row.name), row.length, &row.counts);
    }
    out
}

fn line(out: &mut String, name: &str, length: f64, counts: &Counts) {
    let Counts { growing, steady, inconclusive, baselines } = counts;
    let cells: Vec<String> = [growing, steady, inconclusive]
        .into_iter()
        .chain(baselines)
        .map(|&count| format!("{:6.2} %", 100.0 * part(count, counts.draws())))
        .collect();
    let _ = writeln!(out, "| {name:<40} | ×{length:<4} | {} |", cells.join(" | "));
}

/// What misses its target, in words; empty when all is met. The targets are set at [`LENGTHS`].
pub fn missed(rows: &[Row]) -> Vec<String> {
    over(rows, |length| LENGTHS.contains(&length))
}

/// What would miss its target at a length between, had it one there. Between a tenth and the whole of
/// the length one would like, a ramp that has not ended yet and a leak are the same line.
pub fn missed_between(rows: &[Row]) -> Vec<String> {
    over(rows, |length| !LENGTHS.contains(&length))
}

fn over(rows: &[Row], wanted: impl Fn(f64) -> bool) -> Vec<String> {
    let mut missed = vec![];
    for length in lengths(rows).into_iter().filter(|&l| wanted(l)) {
        let healthy = total(rows, Health::Healthy, length);
        let alarms = part(healthy.growing, healthy.draws());
        if alarms > MOST_FALSE_ALARMS {
            missed.push(format!("healthy called growing at ×{length}: {:.2} %", 100.0 * alarms));
        }
        let leaky = total(rows, Health::Leaky, length);
        let found = part(leaky.growing, leaky.draws());
        let calm = part(leaky.steady, leaky.draws());
        if leaky.draws() > 0 && length >= 1.0 && found < LEAST_DETECTED {
            missed.push(format!("leaky called growing at ×{length}: {:.2} %", 100.0 * found));
        }
        if calm > MOST_MISSED {
            missed.push(format!("leaky called steady at ×{length}: {:.2} %", 100.0 * calm));
        }
    }
    missed
}
