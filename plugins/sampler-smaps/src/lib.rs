//! Memory by mapping, told so that growth can be attributed: which mapping grows, and what it is.
//!
//! Reading /proc/PID/smaps hurts the target: it walks page tables under the lock that the target's
//! mmap and munmap need. So by default this sampler sweeps. At each tick it reads statm, which costs
//! nothing; when that has changed it reads maps, which costs little, to know the mappings; then, between
//! ticks, it scans page tables by PAGEMAP_SCAN in slices well under a millisecond, within a budget,
//! new and growing mappings first. Smaps itself is read seldom and a mapping at a time.
//!
//! - The crate `seepmeter-maps` reads what the kernel writes, and says what a mapping is.
//! - `table` says which mapping it is from look to look, `stacks` whose stack it is.
//! - `scan` makes the call, `sweep` decides on what, `pass` and `reads` see to smaps.
//! - `pace` keeps the budget, `watch` puts it all together, `book` tells what changed.

mod book;
mod counts;
mod metrics;
mod options;
mod pace;
mod pass;
mod reads;
mod scan;
mod source;
mod stacks;
mod sweep;
mod table;
mod watch;

pub use options::{Detail, Mode, SmapsOptions};

use seepmeter_plugin::{Error, Look, Plugin, Sampler, Stream, Target, Until, Waited};
use watch::Watch;

/// The sampler.
pub struct Smaps {
    options: SmapsOptions,
    watch: Option<Watch>,
}

impl Plugin for Smaps {
    const NAME: &'static str = "smaps";
    const ABOUT: &'static str = "samples memory by mapping: which one grows, and what it is";
    type Options = SmapsOptions;
    const DISTURBS: bool = true;

    fn new(options: SmapsOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { options, watch: None })
    }
}

impl Sampler for Smaps {
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

    fn stop(&mut self, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.watch = None;
        Ok(())
    }
}

seepmeter_plugin::export_sampler!(Smaps as smaps);
