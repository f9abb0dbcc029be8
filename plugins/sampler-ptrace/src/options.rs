//! What can be set.

use std::time::Duration;

use seepmeter_plugin::{Error, List, Size, choices, options};

choices! {
    /// What a look takes while the target stands still.
    pub enum LookAt {
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
    pub enum Calls {
        /// None.
        Off = "off",
        /// Those that map memory and give it back.
        Memory = "memory",
    }
}

options! {
    /// The options of [`Ptrace`](crate::Ptrace).
    pub struct PtraceOptions {
        /// What to take while the target stands still: `stacks` and `registers` of its threads, `maps`, its
        /// mappings and their sizes, and `smaps`, what is resident of them; several with commas.
        look: List<LookAt> = "stacks,maps",
        /// Whose stacks and registers: threads whose name this pattern meets (`*` is any text, `?` any
        /// letter). All threads are stopped all the same.
        threads: String = "*",
        /// For how long the target may stand still at each look. What is not taken by then is left out, and
        /// the stream says so.
        max_pause: Duration = "10ms",
        /// How much of each stack to take, at most. A deeper one is told as far as that goes.
        stack: Size = "32KiB",
        /// `memory` follows the calls that map memory, from the first instruction of a target that
        /// seepmeter spawns, and tells how much is mapped by which code. Should seepmeter then be killed
        /// by SIGKILL, these calls fail in the target from that moment on.
        calls: Calls = "off",
    }
}

/// A stack of less than a few frames tells nothing, and one of more is no stack.
const LEAST_STACK: u64 = 1 << 10;
const MOST_STACK: u64 = 8 << 20;

impl PtraceOptions {
    /// True where a look takes this.
    pub(crate) fn takes(&self, what: LookAt) -> bool {
        self.look.0.contains(&what)
    }

    /// The pattern of threads' names.
    pub(crate) fn pattern(&self) -> Result<glob::Pattern, Error> {
        glob::Pattern::new(&self.threads).map_err(|error| {
            Error::failed(format!(
                "option `threads`: `{}` is no pattern: {} at letter {}; `*` is any text, `?` any letter, `[ab]` one of these",
                self.threads,
                error.msg,
                error.pos + 1
            ))
        })
    }

    /// Makes sure that the values make sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.pattern()?;
        if !(LEAST_STACK..=MOST_STACK).contains(&self.stack.0) {
            return Err(Error::failed(format!(
                "option `stack`: {} bytes are no sensible part of a stack; it is from 1KiB to 8MiB",
                self.stack.0
            )));
        }
        if self.max_pause.is_zero() {
            return Err(Error::failed(
                "option `max-pause`: in no time nothing can be taken; leave it out for 10ms",
            ));
        }
        Ok(())
    }
}
