//! Flags about the descendants of targets.

use std::io;
use std::time::Duration;

use clap::{Args, ValueEnum};
use seepmeter_engine::TickInterval;
use seepmeter_process::system::raise_descriptor_limit;
use seepmeter_process::tree::{CgroupUse, NameFilter, ProcessTree, TreeOptions};
use seepmeter_process::{Cgroup, HeldChild, Process};
use seepmeter_record::jsonl::MOST_TARGETS;

/// Which descendants of the targets are watched too.
#[derive(Clone, Debug, Args)]
pub struct TreeFlags {
    /// Whether to watch all descendants too
    #[arg(long, value_name = "WHAT", default_value = "on")]
    pub tree: TreeMode,
    /// Watch only those descendants whose name matches this pattern, such as 'python*'
    #[arg(long, value_name = "GLOB", value_parser = parse_filter)]
    pub tree_filter: Option<NameFilter>,
    /// Watch on until all descendants have ended too
    #[arg(long)]
    pub wait_tree: bool,
}

/// Whether descendants are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TreeMode {
    /// Targets and all their descendants
    On,
    /// The same, and a spawned command gets a cgroup of its own, whose peak the kernel keeps
    Cgroup,
    /// The targets alone
    Off,
}

/// Without events of the kernel, and with the interval `auto`, new processes are looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// No more processes at once than a recording may have targets, with room for those that the user names.
const MOST_PROCESSES: usize = MOST_TARGETS - 96;

/// What targets, samplers, sinks and plugins need.
const DESCRIPTORS_OF_OTHERS: usize = 32;

/// A process takes two descriptors of the tree, and two for each of a few samplers.
const DESCRIPTORS_EACH: usize = 8;

impl TreeFlags {
    /// How a tree is followed; none if descendants are not to be watched. What is spawned behind this has the
    /// raised limit of descriptors, so all is spawned before.
    fn options(&self) -> io::Result<Option<TreeOptions>> {
        let cgroup = match self.tree {
            TreeMode::On => CgroupUse::WithoutEvents,
            TreeMode::Cgroup => CgroupUse::Always,
            TreeMode::Off => return Ok(None),
        };
        let limit = raise_descriptor_limit();
        let most = limit.saturating_sub(DESCRIPTORS_OF_OTHERS) / DESCRIPTORS_EACH;
        // The target itself is one.
        if most < 2 {
            let why = format!("no more than {limit} open files are allowed (ulimit -n)");
            return Err(io::Error::other(why));
        }
        let options = TreeOptions::default();
        let most = most.min(MOST_PROCESSES);
        Ok(Some(TreeOptions { cgroup, filter: self.tree_filter.clone(), most, ..options }))
    }

    /// The tree of a child, if it is to be watched.
    pub(crate) fn of_child(&self, child: &HeldChild) -> io::Result<Option<ProcessTree>> {
        self.options()?.map(|options| ProcessTree::of_child(child, options)).transpose()
    }

    /// The tree of a process that runs, if it is to be watched.
    pub(crate) fn of_process(&self, process: &Process) -> io::Result<Option<ProcessTree>> {
        self.options()?.map(|options| ProcessTree::of_process(process, options)).transpose()
    }

    /// The tree of a process that runs, and of all others in a cgroup.
    pub(crate) fn of_cgroup(
        &self,
        process: &Process,
        group: Cgroup,
    ) -> io::Result<Option<ProcessTree>> {
        let options = self.options()?;
        options.map(|options| ProcessTree::of_cgroup(process, group, options)).transpose()
    }

    /// How often new processes are looked for if nothing says that there are some.
    pub(crate) fn every(interval: TickInterval) -> Duration {
        match interval {
            TickInterval::Fixed(interval) => interval.clamp(LOOK_EVERY / 20, 10 * LOOK_EVERY),
            TickInterval::Auto => LOOK_EVERY,
        }
    }
}

fn parse_filter(pattern: &str) -> Result<NameFilter, String> {
    NameFilter::new(pattern).map_err(|error| error.to_string())
}
