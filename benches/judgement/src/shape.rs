//! What a shape is, and the watch through which it is seen.

use crate::{Dice, Split, healthy, leaky};
use seepmeter_analysis::Series;

/// What a shape truly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does not leak.
    Healthy,
    /// It leaks.
    Leaky,
}

/// Draws values in bytes, one for every look of the watch, for each part of a program.
pub type Draw = fn(&mut Dice, &Watch) -> Vec<Vec<f64>>;

/// A shape of memory over time.
pub struct Shape {
    /// Its name, in a few words.
    pub name: &'static str,
    /// The truth.
    pub health: Health,
    /// Draws one: a value in bytes for every look of the watch, for each part (usually one).
    pub draw: Draw,
}

/// When one looks. Times `x` are in units of the length one would like.
pub struct Watch {
    /// The looks' times, from 0 to the watch's length: 0.1, 1 or 10.
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

impl Watch {
    /// A watch of `length`: 800 to 1,600 looks make the length one would like, at an interval
    /// between half a second and half a minute; looks jitter, and some watches have gaps.
    pub fn draw(dice: &mut Dice, length: f64) -> Self {
        let looks = dice.between((800.0, 1200.0), (850.0, 1600.0)).round();
        let interval = dice.scale((0.5, 10.0), (0.6, 30.0));
        let jitter = dice.between((0.0, 0.3), (0.0, 0.45));
        let torn = dice.chance(0.1);
        let (from, to) = (dice.even() * length, dice.between((0.01, 0.04), (0.01, 0.06)) * length);
        let mut watch = Self { x: vec![], ns: vec![], minutes: looks * interval / 60.0 };
        for i in 0..(looks * length) as usize {
            let at = i as f64 + jitter * dice.even();
            let x = at / looks;
            if torn && x > from && x < from + to {
                continue;
            }
            watch.x.push(x);
            watch.ns.push((at * interval * 1e9) as u64);
        }
        watch
    }

    /// A value for every look.
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
    pub fn drawn(&self, split: Split, length: f64, draw: u64) -> Drawn {
        let mut dice = Dice::new(split, self.name, length, draw);
        let watch = Watch::draw(&mut dice, length);
        let parts = (self.draw)(&mut dice, &watch);
        let pages = |value: f64| ((value / 4096.0).round().max(1.0) as i64) * 4096;
        let mut sum = vec![0i64; watch.x.len()];
        let mut series = vec![];
        for part in &parts {
            let paged: Vec<i64> = part.iter().map(|&v| pages(v)).collect();
            sum.iter_mut().zip(&paged).for_each(|(s, v)| *s += v);
            series.push(Series::from_pairs(watch.ns.iter().copied().zip(paged)));
        }
        if series.len() == 1 {
            return Drawn { whole: series.remove(0), parts: vec![] };
        }
        let whole = Series::from_pairs(watch.ns.iter().copied().zip(sum));
        Drawn { whole, parts: series }
    }
}
