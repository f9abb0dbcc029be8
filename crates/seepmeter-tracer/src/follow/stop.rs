//! A stop of a followed process: all of it is stopped for a sample, and runs on, still traced.

use std::time::Instant;

use super::{Follower, PendingStop};
use crate::arch::Registers;
use crate::error::LateThread;
use crate::memory::ProcessMemory;
use crate::poll_wait::PollWait;
use crate::request;
use crate::stop::{PauseClock, PauseTiming, StoppedThread};
use crate::tasks;
use crate::wait::{self, PtraceStop, WaitResult};

/// A followed process of which no thread runs, except those that are [late](FollowedStop::late). Dropping
/// it lets the process run on.
#[derive(Debug)]
pub struct FollowedStop<'f> {
    follower: &'f mut Follower,
    pid: i32,
    interrupted: Vec<FollowedThread>,
    /// Threads that were in a ptrace-stop anyway.
    already_stopped: Vec<FollowedThread>,
    late: Vec<LateThread>,
    clock: PauseClock,
}

/// A thread of it that is stopped.
#[derive(Debug)]
struct FollowedThread {
    tid: i32,
    stop: PtraceStop,
    /// None if they can't be read: it has died, or executes 32-bit code.
    registers: Option<Registers>,
}

impl FollowedThread {
    fn read(tid: i32, stop: PtraceStop) -> Self {
        Self { tid, stop, registers: Registers::read(tid).ok() }
    }
}

impl Follower {
    /// Stops every thread of one followed process, until the deadline at most. None if it is not followed
    /// (any more), or ends meanwhile.
    pub fn stop(&mut self, pid: i32, deadline: Instant) -> Option<FollowedStop<'_>> {
        self.tree.space(pid)?;
        self.tree.inspect(pid);
        let mut stop = FollowedStop {
            follower: self,
            pid,
            interrupted: Vec::new(),
            already_stopped: Vec::new(),
            late: Vec::new(),
            clock: PauseClock::start(),
        };
        stop.stop_all(deadline);
        // Its last thread may have ended before it could be stopped.
        stop.follower.tree.space(pid)?;
        stop.clock.all_have_stopped();
        Some(stop)
    }

    /// The ptrace-stop of a thread that has not been handled yet: its call is delayed, or its stop is
    /// pending.
    fn unhandled_stop(&self, tid: i32) -> Option<PtraceStop> {
        let delayed = self.delayed.iter().any(|delayed| delayed.tid == tid);
        let before_call = PtraceStop::Event(libc::PTRACE_EVENT_SECCOMP);
        let pending = || self.pending.iter().find(|pending| pending.tid == tid);
        if delayed { Some(before_call) } else { pending().map(|pending| pending.stop) }
    }
}

impl FollowedStop<'_> {
    fn stop_all(&mut self, deadline: Instant) {
        let mut wait = PollWait::until(deadline);
        let mut awaited = Vec::new();
        loop {
            // Births are reported to us, so the list is complete once nobody runs.
            for tid in self.running() {
                if !awaited.contains(&tid) && request::interrupt(tid).is_ok() {
                    awaited.push(tid);
                }
            }
            awaited.retain(|tid| !self.poll_stop(*tid));
            let all_stopped = awaited.is_empty() && self.running().is_empty();
            if all_stopped || !wait.wait() {
                let late = awaited.iter().map(|tid| LateThread::now(self.pid, *tid));
                self.late = late.collect();
                self.read_already_stopped();
                return;
            }
        }
    }

    /// The threads that are not known to be stopped.
    fn running(&self) -> Vec<i32> {
        let mut tids = self.follower.tree.threads_of(self.pid);
        tids.retain(|tid| {
            !self.interrupted.iter().any(|thread| thread.tid == *tid)
                && self.follower.unhandled_stop(*tid).is_none()
        });
        tids
    }

    fn read_already_stopped(&mut self) {
        let tids = self.follower.tree.threads_of(self.pid).into_iter();
        let stopped = tids.filter_map(|tid| Some((tid, self.follower.unhandled_stop(tid)?)));
        self.already_stopped = stopped.map(|(tid, stop)| FollowedThread::read(tid, stop)).collect();
    }

    /// Asks a thread that was interrupted. True if it runs no more.
    fn poll_stop(&mut self, tid: i32) -> bool {
        match wait::take(tid, self.follower.exit_wait(tid)) {
            Ok(Some(WaitResult::Stopped(stop))) => {
                self.add_born_thread(tid, stop);
                if !matches!(stop, PtraceStop::Group(_)) {
                    self.follower.tree.prepare_restart(tid);
                }
                self.interrupted.push(FollowedThread::read(tid, stop));
                true
            }
            Ok(Some(WaitResult::Exited | WaitResult::NotOurs)) => {
                self.follower.remove(tid, &mut |_| {});
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Adds the thread of this process whose birth the stop reports, so that it is stopped too.
    fn add_born_thread(&mut self, tid: i32, stop: PtraceStop) {
        if stop.is_birth()
            && let Some(child) = request::event_tid(tid)
            && tasks::process_of(child) == Some(self.pid)
            && self.follower.tree.thread(child).is_none()
        {
            self.follower.tree.add_thread(child);
        }
    }

    /// The threads that are stopped.
    pub fn threads(&self) -> impl Iterator<Item = StoppedThread<'_>> {
        let all = self.interrupted.iter().chain(&self.already_stopped);
        all.filter_map(|thread| {
            let registers = thread.registers.as_ref()?;
            Some(StoppedThread::new(thread.tid, thread.stop, registers))
        })
    }

    /// The threads that had not stopped in time, and run.
    #[must_use]
    pub fn late(&self) -> &[LateThread] {
        &self.late
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &ProcessMemory {
        self.follower.tree.memory(self.pid)
    }

    /// Lets it run on. Stops that are to be reported are handled by the next
    /// [`Follower::handle_events`].
    pub fn resume(mut self) -> PauseTiming {
        self.end()
    }

    fn end(&mut self) -> PauseTiming {
        let threads = std::mem::take(&mut self.interrupted);
        let follower = &mut *self.follower;
        self.clock.measure(|| {
            for FollowedThread { tid, stop, .. } in threads {
                match stop {
                    // If it has died meanwhile, its exit is still to come.
                    PtraceStop::Group(_) => drop(request::listen(tid)),
                    PtraceStop::Interrupt | PtraceStop::SignalDelivery(_) => {
                        drop(request::run_on(tid, stop.signal()));
                    }
                    PtraceStop::Event(_) | PtraceStop::Syscall => {
                        follower.pending.push_back(PendingStop { tid, stop });
                    }
                }
            }
        })
    }
}

impl Drop for FollowedStop<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
