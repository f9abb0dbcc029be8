//! Not to lose the CPU while the target is stopped.
//!
//! A thread that spins preempts its tracer: to stop 8 of them took 10 to 86 ms on 2 CPUs, most of it
//! the tracer's wait for its turn. So while it stops them, a tracer asks to be let run to its end
//! (SCHED_FIFO). That takes CAP_SYS_NICE or RLIMIT_RTPRIO; if it is refused, all goes on as it would have, later.

/// This thread is not preempted by ordinary ones for as long as this lives.
#[derive(Debug)]
pub(crate) struct Urgent(());

impl Urgent {
    /// Asks for it. None if it is refused, or if the thread is no ordinary one.
    pub(crate) fn now() -> Option<Self> {
        // SAFETY: the call only asks; 0 is the calling thread.
        let ordinary = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
        (ordinary && set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1)).then_some(Self(()))
    }
}

impl Drop for Urgent {
    fn drop(&mut self) {
        set(libc::SCHED_OTHER, 0);
    }
}

fn set(policy: i32, priority: i32) -> bool {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads the parameters, which live until the call is over.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}
