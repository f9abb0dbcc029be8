//! What the exit status says.

use std::process::ExitCode;

use clap::error::ErrorKind;
use nix::libc;
use seepmeter_engine::RunReport;
use seepmeter_record::End;
use seepmeter_verdict::NoVerdict;

use crate::flags::GateFlags;
use crate::messages;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All went well.
    Success,
    /// The target's own exit status.
    Status(i32),
    /// The signal that killed the target.
    Signal(i32),
    /// A gate fired: the status for that.
    Gate(u8),
    /// Something of seepmeter's own failed.
    OwnFailure,
    /// The command was found, but can't be executed.
    NotExecutable,
    /// The command was not found.
    NotFound,
}

impl From<Outcome> for ExitCode {
    /// The numbers are those of env(1) and timeout(1).
    fn from(outcome: Outcome) -> Self {
        let status = match outcome {
            Outcome::Success => 0,
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

impl Outcome {
    /// Prints what is wrong with the command line, or the help that was asked for.
    #[must_use]
    pub fn of_usage(error: &clap::Error) -> Self {
        messages::usage(error);
        // Who types nothing asks what there is.
        let asks = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        if error.use_stderr() && !asks { Self::OwnFailure } else { Self::Success }
    }

    /// The target's own end comes first; if it ended well, a failure of seepmeter's counts.
    pub(crate) fn of_target(end: End) -> Self {
        match end {
            End::Exited(status) if status != 0 => Self::Status(status),
            End::Killed(signal) => Self::Signal(signal),
            End::Exited(_) | End::Gone | End::Left | End::NotStarted(_) => Self::Success,
        }
    }

    /// This outcome, unless all went well but for seepmeter's own part, or a gate fired. Reports what
    /// sinks did not get, and the gates.
    pub(crate) fn of_report(self, report: &RunReport, gates: &GateFlags) -> Self {
        report_dropped(report);
        let outcome = if report.failures.is_empty() { self } else { self.or(Self::OwnFailure) };
        if gates.fail_on.is_empty() {
            return outcome;
        }
        let verdict = report.conclusion.as_ref().map(|conclusion| conclusion.main());
        let why = match verdict {
            Some(Ok(_)) => None,
            Some(Err(NoVerdict::NothingSampled)) => {
                Some("nothing was sampled; was the run too short for a sample?".to_owned())
            }
            Some(Err(why)) => Some(why.to_string()),
            None => Some("nothing was judged".to_owned()),
        };
        if let Some(why) = why {
            messages::notice(&format!("the gates were not evaluated: {why}"));
            return outcome.or(Self::OwnFailure);
        }
        let outcomes = report.conclusion.iter().flat_map(|conclusion| &conclusion.gates);
        if messages::gates(outcomes, gates.strict) {
            outcome.or(Self::Gate(gates.fail_status))
        } else {
            outcome
        }
    }

    /// This outcome of a run that was aborted. Reports what sinks did not get.
    pub(crate) fn of_dropped(self, report: &RunReport) -> Self {
        report_dropped(report);
        self
    }

    /// This outcome, or if all went well the other one.
    fn or(self, other: Self) -> Self {
        if self == Self::Success { other } else { self }
    }
}

/// True of a target that TERM or KILL has ended, also if it caught TERM, tidied up and exited with the
/// status that a shell has for that, as a JVM does.
pub(crate) fn ended_by_signal(end: End) -> bool {
    const TERMINATED: i32 = 128 + libc::SIGTERM;
    matches!(end, End::Killed(libc::SIGTERM | libc::SIGKILL) | End::Exited(TERMINATED))
}

/// Reports what was given up after the footer was written, which no sink could report.
fn report_dropped(report: &RunReport) {
    let in_footer = report.footer.iter().flat_map(|footer| &footer.dropped);
    for dropped in &report.dropped {
        let known = in_footer.clone().find(|known| known.sink == dropped.sink);
        if dropped.samples > known.map_or(0, |known| known.samples) {
            messages::notice(&format!(
                "sink {} was too slow and did not get {} samples",
                dropped.sink, dropped.samples
            ));
        }
    }
}
