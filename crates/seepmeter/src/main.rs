//! The command: what was typed becomes a plan, the plan a run, the run an exit status.

use seepmeter::flags::{Flags, Subcommand};
use seepmeter::outcome::Outcome;
use seepmeter::{commands, messages};
use seepmeter_process::{GuardedAllocator, start};

#[global_allocator]
static ALLOCATOR: GuardedAllocator = GuardedAllocator;

/// Whoever may execute the file could use its rights, for a file that a sink writes, a library that is
/// loaded, and to control any process by ptrace(2).
const RAISED_RIGHTS: &str = "this seepmeter has more rights than you have (it is setuid, setgid, has file capabilities, or a \
     security module raised them), and everybody who may execute it could use them to write files, load code and control \
     processes; take them away (setcap -r, chmod ug-s), and run it as root or as the target's user: see \"Rights\" in SECURITY.md";

fn main() {
    if start::raised_rights() {
        messages::notice(RAISED_RIGHTS);
        Outcome::OwnFailure.exit();
    }
    let flags = match Flags::read() {
        Ok(flags) => flags,
        Err(error) => Outcome::of_usage(&error).exit(),
    };
    flags.color.apply();
    let outcome = match flags.command {
        Subcommand::Run(flags) => commands::run(flags),
        Subcommand::Attach(flags) => commands::attach(flags),
        Subcommand::Replay(flags) => commands::replay(flags),
        Subcommand::Judge(flags) => commands::judge(&flags),
        Subcommand::Report(flags) => commands::report(&flags),
        Subcommand::Compare(flags) => commands::compare(&flags),
        Subcommand::Scale(flags) => commands::scale(&flags),
        Subcommand::Heap(flags) => commands::heap(&flags),
        Subcommand::Mark(flags) => commands::mark(&flags),
        Subcommand::Plugins(flags) => commands::plugins(flags),
        Subcommand::Completions { shell } => commands::completions(shell),
        Subcommand::Complete(flags) => commands::complete(&flags),
        Subcommand::Man { subcommand } => commands::man(subcommand.as_deref()),
    };
    let outcome = outcome.unwrap_or_else(|error| {
        messages::error(&error);
        Outcome::OwnFailure
    });
    outcome.exit()
}
