//! What stays as it is, or goes and comes back: noise, saws, days, loads.

use super::{Parts, on_level};
use crate::noise::{
    Tooth, add, arrivals, forgetful, load, saw, size, steps, teeth, walk_in_a_room, white,
};
use crate::{Dice, Watch};
use std::f64::consts::TAU;

pub(super) fn flat(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let rate = dice.between((2.0, 20.0), (1.0, 40.0));
    // Now and then a page or two come or go.
    let pages = arrivals(dice, watch, rate)
        .into_iter()
        .enumerate()
        .map(|(i, at)| (at, if i % 2 == 0 { 8192.0 } else { -8192.0 }))
        .collect();
    let shape = steps(watch, pages);
    on_level(dice, watch, level, 0.0, shape)
}

pub(super) fn noisy(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let sigma = level * dice.scale((0.003, 0.08), (0.002, 0.12));
    let shape = white(dice, watch, sigma);
    on_level(dice, watch, level, 0.0, shape)
}

pub(super) fn correlated(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let sigma = level * dice.scale((0.005, 0.06), (0.004, 0.1));
    let memory = dice.scale((0.004, 0.03), (0.005, 0.04));
    let shape = forgetful(dice, watch, sigma, memory);
    on_level(dice, watch, level, 0.002, shape)
}

/// A saw's cycle and height.
fn cycle_and_height(dice: &mut Dice, level: f64) -> (f64, f64) {
    let cycle = dice.scale((0.01, 0.06), (0.008, 0.075));
    (cycle, level * dice.scale((0.2, 2.0), (0.1, 3.0)))
}

pub(super) fn fixed_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let (cycle, height) = cycle_and_height(dice, level);
    let teeth = teeth(dice, watch, |_, _| (cycle, 0.0, height));
    on_level(dice, watch, level, 0.02, saw(watch, &teeth))
}

/// Few and long cycles: only five to fifteen are seen in the length one would like.
pub(super) fn slow_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let cycle = dice.between((0.07, 0.18), (0.065, 0.2));
    let height = level * dice.scale((0.2, 2.0), (0.1, 3.0));
    let wild = dice.between((0.0, 0.15), (0.0, 0.2));
    let teeth = teeth(dice, watch, |dice, _| (cycle * (wild * dice.normal()).exp(), 0.0, height));
    on_level(dice, watch, level, 0.02, saw(watch, &teeth))
}

pub(super) fn drifting_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let (cycle, height) = cycle_and_height(dice, level);
    let (drift, phase) = (dice.between((0.3, 0.6), (0.2, 0.7)), dice.even());
    let season = dice.between((0.4, 2.0), (0.3, 3.0));
    let teeth = teeth(dice, watch, |_, x| {
        let stretch = 1.0 + drift * (TAU * (x / season + phase)).sin();
        (cycle * stretch, 0.0, height * stretch)
    });
    on_level(dice, watch, level, 0.02, saw(watch, &teeth))
}

fn irregular(dice: &mut Dice, watch: &Watch, level: f64) -> Vec<f64> {
    let (cycle, height) = cycle_and_height(dice, level);
    let wild = dice.between((0.2, 0.45), (0.15, 0.5));
    let rough = dice.between((0.0, 0.08), (0.0, 0.12));
    let teeth = teeth(dice, watch, |dice, _| {
        let length = cycle * (wild * dice.normal()).exp();
        let stretch = (0.5 * wild * dice.normal()).exp();
        (length, height * rough * dice.even(), height * stretch)
    });
    saw(watch, &teeth)
}

pub(super) fn irregular_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let shape = irregular(dice, watch, level);
    on_level(dice, watch, level, 0.02, shape)
}

/// Small collections leave something behind that only the large ones take away.
pub(super) fn generations(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let major = dice.between((0.04, 0.1), (0.03, 0.12));
    let minors = dice.between((5.0, 15.0), (4.0, 20.0));
    let height = level * dice.scale((0.3, 1.5), (0.2, 2.0));
    let old = height * dice.between((0.8, 2.0), (0.6, 3.0));
    let large = teeth(dice, watch, |dice, _| (major * (1.0 + 0.1 * dice.normal()), 0.0, old));
    let small = teeth(dice, watch, |_, _| (major / minors, 0.0, height));
    let mut shape = saw(watch, &large);
    add(&mut shape, &saw(watch, &small));
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn saw_on_warm_up(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let tau = dice.between((0.03, 0.1), (0.03, 0.13));
    let gain = level * dice.between((0.3, 1.5), (0.2, 2.0));
    let mut shape = irregular(dice, watch, level);
    add(&mut shape, &watch.each(|x| gain * (1.0 - (-x / tau).exp())));
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn diurnal(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let day = dice.between((0.15, 0.32), (0.1, 0.33));
    let height = level * dice.scale((0.1, 1.0), (0.1, 1.5));
    let (phase, sharp) = (dice.even(), dice.between((0.0, 0.5), (0.0, 0.8)));
    let shape = watch.each(|x| {
        let angle = TAU * (x / day + phase);
        height * (angle.sin() + sharp * (2.0 * angle).sin() / 2.0 + 1.5)
    });
    on_level(dice, watch, level, 0.03, shape)
}

pub(super) fn bursts(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let rate = dice.between((8.0, 40.0), (5.0, 60.0));
    let stay = dice.between((0.002, 0.012), (0.002, 0.015));
    let mut changes = vec![];
    for at in arrivals(dice, watch, rate) {
        let height = level * dice.scale((0.2, 2.0), (0.1, 4.0));
        changes.push((at, height));
        changes.push((at + stay * (0.5 + dice.even()), -height));
    }
    on_level(dice, watch, level, 0.01, steps(watch, changes))
}

pub(super) fn page_cache(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let room = level * dice.scale((0.5, 3.0), (0.4, 4.0));
    let crossing = dice.scale((0.02, 0.06), (0.02, 0.08));
    let walk = walk_in_a_room(dice, watch, crossing);
    // It fills slowly and is reclaimed at once, when the machine wants memory.
    let reclaims: Vec<f64> = walk.iter().map(|v| room * v.powi(2)).collect();
    on_level(dice, watch, level, 0.005, reclaims)
}

pub(super) fn room(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let room = level * dice.scale((0.02, 1.0), (0.02, 2.0));
    let crossing = dice.scale((0.01, 0.05), (0.008, 0.08));
    let shape = walk_in_a_room(dice, watch, crossing).into_iter().map(|v| room * v).collect();
    on_level(dice, watch, level, 0.005, shape)
}

pub(super) fn sessions(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let rate = dice.scale((200.0, 2000.0), (100.0, 3000.0));
    let stay = dice.scale((0.004, 0.03), (0.003, 0.04));
    let each = level * dice.scale((0.002, 0.02), (0.001, 0.03));
    let shape = load(dice, watch, rate, stay, each);
    on_level(dice, watch, level, 0.005, shape)
}

/// Workers that grow with what they serve and are replaced; all begin young.
pub(super) fn workers(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let count = dice.between((4.0, 12.0), (3.0, 16.0)) as usize;
    let life = dice.between((0.03, 0.08), (0.025, 0.1));
    let gain = level * dice.scale((0.05, 0.4), (0.04, 0.6));
    let mut shape = watch.each(|_| 0.0);
    for _ in 0..count {
        let mut lives: Vec<Tooth> = vec![];
        let mut begin = 0.0;
        while begin <= watch.end() {
            let length = life * (1.0 + 0.2 * dice.normal()).max(0.3);
            lives.push(Tooth { begin, length, floor: 0.0, height: gain });
            begin += length;
        }
        add(&mut shape, &saw(watch, &lives));
    }
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn fifty(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice) / 20.0;
    let tau = dice.scale((0.01, 0.05), (0.01, 0.07));
    (0..50)
        .map(|_| {
            let own = level * (0.5 + dice.even());
            let gain = own * dice.even();
            let at = dice.even();
            let step = if dice.chance(0.1) { 0.3 * own } else { 0.0 };
            let shape =
                watch.each(|x| gain * (1.0 - (-x / tau).exp()) + if x > at { step } else { 0.0 });
            on_level(dice, watch, own, 0.05, shape).remove(0)
        })
        .collect()
}

/// What one part gives up another takes, to and fro.
pub(super) fn moving(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let room = level * dice.between((0.2, 0.8), (0.1, 0.9));
    let crossing = dice.scale((0.02, 0.06), (0.015, 0.08));
    let walk = walk_in_a_room(dice, watch, crossing);
    let noise = level * 0.01 * dice.even();
    let mut heap: Vec<f64> = walk.iter().map(|v| level + room * v).collect();
    let mut cache: Vec<f64> = walk.iter().map(|v| level + room * (1.0 - v)).collect();
    add(&mut heap, &white(dice, watch, noise));
    add(&mut cache, &white(dice, watch, noise));
    vec![heap, cache]
}
