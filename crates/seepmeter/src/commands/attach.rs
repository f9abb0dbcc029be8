//! `seepmeter attach`: watch processes that run already.

use std::ops::ControlFlow;

use anyhow::Result;
use seepmeter_engine::Armed;
use seepmeter_process::marks::MarkSource;
use seepmeter_process::proc::ProcRoot;

use crate::flags::{AttachFlags, Flags};
use crate::marks;
use crate::outcome::Outcome;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::selection::{SelectedTarget, Selector};
use crate::session::{self, PreparedRun, Request};
use crate::short_memory::ShortMemory;
use crate::watch::{Descendants, Restarts, TargetPolicy, Watch, WatchedTarget};

/// `seepmeter attach`.
///
/// # Errors
/// Signals that cannot be taken over; all else is reported already.
pub fn attach(flags: AttachFlags) -> Result<Outcome> {
    Watch::over(TargetPolicy::Attached, |watch| watch_processes(&flags, watch))
}

fn watch_processes(flags: &AttachFlags, watch: &mut Watch) -> Result<Outcome> {
    let room = watch.outputs().clone();
    let Ready { selected, armed, descendants, restarts, outputs, marks } =
        match watch.wait_for(|| arm(flags, room))?? {
            ControlFlow::Break(outcome) => return Ok(outcome),
            ControlFlow::Continue(ready) => ready,
        };
    let mut short_memory = ShortMemory::before(selected.iter().map(|target| &*target.process));
    let targets = selected.into_iter().zip(armed.targets());
    let targets = targets
        .map(|(target, subject)| WatchedTarget { process: target.process, subject: *subject });
    watch.release(targets.collect(), descendants);
    watch.follow(restarts);
    outputs.begin();
    let mut live = armed.go();
    marks::receive(&mut live, marks);
    let interim = watch.interim(&flags.interim, flags.sinks.quiet);
    watch.until_stopped(live, flags.watch.duration, interim, &mut short_memory)?;
    let gates = &flags.sinks.gates;
    watch.complete(Outcome::Success, |outcome, report| {
        short_memory.report_of_others();
        outcome.of_report(report, gates)
    })
}

/// Processes, and a run that is armed with them.
struct Ready {
    selected: Vec<SelectedTarget>,
    armed: Armed,
    descendants: Descendants,
    /// How to go on with what the target is started again as, if that is wanted.
    restarts: Option<Restarts>,
    outputs: PendingOutputs,
    marks: Option<MarkSource>,
}

/// Makes everything ready to watch; an outcome if that is not what was asked for.
fn arm(flags: &AttachFlags, room: OutputRoom) -> Result<ControlFlow<Outcome, Ready>> {
    let request = match Request::read(Some(&flags.watch), &flags.sinks, room)? {
        Request::Help(outcome) => return Ok(ControlFlow::Break(outcome)),
        Request::Run(request) => request,
    };
    if flags.select.selections().is_empty() {
        let error = Flags::missing("attach", "PID or NAME");
        return Ok(ControlFlow::Break(Outcome::of_usage(&error)));
    }
    let tree = flags.watch.descendants.tree;
    let selector = Selector::new(&flags.select, tree, flags.sinks.redact_args);
    let selected = selector.select()?;
    let restarts = match flags.select.follow_restarts {
        Some(limit) => {
            let search = selector.successors(&selected)?;
            Some(Restarts::new(search, &selected[0], &flags.watch.descendants, limit))
        }
        None => None,
    };
    let root = ProcRoot::default();
    let program = |target: &SelectedTarget| root.process(target.process.pid()).file("exe");
    let programs = selected.iter().map(program);
    let session = request.live(&flags.watch, &programs.collect::<Vec<_>>())?;
    let marks = marks::open_at(flags.marks.marks.as_deref())?;
    let PreparedRun { engine, collector, outputs } = session.prepare()?;
    let specs = selected.iter().map(SelectedTarget::spec);
    let armed = engine.arm(specs.collect(), collector)?;
    session::check_metrics(&flags.sinks, &armed)?;
    let mut descendants = Descendants::new(&flags.watch, flags.sinks.redact_args);
    for (target, subject) in selected.iter().zip(armed.targets()) {
        descendants.follow(target.tree(&flags.watch.descendants), *subject, false);
    }
    Ok(ControlFlow::Continue(Ready { selected, armed, descendants, restarts, outputs, marks }))
}
