//! `seepmeter attach`: watch processes that run already.

use anyhow::{Result, bail};
use seepmeter_process::Process;
use seepmeter_process::proc::ProcRoot;
use seepmeter_record::{End, TargetOrigin};

use crate::flags::{AttachFlags, Flags};
use crate::outcome::Outcome;
use crate::session::{self, PreparedRun, Request, target_spec};
use crate::watch::{TargetPolicy, Watch, WatchedTarget, take_signals};

/// `seepmeter attach`.
///
/// # Errors
/// Whatever keeps seepmeter from doing its own work.
pub fn attach(flags: AttachFlags) -> Result<Outcome> {
    let request = match Request::read(Some(&flags.watch), &flags.sinks)? {
        Request::Help(outcome) => return Ok(outcome),
        Request::Run(request) => request,
    };
    if flags.pids.is_empty() {
        return Ok(Outcome::of_usage(&Flags::missing("attach", "PID")));
    }
    let processes = open(&flags.pids)?;
    let programs = processes.iter().map(|process| format!("/proc/{}/exe", process.pid()).into());
    let session = request.live(&flags.watch, &programs.collect::<Vec<_>>())?;

    let signals = take_signals()?;
    let room = session.outputs.clone();
    let PreparedRun { engine, collector, outputs } = session.prepare()?;
    let specs = processes.iter().map(|process| {
        target_spec(process, TargetOrigin::Pid(process.pid()), process.name().into())
    });
    let armed = engine.arm(specs.collect(), collector)?;
    session::check_metrics(&flags.sinks.metrics, &armed)?;
    let targets = processes.iter().zip(armed.targets());
    let targets = targets.map(|(process, subject)| WatchedTarget { process, subject: *subject });
    let targets = targets.collect();
    outputs.begin();
    let live = armed.go();

    let mut watch =
        Watch::new(targets, &signals, live, TargetPolicy::Attached, flags.watch.duration)
            .with_outputs(room);
    watch.until_stopped(|_| Ok(End::Gone))?;
    let report = watch.finish();
    let outcome = Outcome::Success.of_report(&report, &flags.sinks.gates);
    session::keep_alive(report);
    Ok(outcome)
}

/// Opens each process once.
fn open(pids: &[i32]) -> Result<Vec<Process>> {
    let root = ProcRoot::default();
    let mut processes: Vec<Process> = Vec::with_capacity(pids.len());
    for pid in pids {
        if processes.iter().any(|process| process.pid() == *pid) {
            bail!("process {pid} is given twice; give each process once");
        }
        processes.push(Process::open(*pid, &root)?);
    }
    Ok(processes)
}
