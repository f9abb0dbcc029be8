//! Not to lose the CPU while the target stands still: see [`seepmeter_process::priority`].

use seepmeter_process::priority::RealtimePriority;

/// This thread is not interrupted by ordinary ones for as long as this lives.
#[derive(Debug)]
pub(crate) struct Urgent(RealtimePriority);

impl Urgent {
    /// Asks for it. None if it is refused.
    pub(crate) fn now() -> Option<Self> {
        RealtimePriority::request().map(Self)
    }
}
