//! `seepmeter completions` and `seepmeter man`: what a shell and man(1) want.

use anyhow::{Context, Result};
use clap_complete::Shell;

use crate::flags::Flags;
use crate::messages::print_bytes;
use crate::outcome::Outcome;

/// `seepmeter completions`.
///
/// # Errors
/// Standard output can't be written to.
pub fn completions(shell: Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), "seepmeter", &mut script);
    print_bytes(&script)
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
