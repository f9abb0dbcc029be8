//! What can be set.

use std::time::Duration;

use seepmeter_plugin::{Error, choices, options};

choices! {
    /// How to observe.
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
        /// All mappings of one class: the heap, a file with its permissions, …
        Group = "group",
        /// Each mapping.
        Mapping = "mapping",
    }
}

options! {
    /// The options of [`Smaps`](crate::Smaps).
    pub struct SmapsOptions {
        /// How to observe: `sweep` a slice at a time within the budget, or `full` smaps at each tick.
        mode: Mode = "sweep",
        /// What the subjects are: groups of mappings, or each mapping.
        detail: Detail = "group",
        /// Per cent of the time in which the sampler may hold the lock that mmap and munmap of the targets
        /// need, for all targets together.
        budget: f64 = "0.5",
        /// The longest that a read of one mapping in smaps may be expected to hold that lock. A target with a
        /// larger mapping is only swept, and the PSS of its mappings is not known.
        max_hold: Duration = "2ms",
        /// The longest that a read of smaps_rollup may be expected to hold it. The longer it takes, the more seldom
        /// it is read: 12 ms every eight seconds. Of a larger target the PSS is that of smaps in pieces.
        rollup_hold: Duration = "20ms",
        /// How often everything is swept while the target's size changes.
        sweep_every: Duration = "6s",
        /// How often everything is swept even if statm says that nothing has changed.
        heartbeat: Duration = "60s",
        /// Sweep by PAGEMAP_SCAN if the kernel has it (Linux 6.7); `no` reads smaps in pieces.
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

    /// The budget as a share of 1.
    pub(crate) fn share(&self) -> f64 {
        self.budget / 100.0
    }
}
