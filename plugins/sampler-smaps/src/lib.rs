//! Memory by mapping, so that growth can be attributed: which mapping grows, and what it is.
//!
//! Reading /proc/PID/smaps hurts the target: it walks page tables under the lock that the target's
//! mmap and munmap need. So by default this sampler sweeps. At each tick it reads statm, which costs
//! nothing; if that has changed it reads maps, which costs little, to know the mappings; then, between
//! ticks, it scans page tables by PAGEMAP_SCAN in slices well under a millisecond, within a budget,
//! new and growing mappings first. Smaps itself is read seldom and a mapping at a time.
//!
//! - The crate `seepmeter-maps` reads what the kernel writes, and says what a mapping is.
//! - `table` says which mapping is which from one read of maps to the next, `stacks` whose stack it is.
//! - `scan` makes the system call, `sweep` decides on what; `pass` and `reads` read smaps and smaps_rollup.
//! - `target_watch` is one target, `running` all of them with their one `budget`.
//! - `subjects` and `metrics` decide what is emitted.

mod budget;
mod counts;
mod metrics;
mod options;
mod pass;
mod reads;
mod running;
mod scan;
mod source;
mod stacks;
mod subjects;
mod sweep;
mod table;
mod target_watch;

pub use options::{Detail, Mode, SmapsOptions};
pub use running::RunningSmaps;

use seepmeter_plugin::{Error, Plugin, Sampler, Stream};

/// The sampler with its options, before the run.
pub struct Smaps {
    options: SmapsOptions,
}

impl Plugin for Smaps {
    const NAME: &'static str = "smaps";
    const ABOUT: &'static str = "samples memory by mapping: which one grows, and what it is";
    type Options = SmapsOptions;
    const PAUSES: bool = true;

    fn new(options: SmapsOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { options })
    }
}

impl Sampler for Smaps {
    type Running = RunningSmaps;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningSmaps, Error> {
        Ok(RunningSmaps::new(self.options, stream))
    }
}

seepmeter_plugin::export_sampler!(Smaps as smaps);
