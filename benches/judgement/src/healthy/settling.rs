//! What changes and then stays: warm-ups, caches that fill, steps, ramps.

use super::{Parts, on_level};
use crate::noise::{arrivals, size, steps};
use crate::{Dice, Watch};

pub(super) fn exponential(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let height = level * dice.scale((0.2, 3.0), (0.1, 5.0));
    let tau = dice.scale((0.01, 0.1), (0.015, 0.13));
    let shape = watch.each(|x| height * (1.0 - (-x / tau).exp()));
    on_level(dice, watch, level, 0.03, shape)
}

pub(super) fn logarithmic(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let height = level * dice.scale((0.03, 0.5), (0.02, 0.8));
    let tau = dice.scale((0.003, 0.05), (0.002, 0.08));
    let shape = watch.each(|x| height * (1.0 + x / tau).ln());
    on_level(dice, watch, level, 0.03, shape)
}

pub(super) fn two_stages(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let (first, second) = (
        level * dice.between((0.5, 2.0), (0.3, 3.0)),
        level * dice.between((0.2, 0.8), (0.1, 1.0)),
    );
    let quick = dice.scale((0.01, 0.03), (0.005, 0.04));
    let slow = dice.between((0.08, 0.18), (0.1, 0.2));
    let shape =
        watch.each(|x| first * (1.0 - (-x / quick).exp()) + second * (1.0 - (-x / slow).exp()));
    on_level(dice, watch, level, 0.02, shape)
}

pub(super) fn scanned_cache(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let full = level * dice.scale((0.3, 3.0), (0.2, 5.0));
    let when = dice.between((0.12, 0.35), (0.11, 0.42));
    let shape = watch.each(|x| full * (x / when).min(1.0));
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn used_cache(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let keys = level * dice.scale((0.5, 3.0), (0.4, 5.0));
    let limit = keys * dice.between((0.5, 0.95), (0.4, 1.0));
    let tau = dice.between((0.08, 0.2), (0.06, 0.22));
    let shape = watch.each(|x| (keys * (1.0 - (-x / tau).exp())).min(limit));
    on_level(dice, watch, level, 0.01, shape)
}

/// A cache filled by bursts of use, until it is full.
pub(super) fn burst_cache(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let full = level * dice.scale((0.3, 2.0), (0.2, 3.0));
    let fills = dice.between((8.0, 40.0), (6.0, 60.0));
    let when = dice.between((0.12, 0.3), (0.11, 0.35));
    let all: Vec<_> = arrivals(dice, watch, fills / when)
        .into_iter()
        .map(|at| (at, 2.0 * full / fills * dice.even()))
        .collect();
    let shape = steps(watch, all).into_iter().map(|v| v.min(full)).collect();
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn one_step(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let height = level * dice.scale((0.02, 1.0), (0.01, 2.0));
    let at = dice.between((0.05, 0.9), (0.02, 0.95));
    on_level(dice, watch, level, 0.02, steps(watch, vec![(at, height)]))
}

pub(super) fn several_steps(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let count = dice.between((2.0, 5.5), (2.0, 5.9)) as usize;
    let all = (0..count)
        .map(|_| {
            let up = if dice.chance(0.85) { 1.0 } else { -0.5 };
            (dice.even(), up * level * dice.scale((0.05, 0.4), (0.03, 0.6)))
        })
        .collect();
    on_level(dice, watch, level, 0.01, steps(watch, all))
}

/// It grows for a while, stays, and gives back most of it at once.
pub(super) fn trim(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = level * dice.scale((0.3, 2.0), (0.2, 3.0));
    let grown = dice.between((0.1, 0.25), (0.08, 0.3));
    let trimmed = grown + dice.between((0.1, 0.6), (0.05, 0.65));
    let left = dice.between((0.1, 0.5), (0.05, 0.6));
    let shape = watch.each(|x| if x < trimmed { gain * (x / grown).min(1.0) } else { gain * left });
    on_level(dice, watch, level, 0.01, shape)
}

pub(super) fn ramp(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = level * dice.scale((0.2, 2.0), (0.1, 4.0));
    let begins = dice.between((0.0, 0.2), (0.0, 0.25));
    let ends = begins + dice.between((0.12, 0.4), (0.11, 0.5));
    let shape = watch.each(|x| gain * ((x - begins) / (ends - begins)).clamp(0.0, 1.0));
    on_level(dice, watch, level, 0.01, shape)
}

/// A thread is added whenever all are busy: the more there are, the more seldom.
pub(super) fn thread_pool(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let most = dice.between((8.0, 32.0), (4.0, 64.0)).round();
    let stack = level * dice.scale((0.005, 0.03), (0.003, 0.05));
    let pace = dice.between((0.04, 0.1), (0.03, 0.12));
    let mut at = 0.0;
    let mut threads = vec![];
    for i in 0..most as usize {
        at += pace * dice.wait() / (most - i as f64);
        threads.push((at, stack * (0.8 + 0.4 * dice.even())));
    }
    on_level(dice, watch, level, 0.01, steps(watch, threads))
}

pub(super) fn batch(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = level * dice.scale((0.3, 3.0), (0.2, 5.0));
    let begins = dice.between((0.05, 0.5), (0.02, 0.6));
    let lasts = dice.between((0.08, 0.2), (0.06, 0.25));
    let shape = watch.each(|x| {
        let at = (x - begins) / lasts;
        if (0.0..1.0).contains(&at) { gain * at.min(0.8) / 0.8 } else { 0.0 }
    });
    on_level(dice, watch, level, 0.01, shape)
}

/// Code paths are met for the first time ever more seldom.
pub(super) fn lazy_modules(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let pace = dice.scale((0.01, 0.05), (0.01, 0.06));
    let count = dice.between((10.0, 40.0), (8.0, 60.0));
    let mut at = 0.0;
    let mut loads = vec![];
    while at <= watch.end() {
        at += dice.wait() * (pace + at) / count;
        loads.push((at, level * 0.02 * dice.wait() * 10.0 / count));
    }
    on_level(dice, watch, level, 0.005, steps(watch, loads))
}

pub(super) fn fragmentation(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = level * dice.scale((0.1, 0.6), (0.05, 0.8));
    let power = dice.between((0.3, 0.5), (0.25, 0.5));
    let shape = watch.each(|x| gain * x.powf(power));
    on_level(dice, watch, level, 0.01, shape)
}
