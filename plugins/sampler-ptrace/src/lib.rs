//! Stops the target at intervals, looks while nothing moves, and lets it go unharmed.
//!
//! All numbers of one look belong to one instant: where each thread stands, what is mapped, how much
//! is resident. Between looks nothing of the target is traced.
//!
//! - `taken` is what a look takes while the target stands still, and does nothing else.
//! - `watch` stops, takes, lets go, and tells what was seen when the target runs on.
//! - `threads`, `stacks` and `groups` are the subjects, `registers` those that are told by name.
//! - `code` is what is known of the target's code.
//! - `calls` follows the memory calls of a target that asks for it, `ledger` keeps who mapped what.

mod calls;
mod code;
mod groups;
mod ledger;
mod options;
mod registers;
mod stacks;
mod taken;
mod threads;
mod watch;

pub use options::{Calls, LookAt, PtraceOptions};

use seepmeter_plugin::{Error, Look, Plugin, Sampler, Stream, Target, Until, Waited};
use watch::Watch;

/// The sampler.
pub struct Ptrace {
    options: PtraceOptions,
    watch: Option<Watch>,
}

impl Plugin for Ptrace {
    const NAME: &'static str = "ptrace";
    const ABOUT: &'static str = "stops the target for a look at each thread's stack and at the mappings, all at one instant";
    type Options = PtraceOptions;
    const DISTURBS: bool = true;

    fn new(options: PtraceOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { options, watch: None })
    }
}

impl Sampler for Ptrace {
    fn start(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        self.watch = Some(Watch::new(self.options.clone(), target, stream)?);
        Ok(())
    }

    fn sample(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        match &mut self.watch {
            Some(watch) => watch.look(look),
            None => Err(Error::failed("a look was asked for before the start")),
        }
    }

    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        match &mut self.watch {
            Some(watch) => watch.wait(until, stream),
            None => Ok(Waited::PleaseSleep),
        }
    }

    fn stop(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        self.watch.take().map_or(Ok(()), |watch| watch.end(stream))
    }
}

seepmeter_plugin::export_sampler!(Ptrace as ptrace);
