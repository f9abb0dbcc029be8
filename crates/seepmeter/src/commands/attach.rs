//! `seepmeter attach`: watch processes that run already.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use anyhow::{Result, bail};
use seepmeter_engine::Armed;
use seepmeter_process::Process;
use seepmeter_process::marks::MarkSource;
use seepmeter_process::proc::ProcRoot;
use seepmeter_record::{Bytes, End, TargetOrigin};

use crate::flags::{AttachFlags, Flags};
use crate::marks;
use crate::outcome::Outcome;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::session::{self, PreparedRun, Request, target_spec};
use crate::short_memory::ShortMemory;
use crate::watch::{Descendants, TargetPolicy, Watch, WatchedTarget};

/// `seepmeter attach`.
///
/// # Errors
/// Signals that cannot be taken over; all else is reported already.
pub fn attach(flags: AttachFlags) -> Result<Outcome> {
    Watch::over(TargetPolicy::Attached, |watch| watch_processes(&flags, watch))
}

fn watch_processes(flags: &AttachFlags, watch: &mut Watch) -> Result<Outcome> {
    let room = watch.outputs().clone();
    let Ready { processes, armed, descendants, outputs, marks } =
        match watch.wait_for(|| arm(flags, room))?? {
            ControlFlow::Break(outcome) => return Ok(outcome),
            ControlFlow::Continue(ready) => ready,
        };
    let mut short_memory = ShortMemory::before(processes.iter().map(|process| &**process));
    let targets = processes.into_iter().zip(armed.targets());
    let targets = targets.map(|(process, subject)| WatchedTarget { process, subject: *subject });
    watch.release(targets.collect(), descendants);
    outputs.begin();
    let mut live = armed.go();
    marks::receive(&mut live, marks);
    let interim = watch.interim(&flags.interim, flags.sinks.quiet);
    watch.until_stopped(live, flags.watch.duration, interim, |process| {
        short_memory.ended(process);
        Ok(End::Gone)
    })?;
    let gates = &flags.sinks.gates;
    watch.complete(Outcome::Success, |outcome, report| {
        short_memory.report_of_others();
        outcome.of_report(report, gates)
    })
}

/// Processes, and a run that is armed with them.
struct Ready {
    processes: Vec<Arc<Process>>,
    armed: Armed,
    descendants: Descendants,
    outputs: PendingOutputs,
    marks: Option<MarkSource>,
}

/// Makes everything ready to watch; an outcome if that is not what was asked for.
fn arm(flags: &AttachFlags, room: OutputRoom) -> Result<ControlFlow<Outcome, Ready>> {
    let request = match Request::read(Some(&flags.watch), &flags.sinks, room)? {
        Request::Help(outcome) => return Ok(ControlFlow::Break(outcome)),
        Request::Run(request) => request,
    };
    if flags.pids.is_empty() {
        let error = Flags::missing("attach", "PID");
        return Ok(ControlFlow::Break(Outcome::of_usage(&error)));
    }
    let processes = open(&flags.pids)?;
    let programs = processes.iter().map(|process| format!("/proc/{}/exe", process.pid()).into());
    let session = request.live(&flags.watch, &programs.collect::<Vec<_>>())?;
    let marks = marks::open_at(flags.marks.marks.as_deref())?;
    let PreparedRun { engine, collector, outputs } = session.prepare()?;
    let specs = processes
        .iter()
        .map(|process| target_spec(process, TargetOrigin::Pid(process.pid()), name_of(process)));
    let armed = engine.arm(specs.collect(), collector)?;
    session::check_metrics(&flags.sinks, &armed)?;
    let mut descendants = Descendants::new(&flags.watch, flags.sinks.redact_args);
    for (process, subject) in processes.iter().zip(armed.targets()) {
        descendants.follow(flags.watch.descendants.of_process(process), *subject, false);
    }
    Ok(ControlFlow::Continue(Ready { processes, armed, descendants, outputs, marks }))
}

/// What a process is called: by its program if it has emptied its name (PR_SET_NAME of prctl(2)).
fn name_of(process: &Process) -> Bytes {
    let program = || std::fs::read_link(format!("/proc/{}/exe", process.pid())).ok();
    match process.name() {
        [] => {
            program().and_then(|path| Some(path.file_name()?.as_bytes().into())).unwrap_or_default()
        }
        name => name.into(),
    }
}

/// Opens each process once.
fn open(pids: &[i32]) -> Result<Vec<Arc<Process>>> {
    let root = ProcRoot::default();
    let mut processes: Vec<Arc<Process>> = Vec::with_capacity(pids.len());
    for pid in pids {
        if processes.iter().any(|process| process.pid() == *pid) {
            bail!("process {pid} is given twice; give each process once");
        }
        processes.push(Process::open(*pid, &root)?.into());
    }
    Ok(processes)
}
