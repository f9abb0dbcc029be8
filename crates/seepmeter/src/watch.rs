//! Watching targets until they end or the watch should stop, and passing signals on.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};
use seepmeter_engine::{Live, RunReport};
use seepmeter_process::wait::wait_readable;
use seepmeter_process::{Process, ReceivedSignal, Signals};
use seepmeter_record::{End, EventKind, SubjectId};

use crate::flags::OnStop;
use crate::messages;
use crate::output_files::OutputRoom;

/// Signals that are passed on to a spawned target, or end the watching of one that is not ours.
const SIGNALS: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
];

/// Takes the signals off their usual way; before any thread is made.
pub(crate) fn take_signals() -> Result<Signals> {
    Signals::take(&SIGNALS).context("cannot take over signals")
}

/// Why the watch stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// All targets have ended by themselves.
    Ended,
    /// The targets have ended after they were told to, at the end of the duration.
    EndedAsAsked,
    /// The duration is over, or a signal asked for it.
    Asked,
}

/// What is done with signals, and at the end of the duration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetPolicy {
    /// The targets are ours: signals are passed on to them.
    Spawned {
        /// What becomes of them when the duration is over.
        on_stop: OnStop,
        /// How long TERM has before KILL.
        grace: Duration,
    },
    /// The targets are not ours: nothing is sent to them.
    Attached,
}

/// A target that has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchedTarget<'a> {
    pub(crate) process: &'a Process,
    pub(crate) subject: SubjectId,
}

/// A watch over targets.
pub(crate) struct Watch<'a> {
    targets: Vec<WatchedTarget<'a>>,
    signals: &'a Signals,
    live: Live,
    policy: TargetPolicy,
    /// When the duration is over.
    stop_at: Option<Instant>,
    /// The duration is over and the targets were told to end.
    told_to_end: bool,
    /// When targets that were told to end are killed.
    kill_at: Option<Instant>,
    /// When TERM was last passed on, and who had sent it.
    term: Option<(Instant, u32)>,
    /// They may be opened again at a SIGHUP.
    outputs: Option<OutputRoom>,
}

/// Two TERMs of one sender within this time are one request: timeout(1) sends one to its child and one to
/// the whole group, its child again among them.
const ONE_REQUEST: Duration = Duration::from_millis(500);

impl<'a> Watch<'a> {
    pub(crate) fn new(
        targets: Vec<WatchedTarget<'a>>,
        signals: &'a Signals,
        live: Live,
        policy: TargetPolicy,
        duration: Option<Duration>,
    ) -> Self {
        let stop_at = duration.and_then(|duration| Instant::now().checked_add(duration));
        Self {
            targets,
            signals,
            live,
            policy,
            stop_at,
            told_to_end: false,
            kill_at: None,
            term: None,
            outputs: None,
        }
    }

    /// The same; outputs that ask for it are opened again at a SIGHUP.
    pub(crate) fn with_outputs(self, outputs: OutputRoom) -> Self {
        Self { outputs: Some(outputs), ..self }
    }

    /// Watches until all targets have ended, or the watch should stop; `end_of` says how one has ended.
    pub(crate) fn until_stopped(
        &mut self,
        mut end_of: impl FnMut(&Process) -> Result<End>,
    ) -> Result<StopReason> {
        loop {
            let (has_signals, ended) = self.wait()?;
            for target in ended {
                let end = end_of(target.process)?;
                self.live.end_target(target.subject, end);
                self.targets.retain(|other| other.subject != target.subject);
            }
            if self.targets.is_empty() {
                self.note_continued()?;
                return Ok(match self.told_to_end {
                    true => StopReason::EndedAsAsked,
                    false => StopReason::Ended,
                });
            }
            if has_signals && self.serve_signals()? == Some(StopReason::Asked) {
                return Ok(StopReason::Asked);
            }
            if self.serve_times() == Some(StopReason::Asked) {
                return Ok(StopReason::Asked);
            }
        }
    }

    /// Stops the samplers and completes the sinks; targets that have not ended are left.
    pub(crate) fn finish(self) -> RunReport {
        self.live.stop()
    }

    /// Waits for a signal, the end of a target, or the next of the times. Returns whether there are
    /// signals, and the targets that have ended.
    fn wait(&self) -> Result<(bool, Vec<WatchedTarget<'a>>)> {
        let next = [self.stop_at, self.kill_at].into_iter().flatten().min();
        let pidfds = self.targets.iter().map(|target| target.process.pidfd());
        let fds: Vec<_> = [self.signals.as_fd()].into_iter().chain(pidfds).collect();
        let ready = wait_readable(&fds, next).context("cannot wait for the target's end")?;
        let ended = self.targets.iter().zip(&ready[1..]).filter(|(_, ready)| **ready);
        Ok((ready[0], ended.map(|(target, _)| *target).collect()))
    }

    /// Whoever has stopped seepmeter until after the targets' end has let it go on since. Other signals have
    /// nobody left to be passed on to.
    fn note_continued(&self) -> Result<()> {
        while let Some(received) = self.signals.next().context("cannot read signals")? {
            if received.signal == Signal::SIGCONT {
                self.live.emit_own(EventKind::Continued {});
            }
        }
        Ok(())
    }

    fn serve_signals(&mut self) -> Result<Option<StopReason>> {
        while let Some(received) = self.signals.next().context("cannot read signals")? {
            if received.signal == Signal::SIGCONT {
                self.live.emit_own(EventKind::Continued {});
                continue;
            }
            if self.reopens_outputs(received) {
                continue;
            }
            match self.policy {
                TargetPolicy::Attached => return Ok(Some(StopReason::Asked)),
                TargetPolicy::Spawned { grace, .. } => self.pass_on(received, grace),
            }
        }
        Ok(None)
    }

    /// True of a SIGHUP for the outputs (`reopen=yes`). That of a terminal which hangs up is not meant for them.
    fn reopens_outputs(&self, received: ReceivedSignal) -> bool {
        received.signal == Signal::SIGHUP
            && !received.from_kernel
            && self.outputs.as_ref().is_some_and(OutputRoom::reopen)
    }

    /// Passes a signal on, unless the terminal has sent it to the target as well.
    fn pass_on(&mut self, received: ReceivedSignal, grace: Duration) {
        if received.from_kernel && self.terminal_reaches_targets(received.signal) {
            return;
        }
        let now = Instant::now();
        let mut signal = received.signal;
        if signal == Signal::SIGTERM {
            match self.term {
                Some((before, sender))
                    if sender == received.sender && now - before < ONE_REQUEST.min(grace / 2) =>
                {
                    return;
                }
                Some((before, _)) if now - before < grace => signal = Signal::SIGKILL,
                _ => {}
            }
            self.term = Some((now, received.sender));
        }
        self.send(signal);
    }

    /// The keys of a terminal reach its foreground group, which a target may have left, as timeout(1)
    /// and setsid(1) do. A hang-up reaches the session's leader alone.
    fn terminal_reaches_targets(&self, signal: Signal) -> bool {
        let leads = getsid(None).is_ok_and(|session| session == getpid());
        let together = self.targets.iter().all(|target| {
            let pid = Pid::from_raw(target.process.pid());
            getpgid(Some(pid)).is_ok_and(|group| group == getpgrp())
        });
        together && !(signal == Signal::SIGHUP && leads)
    }

    fn serve_times(&mut self) -> Option<StopReason> {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.send(Signal::SIGKILL);
        }
        if self.stop_at.is_none_or(|at| at > now) {
            return None;
        }
        self.stop_at = None;
        match self.policy {
            TargetPolicy::Spawned { on_stop: OnStop::End, grace } => {
                if !self.send(Signal::SIGTERM) {
                    return Some(StopReason::Asked);
                }
                self.told_to_end = true;
                self.kill_at = now.checked_add(grace);
                None
            }
            TargetPolicy::Spawned { on_stop: OnStop::Leave, .. } | TargetPolicy::Attached => {
                Some(StopReason::Asked)
            }
        }
    }

    /// Sends a signal to every target; false if it was sent to none. A failure is reported, and a program
    /// with more rights than ours (setuid) is watched on all the same.
    fn send(&self, signal: Signal) -> bool {
        let sent = self.targets.iter().filter(|target| {
            let WatchedTarget { process, subject } = target;
            if let Err(error) = process.signal(signal) {
                let pid = process.pid();
                messages::notice(&format!("cannot send {signal} to process {pid}: {error}"));
                return false;
            }
            self.live.emit(EventKind::Forwarded { signal: signal as i32 }, *subject);
            true
        });
        sent.count() > 0
    }
}
