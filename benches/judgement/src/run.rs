//! Runs the draws, on all cores, and counts the answers.

use crate::rivals::RIVALS;
use crate::shape::{Drawn, Health, Shape};
use crate::{Split, shapes};
use seepmeter_analysis::{Judgement, Settings, Word, judge, judge_with_parts};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A tenth of the length one would like, the length itself, ten times it.
pub const LENGTHS: [f64; 3] = [0.1, 1.0, 10.0];

/// Lengths between those, so that no false alarm hides there.
pub const BETWEEN: [f64; 4] = [0.2, 0.3, 0.5, 3.0];

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which split.
    pub split: Split,
    /// Draws of each shape at each length.
    pub draws: u64,
    /// The lengths, in units of the one that one would like.
    pub lengths: Vec<f64>,
    /// Only shapes whose name contains this.
    pub only: String,
    /// Whether to run the rivals too.
    pub rivals: bool,
    /// Whether a healthy draw that is not called steady is one to look at.
    pub unsure: bool,
}

/// The answers to all draws of one shape at one length.
#[derive(Debug, Clone)]
pub struct Row {
    /// The shape's name.
    pub name: &'static str,
    /// The truth.
    pub health: Health,
    /// The length.
    pub length: f64,
    /// How many draws.
    pub draws: u64,
    /// How many were called growing, steady, inconclusive.
    pub words: [u64; 3],
    /// How many each rival called growing.
    pub rivals: [u64; 3],
    /// The first draws that were called wrongly, to look at.
    pub wrong: Vec<u64>,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Vec<Row> {
    let shapes: Vec<Shape> = shapes().into_iter().filter(|s| s.name.contains(&plan.only)).collect();
    let jobs: Vec<(&Shape, f64)> =
        plan.lengths.iter().flat_map(|&l| shapes.iter().map(move |s| (s, l))).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut rows = vec![];
        while let Some((shape, length)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows.push(row(shape, *length, plan));
        }
        rows
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows: Vec<Row> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        all.into_iter().flat_map(|w| w.join().expect("a worker has no reason to panic")).collect()
    });
    let place = |r: &Row| jobs.iter().position(|(s, l)| s.name == r.name && *l == r.length);
    rows.sort_by_key(place);
    rows
}

/// All draws of one shape at one length.
fn row(shape: &Shape, length: f64, plan: &Plan) -> Row {
    let mut row = Row {
        name: shape.name,
        health: shape.health,
        length,
        draws: plan.draws,
        words: [0; 3],
        rivals: [0; 3],
        wrong: vec![],
    };
    for draw in 0..plan.draws {
        let drawn = shape.drawn(plan.split, length, draw);
        let word = judged(&drawn).word;
        row.words[word_index(word)] += 1;
        let unsure = plan.unsure && shape.health == Health::Healthy && word != Word::Steady;
        if (unsure || is_wrong(shape.health, length, word)) && row.wrong.len() < 5 {
            row.wrong.push(draw);
        }
        for (count, (_, rule)) in row.rivals.iter_mut().zip(RIVALS) {
            *count += u64::from(plan.rivals && rule(&drawn.whole));
        }
    }
    row
}

/// Judges what was drawn.
pub fn judged(drawn: &Drawn) -> Judgement {
    let settings = Settings::default();
    if drawn.parts.is_empty() {
        return judge(&drawn.whole, &settings);
    }
    let parts: Vec<_> = drawn.parts.iter().enumerate().collect();
    judge_with_parts(&drawn.whole, &parts, &settings).judgement
}

fn word_index(word: Word) -> usize {
    match word {
        Word::Growing => 0,
        Word::Steady => 1,
        Word::Inconclusive => 2,
    }
}

fn is_wrong(health: Health, length: f64, word: Word) -> bool {
    match health {
        Health::Healthy => word == Word::Growing,
        Health::Leaky => word == Word::Steady || (length >= 1.0 && word != Word::Growing),
    }
}
