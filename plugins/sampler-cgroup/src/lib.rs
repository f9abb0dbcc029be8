//! The memory of the targets' cgroups, as the kernel accounts for it: what is charged to them, their limits,
//! and how short memory is there.
//!
//! The files are those of the memory controller of cgroups version 1 and 2, found by /proc/PID/cgroup of the
//! target and our own mounts: a sandbox has mounts of its own. They stay open, and a sample reads each by one
//! pread(2). Nothing is taken of the target.
//!
//! - `files` says in which file which value is, `parse` reads the texts.
//! - `place` finds the cgroup of a process, `group` is one cgroup, `running` all of them.

mod files;
mod group;
mod parse;
mod place;
mod running;

pub use running::RunningCgroup;

use seepmeter_plugin::{Error, Plugin, Sampler, Stream, options};

options! {
    /// The options of [`CgroupSampler`].
    pub struct CgroupOptions {
        /// Read the pressure too (PSI), as far as the kernel has it.
        pressure: bool = "yes",
    }
}

/// The sampler with its options, before the run.
pub struct CgroupSampler {
    options: CgroupOptions,
}

impl Plugin for CgroupSampler {
    const NAME: &'static str = "cgroup";
    const ABOUT: &'static str = "reads the memory of the targets' cgroups, with pages of files and of the kernel, limits and pressure";
    type Options = CgroupOptions;

    fn new(options: CgroupOptions) -> Result<Self, Error> {
        Ok(Self { options })
    }
}

impl Sampler for CgroupSampler {
    type Running = RunningCgroup;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningCgroup, Error> {
        Ok(RunningCgroup::new(&self.options, stream))
    }
}

seepmeter_plugin::export_sampler!(CgroupSampler as cgroup);
