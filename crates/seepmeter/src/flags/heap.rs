//! What to show of a heap.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use seepmeter_plugin::parse_duration;

/// `seepmeter heap`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("image").args(["pid", "core"]).required(true))]
pub struct HeapFlags {
    /// The process
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Read a core file instead, of the kernel or of gcore
    #[arg(long, value_name = "FILE")]
    pub core: Option<PathBuf>,
    /// How many classes to show
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub top: usize,
    /// Take two snapshots, so long apart, and show the blocks that are leaked: no pointer leads to them in either, and
    /// what they hold is the same
    ///
    /// They are in groups: by the block that no other leaked block points at, or by the cycle, that a leak begins with,
    /// with what hangs on it. The exit status is 0 if no block is leaked, 1 if any is, and 125 if that can't be said.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "5s", value_parser = parse_duration, conflicts_with = "core")]
    pub leaks: Option<Duration>,
    /// Take two snapshots, so long apart, and show which classes have grown, who holds the new blocks of the first three, and what is
    /// leaked
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with_all = ["core", "leaks"])]
    pub diff: Option<Duration>,
    /// Show who holds a block, or blocks of a class: the shortest paths from modules of Python, variables, stacks and other
    /// memory
    #[arg(long, value_name = "ADDR|CLASS", conflicts_with_all = ["leaks", "diff"])]
    pub why: Option<String>,
    /// Show what a block keeps alive: all that would be unreachable without it
    #[arg(long, value_name = "ADDR", value_parser = parse_address, conflicts_with_all = ["leaks", "diff", "why"])]
    pub holds: Option<u64>,
    /// Print JSON (docs/heap.schema.json)
    #[arg(long)]
    pub json: bool,
    /// Copy the process even if much of its memory is in huge pages: the copy breaks them into small ones
    #[arg(long, conflicts_with = "core")]
    pub break_huge_pages: bool,
}

/// An address as reports show it.
pub(crate) fn parse_address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").ok_or("an address begins with 0x")?;
    u64::from_str_radix(digits, 16).map_err(|error| error.to_string())
}
