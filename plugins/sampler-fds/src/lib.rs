//! Open descriptors, so that a leak of them is seen and named: how many, of which kind, and on what.
//!
//! It lists /proc/PID/fd and reads the links in it, which takes nothing of the target's and opens
//! nothing. That costs a microsecond or two for each descriptor, of this sampler's time and not of the
//! target's. So it has a budget: the links of a process with many descriptors are read a piece at each
//! tick, in a sweep that takes several of them. How many there are at all is known at each tick, where
//! the kernel counts them.
//!
//! - `link` says what a link means, `tally` counts what a sweep finds.
//! - `sweep` is the pass over the links, `budget` what it may cost.
//! - `groups` decides which names have a subject of their own.
//! - `target` is one target, `running` all of them.

mod budget;
mod groups;
mod link;
mod running;
mod sweep;
mod tally;
mod target;

pub use running::RunningFds;

use seepmeter_plugin::{Error, Plugin, Sampler, Stream, options};

options! {
    /// The options of [`Fds`].
    pub struct FdsOptions {
        /// So many names have a count of their own, such as a file that is open many times.
        names: u16 = "16",
        /// Per cent of one CPU's time that the sampler may take, for all targets together.
        budget: f64 = "1",
        /// Count the mappings too, from /proc/PID/maps.
        mappings: bool = "yes",
    }
}

/// More names than this are no use to anybody.
const MOST_NAMES: u16 = 1_000;

/// The sampler with its options, before the run.
pub struct Fds {
    options: FdsOptions,
}

impl Plugin for Fds {
    const NAME: &'static str = "fds";
    const ABOUT: &'static str =
        "counts open descriptors by kind and by name, threads, and mappings";
    type Options = FdsOptions;

    fn new(options: FdsOptions) -> Result<Self, Error> {
        if !(options.budget > 0.0 && options.budget <= 100.0) {
            return Err(Error::failed(format!(
                "option `budget`: {} is not a share of the time; it is in per cent, more than 0 and at most 100",
                options.budget
            )));
        }
        if options.names > MOST_NAMES {
            return Err(Error::failed(format!(
                "option `names`: {} names are too many; there can be {MOST_NAMES}",
                options.names
            )));
        }
        Ok(Self { options })
    }
}

impl Sampler for Fds {
    type Running = RunningFds;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningFds, Error> {
        Ok(RunningFds::new(self.options, stream))
    }
}

seepmeter_plugin::export_sampler!(Fds as fds);
