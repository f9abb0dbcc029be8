//! The memory calls of a process that was spawned, and of all its descendants.
//!
//! The process is held before its exec ([`Follower::begin`]). It is made to install a seccomp filter that
//! stops it at brk, mmap, mremap, munmap and madvise and at nothing else, and stays traced; what it forks
//! inherits both. At a call the thread stops twice: before it, and after it, when the result is known and
//! the caller gets it.
//!
//! If two threads change one address space at a time, one is delayed until the other's call is over: so
//! the calls are reported in the order in which the kernel has carried them out. No longer than
//! [`MAX_CALL_DELAY`], though, for a call may wait for what another thread does (a page fault that it
//! serves); [`MemoryCall::in_order`] is false then.
//!
//! # It is opt-in, and this is why
//!
//! A filter can't be removed. If the tracer is killed, every memory call of the target fails with ENOSYS
//! from then on, and the target with it (seccomp(2), SECCOMP_RET_TRACE). The kernel offers no other action
//! for "no tracer", and a tracee can't be handed to another tracer. So follow only processes whose user
//! has asked for it, and never one that was attached to. Without CAP_SYS_ADMIN the filter needs
//! no_new_privs, with which setuid programs and those with file capabilities do not get their rights: see
//! [`gains_rights`](crate::gains_rights).

mod call;
mod filter;
mod inject;
mod process_tree;
mod stop;
mod wait_timer;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

pub use call::{AddressSpaceId, MemoryCall};
pub use filter::MemoryCallKind;
use inject::SyscallInjection;
use process_tree::{ProcessTree, TracedThread};
pub use stop::FollowedStop;
use wait_timer::WaitTimer;

use crate::arch::Registers;
use crate::error::{TraceError, refused};
use crate::memory::ProcessMemory;
use crate::poll_wait::PollWait;
use crate::request;
use crate::tasks;
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};

/// How long a call is delayed for another one in the same address space that does not run.
pub const MAX_CALL_DELAY: Duration = Duration::from_millis(5);

/// How often the known threads are compared with those that there are.
const SWEEP: Duration = Duration::from_millis(500);

/// The stops that the threads of a followed process make, beside those of the filter.
const PTRACE_OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC;

/// Something that has happened in the process tree that is followed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceEvent<'e> {
    /// A memory call has succeeded. The thread is stopped until the caller has handled it.
    MemoryCall(MemoryCall<'e>),
    /// A process was forked.
    Forked {
        /// The new one.
        pid: i32,
        /// Its parent.
        parent: i32,
        /// Its address space…
        space: AddressSpaceId,
        /// …which is a copy of this one, or the same one (vfork).
        of: AddressSpaceId,
    },
    /// A process has executed a program, in a new address space.
    Executed {
        /// The process.
        pid: i32,
        /// The new address space.
        space: AddressSpaceId,
    },
    /// The last thread of a process has ended.
    Exited {
        /// The process.
        pid: i32,
    },
}

/// What takes the events.
type Emit<'f> = dyn FnMut(TraceEvent<'_>) + 'f;

/// Whether there is anything left to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowStatus {
    /// Some processes live: the deadline has come, or the descriptor can be read.
    Running,
    /// All processes have ended.
    AllExited,
}

/// Follows a process and its descendants. Bound to the thread that it is made on.
///
/// [`Follower::handle_events`] must be called whenever there is nothing else to do. Dropping it calls that
/// until all have ended, since the processes can't run without it.
#[derive(Debug)]
pub struct Follower {
    root: i32,
    root_exit: ExitWait,
    tree: ProcessTree,
    timer: WaitTimer,
    /// By address space, the thread whose call is under way.
    under_way: HashMap<AddressSpaceId, i32>,
    /// Threads that are stopped before their calls.
    delayed: VecDeque<DelayedCall>,
    /// Stops that are still to be handled.
    pending: VecDeque<PendingStop>,
    swept: Instant,
}

/// A thread that is stopped before its call, for another one's call.
#[derive(Debug)]
struct DelayedCall {
    tid: i32,
    since: Instant,
}

/// A ptrace-stop that is still to be handled.
#[derive(Debug)]
struct PendingStop {
    tid: i32,
    stop: PtraceStop,
}

impl Follower {
    /// Follows a process of one thread, which should be held before its exec, in a system call that it
    /// can be interrupted in.
    ///
    /// # Errors
    /// If it may not be traced or take a filter, or has gone. It runs on then.
    pub fn begin(pid: i32) -> Result<Self, TraceError> {
        let failed = |doing| move |source| TraceError::Request { doing, pid, source };
        let root_exit = ExitWait::of_leader(pid);
        let timer = WaitTimer::new().map_err(failed("setting up a timer for the tracing"))?;
        request::seize(pid, PTRACE_OPTIONS).map_err(|source| refused(pid, source))?;
        request::interrupt(pid).map_err(failed("stopping"))?;
        let memory = ProcessMemory::of(pid);
        let mut injection =
            SyscallInjection::begin(pid, root_exit, &memory).map_err(failed("stopping"))?;
        let installed = injection.install_filter();
        injection.end().map_err(failed("resuming"))?;
        installed.map_err(|source| {
            let_go(pid, root_exit);
            TraceError::Request { doing: "installing the filter", pid, source }
        })?;
        Ok(Self {
            root: pid,
            root_exit,
            tree: ProcessTree::of(pid),
            timer,
            under_way: HashMap::new(),
            delayed: VecDeque::new(),
            pending: VecDeque::new(),
            swept: Instant::now(),
        })
    }

    /// The address space of a followed process. None if it has ended.
    #[must_use]
    pub fn space(&self, pid: i32) -> Option<AddressSpaceId> {
        self.tree.space(pid)
    }

    /// The followed processes that live.
    pub fn processes(&self) -> impl Iterator<Item = i32> {
        self.tree.processes()
    }

    /// Handles and emits all that happens, until the deadline or until `wake` can be read.
    ///
    /// # Errors
    /// If waiting itself fails.
    pub fn handle_events(
        &mut self,
        deadline: Instant,
        wake: Option<BorrowedFd<'_>>,
        emit: &mut Emit<'_>,
    ) -> io::Result<FollowStatus> {
        self.timer.set(deadline, wake.map(|wake| wake.as_raw_fd()))?;
        let status = self.handle_until_timer(emit);
        if self.timer.is_set() {
            self.timer.cancel()?;
            self.await_timer()?;
        }
        status
    }

    fn handle_until_timer(&mut self, emit: &mut Emit<'_>) -> io::Result<FollowStatus> {
        let mut poll_wait = None;
        loop {
            while let Some(PendingStop { tid, stop }) = self.pending.pop_front() {
                self.handle_stop(tid, stop, emit);
            }
            if self.tree.is_empty() {
                return Ok(FollowStatus::AllExited);
            }
            self.release_long_delayed();
            // A delayed call must be let go in time, so the wait must not be a long one.
            match wait::any(self.delayed.is_empty())? {
                Some(pid) if pid == self.timer.pid() => {
                    self.await_timer()?;
                    self.sweep(emit);
                    return Ok(match self.tree.is_empty() {
                        true => FollowStatus::AllExited,
                        false => FollowStatus::Running,
                    });
                }
                Some(tid) => {
                    poll_wait = None;
                    if !self.poll(tid, emit) {
                        self.poll_all(emit);
                    }
                }
                None => {
                    let begin = || PollWait::until(Instant::now() + MAX_CALL_DELAY);
                    poll_wait.get_or_insert_with(begin).wait();
                }
            }
        }
    }

    fn await_timer(&mut self) -> io::Result<()> {
        wait::block(self.timer.pid(), ExitWait::Reap)?;
        self.timer.fired();
        Ok(())
    }

    /// If the thread that the wait returns has nothing to handle: a leader that has ended, which only its
    /// parent can reap, is returned before all others.
    fn poll_all(&mut self, emit: &mut Emit<'_>) {
        let mut some = false;
        for tid in self.tree.tids() {
            some |= self.poll(tid, emit);
        }
        let timer_fired = matches!(wait::any(false), Ok(Some(pid)) if pid == self.timer.pid());
        if !some && !timer_fired {
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn exit_wait(&self, tid: i32) -> ExitWait {
        if tid == self.root { self.root_exit } else { ExitWait::Reap }
    }

    /// Asks what has become of a thread, and handles it. False if that is nothing.
    fn poll(&mut self, tid: i32, emit: &mut Emit<'_>) -> bool {
        match wait::take(tid, self.exit_wait(tid)) {
            Ok(Some(WaitResult::Stopped(stop))) => {
                self.handle_stop(tid, stop, emit);
                true
            }
            Ok(Some(WaitResult::Exited | WaitResult::NotOurs)) => self.remove(tid, emit),
            Ok(None) | Err(_) => false,
        }
    }

    /// Removes a thread that has ended. False if it is not known.
    fn remove(&mut self, tid: i32, emit: &mut Emit<'_>) -> bool {
        let Some(thread) = self.tree.remove(tid) else { return false };
        self.delayed.retain(|delayed| delayed.tid != tid);
        self.call_ended(tid, thread.space);
        if self.tree.space(thread.pid).is_none() {
            emit(TraceEvent::Exited { pid: thread.pid });
        }
        true
    }

    /// Handles a ptrace-stop, and lets the thread run on. If it has died meanwhile, its exit is still to
    /// come.
    fn handle_stop(&mut self, tid: i32, stop: PtraceStop, emit: &mut Emit<'_>) {
        let thread = self.thread(tid, emit);
        let _ = match stop {
            PtraceStop::Group(_) => request::listen(tid),
            PtraceStop::Interrupt | PtraceStop::SignalDelivery(_) => {
                self.tree.prepare_restart(tid);
                request::run_on(tid, stop.signal())
            }
            PtraceStop::Event(libc::PTRACE_EVENT_SECCOMP) => self.call_started(tid, thread),
            PtraceStop::Syscall => {
                self.call_ended(tid, thread.space);
                // It runs on also if the caller panics.
                let _end = RunOn(tid);
                self.emit_call(tid, thread, emit);
                Ok(())
            }
            PtraceStop::Event(_) => {
                self.handle_event_stop(tid, stop, emit);
                request::run_on(tid, 0)
            }
        };
    }

    /// The thread as it is known; one that is not known has just been born.
    fn thread(&mut self, tid: i32, emit: &mut Emit<'_>) -> TracedThread {
        if let Some(thread) = self.tree.thread(tid) {
            return thread;
        }
        let new = self.tree.add_thread(tid);
        let TracedThread { pid, space } = new.thread;
        if let Some(parent) = new.forked_by {
            emit(TraceEvent::Forked { pid, parent: parent.pid, space, of: parent.space });
        }
        new.thread
    }

    fn handle_event_stop(&mut self, tid: i32, stop: PtraceStop, emit: &mut Emit<'_>) {
        let Some(other) = request::event_tid(tid) else { return };
        if stop == PtraceStop::Event(libc::PTRACE_EVENT_EXEC) {
            // Its former tid, and all its other threads, are no more.
            if other != tid {
                self.tree.remove(other);
            }
            self.delayed.retain(|delayed| delayed.tid != other);
            let space = self.tree.executed(tid);
            emit(TraceEvent::Executed { pid: tid, space });
        }
        // One that has stopped itself before its birth was reported may have ended by now.
        if stop.is_birth() && tasks::is_traced_by_us(other) {
            self.thread(other, emit);
        }
    }

    /// Removes threads whose exits nobody reports: the parent of the root may have reaped it first.
    fn sweep(&mut self, emit: &mut Emit<'_>) {
        self.poll(self.root, emit);
        if self.swept.elapsed() < SWEEP {
            return;
        }
        self.swept = Instant::now();
        for tid in self.tree.tids().into_iter().filter(|tid| !tasks::is_traced_by_us(*tid)) {
            self.remove(tid, emit);
        }
    }

    fn call_started(&mut self, tid: i32, thread: TracedThread) -> io::Result<()> {
        if self.under_way.contains_key(&thread.space) {
            self.delayed.push_back(DelayedCall { tid, since: Instant::now() });
            return Ok(());
        }
        self.under_way.insert(thread.space, tid);
        request::run_to_call(tid, 0)
    }

    /// Lets the next call go that is delayed in this address space.
    fn call_ended(&mut self, tid: i32, space: AddressSpaceId) {
        if self.under_way.get(&space) != Some(&tid) {
            return;
        }
        self.under_way.remove(&space);
        let next = self.delayed.iter().position(|delayed| self.tree.is_in(delayed.tid, space));
        if let Some(next) = next.and_then(|next| self.delayed.remove(next)) {
            self.under_way.insert(space, next.tid);
            // If it has died, its exit is still to come.
            let _ = request::run_to_call(next.tid, 0);
        }
    }

    fn release_long_delayed(&mut self) {
        while let Some(first) = self.delayed.front()
            && first.since.elapsed() > MAX_CALL_DELAY
            && let Some(DelayedCall { tid, .. }) = self.delayed.pop_front()
        {
            if self.waits_for_one_that_runs(tid) {
                // That one only waits for a processor; the delayed one has the same time again.
                self.delayed.push_back(DelayedCall { tid, since: Instant::now() });
                continue;
            }
            self.tree.out_of_order(tid);
            let _ = request::run_to_call(tid, 0);
        }
    }

    fn waits_for_one_that_runs(&self, tid: i32) -> bool {
        let Some(thread) = self.tree.thread(tid) else { return false };
        // A thread has a folder of its own, whatever its process. One that has stopped behind its call is
        // handled next.
        let other = self.under_way.get(&thread.space);
        other.is_some_and(|other| matches!(tasks::state(*other, *other), Some('R' | 't')))
    }

    fn emit_call(&mut self, tid: i32, thread: TracedThread, emit: &mut Emit<'_>) {
        let in_order = self.tree.was_in_order(tid);
        let Ok(registers) = Registers::read(tid) else { return };
        let memory = self.tree.memory(thread.pid);
        if let Some(call) = MemoryCall::finished(tid, thread, &registers, memory, in_order) {
            emit(TraceEvent::MemoryCall(call));
        }
    }
}

/// Lets a stopped thread run on when this is dropped. If it has died meanwhile, its exit is still to come.
struct RunOn(i32);

impl Drop for RunOn {
    fn drop(&mut self) {
        let _ = request::run_on(self.0, 0);
    }
}

/// Ends the tracing of a thread that takes no filter. It runs, so it must stop first.
fn let_go(tid: i32, exit: ExitWait) {
    if request::interrupt(tid).is_ok()
        && let Ok(WaitResult::Stopped(stop)) = wait::block(tid, exit)
    {
        let _ = request::detach(tid, stop.signal());
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // No longer: an exit that its parent has reaped is seen only when the time is over.
        let time = Duration::from_secs(1);
        while let Ok(FollowStatus::Running) =
            self.handle_events(Instant::now() + time, None, &mut |_| {})
        {}
    }
}
