//! What stays as it is, or goes and comes back: noise, saws, days, loads.

use super::{Parts, on_level};
use crate::noise::{
    Tooth, add, arrivals, forgetful, load, saw, size, steps, teeth, walk_in_a_room, white,
};
use crate::{DrawRng, Schedule};
use std::f64::consts::TAU;

pub(super) fn flat(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let rate = rng.between((2.0, 20.0), (1.0, 40.0));
    // Now and then a page or two come or go.
    let pages = arrivals(rng, schedule, rate)
        .into_iter()
        .enumerate()
        .map(|(i, at)| (at, if i % 2 == 0 { 8192.0 } else { -8192.0 }))
        .collect();
    let shape = steps(schedule, pages);
    on_level(rng, schedule, level, 0.0, shape)
}

pub(super) fn noisy(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let sigma = level * rng.scale((0.003, 0.08), (0.002, 0.12));
    let shape = white(rng, schedule, sigma);
    on_level(rng, schedule, level, 0.0, shape)
}

pub(super) fn correlated(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let sigma = level * rng.scale((0.005, 0.06), (0.004, 0.1));
    let memory = rng.scale((0.004, 0.03), (0.005, 0.04));
    let shape = forgetful(rng, schedule, sigma, memory);
    on_level(rng, schedule, level, 0.002, shape)
}

/// A saw's cycle and height.
fn cycle_and_height(rng: &mut DrawRng, level: f64) -> (f64, f64) {
    let cycle = rng.scale((0.01, 0.06), (0.008, 0.075));
    (cycle, level * rng.scale((0.2, 2.0), (0.1, 3.0)))
}

pub(super) fn fixed_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let (cycle, height) = cycle_and_height(rng, level);
    let teeth = teeth(rng, schedule, |_, _| (cycle, 0.0, height));
    on_level(rng, schedule, level, 0.02, saw(schedule, &teeth))
}

/// Few and long cycles: only five to fifteen are seen in the length one would like.
pub(super) fn slow_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let cycle = rng.between((0.07, 0.18), (0.065, 0.2));
    let height = level * rng.scale((0.2, 2.0), (0.1, 3.0));
    let wild = rng.between((0.0, 0.15), (0.0, 0.2));
    let teeth = teeth(rng, schedule, |rng, _| (cycle * (wild * rng.normal()).exp(), 0.0, height));
    on_level(rng, schedule, level, 0.02, saw(schedule, &teeth))
}

pub(super) fn drifting_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let (cycle, height) = cycle_and_height(rng, level);
    let (drift, phase) = (rng.between((0.3, 0.6), (0.2, 0.7)), rng.even());
    let season = rng.between((0.4, 2.0), (0.3, 3.0));
    let teeth = teeth(rng, schedule, |_, x| {
        let stretch = 1.0 + drift * (TAU * (x / season + phase)).sin();
        (cycle * stretch, 0.0, height * stretch)
    });
    on_level(rng, schedule, level, 0.02, saw(schedule, &teeth))
}

fn irregular(rng: &mut DrawRng, schedule: &Schedule, level: f64) -> Vec<f64> {
    let (cycle, height) = cycle_and_height(rng, level);
    let wild = rng.between((0.2, 0.45), (0.15, 0.5));
    let rough = rng.between((0.0, 0.08), (0.0, 0.12));
    let teeth = teeth(rng, schedule, |rng, _| {
        let length = cycle * (wild * rng.normal()).exp();
        let stretch = (0.5 * wild * rng.normal()).exp();
        (length, height * rough * rng.even(), height * stretch)
    });
    saw(schedule, &teeth)
}

pub(super) fn irregular_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let shape = irregular(rng, schedule, level);
    on_level(rng, schedule, level, 0.02, shape)
}

/// Small collections leave something behind that only the large ones take away.
pub(super) fn generations(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let major = rng.between((0.04, 0.1), (0.03, 0.12));
    let minors = rng.between((5.0, 15.0), (4.0, 20.0));
    let height = level * rng.scale((0.3, 1.5), (0.2, 2.0));
    let old = height * rng.between((0.8, 2.0), (0.6, 3.0));
    let large = teeth(rng, schedule, |rng, _| (major * (1.0 + 0.1 * rng.normal()), 0.0, old));
    let small = teeth(rng, schedule, |_, _| (major / minors, 0.0, height));
    let mut shape = saw(schedule, &large);
    add(&mut shape, &saw(schedule, &small));
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn saw_on_warm_up(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let tau = rng.between((0.03, 0.1), (0.03, 0.13));
    let gain = level * rng.between((0.3, 1.5), (0.2, 2.0));
    let mut shape = irregular(rng, schedule, level);
    add(&mut shape, &schedule.each(|x| gain * (1.0 - (-x / tau).exp())));
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn diurnal(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let day = rng.between((0.15, 0.32), (0.1, 0.33));
    let height = level * rng.scale((0.1, 1.0), (0.1, 1.5));
    let (phase, sharp) = (rng.even(), rng.between((0.0, 0.5), (0.0, 0.8)));
    let shape = schedule.each(|x| {
        let angle = TAU * (x / day + phase);
        height * (angle.sin() + sharp * (2.0 * angle).sin() / 2.0 + 1.5)
    });
    on_level(rng, schedule, level, 0.03, shape)
}

pub(super) fn bursts(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let rate = rng.between((8.0, 40.0), (5.0, 60.0));
    let stay = rng.between((0.002, 0.012), (0.002, 0.015));
    let mut changes = vec![];
    for at in arrivals(rng, schedule, rate) {
        let height = level * rng.scale((0.2, 2.0), (0.1, 4.0));
        changes.push((at, height));
        changes.push((at + stay * (0.5 + rng.even()), -height));
    }
    on_level(rng, schedule, level, 0.01, steps(schedule, changes))
}

pub(super) fn page_cache(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let room = level * rng.scale((0.5, 3.0), (0.4, 4.0));
    let crossing = rng.scale((0.02, 0.06), (0.02, 0.08));
    let walk = walk_in_a_room(rng, schedule, crossing);
    // It fills slowly and is reclaimed at once, when the machine wants memory.
    let reclaims: Vec<f64> = walk.iter().map(|v| room * v.powi(2)).collect();
    on_level(rng, schedule, level, 0.005, reclaims)
}

pub(super) fn room(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let room = level * rng.scale((0.02, 1.0), (0.02, 2.0));
    let crossing = rng.scale((0.01, 0.05), (0.008, 0.08));
    let shape = walk_in_a_room(rng, schedule, crossing).into_iter().map(|v| room * v).collect();
    on_level(rng, schedule, level, 0.005, shape)
}

pub(super) fn sessions(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let rate = rng.scale((200.0, 2000.0), (100.0, 3000.0));
    let stay = rng.scale((0.004, 0.03), (0.003, 0.04));
    let each = level * rng.scale((0.002, 0.02), (0.001, 0.03));
    let shape = load(rng, schedule, rate, stay, each);
    on_level(rng, schedule, level, 0.005, shape)
}

/// Workers that grow with what they serve and are replaced; all begin young.
pub(super) fn workers(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let count = rng.between((4.0, 12.0), (3.0, 16.0)) as usize;
    let life = rng.between((0.03, 0.08), (0.025, 0.1));
    let gain = level * rng.scale((0.05, 0.4), (0.04, 0.6));
    let mut shape = schedule.each(|_| 0.0);
    for _ in 0..count {
        let mut lives: Vec<Tooth> = vec![];
        let mut begin = 0.0;
        while begin <= schedule.end() {
            let length = life * (1.0 + 0.2 * rng.normal()).max(0.3);
            lives.push(Tooth { begin, length, floor: 0.0, height: gain });
            begin += length;
        }
        add(&mut shape, &saw(schedule, &lives));
    }
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn fifty(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng) / 20.0;
    let tau = rng.scale((0.01, 0.05), (0.01, 0.07));
    (0..50)
        .map(|_| {
            let own = level * (0.5 + rng.even());
            let gain = own * rng.even();
            let at = rng.even();
            let step = if rng.chance(0.1) { 0.3 * own } else { 0.0 };
            let shape = schedule
                .each(|x| gain * (1.0 - (-x / tau).exp()) + if x > at { step } else { 0.0 });
            on_level(rng, schedule, own, 0.05, shape).remove(0)
        })
        .collect()
}

/// What one part gives up another takes, to and fro.
pub(super) fn moving(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let room = level * rng.between((0.2, 0.8), (0.1, 0.9));
    let crossing = rng.scale((0.02, 0.06), (0.015, 0.08));
    let walk = walk_in_a_room(rng, schedule, crossing);
    let noise = level * 0.01 * rng.even();
    let mut heap: Vec<f64> = walk.iter().map(|v| level + room * v).collect();
    let mut cache: Vec<f64> = walk.iter().map(|v| level + room * (1.0 - v)).collect();
    add(&mut heap, &white(rng, schedule, noise));
    add(&mut cache, &white(rng, schedule, noise));
    vec![heap, cache]
}
