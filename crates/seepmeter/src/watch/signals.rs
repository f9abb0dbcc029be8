//! What signals do: to the run, and to the targets.

use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};
use seepmeter_engine::Live;
use seepmeter_process::{ReceivedSignal, deliver};
use seepmeter_record::EventKind;

use super::phase::{Effect, ONE_REQUEST, Phase, Requests};
use super::{Interim, TargetPolicy, Watch, WatchedTarget};
use crate::messages;
use crate::outcome::Outcome;

/// Signals that are served: see [`Phase::effect`]. The first ones mostly end a program by a request of its
/// user.
const SIGNALS: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
    Signal::SIGTSTP,
];
const REQUESTS: usize = 4;

impl TargetPolicy {
    /// The signals that are served.
    pub(super) fn signals(self) -> &'static [Signal] {
        match self {
            Self::Spawned { .. } | Self::Attached | Self::NoTarget => &SIGNALS,
            Self::Measured | Self::NoRun => &SIGNALS[..REQUESTS],
        }
    }
}

impl Watch {
    pub(super) fn received(&self) -> Result<Vec<ReceivedSignal>> {
        let next = || self.signals.next().context("cannot read signals").transpose();
        std::iter::from_fn(next).collect()
    }

    /// Does what a signal does in this phase; true if that ends the watch.
    pub(super) fn serve(&mut self, received: ReceivedSignal) -> bool {
        if self.reopens_outputs(received) {
            return false;
        }
        if is_request(received.signal) {
            if self.phase == Phase::Watching {
                // What the target gets during the watch counts as the first request at most.
                self.requests = Requests::default();
            }
            self.requests.add(received, Instant::now());
        }
        match self.phase.effect(received.signal, self.policy) {
            Effect::Abort => self.abort(received.signal),
            Effect::EndWatch => return true,
            // Only descendants are left, and what is for the target is no signal for them.
            Effect::PassOn if self.phase == Phase::Watching && self.targets.is_empty() => {
                return self.stop_waiting_for_descendants();
            }
            Effect::PassOn | Effect::AskToStop => self.pass_on(received),
            Effect::EndRun => {
                self.current.iter().for_each(|current| current.interrupt(received));
            }
            Effect::Note => {
                self.live.iter().for_each(|live| live.emit_own(EventKind::Continued {}))
            }
            Effect::Report => self.live.iter().for_each(Live::request_report),
            Effect::Stop => self.be_stopped(),
            Effect::Nothing => {}
        }
        false
    }

    /// Is stopped as by any SIGTSTP, until somebody continues it.
    fn be_stopped(&self) {
        self.interim.iter().for_each(Interim::clear);
        // If it can't be done, seepmeter goes on.
        let _ = deliver(Signal::SIGTSTP);
    }

    /// True of a SIGHUP for the outputs (`reopen=yes`). That of a terminal which hangs up is not meant for
    /// them.
    fn reopens_outputs(&self, received: ReceivedSignal) -> bool {
        let for_outputs = received.signal == Signal::SIGHUP && !received.from_kernel;
        self.phase == Phase::Watching && for_outputs && self.outputs.reopen()
    }

    /// Ends seepmeter before the run has begun.
    fn abort(&self, signal: Signal) -> ! {
        if let Some(child) = &self.held {
            // That it has ended by itself is as good.
            let _ = child.signal(Signal::SIGKILL);
        }
        self.outputs.abort();
        let what = match self.policy {
            TargetPolicy::Attached | TargetPolicy::NoTarget => {
                "the run had begun; nothing was written"
            }
            TargetPolicy::NoRun => "there was an answer; no file was written",
            TargetPolicy::Spawned { .. } | TargetPolicy::Measured => {
                "the run had begun; nothing was executed"
            }
        };
        messages::notice_at_once(&format!("{signal} came before {what}"));
        Outcome::Signal(signal as i32).exit_now()
    }

    /// Passes a signal on, unless the terminal has sent it to the target as well.
    fn pass_on(&mut self, received: ReceivedSignal) {
        let TargetPolicy::Spawned { grace, .. } = self.policy else { return };
        if received.from_kernel && self.terminal_reaches_targets(received.signal) {
            return;
        }
        let now = Instant::now();
        let mut signal = received.signal;
        // Behind the watch, TERM is for seepmeter too: the target that is left is not to be killed by it.
        if signal == Signal::SIGTERM && self.phase == Phase::Watching {
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
        if signal == Signal::SIGKILL && self.told_to_end {
            self.kill_at = Some(now);
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

    /// Sends a signal to every target and all their descendants; false if it was sent to none.
    pub(super) fn send_to_tree(&mut self, signal: Signal) -> bool {
        let descendants = self.descendants.as_ref().is_some_and(|it| it.signal(signal));
        self.send(signal) || descendants
    }

    /// Sends a signal to every target; false if it was sent to none. A failure is reported, and a program
    /// with more rights than ours (setuid) is watched on all the same.
    fn send(&mut self, signal: Signal) -> bool {
        let sent = self.targets.iter().filter(|target| {
            let WatchedTarget { process, subject } = target;
            if let Err(error) = process.signal(signal) {
                let pid = process.pid();
                messages::notice_at_once(&format!(
                    "cannot send {signal} to process {pid}: {error}"
                ));
                return false;
            }
            if let Some(live) = &self.live {
                live.emit(EventKind::Forwarded { signal: signal as i32 }, *subject);
            }
            true
        });
        let any = sent.count() > 0;
        self.has_killed |= any && signal == Signal::SIGKILL;
        any
    }
}

/// True of a signal that asks seepmeter or its target to end.
fn is_request(signal: Signal) -> bool {
    use Signal::{SIGCONT, SIGTSTP, SIGUSR1, SIGUSR2};
    ![SIGCONT, SIGTSTP, SIGUSR1, SIGUSR2].contains(&signal)
}
