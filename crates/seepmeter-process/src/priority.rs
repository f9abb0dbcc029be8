//! Not to lose the CPU while a target waits for this thread.
//!
//! A target stands still while it is traced, and waits for a lock while its page tables are walked. On
//! a busy machine another program may be given the CPU in the middle of that: to stop 8 threads that
//! spin took 10 to 86 ms on 2 CPUs, most of it the tracer's wait for its turn. So for that time a
//! thread asks to be let run to its end (SCHED_FIFO). It takes the right to (CAP_SYS_NICE,
//! RLIMIT_RTPRIO); if it is refused, all goes on as it would have, later.
//!
//! Not by a better nice value: its weight counts against the target if both are of one scheduling
//! group, and took a third of the target's time on a busy machine.

/// While this lives, ordinary threads do not interrupt the thread that asked for it.
#[derive(Debug)]
pub struct RealtimePriority {
    /// The priority is the thread's that asked, so the guard must not move to another.
    _of_this_thread: std::marker::PhantomData<*const ()>,
}

impl RealtimePriority {
    /// Asks for it. None if it is refused, or if the thread has another scheduling policy than the
    /// ordinary one.
    #[must_use]
    pub fn request() -> Option<Self> {
        // SAFETY: the call only asks; 0 is the calling thread.
        let ordinary = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
        let granted = ordinary && set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1);
        granted.then_some(Self { _of_this_thread: std::marker::PhantomData })
    }
}

impl Drop for RealtimePriority {
    fn drop(&mut self) {
        set(libc::SCHED_OTHER, 0);
    }
}

fn set(policy: i32, priority: i32) -> bool {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads the parameters, which live until the call is over.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: the call only asks.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn the_priority_lasts_as_long_as_its_guard_and_is_not_taken_twice() {
        let before = policy();
        match RealtimePriority::request() {
            Some(guard) => {
                assert_eq!(policy(), libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK);
                assert!(RealtimePriority::request().is_none());
                drop(guard);
            }
            // Refused to an ordinary user: then nothing has changed.
            None => assert_eq!(policy(), before),
        }
        assert_eq!(policy(), before);
    }
}
