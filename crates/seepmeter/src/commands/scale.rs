//! `seepmeter scale`: bytes for each unit of work, from runs with growing amounts of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use seepmeter_engine::Unfinished;
use seepmeter_process::ChildSignals;
use seepmeter_process::proc::ProcRoot;
use seepmeter_record::End;
use seepmeter_verdict::{Report, ReportBody, ScaleReport};

use super::run::not_executed;
use crate::flags::{Flags, ScaleFlags};
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::reports::Reports;
use crate::scale::{CurrentRun, Finding, FinishedRun, Limits, Runner, Search};
use crate::watch::{TargetPolicy, Watch};

/// A run may hold this part of the memory that can be had.
const PART_OF_MEMORY: u64 = 4;

/// `seepmeter scale`.
///
/// # Errors
/// Signals that cannot be taken over, and amounts that are too few; all else is reported already.
pub fn scale(flags: &ScaleFlags) -> Result<Outcome> {
    let Some(name) = flags.command.first() else {
        return Ok(Outcome::of_usage(&Flags::missing("scale", "COMMAND")));
    };
    let amounts = amounts(&flags.amounts)?;
    Watch::over(TargetPolicy::Measured, |watch| {
        let room = watch.outputs().clone();
        let reports = watch.wait_for(|| Reports::open(&flags.format, flags.json, &[], &room))??;
        let current = Arc::new(CurrentRun::new().context("cannot make an eventfd")?);
        let signals = watch.signals_before().clone();
        let search = || find(flags, &amounts, &signals, &current);
        let finding = watch.measure(Arc::clone(&current), search)??;
        if let Some(signal) = current.interrupted_by() {
            return Ok(Outcome::Signal(signal as i32));
        }
        watch.complete_by(Outcome::OwnFailure, Unfinished::default(), || match finding {
            Finding::Report(report) => answer(*report, flags, reports),
            Finding::Failed { amount, run } => {
                let (sentence, outcome) = failed(amount, &run, &amounts);
                reports.give(&Report::of(ReportBody::Failure(sentence)))?;
                Ok(outcome)
            }
            Finding::NotExecuted(error) => {
                let outcome = not_executed(name, &error);
                let sentence = format!("cannot execute {}: {error}", shown(Path::new(name)));
                reports.give(&Report::of(ReportBody::Failure(sentence)))?;
                Ok(outcome)
            }
            Finding::Interrupted(signal) => Ok(Outcome::Signal(signal as i32)),
        })?
    })
}

/// Runs the command until the answer is clear, or something ends the search.
fn find(
    flags: &ScaleFlags,
    amounts: &[u64],
    signals: &ChildSignals,
    current: &CurrentRun,
) -> Result<Finding> {
    let own = std::process::id().cast_signed();
    let machine = seepmeter_process::Limits::of(own, &ProcRoot::default()).machine_available;
    let limits = Limits {
        deadline: Instant::now() + flags.time,
        memory: machine.map_or(u64::MAX, |bytes| bytes / PART_OF_MEMORY),
        negligible: flags.negligible.0 as f64,
    };
    let mut runner = Runner::new(&flags.command, flags.show_output, signals, current);
    Search::new(&mut runner, limits, amounts).find()
}

/// The amounts in their order.
fn amounts(given: &[u64]) -> Result<Vec<u64>> {
    let mut amounts = given.to_vec();
    amounts.sort_unstable();
    amounts.dedup();
    if (1..3).contains(&amounts.len()) {
        bail!(
            "-n: at least three different amounts are needed, or growth that ends can't be told from growth that goes on; give more, such as 1000,2000,4000, or leave -n out"
        );
    }
    Ok(amounts)
}

/// Prints the answer, and evaluates the gates.
fn answer(mut report: ScaleReport, flags: &ScaleFlags, reports: Reports) -> Result<Outcome> {
    report.gates = flags.fail_on.iter().map(|gate| gate.evaluate(&report)).collect();
    let gates = report.gates.clone();
    reports.give(&Report::of(ReportBody::Scale { report, strict: flags.strict }))?;
    let fired = messages::gates(gates.iter(), flags.strict);
    Ok(if fired { Outcome::Gate(flags.fail_status) } else { Outcome::Success })
}

/// Shows what a run that failed has printed, and says how it failed.
fn failed(amount: u64, run: &FinishedRun, given: &[u64]) -> (String, Outcome) {
    messages::quote(&run.output);
    let how = match run.end {
        End::Exited(status) => format!("exited with status {status}"),
        End::Killed(signal) => format!("was killed by signal {signal}"),
        _ => "was reaped by somebody else, so its status is not known".to_owned(),
    };
    let hint =
        if given.is_empty() { "; if n is too large for it, give amounts with -n" } else { "" };
    let sentence = format!("the run of n={amount} {how}{hint}");
    messages::notice(&sentence);
    let outcome = match run.end {
        End::Exited(_) | End::Killed(_) => Outcome::of_target(run.end),
        _ => Outcome::OwnFailure,
    };
    (sentence, outcome)
}
