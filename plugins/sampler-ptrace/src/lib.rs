//! Stops its targets at intervals, reads them while nothing moves, and lets them run on unharmed.
//!
//! All values of one target in a sample belong to one instant: the stack of each thread, what is mapped,
//! how much is resident. Between samples nothing of the target is traced.
//!
//! - `stop_copy` is what is read while a target is stopped; nothing else is done then.
//! - `target` is one target: stops it, reads it, lets it run on, and emits what was read; `running` is
//!   all of them.
//! - `threads` and `groups` are the subjects, `metrics` and `registers` their metrics.
//! - `memory_calls` follows the memory calls of a target if that is asked for; `mapped_regions` knows
//!   which stack has mapped what.

mod groups;
mod mapped_regions;
mod memory_calls;
mod metrics;
mod options;
mod registers;
mod running;
mod stop_copy;
mod target;
mod threads;

pub use options::{FollowedCalls, PtraceOptions, ReadItem};
pub use running::RunningPtrace;

use seepmeter_plugin::{Error, Plugin, Sampler, Stream};

/// The sampler with its options, before the run.
pub struct Ptrace {
    options: PtraceOptions,
    pattern: glob::Pattern,
}

impl Plugin for Ptrace {
    const NAME: &'static str = "ptrace";
    const ABOUT: &'static str =
        "stops the target and samples each thread's stack and the mappings, all at one instant";
    type Options = PtraceOptions;
    const PAUSES: bool = true;

    fn new(options: PtraceOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { pattern: options.pattern()?, options })
    }
}

impl Sampler for Ptrace {
    type Running = RunningPtrace;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningPtrace, Error> {
        Ok(RunningPtrace::new(self.options, self.pattern, stream))
    }
}

seepmeter_plugin::export_sampler!(Ptrace as ptrace);
