//! The command: what was typed becomes a plan, the plan a run, the run an exit status.

use seepmeter::flags::{Flags, Subcommand};
use seepmeter::outcome::Outcome;
use seepmeter::{commands, messages};

fn main() {
    let flags = match Flags::read() {
        Ok(flags) => flags,
        Err(error) => Outcome::of_usage(&error).exit(),
    };
    let outcome = match flags.command {
        Subcommand::Run(flags) => commands::run(flags),
        Subcommand::Attach(flags) => commands::attach(flags),
        Subcommand::Replay(flags) => commands::replay(flags),
        Subcommand::Judge(flags) => commands::judge(&flags),
        Subcommand::Compare(flags) => commands::compare(&flags),
        Subcommand::Plugins(flags) => commands::plugins(flags),
        Subcommand::Completions { shell } => commands::completions(shell),
        Subcommand::Man => commands::man(),
    };
    let outcome = outcome.unwrap_or_else(|error| {
        messages::error(&error);
        Outcome::OwnFailure
    });
    outcome.exit()
}
