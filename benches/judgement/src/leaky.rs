//! Leaky shapes: at the length one would like these are growing, and never steady.

use crate::noise::{add, arrivals, forgetful, little, load, saw, size, steps, teeth, white};
use crate::shape::Draw;
use crate::{DrawRng, Health, Schedule, Shape};
use std::f64::consts::TAU;

type Parts = Vec<Vec<f64>>;

/// All leaky shapes.
pub fn shapes() -> Vec<Shape> {
    let all: [(&'static str, Draw); 18] = [
        ("linear", linear),
        ("slow, under ten times its noise", slow),
        ("under a saw", under_saw),
        ("under an irregular saw", under_irregular_saw),
        ("after a warm-up", after_warm_up),
        ("after hours of quiet", after_quiet),
        ("bursts that never come back", bursts),
        ("accelerating", accelerating),
        ("one leak in ten requests", one_in_ten),
        ("a step a job", per_job),
        ("hidden by swap", swapped),
        ("hidden by a shrinking cache", shrinking_cache),
        ("in one of fifty processes", one_of_fifty),
        ("under a diurnal load", under_days),
        ("under correlated noise", under_correlated),
        ("at a wavering rate", wavering),
        ("with a one-off step", with_step),
        ("threads that never end", threads),
    ];
    all.map(|(name, draw)| Shape { name, health: Health::Leaky, draw }).into()
}

/// What a leak adds within the length one would like.
fn gain(rng: &mut DrawRng, level: f64) -> f64 {
    level * rng.scale((0.1, 2.0), (0.05, 3.0))
}

/// A level with this on it, and noise of at most `noise` of what the leak gains.
fn on_level(
    rng: &mut DrawRng,
    schedule: &Schedule,
    level: f64,
    (gain, noise): (f64, f64),
    shape: Vec<f64>,
) -> Parts {
    let mut values = schedule.each(|_| level);
    add(&mut values, &shape);
    add(&mut values, &little(rng, schedule, gain, noise));
    vec![values]
}

fn linear(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let shape = schedule.each(|x| gain * x);
    on_level(rng, schedule, level, (gain, 0.1), shape)
}

/// A minute's leak is a tenth of the noise; so one would like to watch for an hour or more.
fn slow(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let minutes = rng.between((60.0, 120.0), (55.0, 150.0));
    let gain = level * rng.scale((0.1, 1.0), (0.08, 1.5));
    let sigma = 10.0 * gain / minutes;
    let mut shape = schedule.each(|x| gain * x);
    add(&mut shape, &white(rng, schedule, sigma));
    on_level(rng, schedule, level, (gain, 0.0), shape)
}

fn under_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let cycle = rng.scale((0.008, 0.03), (0.006, 0.04));
    let height = gain * rng.scale((0.3, 3.0), (0.2, 4.0));
    let teeth = teeth(rng, schedule, |_, _| (cycle, 0.0, height));
    let mut shape = schedule.each(|x| gain * x);
    add(&mut shape, &saw(schedule, &teeth));
    on_level(rng, schedule, level, (gain, 0.02), shape)
}

fn under_irregular_saw(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let cycle = rng.scale((0.006, 0.02), (0.005, 0.025));
    let height = gain * rng.scale((0.3, 1.5), (0.2, 2.0));
    let wild = rng.between((0.15, 0.35), (0.1, 0.4));
    let teeth = teeth(rng, schedule, |rng, _| {
        let length = cycle * (wild * rng.normal()).exp();
        let stretch = (0.5 * wild * rng.normal()).exp();
        (length, height * 0.03 * rng.even(), height * stretch)
    });
    let mut shape = schedule.each(|x| gain * x);
    add(&mut shape, &saw(schedule, &teeth));
    on_level(rng, schedule, level, (gain, 0.02), shape)
}

fn after_warm_up(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let height = gain * rng.scale((0.5, 3.0), (0.3, 5.0));
    let tau = rng.scale((0.01, 0.04), (0.008, 0.05));
    let shape = schedule.each(|x| gain * x + height * (1.0 - (-x / tau).exp()));
    on_level(rng, schedule, level, (gain, 0.05), shape)
}

fn after_quiet(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let quiet = rng.between((0.2, 0.45), (0.15, 0.5));
    let shape = schedule.each(|x| gain * (x - quiet).max(0.0));
    on_level(rng, schedule, level, (gain, 0.03), shape)
}

fn bursts(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let rate = rng.scale((60.0, 200.0), (60.0, 300.0));
    let all: Vec<_> = arrivals(rng, schedule, rate)
        .into_iter()
        .map(|at| (at, gain / rate * (0.5 + rng.even())))
        .collect();
    on_level(rng, schedule, level, (gain, 0.02), steps(schedule, all))
}

fn accelerating(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let power = rng.between((1.3, 2.2), (1.2, 2.5));
    let shape = schedule.each(|x| gain * x.powf(power));
    on_level(rng, schedule, level, (gain, 0.04), shape)
}

/// Requests come and go, and one in ten leaves something behind.
fn one_in_ten(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let rate = rng.scale((2_000.0, 20_000.0), (1_500.0, 30_000.0));
    let leaked: Vec<_> = arrivals(rng, schedule, rate / 10.0)
        .into_iter()
        .map(|at| (at, gain * 10.0 / rate))
        .collect();
    let mut shape = steps(schedule, leaked);
    let stay = rng.scale((0.001, 0.003), (0.001, 0.004));
    let busy = gain * 0.2 * rng.even() / (rate * stay).sqrt();
    add(&mut shape, &load(rng, schedule, rate, stay, busy));
    on_level(rng, schedule, level, (gain, 0.01), shape)
}

/// Each job works with memory of its own and leaves a step.
fn per_job(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let jobs = rng.between((18.0, 50.0), (16.0, 70.0));
    let work = gain * rng.between((0.0, 0.3), (0.0, 0.4));
    let mut changes = vec![];
    let mut at = rng.even() / jobs;
    while at <= schedule.end() {
        let lasts = (0.3 + 0.4 * rng.even()) / jobs;
        changes.push((at, work + gain / jobs));
        changes.push((at + lasts, -work));
        at += (0.85 + 0.3 * rng.even()) / jobs;
    }
    on_level(rng, schedule, level, (gain, 0.01), steps(schedule, changes))
}

/// The resident set is held down by swapping; what is judged is both.
fn swapped(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let limit = level + gain * rng.between((0.05, 0.3), (0.03, 0.4));
    let noise = forgetful(rng, schedule, gain * 0.01, 0.005);
    let (mut rss, mut swap) = (vec![], vec![]);
    for (x, noise) in schedule.x.iter().zip(noise) {
        let all = level + gain * x;
        // What is resident wavers below the limit, the rest is in swap.
        let resident = all.min(limit) + noise.min(0.0);
        rss.push(resident);
        swap.push(all - resident);
    }
    vec![rss, swap]
}

fn shrinking_cache(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let cache = gain * rng.between((0.5, 1.2), (0.4, 1.5));
    let waver = rng.between((0.005, 0.02), (0.003, 0.03));
    let mut heap = schedule.each(|x| level + gain * x);
    add(&mut heap, &little(rng, schedule, gain, 0.05));
    let mut file = schedule.each(|x| level / 10.0 + (cache - gain * x).max(0.0));
    add(&mut file, &forgetful(rng, schedule, gain * waver, 0.01));
    vec![heap, file]
}

fn one_of_fifty(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng) / 20.0;
    let rough = rng.between((0.02, 0.1), (0.01, 0.12));
    let gain = level * rng.scale((1.5, 4.0), (1.3, 6.0));
    (0..50)
        .map(|i| {
            let own = level * (0.5 + rng.even());
            let mut values = schedule.each(|x| if i == 17 { own + gain * x } else { own });
            add(&mut values, &forgetful(rng, schedule, own * rough, 0.01));
            values
        })
        .collect()
}

fn under_days(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let day = 1.0 / rng.between((18.0, 30.0), (18.0, 36.0));
    let height = gain * rng.scale((0.1, 0.6), (0.1, 0.8));
    let phase = rng.even();
    let shape = schedule.each(|x| gain * x + height * (1.0 + (TAU * (x / day + phase)).sin()));
    on_level(rng, schedule, level, (gain, 0.02), shape)
}

fn under_correlated(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let memory = rng.scale((0.003, 0.01), (0.003, 0.015));
    let sigma = gain * rng.scale((0.01, 0.06), (0.008, 0.08));
    let mut shape = schedule.each(|x| gain * x);
    add(&mut shape, &forgetful(rng, schedule, sigma, memory));
    on_level(rng, schedule, level, (gain, 0.005), shape)
}

/// How fast it leaks depends on how busy it is; half of them warm up first.
fn wavering(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let height = if rng.chance(0.5) { gain * rng.scale((0.3, 2.0), (0.2, 3.0)) } else { 0.0 };
    let tau = rng.scale((0.01, 0.04), (0.008, 0.05));
    let memory = rng.scale((0.005, 0.03), (0.004, 0.04));
    let waver = rng.between((0.1, 0.4), (0.1, 0.5));
    let busy = forgetful(rng, schedule, waver, memory);
    let (mut leaked, mut before, mut i) = (0.0, 0.0, 0);
    let shape = schedule.each(|x| {
        leaked += gain * (x - before) * (1.0 + busy[i]).max(0.0);
        (before, i) = (x, i + 1);
        leaked + height * (1.0 - (-x / tau).exp())
    });
    on_level(rng, schedule, level, (gain, 0.005), shape)
}

fn with_step(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let gain = gain(rng, level);
    let at = rng.between((0.1, 0.8), (0.05, 0.85));
    let step = gain * rng.between((0.2, 0.8), (0.1, 1.0));
    let shape = schedule.each(|x| gain * x + if x >= at { step } else { 0.0 });
    on_level(rng, schedule, level, (gain, 0.04), shape)
}

/// Threads that are started now and then and never end: a stack each, as it is touched.
fn threads(rng: &mut DrawRng, schedule: &Schedule) -> Parts {
    let level = size(rng);
    let rate = rng.scale((60.0, 200.0), (60.0, 260.0));
    let stack = level * rng.scale((0.002, 0.02), (0.001, 0.03));
    let all: Vec<_> = arrivals(rng, schedule, rate)
        .into_iter()
        .map(|at| (at, stack * (0.9 + 0.2 * rng.even())))
        .collect();
    on_level(rng, schedule, level, (stack * rate, 0.02), steps(schedule, all))
}
