//! Waiting for halts. ptrace has no wait with a limit, so it is asked again and again.

use std::time::{Duration, Instant};

/// An idle thread halts within 5 to 50 µs. So long it is not worth to sleep, which takes 50 µs and more.
const AWAKE: Duration = Duration::from_micros(40);
/// The first sleep. Each is a little longer than the one before…
const FIRST_SLEEP: Duration = Duration::from_micros(10);
/// …up to this.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A wait with a limit.
#[derive(Debug)]
pub(crate) struct Patience {
    began: Instant,
    deadline: Instant,
    sleep: Duration,
}

impl Patience {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { began: Instant::now(), deadline, sleep: FIRST_SLEEP }
    }

    /// Waits a little. False where the deadline has passed.
    ///
    /// It sleeps early, since a thread that is to halt may need the very processor that we are on, and
    /// a tracer that may not be preempted would keep it.
    pub(crate) fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        if now - self.began < AWAKE {
            // SAFETY: the call has no arguments and touches nothing.
            unsafe { libc::sched_yield() };
        } else {
            std::thread::sleep(self.sleep.min(self.deadline - now));
            self.sleep = (self.sleep * 5 / 4).min(LONGEST_SLEEP);
        }
        true
    }

    /// True once it sleeps between two looks.
    pub(crate) fn is_long(&self) -> bool {
        self.sleep > FIRST_SLEEP
    }
}
