//! What to show of a heap.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

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
    /// Copy the process even if much of its memory is in huge pages: the copy breaks them into small ones
    #[arg(long, conflicts_with = "core")]
    pub break_huge_pages: bool,
}
