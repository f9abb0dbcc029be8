//! `seepmeter completions` and `seepmeter man`: what a shell and man(1) want.

use anyhow::{Context, Result};
use clap_complete::Shell;
use seepmeter_engine::PluginKind;
use seepmeter_record::printable;

use crate::completions::{Candidate, candidates, script};
use crate::flags::{CompleteFlags, CompleteKind, Flags};
use crate::messages::print_bytes;
use crate::outcome::Outcome;

/// `seepmeter completions`.
///
/// # Errors
/// Standard output can't be written to.
pub fn completions(shell: Shell) -> Result<Outcome> {
    print_bytes(script(shell).as_bytes())
}

/// `seepmeter complete`, which the scripts of `seepmeter completions` run.
///
/// # Errors
/// Standard output can't be written to.
pub fn complete(flags: &CompleteFlags) -> Result<Outcome> {
    let CompleteFlags { kind, typed, words } = flags;
    let kind = match kind {
        CompleteKind::Sampler => PluginKind::Sampler,
        CompleteKind::Sink => PluginKind::Sink,
    };
    let line = |candidate: Candidate| {
        format!("{}\t{}\n", printable(&candidate.value), printable(&candidate.help))
    };
    let lines: String = candidates(kind, typed, words).into_iter().map(line).collect();
    print_bytes(lines.as_bytes())
}

/// `seepmeter man`.
///
/// # Errors
/// There is no such subcommand, or standard output can't be written to.
pub fn man(subcommand: Option<&str>) -> Result<Outcome> {
    let mut all = Flags::command();
    // Their names in full: `seepmeter-run`.
    all.build();
    let command = match subcommand {
        None => &all,
        Some(name) => all.find_subcommand(name).with_context(|| {
            let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
            format!("there is no subcommand `{name}`; there are: {}", names.join(", "))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    print_bytes(&page)
}
