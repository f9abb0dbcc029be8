//! Not to lose the CPU while the target waits for a lock that we hold.
//!
//! A slice is short, but where the machine is busy, another program may be given the CPU in the middle
//! of it, and the target waits for the lock all that time. So the thread that looks asks to go before
//! others, which is little to ask for the share of a CPU that the budget leaves it. It takes the
//! right to (CAP_SYS_NICE); where it is refused, all goes on as it would have.

use rustix::process::{getpriority_process, setpriority_process};

/// As the kernel's own urgent workers have.
const URGENT: i32 = -20;

/// This thread's priority is raised for as long as this lives.
#[derive(Debug)]
pub(crate) struct Raised {
    before: i32,
}

impl Raised {
    /// Raises it, where that is granted. For Linux, "process 0" is the calling thread alone.
    pub(crate) fn now() -> Option<Self> {
        let before = getpriority_process(None).ok()?;
        setpriority_process(None, URGENT.min(before)).ok().map(|()| Self { before })
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // Lowering is never refused.
        let _ = setpriority_process(None, self.before);
    }
}
