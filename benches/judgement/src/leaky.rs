//! Leaky shapes: at the length one would like these are growing, and never steady.

use crate::noise::{add, arrivals, forgetful, little, load, saw, size, steps, teeth, white};
use crate::shape::Draw;
use crate::{Dice, Health, Shape, Watch};
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
fn gain(dice: &mut Dice, level: f64) -> f64 {
    level * dice.scale((0.1, 2.0), (0.05, 3.0))
}

/// A level with this on it, and noise of at most `noise` of what the leak gains.
fn on_level(
    dice: &mut Dice,
    watch: &Watch,
    level: f64,
    (gain, noise): (f64, f64),
    shape: Vec<f64>,
) -> Parts {
    let mut values = watch.each(|_| level);
    add(&mut values, &shape);
    add(&mut values, &little(dice, watch, gain, noise));
    vec![values]
}

fn linear(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let shape = watch.each(|x| gain * x);
    on_level(dice, watch, level, (gain, 0.1), shape)
}

/// A minute's leak is a tenth of the noise; so one would like to watch for an hour or more.
fn slow(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let minutes = dice.between((60.0, 120.0), (55.0, 150.0));
    let gain = level * dice.scale((0.1, 1.0), (0.08, 1.5));
    let sigma = 10.0 * gain / minutes;
    let mut shape = watch.each(|x| gain * x);
    add(&mut shape, &white(dice, watch, sigma));
    on_level(dice, watch, level, (gain, 0.0), shape)
}

fn under_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let cycle = dice.scale((0.008, 0.03), (0.006, 0.04));
    let height = gain * dice.scale((0.3, 3.0), (0.2, 4.0));
    let teeth = teeth(dice, watch, |_, _| (cycle, 0.0, height));
    let mut shape = watch.each(|x| gain * x);
    add(&mut shape, &saw(watch, &teeth));
    on_level(dice, watch, level, (gain, 0.02), shape)
}

fn under_irregular_saw(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let cycle = dice.scale((0.006, 0.02), (0.005, 0.025));
    let height = gain * dice.scale((0.3, 1.5), (0.2, 2.0));
    let wild = dice.between((0.15, 0.35), (0.1, 0.4));
    let teeth = teeth(dice, watch, |dice, _| {
        let length = cycle * (wild * dice.normal()).exp();
        let stretch = (0.5 * wild * dice.normal()).exp();
        (length, height * 0.03 * dice.even(), height * stretch)
    });
    let mut shape = watch.each(|x| gain * x);
    add(&mut shape, &saw(watch, &teeth));
    on_level(dice, watch, level, (gain, 0.02), shape)
}

fn after_warm_up(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let height = gain * dice.scale((0.5, 3.0), (0.3, 5.0));
    let tau = dice.scale((0.01, 0.04), (0.008, 0.05));
    let shape = watch.each(|x| gain * x + height * (1.0 - (-x / tau).exp()));
    on_level(dice, watch, level, (gain, 0.05), shape)
}

fn after_quiet(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let quiet = dice.between((0.2, 0.45), (0.15, 0.5));
    let shape = watch.each(|x| gain * (x - quiet).max(0.0));
    on_level(dice, watch, level, (gain, 0.03), shape)
}

fn bursts(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let rate = dice.scale((60.0, 200.0), (60.0, 300.0));
    let all: Vec<_> = arrivals(dice, watch, rate)
        .into_iter()
        .map(|at| (at, gain / rate * (0.5 + dice.even())))
        .collect();
    on_level(dice, watch, level, (gain, 0.02), steps(watch, all))
}

fn accelerating(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let power = dice.between((1.3, 2.2), (1.2, 2.5));
    let shape = watch.each(|x| gain * x.powf(power));
    on_level(dice, watch, level, (gain, 0.04), shape)
}

/// Requests come and go, and one in ten leaves something behind.
fn one_in_ten(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let rate = dice.scale((2_000.0, 20_000.0), (1_500.0, 30_000.0));
    let leaked: Vec<_> =
        arrivals(dice, watch, rate / 10.0).into_iter().map(|at| (at, gain * 10.0 / rate)).collect();
    let mut shape = steps(watch, leaked);
    let stay = dice.scale((0.001, 0.003), (0.001, 0.004));
    let busy = gain * 0.2 * dice.even() / (rate * stay).sqrt();
    add(&mut shape, &load(dice, watch, rate, stay, busy));
    on_level(dice, watch, level, (gain, 0.01), shape)
}

/// Each job works with memory of its own and leaves a step.
fn per_job(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let jobs = dice.between((18.0, 50.0), (16.0, 70.0));
    let work = gain * dice.between((0.0, 0.3), (0.0, 0.4));
    let mut changes = vec![];
    let mut at = dice.even() / jobs;
    while at <= watch.end() {
        let lasts = (0.3 + 0.4 * dice.even()) / jobs;
        changes.push((at, work + gain / jobs));
        changes.push((at + lasts, -work));
        at += (0.85 + 0.3 * dice.even()) / jobs;
    }
    on_level(dice, watch, level, (gain, 0.01), steps(watch, changes))
}

/// The resident set is held down by swapping; what is judged is both.
fn swapped(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let limit = level + gain * dice.between((0.05, 0.3), (0.03, 0.4));
    let noise = forgetful(dice, watch, gain * 0.01, 0.005);
    let (mut rss, mut swap) = (vec![], vec![]);
    for (x, noise) in watch.x.iter().zip(noise) {
        let all = level + gain * x;
        // What is resident wavers below the limit, the rest is in swap.
        let resident = all.min(limit) + noise.min(0.0);
        rss.push(resident);
        swap.push(all - resident);
    }
    vec![rss, swap]
}

fn shrinking_cache(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let cache = gain * dice.between((0.5, 1.2), (0.4, 1.5));
    let waver = dice.between((0.005, 0.02), (0.003, 0.03));
    let mut heap = watch.each(|x| level + gain * x);
    add(&mut heap, &little(dice, watch, gain, 0.05));
    let mut file = watch.each(|x| level / 10.0 + (cache - gain * x).max(0.0));
    add(&mut file, &forgetful(dice, watch, gain * waver, 0.01));
    vec![heap, file]
}

fn one_of_fifty(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice) / 20.0;
    let rough = dice.between((0.02, 0.1), (0.01, 0.12));
    let gain = level * dice.scale((1.5, 4.0), (1.3, 6.0));
    (0..50)
        .map(|i| {
            let own = level * (0.5 + dice.even());
            let mut values = watch.each(|x| if i == 17 { own + gain * x } else { own });
            add(&mut values, &forgetful(dice, watch, own * rough, 0.01));
            values
        })
        .collect()
}

fn under_days(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let day = 1.0 / dice.between((18.0, 30.0), (18.0, 36.0));
    let height = gain * dice.scale((0.1, 0.6), (0.1, 0.8));
    let phase = dice.even();
    let shape = watch.each(|x| gain * x + height * (1.0 + (TAU * (x / day + phase)).sin()));
    on_level(dice, watch, level, (gain, 0.02), shape)
}

fn under_correlated(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let memory = dice.scale((0.003, 0.01), (0.003, 0.015));
    let sigma = gain * dice.scale((0.01, 0.06), (0.008, 0.08));
    let mut shape = watch.each(|x| gain * x);
    add(&mut shape, &forgetful(dice, watch, sigma, memory));
    on_level(dice, watch, level, (gain, 0.005), shape)
}

/// How fast it leaks depends on how busy it is; half of them warm up first.
fn wavering(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let height = if dice.chance(0.5) { gain * dice.scale((0.3, 2.0), (0.2, 3.0)) } else { 0.0 };
    let tau = dice.scale((0.01, 0.04), (0.008, 0.05));
    let memory = dice.scale((0.005, 0.03), (0.004, 0.04));
    let waver = dice.between((0.1, 0.4), (0.1, 0.5));
    let busy = forgetful(dice, watch, waver, memory);
    let (mut leaked, mut before, mut i) = (0.0, 0.0, 0);
    let shape = watch.each(|x| {
        leaked += gain * (x - before) * (1.0 + busy[i]).max(0.0);
        (before, i) = (x, i + 1);
        leaked + height * (1.0 - (-x / tau).exp())
    });
    on_level(dice, watch, level, (gain, 0.005), shape)
}

fn with_step(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let gain = gain(dice, level);
    let at = dice.between((0.1, 0.8), (0.05, 0.85));
    let step = gain * dice.between((0.2, 0.8), (0.1, 1.0));
    let shape = watch.each(|x| gain * x + if x >= at { step } else { 0.0 });
    on_level(dice, watch, level, (gain, 0.04), shape)
}

/// Threads that are started now and then and never end: a stack each, as it is touched.
fn threads(dice: &mut Dice, watch: &Watch) -> Parts {
    let level = size(dice);
    let rate = dice.scale((60.0, 200.0), (60.0, 260.0));
    let stack = level * dice.scale((0.002, 0.02), (0.001, 0.03));
    let all: Vec<_> = arrivals(dice, watch, rate)
        .into_iter()
        .map(|at| (at, stack * (0.9 + 0.2 * dice.even())))
        .collect();
    on_level(dice, watch, level, (stack * rate, 0.02), steps(watch, all))
}
