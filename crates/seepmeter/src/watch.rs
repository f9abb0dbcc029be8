//! Watching over a target until it ends or the watching should stop, and passing signals on.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};
use seepmeter_engine::Live;
use seepmeter_process::wait::wait_readable;
use seepmeter_process::{Arrival, Process, Signals};
use seepmeter_record::EventKind;

use crate::flags::OnStop;
use crate::messages;

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
    Signals::take(&SIGNALS).context("cannot take signals")
}

/// Why the watching stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The target has ended by itself.
    TargetEnded,
    /// The target has ended after it was told to, at the end of the duration.
    TargetEndedAsAsked,
    /// The duration is over, or a signal asked for it.
    Asked,
}

/// What is done with signals and at the end of the duration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manners {
    /// The target is ours: signals are passed on to it.
    Spawned {
        /// What becomes of it when the duration is over.
        on_stop: OnStop,
        /// How long TERM has before KILL.
        grace: Duration,
    },
    /// The target is not ours: nothing is sent to it.
    Attached,
}

/// A watch over one target.
pub(crate) struct Watch<'a> {
    process: &'a Process,
    signals: &'a Signals,
    live: &'a Live,
    manners: Manners,
    /// When the duration is over.
    stop_at: Option<Instant>,
    /// The duration is over and the target was told to end.
    told_to_end: bool,
    /// When a target that was told to end is killed.
    kill_at: Option<Instant>,
    /// When TERM was last passed on, and who had sent it.
    term: Option<(Instant, u32)>,
}

/// Two TERMs of one sender within this time are one wish: timeout(1) sends one to its child and one to
/// the whole group, its child again among them.
const ONE_WISH: Duration = Duration::from_millis(500);

impl<'a> Watch<'a> {
    pub(crate) fn new(
        process: &'a Process,
        signals: &'a Signals,
        live: &'a Live,
        manners: Manners,
        duration: Option<Duration>,
    ) -> Self {
        let stop_at = duration.and_then(|duration| Instant::now().checked_add(duration));
        Self {
            process,
            signals,
            live,
            manners,
            stop_at,
            told_to_end: false,
            kill_at: None,
            term: None,
        }
    }

    /// Watches until the target ends or the watching should stop.
    pub(crate) fn until_stopped(mut self) -> Result<Stopped> {
        loop {
            let (signalled, ended) = self.wait()?;
            if ended {
                return Ok(if self.told_to_end {
                    Stopped::TargetEndedAsAsked
                } else {
                    Stopped::TargetEnded
                });
            }
            if signalled && self.serve_signals()? == Some(Stopped::Asked) {
                return Ok(Stopped::Asked);
            }
            if self.serve_times() == Some(Stopped::Asked) {
                return Ok(Stopped::Asked);
            }
        }
    }

    /// Waits for a signal, the target's end, or the next of the times.
    fn wait(&self) -> Result<(bool, bool)> {
        let next = [self.stop_at, self.kill_at].into_iter().flatten().min();
        let fds = [self.signals.as_fd(), self.process.pidfd()];
        let [signalled, ended] =
            wait_readable(fds, next).context("cannot wait for the target's end")?;
        Ok((signalled, ended))
    }

    fn serve_signals(&mut self) -> Result<Option<Stopped>> {
        while let Some(arrival) = self.signals.next().context("cannot read signals")? {
            if arrival.signal == Signal::SIGCONT {
                self.live.tell(EventKind::Continued, None);
                continue;
            }
            match self.manners {
                Manners::Attached => return Ok(Some(Stopped::Asked)),
                Manners::Spawned { grace, .. } => self.pass_on(arrival, grace),
            }
        }
        Ok(None)
    }

    /// Passes a signal on, unless the terminal has sent it to the target as well.
    fn pass_on(&mut self, arrival: Arrival, grace: Duration) {
        if arrival.from_kernel && self.terminal_reaches_target(arrival.signal) {
            return;
        }
        let now = Instant::now();
        let mut signal = arrival.signal;
        if signal == Signal::SIGTERM {
            match self.term {
                Some((before, sender))
                    if sender == arrival.sender && now - before < ONE_WISH.min(grace / 2) =>
                {
                    return;
                }
                Some((before, _)) if now - before < grace => signal = Signal::SIGKILL,
                _ => {}
            }
            self.term = Some((now, arrival.sender));
        }
        self.send(signal);
    }

    /// The keys of a terminal reach its foreground group, which a target may have left, as timeout(1)
    /// and setsid(1) do. A hang-up reaches the session's leader alone.
    fn terminal_reaches_target(&self, signal: Signal) -> bool {
        let target = Some(Pid::from_raw(self.process.pid()));
        let leads = getsid(None).is_ok_and(|session| session == getpid());
        let together = getpgid(target).is_ok_and(|group| group == getpgrp());
        together && !(signal == Signal::SIGHUP && leads)
    }

    fn serve_times(&mut self) -> Option<Stopped> {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.send(Signal::SIGKILL);
        }
        if self.stop_at.is_none_or(|at| at > now) {
            return None;
        }
        self.stop_at = None;
        match self.manners {
            Manners::Spawned { on_stop: OnStop::End, grace } => {
                if !self.send(Signal::SIGTERM) {
                    return Some(Stopped::Asked);
                }
                self.told_to_end = true;
                self.kill_at = now.checked_add(grace);
                None
            }
            Manners::Spawned { on_stop: OnStop::Leave, .. } | Manners::Attached => {
                Some(Stopped::Asked)
            }
        }
    }

    /// Sends it to the target. One that may not be sent is told, and false; a program with more rights
    /// than ours (setuid) is watched on all the same.
    fn send(&self, signal: Signal) -> bool {
        let pid = self.process.pid();
        if let Err(error) = self.process.signal(signal) {
            messages::notice(&format!("cannot send {signal} to process {pid}: {error}"));
            return false;
        }
        self.live.tell(EventKind::Forwarded, Some(signal as i64));
        true
    }
}
