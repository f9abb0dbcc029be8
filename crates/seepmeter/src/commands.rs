//! The subcommands: each a plan, a run and an outcome.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap_complete::Shell;
use nix::libc;
use seepmeter_engine::{Engine, Lingering, Report, Watched};
use seepmeter_process::{Command, ExecError, Limits, Process};
use seepmeter_record::jsonl::{self, Ending, ReadError};
use seepmeter_record::{Attr, End, EventKind, TargetInfo, limit_attr};
use seepmeter_verdict::Conclusion;

use crate::flags::{
    AttachFlags, Flags, FolderFlags, GateFlags, PluginsFlags, ReplayFlags, RunFlags,
};
use crate::plugins::Shelf;
use crate::sinks::Judging;
use crate::watch::{Manners, Stopped, Watch, take_signals};
use crate::{listing, messages, plan};

/// Where procfs is mounted.
const PROC: &str = "/proc";

/// What the exit status tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All went well.
    Well,
    /// The target's own exit status.
    Status(i32),
    /// The signal that killed the target.
    Signal(i32),
    /// A gate fired: the status to tell it with.
    Gate(u8),
    /// Something of seepmeter's own failed.
    OwnFailure,
    /// The command was found, but can't be executed.
    NotExecutable,
    /// The command was not found.
    NotFound,
}

impl Outcome {
    /// Says what is wrong with the command line; help and version are no faults.
    #[must_use]
    pub fn of_usage(error: &clap::Error) -> Self {
        messages::usage(error);
        if error.use_stderr() { Self::OwnFailure } else { Self::Well }
    }

    /// This outcome, unless all went well and a gate fired. Says which gates did.
    fn gated(self, judging: &Judging, flags: &GateFlags) -> Self {
        if !judging.has_gates() {
            return self;
        }
        let conclusion = judging.conclusion();
        let why = match conclusion.as_ref().map(Conclusion::main) {
            Some(Ok(_)) => None,
            Some(Err(why)) => Some(why.to_string()),
            None => Some("nothing was judged".to_owned()),
        };
        if let Some(why) = why {
            messages::notice(&format!(
                "the gates could not be checked: {why}; was the run too short for a sample, or is there no sampler of {}?",
                judging.metric()
            ));
            return if self == Self::Well { Self::OwnFailure } else { self };
        }
        let fired = conclusion.is_some_and(|conclusion| messages::gates(&conclusion.gates));
        if fired && self == Self::Well { Self::Gate(flags.fail_status) } else { self }
    }
}

impl From<Outcome> for ExitCode {
    /// The numbers are those of env(1) and timeout(1).
    fn from(outcome: Outcome) -> Self {
        let status = match outcome {
            Outcome::Well => 0,
            Outcome::Status(status) => status,
            Outcome::Gate(status) => status.into(),
            Outcome::Signal(signal) => 128 + signal,
            Outcome::OwnFailure => 125,
            Outcome::NotExecutable => 126,
            Outcome::NotFound => 127,
        };
        Self::from(u8::try_from(status).unwrap_or(u8::MAX))
    }
}

/// `seepmeter run`.
///
/// # Errors
/// Whatever keeps seepmeter from doing its own work.
pub fn run(flags: RunFlags) -> Result<Outcome> {
    let judging = flags.sinks.judging();
    let shelf = shelf(&flags.sinks.folders, &judging)?;
    if let Some(page) = plan::help(&shelf, &flags.watch.samplers, &flags.sinks.sinks)? {
        return print(listing::page(&page).as_bytes());
    }
    if flags.command.is_empty() {
        return Ok(Outcome::of_usage(&Flags::missing("run", "COMMAND")));
    }
    let samplers = plan::samplers(&shelf, &flags.watch)?;
    let sinks = plan::sinks(&shelf, &flags.sinks, &judging, None)?;
    let name = flags.command.first().cloned().unwrap_or_default();
    let words = flags.command.iter().map(|word| word.clone().into_vec().into()).collect();
    let command = Command::new(flags.command).context("cannot read the command")?;

    let signals = take_signals()?;
    let ready = engine().ready(samplers, sinks)?;
    let executable = command.executable();
    let held = command.spawn(signals.before()).context("cannot spawn a child")?;
    let watched = watched(held.process(), TargetInfo::Command(words), name.clone().into_vec());
    let watched = Watched { executable, ..watched };
    let armed = ready.arm(watched)?;
    let child = match held.release() {
        Ok(child) => child,
        Err(error) => {
            let outcome = not_executed(&name, &error);
            let report = armed.call_off(EventKind::ExecFailed, End::NotStarted(error.errno));
            tell_losses(&report);
            return Ok(outcome);
        }
    };
    let live = armed.go();
    live.tell(EventKind::Exec, None);

    let manners = Manners::Spawned { on_stop: flags.on_stop, grace: flags.grace };
    let process = child.process();
    let watch = Watch::new(process, &signals, &live, manners, flags.watch.duration);
    let stopped = watch.until_stopped()?;
    let end = match stopped {
        Stopped::Asked => End::Left,
        Stopped::TargetEnded | Stopped::TargetEndedAsAsked => {
            child.reap().context("cannot reap the target")?
        }
    };
    let report = live.stop(end);
    let outcome = match (stopped, end) {
        // That is what `--on-stop end` asked for.
        (Stopped::TargetEndedAsAsked, end) if ended_by_signal(end) => outcome(End::Left, &report),
        _ => outcome(end, &report),
    }
    .gated(&judging, &flags.sinks.gates);
    stay(report.lingering);
    Ok(outcome)
}

/// Stays for as long as the target can't do without a sampler.
fn stay(lingering: Vec<Lingering>) {
    for sampler in lingering {
        messages::notice(&sampler.told());
        sampler.wait();
    }
}

/// True for a target that TERM or KILL has ended, also where it caught TERM, tidied up and exited with
/// the status that a shell has for that, as a JVM does.
fn ended_by_signal(end: End) -> bool {
    const TERMINATED: i32 = 128 + libc::SIGTERM;
    matches!(end, End::Killed(libc::SIGTERM | libc::SIGKILL) | End::Exited(TERMINATED))
}

/// `seepmeter attach`.
///
/// # Errors
/// Whatever keeps seepmeter from doing its own work.
pub fn attach(flags: AttachFlags) -> Result<Outcome> {
    let judging = flags.sinks.judging();
    let shelf = shelf(&flags.sinks.folders, &judging)?;
    if let Some(page) = plan::help(&shelf, &flags.watch.samplers, &flags.sinks.sinks)? {
        return print(listing::page(&page).as_bytes());
    }
    let Some(pid) = flags.pid else {
        return Ok(Outcome::of_usage(&Flags::missing("attach", "PID")));
    };
    let samplers = plan::samplers(&shelf, &flags.watch)?;
    let sinks = plan::sinks(&shelf, &flags.sinks, &judging, None)?;
    let process = Process::open(pid, Path::new(PROC))?;

    let signals = take_signals()?;
    let ready = engine().ready(samplers, sinks)?;
    let name = process.name().to_vec();
    let live = ready.arm(watched(&process, TargetInfo::Pid(pid), name))?.go();

    let watch = Watch::new(&process, &signals, &live, Manners::Attached, flags.watch.duration);
    let end = match watch.until_stopped()? {
        Stopped::TargetEnded | Stopped::TargetEndedAsAsked => End::Gone,
        Stopped::Asked => End::Left,
    };
    let report = live.stop(end);
    let outcome = outcome(end, &report).gated(&judging, &flags.sinks.gates);
    stay(report.lingering);
    Ok(outcome)
}

/// `seepmeter replay`.
///
/// # Errors
/// A recording that can't be read, or whatever else keeps seepmeter from doing its own work.
pub fn replay(flags: ReplayFlags) -> Result<Outcome> {
    let judging = flags.sinks.judging();
    let shelf = shelf(&flags.sinks.folders, &judging)?;
    if let Some(page) = plan::help(&shelf, &[], &flags.sinks.sinks)? {
        return print(listing::page(&page).as_bytes());
    }
    let Some(path) = &flags.recording else {
        return Ok(Outcome::of_usage(&Flags::missing("replay", "RECORDING")));
    };
    let sinks = plan::sinks(&shelf, &flags.sinks, &judging, Some(path))?;
    let cannot = || format!("cannot replay {}", shown(path));
    let mut recording = jsonl::open(path).with_context(cannot)?;
    let mut next = recording.next_record();
    if let Err(error) = next {
        return Err(error).with_context(cannot);
    }

    let mut replay = engine().ready(Vec::new(), sinks)?.replay();
    let broken: Option<ReadError> = loop {
        match next {
            Ok(Some(record)) => {
                if !replay.feed(record) {
                    // Every sink has had enough.
                    break None;
                }
                next = recording.next_record();
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let report = replay.finish();
    if let Some(error) = broken {
        return Err(error).with_context(cannot);
    }
    if let Ending::CutOff { line } = recording.ending() {
        messages::notice(&format!(
            "{}: line {line} is cut off, so whoever wrote it was killed; the lines before it are whole and were replayed",
            shown(path)
        ));
    }
    let outcome = if report.failures.is_empty() { Outcome::Well } else { Outcome::OwnFailure };
    Ok(outcome.gated(&judging, &flags.sinks.gates))
}

/// `seepmeter plugins`.
///
/// # Errors
/// A plugin that there is not, or standard output that can't be written to.
pub fn plugins(flags: PluginsFlags) -> Result<Outcome> {
    let shelf = shelf(&flags.folders, &Judging::default())?;
    let (pages, errors) = match &flags.name {
        Some(name) => (shelf.pages_of(name)?, Vec::new()),
        None => shelf.pages(),
    };
    let told = match (flags.json, &flags.name) {
        (true, _) => listing::json(&pages),
        (false, Some(_)) => pages.iter().map(listing::page).collect::<Vec<_>>().join("\n"),
        (false, None) => listing::lines(&pages),
    };
    let outcome = print(told.as_bytes())?;
    for error in &errors {
        messages::notice(&error.to_string());
    }
    Ok(if errors.is_empty() { outcome } else { Outcome::OwnFailure })
}

/// `seepmeter completions`.
///
/// # Errors
/// Where standard output can't be written to.
pub fn completions(shell: Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), "seepmeter", &mut script);
    print(&script)
}

/// `seepmeter man`.
///
/// # Errors
/// Where standard output can't be written to.
pub fn man() -> Result<Outcome> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Flags::command()).render(&mut page)?;
    print(&page)
}

/// Writes to standard output; that nobody reads it (any more) is no failure.
pub(crate) fn print(text: &[u8]) -> Result<Outcome> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(Outcome::Well),
    }
}

fn shelf(flags: &FolderFlags, judging: &Judging) -> Result<Shelf> {
    if let Some(none) = flags.folders.iter().find(|folder| !folder.is_dir()) {
        bail!("--plugin-dir {}: there is no such folder", shown(none));
    }
    Ok(Shelf::new(&flags.folders, Arc::new(messages::notice), judging))
}

fn engine() -> Engine {
    Engine::new(Arc::new(messages::notice))
}

fn watched(process: &Process, target: TargetInfo, name: Vec<u8>) -> Watched {
    let proc_root = PathBuf::from(PROC);
    let Limits { cgroup, address_space, machine, machine_available } =
        Limits::of(process.pid(), &proc_root);
    let attrs = [
        (limit_attr::CGROUP, cgroup.map(|cgroup| cgroup.limit)),
        (limit_attr::CGROUP_USED, cgroup.and_then(|cgroup| cgroup.used)),
        (limit_attr::ADDRESS_SPACE, address_space),
        (limit_attr::MACHINE, machine),
        (limit_attr::MACHINE_AVAILABLE, machine_available),
    ];
    let attr = |(name, bytes): (&str, Option<u64>)| {
        Some((name.to_owned(), Attr::Int(i64::try_from(bytes?).ok()?)))
    };
    Watched {
        target,
        name: name.into(),
        pid: process.pid(),
        start_time: process.start_time(),
        attrs: attrs.into_iter().filter_map(attr).collect(),
        proc_root,
        executable: None,
    }
}

fn not_executed(name: &OsString, error: &ExecError) -> Outcome {
    let hint = match error.errno {
        libc::ENOENT if name.as_encoded_bytes().contains(&b'/') => {
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

/// The target's own end comes first; where it ended well, a failure of seepmeter's is told.
fn outcome(end: End, report: &Report) -> Outcome {
    tell_losses(report);
    match end {
        End::Exited(status) if status != 0 => Outcome::Status(status),
        End::Killed(signal) => Outcome::Signal(signal),
        _ if !report.failures.is_empty() => Outcome::OwnFailure,
        _ => Outcome::Well,
    }
}

/// Says what was given up after the footer was written, which no sink could tell.
fn tell_losses(report: &Report) {
    for (sink, samples) in &report.lost {
        let told = report.footer.as_ref().and_then(|footer| {
            footer.lost.iter().find(|lost| lost.sink == *sink).map(|lost| lost.samples)
        });
        if *samples > told.unwrap_or(0) {
            messages::notice(&format!(
                "sink {sink} was too slow and did not get {samples} samples"
            ));
        }
    }
}

/// A path as a message shows it: `-` is standard input, and what can't be printed is escaped.
pub(crate) fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    seepmeter_record::Bytes::from(path.as_os_str().as_encoded_bytes()).to_string()
}
