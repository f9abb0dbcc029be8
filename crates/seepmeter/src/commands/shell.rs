//! `seepmeter completions` and `seepmeter man`: what a shell and man(1) want.

use anyhow::Result;
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
/// Standard output can't be written to.
pub fn man() -> Result<Outcome> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Flags::command()).render(&mut page)?;
    print_bytes(&page)
}
