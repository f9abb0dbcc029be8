//! The command: what was typed becomes a plan, the plan a run, the run an exit status.

use std::process::ExitCode;

use seepmeter::flags::{Flags, Subcommand};
use seepmeter::outcome::Outcome;
use seepmeter::{commands, messages};

fn main() -> ExitCode {
    let flags = match Flags::read() {
        Ok(flags) => flags,
        Err(error) => return Outcome::of_usage(&error).into(),
    };
    let outcome = match flags.command {
        Subcommand::Run(flags) => commands::run(flags),
        Subcommand::Attach(flags) => commands::attach(flags),
        Subcommand::Replay(flags) => commands::replay(flags),
        Subcommand::Judge(flags) => commands::judge(&flags),
        Subcommand::Compare(flags) => commands::compare(&flags),
        Subcommand::Scale(flags) => commands::scale(&flags),
        Subcommand::Plugins(flags) => commands::plugins(flags),
        Subcommand::Completions { shell } => commands::completions(shell),
        Subcommand::Man => commands::man(),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            messages::error(&error);
            Outcome::OwnFailure.into()
        }
    }
}
