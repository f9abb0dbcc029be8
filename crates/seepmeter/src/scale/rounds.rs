//! Which amounts, and how often.
//!
//! A round has one run of every amount. Rounds are in different orders, so that what changes with time is
//! not taken for what changes with the amount. Amounts that nobody has given are found by doubling: the
//! largest takes about half a second, or holds so much that its growth is plain. If the answer is not clear
//! after some rounds, twice the largest amount comes in the place of the smallest.

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use nix::sys::signal::Signal;
use seepmeter_process::ExecError;
use seepmeter_record::End;
use seepmeter_verdict::{ScaleDoubt, ScaleReport, ScaleRun, ScalingAnswer};

use super::run::{FinishedRun, RunEnd, Runner};

/// A run of the largest amount should take so long: growth that ends within it is no leak.
const LONG: Duration = Duration::from_millis(300);
/// A run that takes less than this longer than one unit is far from it.
const SHORT: Duration = Duration::from_millis(12);
/// No more work than this is looked for: a command that is not done by then takes no notice of it.
const LARGEST: u64 = 1 << 30;
/// A run that holds so much has grown.
const MUCH: u64 = 128 << 20;
/// Rounds before the answer is looked at, and the most.
const ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 15;
/// A run of the largest amount must take so much longer than one of the least.
const EFFECT: f64 = 1.1;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// When the time is over.
    pub(crate) deadline: Instant,
    /// The most that a run may hold, in bytes.
    pub(crate) memory: u64,
    /// Bytes for each unit that count as none.
    pub(crate) negligible: f64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Finding {
    /// An answer, or none yet.
    Report(Box<ScaleReport>),
    /// A run failed by itself.
    Failed { amount: u64, run: FinishedRun },
    /// The command could not be executed.
    NotExecuted(ExecError),
    /// A signal came.
    Interrupted(Signal),
}

/// Why there are no more runs.
enum Stop {
    OutOfTime,
    Found(Box<Finding>),
    Error(Error),
}

/// A search for the answer.
pub(crate) struct Search<'r, 'a> {
    runner: &'r mut Runner<'a>,
    limits: Limits,
    runs: Vec<ScaleRun>,
    amounts: Vec<u64>,
    /// The amounts were given, and stay.
    given: bool,
}

impl<'r, 'a> Search<'r, 'a> {
    /// A search with these amounts, or if there are none with those that it finds.
    pub(crate) fn new(runner: &'r mut Runner<'a>, limits: Limits, amounts: &[u64]) -> Self {
        let given = !amounts.is_empty();
        let amounts = if given { amounts.to_vec() } else { amounts_up_to(1) };
        Self { runner, limits, runs: Vec::new(), amounts, given }
    }

    /// Runs the command until the answer is clear, or there is no more time.
    pub(crate) fn find(mut self) -> Result<Finding> {
        let doubt = match self.until_clear() {
            Ok(()) => None,
            Err(Stop::OutOfTime) => Some(ScaleDoubt::OutOfTime),
            Err(Stop::Found(finding)) => return Ok(*finding),
            Err(Stop::Error(error)) => return Err(error),
        };
        let mut report = self.report();
        if self.has_no_effect() {
            report = report.doubted(ScaleDoubt::AmountHasNoEffect);
        }
        if let Some(doubt) = doubt.filter(|_| report.doubt.is_none()) {
            report = report.doubted(doubt);
        }
        Ok(Finding::Report(Box::new(report)))
    }

    fn report(&self) -> ScaleReport {
        ScaleReport::of(&self.runs, &self.amounts, self.limits.negligible)
    }

    fn until_clear(&mut self) -> Result<(), Stop> {
        if !self.given {
            self.amounts = amounts_up_to(self.largest()?);
        }
        for round in 0..MOST_ROUNDS {
            self.round(round)?;
            if round + 1 < ROUNDS {
                continue;
            }
            loop {
                if self.report().is_clear() {
                    return Ok(());
                }
                if !self.grow(round + 1)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The amount whose run takes long enough, or holds enough.
    fn largest(&mut self) -> Result<u64, Stop> {
        let first = self.measure(1, 0)?;
        let (mut amount, mut run) = (1, first.clone());
        let unit = first.seconds;
        let is_long =
            |run: &ScaleRun| run.seconds >= LONG.as_secs_f64() && run.seconds >= 2.0 * unit;
        while run.memory < MUCH.min(self.limits.memory) && amount < LARGEST {
            if is_long(&run) {
                // A busy machine makes a short run a long one, now and then.
                run = self.measure(amount, 0)?;
                if is_long(&run) {
                    break;
                }
            }
            amount *= if run.seconds - unit < SHORT.as_secs_f64() { 4 } else { 2 };
            run = self.measure(amount, 0)?;
        }
        Ok(amount)
    }

    /// Runs every amount once.
    fn round(&mut self, round: usize) -> Result<(), Stop> {
        let mut order = self.amounts.clone();
        let length = order.len();
        order.rotate_left(round % length);
        if round % 2 == 1 {
            order.reverse();
        }
        for amount in order {
            let run = self.measure(amount, round)?;
            self.runs.push(run);
        }
        Ok(())
    }

    /// Takes twice the largest amount in the place of the smallest, if there is time for that. False if
    /// not.
    fn grow(&mut self, rounds: usize) -> Result<bool, Stop> {
        let Some(largest) = self.amounts.last().copied().filter(|_| !self.given) else {
            return Ok(false);
        };
        let of_largest = || self.runs.iter().filter(|run| run.amount == largest);
        let seconds = of_largest().map(|run| run.seconds).fold(0.0, f64::max);
        let memory = of_largest().map(|run| run.memory).max().unwrap_or(0);
        let left = self.limits.deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let needed = 2.2 * seconds * rounds as f64;
        if needed > left || 2 * memory > self.limits.memory || largest >= LARGEST {
            return Ok(false);
        }
        let amount = 2 * largest;
        for round in 0..rounds {
            let run = self.measure(amount, round)?;
            self.runs.push(run);
        }
        self.amounts.push(amount);
        self.amounts.remove(0);
        Ok(true)
    }

    fn measure(&mut self, amount: u64, round: usize) -> Result<ScaleRun, Stop> {
        if Instant::now() >= self.limits.deadline {
            return Err(Stop::OutOfTime);
        }
        let found = |finding| Err(Stop::Found(Box::new(finding)));
        let run = match self.runner.run(amount, self.limits.deadline).map_err(Stop::Error)? {
            RunEnd::Finished(run) => run,
            RunEnd::NotExecuted(error) => return found(Finding::NotExecuted(error)),
            RunEnd::Interrupted(signal) => return found(Finding::Interrupted(signal)),
            RunEnd::TooLong => return Err(Stop::OutOfTime),
        };
        if run.end != End::Exited(0) {
            return found(Finding::Failed { amount, run });
        }
        let memory = run.memory.context("nothing could be read of a run: it ended before its first sample; give larger amounts with -n");
        let memory = memory.map_err(Stop::Error)?;
        Ok(ScaleRun {
            amount,
            round,
            seconds: run.time.as_secs_f64(),
            memory: memory.bytes,
            exact: memory.exact,
            peak_rss: memory.peak_rss,
            classes: memory.classes,
            frees_at_exit: memory.frees_at_exit,
            processes: run.processes,
        })
    }

    /// True if nothing shows that the command does as much as it was told to.
    fn has_no_effect(&self) -> bool {
        if self.given && self.runner.has_place() {
            return false;
        }
        let times = |amount: Option<&u64>| {
            let of_amount = self.runs.iter().filter(|run| Some(&run.amount) == amount);
            let mut times: Vec<f64> = of_amount.map(|run| run.seconds).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let (least, largest) = (times(self.amounts.first()), times(self.amounts.last()));
        // The fastest: on a busy machine the others are slower for other reasons, and the fastest may be so too.
        let fastest = |times: &[f64]| times.first().copied().unwrap_or(f64::INFINITY);
        let usual = least.get(least.len() / 2).copied().unwrap_or(0.0);
        self.report().scaling.answer == ScalingAnswer::Constant
            && fastest(&largest) < (EFFECT * fastest(&least)).max(usual)
    }
}

/// An amount, its half, its quarter and its eighth; at least three.
fn amounts_up_to(largest: u64) -> Vec<u64> {
    let largest = largest.max(4);
    let parts = [8, 4, 2, 1].map(|part| largest / part);
    parts.into_iter().filter(|amount| *amount > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_least_three_amounts_and_each_is_twice_the_one_before() {
        assert_eq!(amounts_up_to(1), [1, 2, 4]);
        assert_eq!(amounts_up_to(8), [1, 2, 4, 8]);
        assert_eq!(amounts_up_to(4096), [512, 1024, 2048, 4096]);
    }
}
