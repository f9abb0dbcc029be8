//! Polling for ptrace-stops until a deadline: ptrace has no wait with a timeout.

use std::time::{Duration, Instant};

/// For so long the processor is only yielded between two polls. The thread that is to stop mostly wakes on
/// the same processor, stops within 20 µs, and the tracer has it back at once. A sleep would let the
/// processor go idle, and waking it takes 50 µs and more on a virtual machine.
const YIELD_FOR: Duration = Duration::from_micros(300);
/// The first sleep. Each is a little longer than the one before…
const FIRST_SLEEP: Duration = Duration::from_micros(10);
/// …up to this.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// The pauses between polls, up to a deadline.
#[derive(Debug)]
pub(crate) struct PollWait {
    deadline: Instant,
    sleeps_from: Instant,
    sleep: Duration,
}

impl PollWait {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, sleeps_from: Instant::now() + YIELD_FOR, sleep: FIRST_SLEEP }
    }

    /// Sleeps from the start: for a thread that may not be preempted, and so can't yield to the one that
    /// it waits for.
    pub(crate) fn without_yielding(mut self) -> Self {
        self.sleeps_from = Instant::now();
        self
    }

    /// Waits a little. False if the deadline has passed.
    pub(crate) fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        if now < self.sleeps_from {
            // It does not fail on Linux (sched_yield(2)).
            let _ = nix::sched::sched_yield();
        } else {
            std::thread::sleep(self.sleep.min(self.deadline - now));
            self.sleep = (self.sleep * 5 / 4).min(LONGEST_SLEEP);
        }
        true
    }

    /// True once it sleeps between two polls.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.sleep > FIRST_SLEEP
    }
}
