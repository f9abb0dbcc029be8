//! What changes and then stays: warm-ups, caches that fill, steps, ramps.

use super::{Parts, on_level};
use crate::noise::{arrivals, size, steps};
use crate::{DrawRng, Schedule};

pub(super) fn exponential(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let height = level * rng.scale((0.2, 3.0), (0.1, 5.0));
    let tau = rng.scale((0.01, 0.1), (0.015, 0.13));
    let shape = schedule.each(|x| height * (1.0 - (-x / tau).exp()));
    on_level(rng, schedule, level, 0.03, shape)
}

pub(super) fn logarithmic(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let height = level * rng.scale((0.03, 0.5), (0.02, 0.8));
    let tau = rng.scale((0.003, 0.05), (0.002, 0.08));
    let shape = schedule.each(|x| height * (1.0 + x / tau).ln());
    on_level(rng, schedule, level, 0.03, shape)
}

pub(super) fn two_stages(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let (first, second) =
        (level * rng.between((0.5, 2.0), (0.3, 3.0)), level * rng.between((0.2, 0.8), (0.1, 1.0)));
    let quick = rng.scale((0.01, 0.03), (0.005, 0.04));
    let slow = rng.between((0.08, 0.18), (0.1, 0.2));
    let shape =
        schedule.each(|x| first * (1.0 - (-x / quick).exp()) + second * (1.0 - (-x / slow).exp()));
    on_level(rng, schedule, level, 0.02, shape)
}

pub(super) fn scanned_cache(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let full = level * rng.scale((0.3, 3.0), (0.2, 5.0));
    let when = rng.between((0.12, 0.35), (0.11, 0.42));
    let shape = schedule.each(|x| full * (x / when).min(1.0));
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn used_cache(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let keys = level * rng.scale((0.5, 3.0), (0.4, 5.0));
    let limit = keys * rng.between((0.5, 0.95), (0.4, 1.0));
    let tau = rng.between((0.08, 0.2), (0.06, 0.22));
    let shape = schedule.each(|x| (keys * (1.0 - (-x / tau).exp())).min(limit));
    on_level(rng, schedule, level, 0.01, shape)
}

/// A cache filled by bursts of use, until it is full.
pub(super) fn burst_cache(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let full = level * rng.scale((0.3, 2.0), (0.2, 3.0));
    let fills = rng.between((8.0, 40.0), (6.0, 60.0));
    let when = rng.between((0.12, 0.3), (0.11, 0.35));
    let all: Vec<_> = arrivals(rng, schedule, fills / when)
        .into_iter()
        .map(|at| (at, 2.0 * full / fills * rng.even()))
        .collect();
    let shape = steps(schedule, all).into_iter().map(|v| v.min(full)).collect();
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn one_step(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let height = level * rng.scale((0.02, 1.0), (0.01, 2.0));
    let at = rng.between((0.05, 0.9), (0.02, 0.95));
    on_level(rng, schedule, level, 0.02, steps(schedule, vec![(at, height)]))
}

pub(super) fn several_steps(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let count = rng.between((2.0, 5.5), (2.0, 5.9)) as usize;
    let all = (0..count)
        .map(|_| {
            let up = if rng.chance(0.85) { 1.0 } else { -0.5 };
            (rng.even(), up * level * rng.scale((0.05, 0.4), (0.03, 0.6)))
        })
        .collect();
    on_level(rng, schedule, level, 0.01, steps(schedule, all))
}

/// It grows for a while, stays, and gives back most of it at once.
pub(super) fn trim(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = level * rng.scale((0.3, 2.0), (0.2, 3.0));
    let grown = rng.between((0.1, 0.25), (0.08, 0.3));
    let trimmed = grown + rng.between((0.1, 0.6), (0.05, 0.65));
    let left = rng.between((0.1, 0.5), (0.05, 0.6));
    let shape =
        schedule.each(|x| if x < trimmed { gain * (x / grown).min(1.0) } else { gain * left });
    on_level(rng, schedule, level, 0.01, shape)
}

pub(super) fn ramp(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = level * rng.scale((0.2, 2.0), (0.1, 4.0));
    let begins = rng.between((0.0, 0.2), (0.0, 0.25));
    let ends = begins + rng.between((0.12, 0.4), (0.11, 0.5));
    let shape = schedule.each(|x| gain * ((x - begins) / (ends - begins)).clamp(0.0, 1.0));
    on_level(rng, schedule, level, 0.01, shape)
}

/// A thread is added whenever all are busy: the more there are, the more seldom.
pub(super) fn thread_pool(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let most = rng.between((8.0, 32.0), (4.0, 64.0)).round();
    let stack = level * rng.scale((0.005, 0.03), (0.003, 0.05));
    let pace = rng.between((0.04, 0.1), (0.03, 0.12));
    let mut at = 0.0;
    let mut threads = vec![];
    for i in 0..most as usize {
        at += pace * rng.wait() / (most - i as f64);
        threads.push((at, stack * (0.8 + 0.4 * rng.even())));
    }
    on_level(rng, schedule, level, 0.01, steps(schedule, threads))
}

pub(super) fn batch(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = level * rng.scale((0.3, 3.0), (0.2, 5.0));
    let begins = rng.between((0.05, 0.5), (0.02, 0.6));
    let lasts = rng.between((0.08, 0.2), (0.06, 0.25));
    let shape = schedule.each(|x| {
        let at = (x - begins) / lasts;
        if (0.0..1.0).contains(&at) { gain * at.min(0.8) / 0.8 } else { 0.0 }
    });
    on_level(rng, schedule, level, 0.01, shape)
}

/// Code paths are met for the first time ever more seldom.
pub(super) fn lazy_modules(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let pace = rng.scale((0.01, 0.05), (0.01, 0.06));
    let count = rng.between((10.0, 40.0), (8.0, 60.0));
    let mut at = 0.0;
    let mut loads = vec![];
    while at <= schedule.end() {
        at += rng.wait() * (pace + at) / count;
        loads.push((at, level * 0.02 * rng.wait() * 10.0 / count));
    }
    on_level(rng, schedule, level, 0.005, steps(schedule, loads))
}

pub(super) fn fragmentation(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = level * rng.scale((0.1, 0.6), (0.05, 0.8));
    let power = rng.between((0.3, 0.5), (0.25, 0.5));
    let shape = schedule.each(|x| gain * x.powf(power));
    on_level(rng, schedule, level, 0.01, shape)
}
