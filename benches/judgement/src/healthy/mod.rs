//! Healthy shapes: none of these may be called growing, however short the watch.

mod recurring;
mod settling;

use crate::noise::{add, little};
use crate::shape::Draw;
use crate::{DrawRng, Health, Schedule, Shape};

type Parts = Vec<Vec<f64>>;

/// All healthy shapes.
pub fn shapes() -> Vec<Shape> {
    let all: [(&'static str, Draw); 31] = [
        ("flat", recurring::flat),
        ("noisy", recurring::noisy),
        ("correlated noise", recurring::correlated),
        ("warm-up, exponential", settling::exponential),
        ("warm-up, logarithmic", settling::logarithmic),
        ("warm-up in two stages", settling::two_stages),
        ("saw", recurring::fixed_saw),
        ("saw, few cycles", recurring::slow_saw),
        ("saw, drifting", recurring::drifting_saw),
        ("saw, irregular", recurring::irregular_saw),
        ("saw, generations", recurring::generations),
        ("saw on a warm-up", recurring::saw_on_warm_up),
        ("cache filled by a scan", settling::scanned_cache),
        ("cache filled by use", settling::used_cache),
        ("cache filled in bursts", settling::burst_cache),
        ("diurnal", recurring::diurnal),
        ("one step", settling::one_step),
        ("several steps", settling::several_steps),
        ("a trim", settling::trim),
        ("bursts that come back", recurring::bursts),
        ("ramp that ends", settling::ramp),
        ("thread pool", settling::thread_pool),
        ("page-cache swings", recurring::page_cache),
        ("walk in a room", recurring::room),
        ("sessions", recurring::sessions),
        ("recycled workers", recurring::workers),
        ("one batch", settling::batch),
        ("modules loaded lazily", settling::lazy_modules),
        ("fragmentation, root of time", settling::fragmentation),
        ("fifty processes", recurring::fifty),
        ("memory that moves", recurring::moving),
    ];
    all.map(|(name, draw)| Shape { name, health: Health::Healthy, draw }).into()
}

/// A level with this on it, and a little noise of at most `noise` of the level.
fn on_level(
    rng: &mut DrawRng,
    schedule: &Schedule,
    level: f64,
    noise: f64,
    shape: Vec<f64>,
) -> Parts {
    let mut values = schedule.each(|_| level);
    add(&mut values, &shape);
    add(&mut values, &little(rng, schedule, level, noise));
    vec![values]
}
