//! What can be set.

use std::time::Duration;

use seepmeter_plugin::{Error, List, Size, choices, options};

choices! {
    /// What is read of a stopped target.
    pub enum ReadItem {
        /// Each thread's stack.
        Stacks = "stacks",
        /// The mappings and their sizes.
        Maps = "maps",
        /// The mappings and what is resident of them, which takes the kernel far longer.
        Smaps = "smaps",
        /// Each thread's registers.
        Registers = "registers",
    }
}

choices! {
    /// Which system calls are followed.
    pub enum FollowedCalls {
        /// None.
        Off = "off",
        /// Those that map memory and give it back.
        Memory = "memory",
    }
}

options! {
    /// The options of [`Ptrace`](crate::Ptrace).
    pub struct PtraceOptions {
        /// What to read while the target is stopped: `stacks` and `registers` of its threads; `maps`, its
        /// mappings and their sizes; `smaps`, what is resident of them. Several with commas.
        read: List<ReadItem> = "stacks,maps",
        /// Whose stacks and registers: threads whose name matches this pattern (`*` is any text, `?` any
        /// character). All threads are stopped all the same.
        threads: String = "*",
        /// How long a target may be stopped for one sample. What is not read by then is left out, and the
        /// stream says so.
        max_pause: Duration = "10ms",
        /// How many bytes of each stack to read, at most. A deeper stack is cut there.
        stack: Size = "32KiB",
        /// `memory` follows the calls that map memory, from the first instruction of a command that
        /// seepmeter spawns, and says how much is mapped from which stack. It needs `unsafe=yes`.
        calls: FollowedCalls = "off",
        /// `yes` accepts the risk of `calls=memory`: if seepmeter is killed by SIGKILL, the target crashes.
        r#unsafe: bool = "no",
    }
}

/// A stack of less than a few frames is of no use, and one of more is no stack.
const LEAST_STACK: u64 = 1 << 10;
const MOST_STACK: u64 = 8 << 20;

impl PtraceOptions {
    /// True if this is read.
    pub(crate) fn reads(&self, item: ReadItem) -> bool {
        self.read.0.contains(&item)
    }

    /// True if the mappings are read for their own sake.
    pub(crate) fn reads_mappings(&self) -> bool {
        self.reads(ReadItem::Maps) || self.reads(ReadItem::Smaps)
    }

    /// The pattern of threads' names.
    pub(crate) fn pattern(&self) -> Result<glob::Pattern, Error> {
        glob::Pattern::new(&self.threads).map_err(|error| {
            Error::failed(format!(
                "option `threads`: `{}` is no pattern: {} at character {}; `*` is any text, `?` any character, `[ab]` one of these",
                self.threads,
                error.msg,
                error.pos + 1
            ))
        })
    }

    /// Makes sure that the values make sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(LEAST_STACK..=MOST_STACK).contains(&self.stack.0) {
            return Err(Error::failed(format!(
                "option `stack`: {} bytes are no sensible part of a stack; give 1KiB to 8MiB",
                self.stack.0
            )));
        }
        if self.calls == FollowedCalls::Memory && !self.r#unsafe {
            return Err(Error::failed(
                "option `calls`: if seepmeter is killed by SIGKILL (by the OOM killer, for instance) while it follows \
                 memory calls, the target crashes: its calls fail from then on, and malloc takes some of them for \
                 successful; if that may be, add unsafe=yes",
            ));
        }
        if self.max_pause.is_zero() {
            return Err(Error::failed(
                "option `max-pause`: nothing can be read in no time; leave it out for 10ms",
            ));
        }
        Ok(())
    }
}
