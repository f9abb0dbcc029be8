//! Runs the draws, on all cores, and counts the answers.

use crate::baselines::BASELINES;
use crate::shape::{Drawn, Health, Shape, Spacing};
use crate::{Split, shapes};
use seepmeter_analysis::{Classification, Judgement, PartView, Settings, judge, judge_with_parts};
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
    /// How far apart samples are.
    pub spacing: Spacing,
    /// Draws of each shape at each length.
    pub draws: u64,
    /// The lengths, in units of the one that one would like.
    pub lengths: Vec<f64>,
    /// Only shapes whose name contains this.
    pub only: String,
    /// Whether to run the baselines too.
    pub baselines: bool,
    /// Whether a healthy draw that is not called steady is one to show.
    pub unsure: bool,
}

/// How often each answer was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Called growing.
    pub growing: u64,
    /// Called steady.
    pub steady: u64,
    /// Called inconclusive.
    pub inconclusive: u64,
    /// Called growing by each baseline.
    pub baselines: [u64; 3],
}

impl Counts {
    /// How many draws were judged.
    pub fn draws(&self) -> u64 {
        self.growing + self.steady + self.inconclusive
    }

    fn add(&mut self, classification: Classification) {
        *match classification {
            Classification::Growing => &mut self.growing,
            Classification::Steady => &mut self.steady,
            Classification::Inconclusive => &mut self.inconclusive,
        } += 1;
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.growing += other.growing;
        self.steady += other.steady;
        self.inconclusive += other.inconclusive;
        self.baselines.iter_mut().zip(other.baselines).for_each(|(a, b)| *a += b);
    }
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
    /// The answers, counted.
    pub counts: Counts,
    /// The first draws that were called wrongly, to be shown.
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
        counts: Counts::default(),
        wrong: vec![],
    };
    for draw in 0..plan.draws {
        let drawn = shape.drawn(plan.split, length, draw, plan.spacing);
        let answer = judged(&drawn).classification;
        row.counts.add(answer);
        let unsure =
            plan.unsure && shape.health == Health::Healthy && answer != Classification::Steady;
        if (unsure || is_wrong(shape.health, length, answer)) && row.wrong.len() < 5 {
            row.wrong.push(draw);
        }
        for (count, (_, rule)) in row.counts.baselines.iter_mut().zip(BASELINES) {
            *count += u64::from(plan.baselines && rule(&drawn.whole));
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
    let parts = drawn.parts.iter().enumerate();
    let parts: Vec<_> = parts.map(|(id, series)| PartView::current(id, series)).collect();
    judge_with_parts(&drawn.whole, &parts, &settings).judgement
}

fn is_wrong(health: Health, length: f64, answer: Classification) -> bool {
    match health {
        Health::Healthy => answer == Classification::Growing,
        Health::Leaky => {
            let missed = length >= 1.0 && answer != Classification::Growing;
            missed || answer == Classification::Steady
        }
    }
}
