//! What can be set.

use seepmeter_plugin::{Error, choices, options};

choices! {
    /// How to look.
    pub enum Mode {
        /// A slice at a time, within the budget.
        Sweep = "sweep",
        /// The whole of smaps at each tick, whatever it costs the target.
        Full = "full",
    }
}

choices! {
    /// What a subject is.
    pub enum Detail {
        /// All mappings of one kind: the heap, a file with its permissions, …
        Group = "group",
        /// Each mapping.
        Mapping = "mapping",
    }
}

options! {
    /// The options of [`Smaps`](crate::Smaps).
    pub struct SmapsOptions {
        /// How to look: `sweep` a slice at a time within the budget, or `full` smaps at each tick.
        mode: Mode = "sweep",
        /// What to tell of: groups of mappings, or each mapping.
        detail: Detail = "group",
        /// Per cent of the time that looks may hold the lock that the target's mmap and munmap need.
        budget: f64 = "0.5",
        /// The longest that one read of smaps may be expected to hold that lock; a target with a mapping
        /// so large that it would take longer is swept only, and its PSS is not read.
        max_hold: std::time::Duration = "2ms",
        /// How often everything is swept while the target's size changes.
        sweep_every: std::time::Duration = "6s",
        /// How often everything is swept though statm says that nothing changed.
        heartbeat: std::time::Duration = "60s",
        /// Sweep by PAGEMAP_SCAN where the kernel has it (Linux 6.7); `no` reads smaps in pieces.
        scan: bool = "yes",
    }
}

impl SmapsOptions {
    /// Makes sure that the values make sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.budget > 0.0 && self.budget <= 100.0 {
            Ok(())
        } else {
            Err(Error::failed(format!(
                "option `budget`: {} is not a share of the time; it is in per cent, more than 0 and at most 100",
                self.budget
            )))
        }
    }
}
