//! `seepmeter run`: spawn a command and watch it.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::libc;
use seepmeter_engine::TargetSpec;
use seepmeter_process::marks::MarkSource;
use seepmeter_process::{Command, ExecError, HeldChild, Process};
use seepmeter_record::{End, EventKind, SubjectId, TargetOrigin};

use crate::flags::{Flags, RunFlags};
use crate::marks;
use crate::messages::{self, shown};
use crate::outcome::{Outcome, ended_by_signal};
use crate::output_files::OutputRoom;
use crate::session::{self, PreparedRun, Request, target_spec};
use crate::short_memory::ShortMemory;
use crate::slips::flag_behind_script;
use crate::watch::{Descendants, StopReason, TargetPolicy, Watch, WatchedTarget};

/// `seepmeter run`.
///
/// # Errors
/// Signals that cannot be taken over; all else is reported already.
pub fn run(flags: RunFlags) -> Result<Outcome> {
    let policy = TargetPolicy::Spawned { on_stop: flags.on_stop, grace: flags.grace };
    Watch::over(policy, |watch| watch_command(&flags, watch))
}

fn watch_command(flags: &RunFlags, watch: &mut Watch) -> Result<Outcome> {
    let room = watch.outputs().clone();
    let Ready { command, marks, prepared } = match watch.wait_for(|| prepare(flags, room))?? {
        ControlFlow::Break(outcome) => return Ok(outcome),
        ControlFlow::Continue(ready) => ready,
    };
    let PreparedRun { engine, collector, outputs } = prepared;
    let held = command.spawn(watch.signals_before()).context("cannot spawn a child")?;
    watch.hold(&held)?;
    let name = flags.command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let mut words: Vec<_> = flags.command.iter().map(|word| word.as_bytes().into()).collect();
    if flags.sinks.redact_args {
        session::redact(&mut words);
    }
    let spec = target_spec(held.process(), TargetOrigin::Command(words), name.as_bytes().into());
    let spec = TargetSpec { executable: command.executable(), ..spec };
    let armed = watch.wait_for(|| engine.arm(vec![spec], collector))??;
    session::check_metrics(&flags.sinks, &armed)?;
    let subject = armed.targets()[0];
    let descendants = descendants_of(&held, subject, flags);
    let mut short_memory = ShortMemory::before([&**held.process()]);
    let target = WatchedTarget { process: Arc::clone(held.process()), subject };
    watch.release(vec![target], descendants);
    let child = match watch.wait_for(|| held.release())? {
        Ok(child) => child,
        Err(error) => {
            return watch.complete_by(outcome_of(&error), armed.unfinished(), || {
                let report = armed.abort(subject, error.errno);
                not_executed(name, &error).of_dropped(&report)
            });
        }
    };
    outputs.begin();
    let mut live = armed.go();
    marks::receive(&mut live, marks);
    live.emit(EventKind::Exec { name: None }, subject);

    let mut end = End::Left;
    let interim = watch.interim(&flags.interim, flags.sinks.quiet);
    let mut reap = |process: &Process| -> Result<End> {
        end = child.reap().context("cannot reap the target")?;
        short_memory.ended(process);
        Ok(end)
    };
    let stop = watch.until_stopped(live, flags.watch.duration, interim, &mut reap)?;
    let outcome = match stop {
        // That is what `--on-stop end` asked for.
        StopReason::EndedAsAsked if ended_by_signal(end) => Outcome::Success,
        _ => Outcome::of_target(end),
    };
    let killed_by_us = watch.has_killed();
    watch.complete(outcome, |outcome, report| {
        short_memory.report_of_child(end, killed_by_us);
        outcome.of_report(report, &flags.sinks.gates)
    })
}

/// The descendants of a child, none of which is there yet.
fn descendants_of(held: &HeldChild, subject: SubjectId, flags: &RunFlags) -> Descendants {
    let mut descendants = Descendants::new(&flags.watch, flags.sinks.redact_args);
    descendants.follow(flags.watch.descendants.of_child(held), subject, true);
    descendants
}

/// All that there is before a child.
struct Ready {
    command: Command,
    marks: Option<MarkSource>,
    prepared: PreparedRun,
}

/// Finds and makes all that there is before a child; an outcome if that is not what was asked for.
fn prepare(flags: &RunFlags, room: OutputRoom) -> Result<ControlFlow<Outcome, Ready>> {
    let request = match Request::read(Some(&flags.watch), &flags.sinks, room)? {
        Request::Help(outcome) => return Ok(ControlFlow::Break(outcome)),
        Request::Run(request) => request,
    };
    if flags.command.is_empty() {
        let error = Flags::missing("run", "COMMAND");
        return Ok(ControlFlow::Break(Outcome::of_usage(&error)));
    }
    if let Some(flag) = flag_behind_script(&flags.command).filter(|_| !flags.separated) {
        messages::notice(&format!(
            "`{flag}` stands behind the command, which therefore gets it; flags of seepmeter stand before it"
        ));
    }
    let command = Command::new(flags.command.clone()).context("cannot read the command")?;
    let session = request.live(&flags.watch, command.executable().as_slice())?;
    let (command, marks) = marks::open_for(&flags.marks, command)?;
    Ok(ControlFlow::Continue(Ready { command, marks, prepared: session.prepare()? }))
}

/// What a failed exec comes to.
fn outcome_of(error: &ExecError) -> Outcome {
    if error.found() { Outcome::NotExecutable } else { Outcome::NotFound }
}

/// Reports why the command was not executed, and says what that comes to.
pub(crate) fn not_executed(name: &OsStr, error: &ExecError) -> Outcome {
    let hint = match error.errno {
        libc::ENOENT if name.as_bytes().contains(&b'/') => {
            "; is the path right, and does the interpreter that its first line names exist?"
        }
        libc::ENOENT => "; is it installed, and on the PATH?",
        libc::EACCES => "; is it a file, and is its x bit set (chmod +x)?",
        libc::ENOEXEC => "; is it built for this kind of machine?",
        _ => "",
    };
    messages::notice(&format!("cannot execute {}: {error}{hint}", shown(Path::new(name))));
    outcome_of(error)
}
