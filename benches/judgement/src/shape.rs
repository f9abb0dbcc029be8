//! What a shape is, and when it is sampled.

use crate::{DrawRng, Split, healthy, leaky};
use seepmeter_analysis::Series;

/// What a shape truly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does not leak.
    Healthy,
    /// It leaks.
    Leaky,
}

/// Draws values in bytes, one for every sample of the watch, for each part of a program.
pub type Draw = fn(&mut DrawRng, &Schedule) -> Vec<Vec<f64>>;

/// A shape of memory over time.
pub struct Shape {
    /// Its name, in a few words.
    pub name: &'static str,
    /// The truth.
    pub health: Health,
    /// Draws one: a value in bytes for every sample of the watch, for each part (usually one).
    pub draw: Draw,
}

/// When a watch takes its samples. Times `x` are in units of the length one would like.
pub struct Schedule {
    /// The samples' times, from 0 to the watch's length: 0.1, 1 or 10.
    pub x: Vec<f64>,
    /// The same in ns.
    pub ns: Vec<u64>,
    /// The length one would like, in minutes.
    pub minutes: f64,
}

/// One drawn watch: the whole and its parts.
pub struct Drawn {
    /// The sum of the parts.
    pub whole: Series,
    /// The parts, if there are several.
    pub parts: Vec<Series>,
}

/// All shapes.
pub fn shapes() -> Vec<Shape> {
    healthy::shapes().into_iter().chain(leaky::shapes()).collect()
}

/// How far apart the samples of a watch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// All the same, but for jitter.
    Even,
    /// As the interval `auto` has them: dense at first, sparser with time.
    Auto,
}

impl Spacing {
    /// How much sparser samples are at `seconds` than at an interval of `even` seconds.
    fn at(self, seconds: f64, even: f64) -> f64 {
        match self {
            Spacing::Even => 1.0,
            Spacing::Auto => (seconds / 300.0).clamp(0.02, 1.0) / even,
        }
    }
}

impl Schedule {
    /// A watch of `length`: 800 to 1,600 samples make the length one would like, at an interval
    /// between half a second and half a minute; samples jitter, and some watches have gaps. Spaced as
    /// `auto`, a watch is as long and has more samples.
    pub fn draw(rng: &mut DrawRng, length: f64, spacing: Spacing) -> Self {
        let samples = rng.between((800.0, 1200.0), (850.0, 1600.0)).round();
        let interval = rng.scale((0.5, 10.0), (0.6, 30.0));
        let jitter = rng.between((0.0, 0.3), (0.0, 0.45));
        let torn = rng.chance(0.1);
        let (from, to) = (rng.even() * length, rng.between((0.01, 0.04), (0.01, 0.06)) * length);
        let mut schedule = Self { x: vec![], ns: vec![], minutes: samples * interval / 60.0 };
        let mut tick = 0.0;
        while tick < (samples * length).floor() {
            let step = spacing.at(tick * interval, interval);
            let at = tick + step * jitter * rng.even();
            tick += step;
            let x = at / samples;
            if torn && x > from && x < from + to {
                continue;
            }
            schedule.x.push(x);
            schedule.ns.push((at * interval * 1e9) as u64);
        }
        schedule
    }

    /// A value for every sample.
    pub fn each(&self, value: impl FnMut(f64) -> f64) -> Vec<f64> {
        self.x.iter().copied().map(value).collect()
    }

    /// How far the watch reaches.
    pub fn end(&self) -> f64 {
        self.x.last().copied().unwrap_or(0.0)
    }
}

impl Shape {
    /// Draws one watch of this shape. Values come in whole pages and are never below one.
    pub fn drawn(&self, split: Split, length: f64, draw: u64, spacing: Spacing) -> Drawn {
        let mut rng = DrawRng::new(split, self.name, length, draw);
        let schedule = Schedule::draw(&mut rng, length, spacing);
        let parts = (self.draw)(&mut rng, &schedule);
        let pages = |value: f64| ((value / 4096.0).round().max(1.0) as i64) * 4096;
        let mut sum = vec![0i64; schedule.x.len()];
        let mut series = vec![];
        for part in &parts {
            let paged: Vec<i64> = part.iter().map(|&v| pages(v)).collect();
            sum.iter_mut().zip(&paged).for_each(|(s, v)| *s += v);
            series.push(Series::from_pairs(schedule.ns.iter().copied().zip(paged)));
        }
        if series.len() == 1 {
            return Drawn { whole: series.remove(0), parts: vec![] };
        }
        let whole = Series::from_pairs(schedule.ns.iter().copied().zip(sum));
        Drawn { whole, parts: series }
    }
}
