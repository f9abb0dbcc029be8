//! The phases of a run, and what a signal does in each of them: decided here and nowhere else.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seepmeter_process::ReceivedSignal;

use super::TargetPolicy;

/// What seepmeter is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Plugins are loaded, instances made, samplers started. A child may be held; nothing of it has run.
    Beginning,
    /// The targets run and are watched. The exec of a child is the first of it.
    Watching,
    /// Runs are made one after another, to be measured.
    Measuring,
    /// Samplers and sinks complete their work, and the report is printed.
    Completing,
    /// All is written, and a sampler stays for as long as targets need it.
    KeptAlive,
}

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It ends seepmeter, as it would end any program. A held child never executes its command.
    Abort,
    /// It is passed on to the targets.
    PassOn,
    /// It ends the watch, and what was sampled is completed.
    EndWatch,
    /// It ends the run that is under way, and asks to wait no longer.
    EndRun,
    /// It is passed on to the targets that are left, and asks to wait no longer: see [`Requests`].
    AskToStop,
    /// It goes into the stream.
    Note,
    /// The sinks report what is known so far.
    Report,
    /// It stops seepmeter, as it would stop any program.
    Stop,
    /// None.
    Nothing,
}

impl Phase {
    /// What `signal` does under a policy. A SIGHUP for the outputs does not come here.
    pub(super) fn effect(self, signal: Signal, policy: TargetPolicy) -> Effect {
        let spawned = matches!(policy, TargetPolicy::Spawned { .. });
        let attached = matches!(policy, TargetPolicy::Attached);
        match (self, signal) {
            (_, Signal::SIGTSTP) => Effect::Stop,
            (Self::Watching, Signal::SIGCONT) => Effect::Note,
            (_, Signal::SIGCONT) => Effect::Nothing,
            (Self::Watching, Signal::SIGUSR1) if attached => Effect::Report,
            // It asks for a summary, of which there is none yet.
            (Self::Beginning, Signal::SIGUSR1) if attached => Effect::Nothing,
            (Self::Beginning, _) => Effect::Abort,
            (Self::Measuring, _) => Effect::EndRun,
            (Self::Watching, _) if spawned => Effect::PassOn,
            (Self::Watching, _) => Effect::EndWatch,
            (Self::Completing | Self::KeptAlive, Signal::SIGUSR1 | Signal::SIGUSR2) => {
                match spawned {
                    true => Effect::PassOn,
                    false => Effect::Nothing,
                }
            }
            (Self::Completing | Self::KeptAlive, _) => Effect::AskToStop,
        }
    }
}

/// Two signals of one sender within this time are one request: timeout(1) sends one to its child and one
/// to the whole group, its child again among them.
pub(super) const ONE_REQUEST: Duration = Duration::from_millis(500);

/// How long the first request goes unanswered: what is about to be complete needs no words.
const ANSWER_AFTER: Duration = Duration::from_millis(100);

/// What is complete so soon after the second request still counts.
const END_AFTER: Duration = Duration::from_millis(50);

/// Requests to wait no longer: signals that mostly end a program. The first gets an answer, that there is
/// something left to wait for; the second ends the wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requests {
    last: Option<(ReceivedSignal, Instant)>,
    answered: bool,
    second: bool,
}

/// What is due to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To say what is waited for.
    Answer,
    /// To wait no longer.
    End,
}

impl Requests {
    pub(super) fn add(&mut self, received: ReceivedSignal, now: Instant) {
        let again = self.last.is_some_and(|(last, at)| {
            last == received && !received.from_kernel && now - at < ONE_REQUEST
        });
        if !again && !self.second {
            self.second = self.last.is_some();
            self.last = Some((received, now));
        }
    }

    /// From now on something is waited for: an answer to an earlier request is due as to one of now.
    pub(super) fn begin_wait(&mut self, now: Instant) {
        self.last.iter_mut().for_each(|(_, at)| *at = now);
    }

    /// The last of them.
    pub(super) fn last(&self) -> Option<Signal> {
        self.last.map(|(received, _)| received.signal)
    }

    /// When something is due, and what.
    pub(super) fn due(&self) -> Option<(Instant, Due)> {
        let (_, at) = self.last?;
        match (self.second, self.answered) {
            (true, _) => Some((at + END_AFTER, Due::End)),
            (false, false) => Some((at + ANSWER_AFTER, Due::Answer)),
            (false, true) => None,
        }
    }

    pub(super) fn set_answered(&mut self) {
        self.answered = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::OnStop;

    const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

    fn spawned() -> TargetPolicy {
        TargetPolicy::Spawned { on_stop: OnStop::Leave, grace: Duration::ZERO }
    }

    fn from(sender: u32, signal: Signal) -> ReceivedSignal {
        ReceivedSignal { signal, from_kernel: sender == 0, sender }
    }

    #[test]
    fn no_phase_is_deaf_to_a_signal_that_ends_programs() {
        for signal in ENDING {
            for policy in [spawned(), TargetPolicy::Attached, TargetPolicy::NoTarget] {
                assert_eq!(Phase::Beginning.effect(signal, policy), Effect::Abort);
                assert_eq!(Phase::Measuring.effect(signal, policy), Effect::EndRun);
                assert_eq!(Phase::Completing.effect(signal, policy), Effect::AskToStop);
                assert_eq!(Phase::KeptAlive.effect(signal, policy), Effect::AskToStop);
            }
            assert_eq!(Phase::Watching.effect(signal, spawned()), Effect::PassOn);
            assert_eq!(Phase::Watching.effect(signal, TargetPolicy::Attached), Effect::EndWatch);
        }
    }

    #[test]
    fn what_belongs_to_a_target_is_passed_on_as_long_as_it_may_run() {
        for phase in [Phase::Watching, Phase::Completing, Phase::KeptAlive] {
            assert_eq!(phase.effect(Signal::SIGUSR1, spawned()), Effect::PassOn);
        }
        assert_eq!(
            Phase::Completing.effect(Signal::SIGUSR1, TargetPolicy::Attached),
            Effect::Nothing
        );
        assert_eq!(Phase::Watching.effect(Signal::SIGCONT, spawned()), Effect::Note);
    }

    #[test]
    fn sigusr1_asks_for_a_report_only_if_it_is_not_the_targets() {
        assert_eq!(Phase::Watching.effect(Signal::SIGUSR1, TargetPolicy::Attached), Effect::Report);
        assert_eq!(
            Phase::Watching.effect(Signal::SIGUSR2, TargetPolicy::Attached),
            Effect::EndWatch
        );
    }

    #[test]
    fn the_second_request_ends_the_wait_and_the_first_is_answered_once() {
        let now = Instant::now();
        let mut requests = Requests::default();
        assert_eq!(requests.due(), None);
        requests.add(from(0, Signal::SIGINT), now);
        assert_eq!(requests.due(), Some((now + ANSWER_AFTER, Due::Answer)));
        requests.set_answered();
        assert_eq!(requests.due(), None);
        requests.add(from(0, Signal::SIGINT), now + END_AFTER);
        assert_eq!(requests.due(), Some((now + 2 * END_AFTER, Due::End)));
        // More of them do not put the end off.
        requests.add(from(0, Signal::SIGINT), now + 2 * END_AFTER);
        assert_eq!(requests.due(), Some((now + 2 * END_AFTER, Due::End)));
    }

    #[test]
    fn two_signals_of_one_sender_at_once_are_one_request_and_two_keys_are_two() {
        let now = Instant::now();
        let second = |first, then, after| {
            let mut requests = Requests::default();
            requests.add(first, now);
            requests.add(then, now + after);
            requests.due().is_some_and(|(_, due)| due == Due::End)
        };
        let term = from(7, Signal::SIGTERM);
        assert!(!second(term, term, ONE_REQUEST / 2));
        assert!(second(term, term, ONE_REQUEST));
        assert!(second(term, from(8, Signal::SIGTERM), Duration::ZERO));
        assert!(second(term, from(7, Signal::SIGINT), Duration::ZERO));
        assert!(second(from(0, Signal::SIGINT), from(0, Signal::SIGINT), Duration::ZERO));
    }
}
