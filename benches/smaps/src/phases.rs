//! Phases with an observer and phases without, and what they come to.

use std::io::Error;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::observer::{ActiveObserver, Observer};
use crate::target::Target;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pairs: u32,
    pub(crate) phase: Duration,
}

/// Above the table.
pub(crate) const HEADINGS: &str = "\
| observer              | throughput | by the wall | blocked | worst stall | without: blocked | worst stall | observer's CPU | growth seen |
|-----------------------|-----------:|------------:|--------:|------------:|-----------------:|------------:|---------------:|------------:|";

/// One phase.
#[derive(Clone, Copy, Debug)]
struct Phase {
    /// Rounds a second of the time in which the target ran or was blocked. Time in which it waited
    /// for a CPU is left out: on a busy machine that is others' doing, and moves far more than the rest.
    rounds: f64,
    /// Rounds a second by the wall's clock.
    by_the_wall: f64,
    blocked: f64,
    worst: f64,
}

/// Measures one observer, and makes its line of the table.
pub(crate) fn measure(
    target: &mut Target,
    observer: Observer,
    plan: Plan,
) -> Result<String, Error> {
    let mut watching = ActiveObserver::new(observer, target)?;
    let mut without = vec![run(target, plan.phase, rest)?];
    let mut with = Vec::new();
    let mut cpu = Duration::ZERO;
    for _ in 0..plan.pairs {
        let before = thread_time();
        with.push(run(target, plan.phase, |until| watching.watch(until))?);
        cpu += thread_time() - before;
        without.push(run(target, plan.phase, rest)?);
    }
    let ratio = |rounds: fn(&Phase) -> f64| {
        let pairs = with.iter().zip(without.windows(2));
        median(pairs.map(|(on, off)| 2.0 * rounds(on) / (rounds(&off[0]) + rounds(&off[1]))))
    };
    let blocked = |phases: &[Phase]| median(phases.iter().map(|phase| phase.blocked)) * 100.0;
    let worst = |phases: &[Phase]| phases.iter().map(|phase| phase.worst).fold(0.0, f64::max) * 1e3;
    let seen = watching.slowest_seen();
    Ok(format!(
        "| {:21} | {:10.3} | {:11.3} | {:5.2} % | {:8.2} ms | {:14.2} % | {:8.2} ms | {:12.2} % | {:>11} |",
        observer.name(),
        ratio(|phase| phase.rounds),
        ratio(|phase| phase.by_the_wall),
        blocked(&with),
        worst(&with),
        blocked(&without),
        worst(&without),
        cpu.as_secs_f64() / (plan.phase * plan.pairs).as_secs_f64() * 100.0,
        seen.map_or_else(String::new, |seen| format!("{:.1} s", seen.as_secs_f64())),
    ))
}

fn rest(until: Instant) -> Result<(), Error> {
    thread::sleep(until.saturating_duration_since(Instant::now()));
    Ok(())
}

fn run(
    target: &mut Target,
    length: Duration,
    observe: impl FnOnce(Instant) -> Result<(), Error>,
) -> Result<Phase, Error> {
    target.phase += 1;
    target.board.phase.store(target.phase, Relaxed);
    let (begin, ran) = (Instant::now(), target.ran());
    observe(begin + length)?;
    let seconds = begin.elapsed().as_secs_f64();
    let ran = (target.ran() - ran).as_secs_f64();
    let counters = target.board.of(target.phase);
    let seconds_of = |nanos: u64| nanos as f64 / 1e9;
    let blocked = seconds_of(counters.blocked.load(Relaxed));
    Ok(Phase {
        rounds: counters.rounds.load(Relaxed) as f64 / (ran + blocked).max(1e-3),
        by_the_wall: counters.rounds.load(Relaxed) as f64 / seconds,
        blocked: blocked / seconds,
        worst: seconds_of(counters.worst.load(Relaxed)),
    })
}

/// The value in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// How long this thread has run.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills in the timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
