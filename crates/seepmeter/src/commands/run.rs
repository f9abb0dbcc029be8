//! `seepmeter run`: spawn a command and watch it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::libc;
use seepmeter_engine::TargetSpec;
use seepmeter_process::{Command, ExecError};
use seepmeter_record::{End, EventKind, TargetOrigin};

use crate::flags::{Flags, RunFlags};
use crate::messages::{self, shown};
use crate::outcome::{Outcome, ended_by_signal};
use crate::session::{self, Request, target_spec};
use crate::watch::{StopReason, TargetPolicy, Watch, WatchedTarget, take_signals};

/// `seepmeter run`.
///
/// # Errors
/// Whatever keeps seepmeter from doing its own work.
pub fn run(flags: RunFlags) -> Result<Outcome> {
    let request = match Request::read(Some(&flags.watch), &flags.sinks)? {
        Request::Help(outcome) => return Ok(outcome),
        Request::Run(request) => request,
    };
    let Some(name) = flags.command.first().cloned() else {
        return Ok(Outcome::of_usage(&Flags::missing("run", "COMMAND")));
    };
    let session = request.live(&flags.watch)?;
    let words = flags.command.iter().map(|word| word.as_bytes().into()).collect();
    let command = Command::new(flags.command).context("cannot read the command")?;

    let signals = take_signals()?;
    let (prepared, collector) = session.prepare()?;
    let executable = command.executable();
    let held = command.spawn(signals.before()).context("cannot spawn a child")?;
    let origin = TargetOrigin::Command(words);
    let spec = target_spec(held.process(), origin, name.as_bytes().into());
    let armed = prepared.arm(vec![TargetSpec { executable, ..spec }], collector)?;
    session::check_metrics(&flags.sinks.metrics, &armed)?;
    let subject = armed.targets()[0];
    let child = match held.release() {
        Ok(child) => child,
        Err(error) => {
            let report = armed.abort(subject, error.errno);
            return Ok(not_executed(&name, &error).of_dropped(&report));
        }
    };
    let live = armed.go();
    live.emit(EventKind::Exec {}, subject);

    let process = child.process();
    let policy = TargetPolicy::Spawned { on_stop: flags.on_stop, grace: flags.grace };
    let targets = vec![WatchedTarget { process, subject }];
    let mut watch = Watch::new(targets, &signals, live, policy, flags.watch.duration);
    let stop = watch.until_stopped(|_| child.reap().context("cannot reap the target"))?;
    let report = watch.finish();
    let end = report.footer.as_ref().and_then(|footer| footer.end_of(subject)).unwrap_or(End::Left);
    let outcome = match stop {
        // That is what `--on-stop end` asked for.
        StopReason::EndedAsAsked if ended_by_signal(end) => Outcome::Success,
        _ => Outcome::of_target(end),
    };
    let outcome = outcome.of_report(&report, &flags.sinks.gates);
    session::keep_alive(report);
    Ok(outcome)
}

/// Reports why the command was not executed.
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
    if error.found() { Outcome::NotExecutable } else { Outcome::NotFound }
}
