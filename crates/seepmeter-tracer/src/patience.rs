//! Waiting for halts. ptrace has no wait with a limit, so it is asked again and again.

use std::time::{Duration, Instant};

/// So long the processor is only yielded between two questions: the thread that is to halt mostly wakes
/// on the same one, halts within 20 µs, and the tracer has it back at once. A sleep would let the
/// processor go idle, and waking it takes 50 µs and more on a virtual machine.
const AWAKE: Duration = Duration::from_micros(300);
/// The first sleep. Each is a little longer than the one before…
const FIRST_SLEEP: Duration = Duration::from_micros(10);
/// …up to this.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A wait with a limit.
#[derive(Debug)]
pub(crate) struct Patience {
    deadline: Instant,
    sleeps_from: Instant,
    sleep: Duration,
}

impl Patience {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, sleeps_from: Instant::now() + AWAKE, sleep: FIRST_SLEEP }
    }

    /// Sleeps from the start: for a thread that may not be preempted, and so can't yield to the one that
    /// it waits for.
    pub(crate) fn by_sleeping(mut self) -> Self {
        self.sleeps_from = Instant::now();
        self
    }

    /// Waits a little. False where the deadline has passed.
    pub(crate) fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        if now < self.sleeps_from {
            // SAFETY: the call has no arguments and touches nothing.
            unsafe { libc::sched_yield() };
        } else {
            std::thread::sleep(self.sleep.min(self.deadline - now));
            self.sleep = (self.sleep * 5 / 4).min(LONGEST_SLEEP);
        }
        true
    }

    /// True once it sleeps between two questions.
    pub(crate) fn is_long(&self) -> bool {
        self.sleep > FIRST_SLEEP
    }
}
