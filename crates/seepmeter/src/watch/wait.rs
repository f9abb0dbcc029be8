//! Waiting for what another thread does, with signals served meanwhile.

use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use seepmeter_engine::{RunReport, Unfinished};
use seepmeter_process::has_room_for_thread;

use super::Watch;
use super::phase::{Due, Phase, Requests};
use crate::messages;
use crate::outcome::Outcome;
use crate::scale::CurrentRun;

impl Watch {
    /// Stops the samplers and completes the sinks; targets that have not ended are left. Then `report`
    /// says what the command comes to, which is `outcome` if all went well.
    pub(crate) fn complete(
        &mut self,
        outcome: Outcome,
        report: impl FnOnce(Outcome, &RunReport) -> Outcome + Send,
    ) -> Result<Outcome> {
        let Some(live) = self.live.take() else { return Ok(outcome) };
        let (outcome, kept_alive) = self.complete_by(outcome, live.unfinished(), || {
            let run = live.stop();
            (report(outcome, &run), run.kept_alive)
        })?;
        if !kept_alive.is_empty() {
            self.phase = Phase::KeptAlive;
            self.requests = Requests::default();
            self.outcome = outcome;
            self.wait_for(|| {
                for sampler in kept_alive {
                    messages::notice(&sampler.reason());
                    sampler.wait();
                }
            })?;
        }
        Ok(outcome)
    }

    /// Lets runs be made, each of them the current one for a time. Behind it, `current` knows of each signal that
    /// has come.
    pub(crate) fn measure<T: Send>(
        &mut self,
        current: Arc<CurrentRun>,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        self.phase = Phase::Measuring;
        self.current = Some(current);
        let done = self.wait_for(work);
        // What has ended the last run was sent to seepmeter before.
        for received in self.received()? {
            self.serve(received);
        }
        done
    }

    /// Waits for work that completes the run, whose outcome is `outcome` but for that.
    pub(crate) fn complete_by<T: Send>(
        &mut self,
        outcome: Outcome,
        unfinished: Unfinished,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        self.phase = Phase::Completing;
        self.requests.begin_wait(Instant::now());
        (self.outcome, self.unfinished) = (outcome.or(Outcome::OwnFailure), unfinished);
        self.wait_for(work)
    }

    /// Lets another thread work, and serves signals meanwhile. If they end the wait, seepmeter ends here.
    pub(crate) fn wait_for<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> Result<T> {
        if !has_room_for_thread() {
            // The thread that guards the target's status has a limit.
            return Ok(work());
        }
        let (done, at_end) = io::pipe().context("cannot make a pipe")?;
        let at_end = ByteAtEnd(at_end);
        thread::scope(|scope| {
            let work = move || {
                let _at_end = at_end;
                work()
            };
            let worker = thread::Builder::new()
                .name("work".to_owned())
                .spawn_scoped(scope, work)
                .context("cannot start a thread")?;
            while !self.poll(&[done.as_fd()], false)?.1[0] {
                for received in self.received()? {
                    self.serve(received);
                }
                match self.due().filter(|(at, _)| *at <= Instant::now()) {
                    Some((_, Due::Answer)) => self.answer(),
                    Some((_, Due::End)) => self.wait_no_longer(),
                    None => {}
                }
            }
            Ok(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Says what is waited for, and what ends the wait.
    fn answer(&mut self) {
        self.requests.set_answered();
        let signal = self.requests.last().map_or("a signal", Signal::as_str);
        let waits = match (self.phase, self.unfinished.labels().join(" and ")) {
            (Phase::KeptAlive, _) => {
                "still here because the target needs it; a second one ends seepmeter all the same, which can break the target".to_owned()
            }
            (Phase::Measuring, _) => "waiting for the run to end; a second one kills it".to_owned(),
            (_, labels) if labels.is_empty() => "about to end; a second one ends seepmeter at once".to_owned(),
            (_, labels) => {
                format!("waiting for {labels}; a second one ends the wait, and the output is then incomplete")
            }
        };
        messages::notice_at_once(&format!("{signal}: {waits}"));
    }

    /// Ends seepmeter although not all is complete.
    fn wait_no_longer(&self) -> ! {
        self.outputs.abort();
        if let Some(current) = &self.current {
            current.kill();
        }
        let labels = self.unfinished.labels();
        if self.phase == Phase::Completing && !labels.is_empty() {
            messages::notice_at_once(&format!(
                "{} had not finished when a second signal ended the wait; the output is incomplete",
                labels.join(" and ")
            ));
        }
        match (self.phase, self.requests.last()) {
            (Phase::Measuring, Some(signal)) => Outcome::Signal(signal as i32).exit_now(),
            _ => self.outcome.exit_now(),
        }
    }
}

/// Writes a byte when it is dropped, however a thread ends. The end of the pipe alone may never be seen:
/// a plugin's child may hold it too.
struct ByteAtEnd(PipeWriter);

impl Drop for ByteAtEnd {
    fn drop(&mut self) {
        // Whoever has closed the other end waits no more.
        let _ = self.0.write_all(&[1]);
    }
}
