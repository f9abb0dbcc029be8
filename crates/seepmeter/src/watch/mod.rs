//! Watching targets, and the one loop that serves signals in every phase of a run.
//!
//! The main thread does nothing but wait in this loop. Whatever may take long (a plugin that is loaded, a
//! FIFO that nobody reads, a sink that blocks at the end, a message that nobody takes) is done by another
//! thread meanwhile: see [`Watch::wait_for`]. So no signal finds seepmeter deaf. What it does in which
//! phase is decided in [`phase`].

mod descendants;
mod interim;
mod phase;
mod restarts;
mod signals;
mod wait;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use seepmeter_engine::{Live, Unfinished};
use seepmeter_process::wait::wait_readable;
use seepmeter_process::{ChildSignals, HeldChild, Process, Signals};
use seepmeter_record::SubjectId;

pub(crate) use self::descendants::Descendants;
pub(crate) use self::interim::Interim;
use self::phase::{Due, Phase, Requests};
pub(crate) use self::restarts::{Restarts, TargetLife};
use crate::flags::{InterimFlags, OnStop};
use crate::messages;
use crate::outcome::Outcome;
use crate::output_files::OutputRoom;
use crate::scale::CurrentRun;

/// How often what was told to end, and is there behind the grace, is killed.
const KILL_EVERY: Duration = Duration::from_millis(100);

/// Why the watch stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// All targets have ended by themselves.
    Ended,
    /// The targets have ended after they were told to, at the end of the duration.
    EndedAsAsked,
    /// The duration is over, the verdict is sure, or a signal asked for it.
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
    /// There is none.
    NoTarget,
    /// There is no run: what was recorded is judged.
    NoRun,
    /// There is one target after another, each ours, and all of them end with seepmeter.
    Measured,
}

/// A target that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct WatchedTarget {
    pub(crate) process: Arc<Process>,
    pub(crate) subject: SubjectId,
}

/// A run, as signals concern it.
pub(crate) struct Watch {
    signals: Signals,
    policy: TargetPolicy,
    phase: Phase,
    /// A child that has not executed its command yet.
    held: Option<Arc<Process>>,
    /// The run that is measured.
    current: Option<Arc<CurrentRun>>,
    targets: Vec<WatchedTarget>,
    /// Their descendants, if these are watched too.
    descendants: Option<Descendants>,
    /// The successors of the target, if these are watched too.
    restarts: Option<Restarts>,
    /// There while targets are watched.
    live: Option<Live>,
    /// When the duration is over.
    stop_at: Option<Instant>,
    /// The verdict while it forms, if somebody wants to know.
    interim: Option<Interim>,
    /// The watch is over and the targets were told to end.
    told_to_end: bool,
    /// When targets that were told to end are killed.
    kill_at: Option<Instant>,
    /// They were killed.
    grace_is_over: bool,
    /// SIGKILL was sent to a target.
    has_killed: bool,
    /// When TERM was last passed on, and who had sent it.
    term: Option<(Instant, u32)>,
    requests: Requests,
    /// What the command comes to if the wait for its completion is ended.
    outcome: Outcome,
    unfinished: Unfinished,
    /// What the run writes.
    outputs: OutputRoom,
}

impl Watch {
    /// Does `work` with a watch over signals, before which there must be no other thread. Its error is
    /// reported.
    pub(crate) fn over(
        policy: TargetPolicy,
        work: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let mut watch = Self::new(policy, OutputRoom::new())?;
        work(&mut watch).or_else(|error| {
            let report = || messages::error(&error);
            if watch.complete_by(Outcome::OwnFailure, Unfinished::default(), report).is_err() {
                messages::error(&error);
            }
            Ok(Outcome::OwnFailure)
        })
    }

    /// Does what is before a run, or has none, and writes to `outputs`: signals end that, and leave no new file.
    /// Behind it they do what they do by default.
    pub(crate) fn while_pending<T: Send>(
        policy: TargetPolicy,
        outputs: OutputRoom,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let mut watch = Self::new(policy, outputs)?;
        let done = watch.wait_for(work)?;
        watch.signals.give_back().context("cannot give back signals")?;
        done
    }

    fn new(policy: TargetPolicy, outputs: OutputRoom) -> Result<Self> {
        Ok(Self {
            signals: Signals::take(policy.signals()).context("cannot take over signals")?,
            policy,
            phase: Phase::Beginning,
            held: None,
            current: None,
            targets: Vec::new(),
            descendants: None,
            restarts: None,
            live: None,
            stop_at: None,
            interim: None,
            told_to_end: false,
            kill_at: None,
            grace_is_over: false,
            has_killed: false,
            term: None,
            requests: Requests::default(),
            outcome: Outcome::OwnFailure,
            unfinished: Unfinished::default(),
            outputs,
        })
    }

    /// How the signals were before, for a child.
    pub(crate) fn signals_before(&self) -> &ChildSignals {
        self.signals.before()
    }

    /// True once SIGKILL was sent to a target.
    pub(crate) fn has_killed(&self) -> bool {
        self.has_killed
    }

    /// What the run writes.
    pub(crate) fn outputs(&self) -> &OutputRoom {
        &self.outputs
    }

    /// A child is held: if the run is aborted, it is ended before its exec. From now on its exit status comes
    /// through even if seepmeter finds no memory.
    pub(crate) fn hold(&mut self, child: &HeldChild) -> Result<()> {
        child
            .supervise(&self.signals)
            .context("cannot make the thread that guards the target's exit status")?;
        self.held = Some(Arc::clone(child.process()));
        Ok(())
    }

    /// The targets run now, or will in a moment: signals are theirs.
    pub(crate) fn release(&mut self, targets: Vec<WatchedTarget>, descendants: Descendants) {
        self.held = None;
        self.targets = targets;
        self.descendants = Some(descendants);
        self.phase = Phase::Watching;
    }

    /// The verdict while it forms, as the flags want it.
    pub(crate) fn interim(&self, flags: &InterimFlags, quiet: bool) -> Option<Interim> {
        Interim::new(flags, quiet, &self.targets)
    }

    /// Watches until all targets have ended, or the watch should stop; `life` says how one has ended.
    pub(crate) fn until_stopped(
        &mut self,
        live: Live,
        duration: Option<Duration>,
        interim: Option<Interim>,
        life: &mut impl TargetLife,
    ) -> Result<StopReason> {
        self.live = Some(live);
        self.stop_at = duration.and_then(|duration| Instant::now().checked_add(duration));
        self.interim = interim;
        if let (Some(descendants), Some(live)) = (&mut self.descendants, &mut self.live) {
            descendants.begin(live);
        }
        let stopped = self.watch_targets(life);
        if let (Some(mut descendants), Some(live)) = (self.descendants.take(), &self.live) {
            descendants.end(live);
        }
        // What follows is written without a status line.
        self.interim = None;
        stopped
    }

    fn watch_targets(&mut self, life: &mut impl TargetLife) -> Result<StopReason> {
        loop {
            let mut fds = self.descendants.as_ref().map_or(Vec::new(), Descendants::fds);
            fds.extend(self.restarts.as_ref().and_then(Restarts::fd));
            let (any_signal, mut ready) = self.poll(&fds, true)?;
            let of_targets = ready.split_off(fds.len());
            let ended: Vec<_> =
                self.targets.iter().zip(of_targets).filter(|(_, ready)| *ready).collect();
            let ended: Vec<_> = ended.into_iter().map(|(target, _)| target.clone()).collect();
            // Read now, since what has ended a target was sent to seepmeter before; but served below, since
            // nothing is passed on to those that have ended.
            let received = match any_signal || !ended.is_empty() {
                true => self.received()?,
                false => Vec::new(),
            };
            self.refresh_descendants(!ended.is_empty() || ready.contains(&true));
            for target in ended {
                let end = life.end(&target.process)?;
                self.end_epoch_of(&target);
                if let Some(live) = &mut self.live {
                    live.end_target(target.subject, end);
                }
                self.targets.retain(|other| other.subject != target.subject);
            }
            self.search_beside_target();
            let asked = received.into_iter().filter(|received| self.serve(*received)).count() > 0;
            let has_lost = self.have_lost_their_cgroups() && !self.end_epoch_of_lost_cgroup();
            let all_ended = self.targets.is_empty() && !self.waits_for_descendants();
            if all_ended && !self.goes_on(life) {
                return Ok(match self.told_to_end {
                    true => StopReason::EndedAsAsked,
                    false => StopReason::Ended,
                });
            }
            if asked || self.serve_times() || has_lost {
                return Ok(StopReason::Asked);
            }
        }
    }

    /// Finds the descendants that have come and gone, if that is due or they have `changed`.
    fn refresh_descendants(&mut self, changed: bool) {
        if let (Some(descendants), Some(live)) = (&mut self.descendants, &mut self.live) {
            let due = descendants.next().is_some_and(|at| at <= Instant::now());
            if changed || due {
                descendants.refresh(live);
            }
        }
    }

    /// True if the cgroups whose processes are watched have been removed, all of them.
    fn have_lost_their_cgroups(&self) -> bool {
        self.descendants.as_ref().is_some_and(Descendants::have_lost_their_cgroups)
    }

    /// Somebody does not want to wait for descendants. Those that were told to end are killed; true if they were
    /// not, and the watch ends.
    fn stop_waiting_for_descendants(&mut self) -> bool {
        if self.told_to_end {
            self.kill_at = Some(Instant::now());
        }
        !self.told_to_end
    }

    /// True if the watch goes on although all targets have ended.
    fn waits_for_descendants(&self) -> bool {
        let waits = |descendants: &Descendants| match self.told_to_end {
            true => descendants.any_runs(),
            false => descendants.are_awaited(),
        };
        self.descendants.as_ref().is_some_and(waits)
    }

    /// Waits for a signal, one of `fds`, the end of a target if `ends`, or the next of the times. Says whether a
    /// signal has come, and of each descriptor and target whether it is ready.
    fn poll(&self, fds: &[BorrowedFd<'_>], ends: bool) -> Result<(bool, Vec<bool>)> {
        let (next, targets) = match ends {
            true => {
                let interim = self.interim.as_ref().map(Interim::next);
                let descendants = self.descendants.as_ref().and_then(Descendants::next);
                let restarts = self.restarts.as_ref().and_then(Restarts::due);
                ([self.stop_at, self.kill_at, interim, descendants, restarts], &self.targets[..])
            }
            false => ([self.due().map(|(at, _)| at), None, None, None, None], &[][..]),
        };
        let pidfds = targets.iter().map(|target| target.process.pidfd());
        let fds: Vec<_> =
            [self.signals.as_fd()].into_iter().chain(fds.iter().copied()).chain(pidfds).collect();
        let next = next.into_iter().flatten().min();
        let mut ready = wait_readable(&fds, next).context("cannot wait for signals")?;
        let others = ready.split_off(1);
        Ok((ready == [true], others))
    }

    /// What is due to requests. Nothing is while what comes is for the target, or aborts.
    fn due(&self) -> Option<(Instant, Due)> {
        let ends = !matches!(self.phase, Phase::Beginning | Phase::Watching);
        self.requests.due().filter(|_| ends)
    }

    /// Does what is due; true if that ends the watch.
    fn serve_times(&mut self) -> bool {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            match std::mem::replace(&mut self.grace_is_over, true) {
                false => _ = self.send_to_tree(Signal::SIGKILL),
                // What was forked meanwhile.
                true => _ = self.descendants.as_ref().map(|it| it.signal(Signal::SIGKILL)),
            }
            self.kill_at = now.checked_add(KILL_EVERY);
        }
        let sure = match (&mut self.interim, &self.live) {
            (Some(interim), Some(live)) => interim.serve(live),
            _ => false,
        };
        let over = self.stop_at.is_some_and(|at| at <= now);
        if self.told_to_end || !(sure || over) {
            return false;
        }
        self.stop_at = None;
        match self.policy {
            TargetPolicy::Spawned { on_stop: OnStop::End, grace } => {
                if !self.send_to_tree(Signal::SIGTERM) {
                    return true;
                }
                self.told_to_end = true;
                self.kill_at = now.checked_add(grace);
                false
            }
            TargetPolicy::Spawned { on_stop: OnStop::Leave, .. }
            | TargetPolicy::Attached
            | TargetPolicy::NoTarget
            | TargetPolicy::NoRun
            | TargetPolicy::Measured => true,
        }
    }
}
