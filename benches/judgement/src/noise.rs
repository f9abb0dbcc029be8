//! What shapes are made of: noise, walks, saws, steps and loads.

use crate::{DrawRng, Schedule};

/// Adds one series to another.
pub fn add(to: &mut [f64], what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(a, b)| *a += b);
}

/// The size of a program, in bytes.
pub fn size(rng: &mut DrawRng) -> f64 {
    rng.scale((2e7, 1e9), (1e7, 3e9))
}

/// White noise of standard deviation `sigma`, in bytes.
pub fn white(rng: &mut DrawRng, schedule: &Schedule, sigma: f64) -> Vec<f64> {
    schedule.each(|_| sigma * rng.normal())
}

/// Noise that forgets within `memory` (an Ornstein–Uhlenbeck process).
pub fn forgetful(rng: &mut DrawRng, schedule: &Schedule, sigma: f64, memory: f64) -> Vec<f64> {
    let (mut value, mut before) = (rng.normal(), 0.0);
    schedule.each(|x| {
        let kept = (-(x - before) / memory).exp();
        before = x;
        value = kept * value + (1.0 - kept * kept).sqrt() * rng.normal();
        sigma * value
    })
}

/// The noise that every program has: a little, white or forgetful, at most `most` of `of`.
pub fn little(rng: &mut DrawRng, schedule: &Schedule, of: f64, most: f64) -> Vec<f64> {
    let sigma = of * most * rng.even();
    if rng.chance(0.5) {
        return white(rng, schedule, sigma);
    }
    let memory = rng.scale((0.002, 0.01), (0.002, 0.015));
    forgetful(rng, schedule, sigma, memory)
}

/// A walk that is reflected at 0 and 1 and crosses the room between in about `crossing`.
pub fn walk_in_a_room(rng: &mut DrawRng, schedule: &Schedule, crossing: f64) -> Vec<f64> {
    let (mut value, mut before) = (rng.even(), 0.0);
    schedule.each(|x| {
        value += rng.normal() * ((x - before) / crossing).sqrt();
        before = x;
        value = value.rem_euclid(2.0);
        if value > 1.0 {
            value = 2.0 - value;
        }
        value
    })
}

/// One cycle of a saw: when it begins, how long it is, its floor and its height.
pub struct Tooth {
    /// When it begins.
    pub begin: f64,
    /// How long it is.
    pub length: f64,
    /// Its floor, relative to the level, bytes.
    pub floor: f64,
    /// How far it rises, bytes.
    pub height: f64,
}

/// Teeth to the end of the watch, each made by `tooth` from its beginning: (length, floor, height).
pub fn teeth(
    rng: &mut DrawRng,
    schedule: &Schedule,
    mut tooth: impl FnMut(&mut DrawRng, f64) -> (f64, f64, f64),
) -> Vec<Tooth> {
    let mut made: Vec<Tooth> = vec![];
    let mut begin = 0.0;
    while begin <= schedule.end() {
        let (length, floor, height) = tooth(rng, begin);
        // The first is met somewhere in its middle.
        let begin_here = if made.is_empty() { -length * rng.even() } else { begin };
        made.push(Tooth { begin: begin_here, length, floor, height });
        begin = begin_here + length;
    }
    made
}

/// The saw of such teeth.
pub fn saw(schedule: &Schedule, teeth: &[Tooth]) -> Vec<f64> {
    let mut i = 0;
    schedule.each(|x| {
        while i + 1 < teeth.len() && teeth[i + 1].begin <= x {
            i += 1;
        }
        let t = &teeth[i];
        t.floor + t.height * ((x - t.begin) / t.length).clamp(0.0, 1.0)
    })
}

/// Steps: the sum of the heights of all (time, height) that have come.
pub fn steps(schedule: &Schedule, mut steps: Vec<(f64, f64)>) -> Vec<f64> {
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut i, mut sum) = (0, 0.0);
    schedule.each(|x| {
        while i < steps.len() && steps[i].0 <= x {
            sum += steps[i].1;
            i += 1;
        }
        sum
    })
}

/// Random times, `rate` of them in 1, up to the end of the watch.
pub fn arrivals(rng: &mut DrawRng, schedule: &Schedule, rate: f64) -> Vec<f64> {
    let mut times = vec![];
    let mut at = rng.wait() / rate;
    while at <= schedule.end() {
        times.push(at);
        at += rng.wait() / rate;
    }
    times
}

/// A load of sessions: random arrivals that each hold `size` for a random time of mean `stay`.
pub fn load(rng: &mut DrawRng, schedule: &Schedule, rate: f64, stay: f64, size: f64) -> Vec<f64> {
    let mut changes = vec![];
    for at in arrivals(rng, schedule, rate) {
        changes.push((at, size));
        changes.push((at + stay * rng.wait(), -size));
    }
    let running = rng.count(rate * stay) as usize;
    for _ in 0..running {
        changes.push((0.0, size));
        changes.push((stay * rng.wait(), -size));
    }
    steps(schedule, changes)
}
