//! Flags about verdicts that form while a watch goes on.

use clap::Args;

use crate::terminal::When;

/// What becomes of a verdict while it forms.
#[derive(Clone, Debug, Args)]
pub struct InterimFlags {
    /// Stop watching as soon as the verdict is sure, growing or steady; --duration is then the limit
    #[arg(long)]
    pub until_verdict: bool,
    /// Show the memory and the verdict so far in the last line of the terminal: auto, always or never
    ///
    /// `auto` shows it if standard error is a terminal to which no target writes, and not with --quiet;
    /// `always` shows it on any terminal.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub status: When,
}
