//! What was typed of marks.

use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::Args;

/// Marks of a command.
#[derive(Debug, Args)]
pub struct RunMarkFlags {
    /// Let the command write marks to descriptor N, one a line, such as `n 1000`: see `seepmeter mark`
    #[arg(long, value_name = "N", value_parser = parse_descriptor)]
    pub mark_fd: Option<RawFd>,
    /// Set SEEPMETER_MARKS for the command, the path of a socket to which `seepmeter mark` sends marks
    #[arg(long)]
    pub marks: bool,
}

/// Marks of running processes.
#[derive(Debug, Args)]
pub struct AttachMarkFlags {
    /// Make a socket at this path, to which `seepmeter mark` sends marks if SEEPMETER_MARKS has the path
    #[arg(long, value_name = "PATH")]
    pub marks: Option<PathBuf>,
}

/// `seepmeter mark`.
#[derive(Debug, Args)]
pub struct MarkFlags {
    /// The value of a counter; TEXT is its name then, and `n` if there is none
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub number: Option<i64>,
    /// Do nothing if no seepmeter receives marks, so that a script runs without it too
    #[arg(long)]
    pub optional: bool,
    /// The mark; words are joined by blanks
    #[arg(required_unless_present = "number")]
    pub text: Vec<String>,
}

/// Reads the number of a descriptor that can be the command's own.
fn parse_descriptor(text: &str) -> Result<RawFd, String> {
    match text.parse() {
        Ok(0..=2) => Err("0, 1 and 2 are the standard streams; give a number from 3 on".to_owned()),
        Ok(number) if number > 2 => Ok(number),
        _ => Err("a descriptor is a number from 3 on".to_owned()),
    }
}
