//! A process that is traced.

use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::error::{LateThread, Refusal, TraceError, explain};
use crate::exec_deadlock::ExecDeadlockGuard;
use crate::memory::ProcessMemory;
use crate::poll_wait::PollWait;
use crate::request;
use crate::restart::{Activity, SyscallRestarts};
use crate::stop::Stop;
use crate::tasks::{self, TaskFolder};
use crate::thread::{Thread, ThreadState};
use crate::wait::{ExitWait, PtraceStop, WaitResult};
use seepmeter_process::priority::RealtimePriority;

/// How long the end of a stop waits for threads that were killed meanwhile. They are on their way, and
/// their process has not ended for its parent before its tracer has waited for all of them.
const DYING: Duration = Duration::from_millis(20);
/// How often a refusal must be repeated before it is believed.
const ATTEMPTS: u32 = 3;
/// How long the first stop, and the end of a refused one, wait for threads to stop.
const FIRST_TRY: Duration = Duration::from_secs(1);
/// In how many lists of threads no new one must appear before they are believed to be all.
const LISTS_WITHOUT_NEW: u32 = 3;

/// How to stop a tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceeOptions {
    /// Run the tracer's thread with real-time priority (SCHED_FIFO), if that is allowed, while it stops
    /// threads that spin or that do not stop at once. On a busy machine a stop is over much sooner.
    pub urgent: bool,
    /// What to do if some threads have not stopped in time.
    pub late: LatePolicy,
}

/// What to do if some threads have not stopped in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePolicy {
    /// Let the others go too: [`Tracee::stop`] fails with [`TraceError::Late`].
    Fail,
    /// Sample the others: [`Stop::late`] lists those that run.
    SampleOthers,
}

impl Default for TraceeOptions {
    fn default() -> Self {
        Self { urgent: true, late: LatePolicy::SampleOthers }
    }
}

/// A process that this thread can stop, sample and let go.
///
/// Between stops nothing of it is traced: it runs as if there were no tracer, and if the tracer dies,
/// nothing is left behind. What is kept is what the next stop must know of the last one.
///
/// All is bound to the thread that it is made on: ptrace(2) answers no other.
///
/// Dropping it waits for threads that were interrupted and had not stopped at the last stop, however long
/// that takes: one that stopped with no tracer there would never run on. See [`Tracee::settle`].
#[derive(Debug)]
pub struct Tracee {
    pid: i32,
    options: TraceeOptions,
    pub(crate) threads: Vec<Thread>,
    /// The leader has ended, and is listed until the last thread has. Other threads that end untraced
    /// are gone at once.
    leader_ended: bool,
    tasks: TaskFolder,
    memory: ProcessMemory,
    restarts: SyscallRestarts,
    exec_deadlock: ExecDeadlockGuard,
    /// During a stop, if it is needed and allowed.
    pub(crate) urgent: Option<RealtimePriority>,
    /// How to wait for the exit of the leader.
    leader_exit: ExitWait,
    /// Not to be sent to another thread.
    _bound: PhantomData<*const ()>,
}

impl Tracee {
    /// A tracee of the process. Stops it once and lets it go, so that what forbids it is reported now.
    ///
    /// # Errors
    /// If the process has gone, or may not be traced; the error says why, and what to do.
    pub fn new(pid: i32, options: TraceeOptions) -> Result<Self, TraceError> {
        let mut tracee = Self::untried(pid, options)?;
        drop(tracee.stop(Instant::now() + FIRST_TRY)?);
        Ok(tracee)
    }

    fn untried(pid: i32, options: TraceeOptions) -> Result<Self, TraceError> {
        Ok(Self {
            pid,
            options,
            threads: Vec::new(),
            leader_ended: false,
            tasks: TaskFolder::open(pid).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => TraceError::Gone { pid },
                _ => TraceError::List { pid, source },
            })?,
            memory: ProcessMemory::of(pid),
            restarts: SyscallRestarts::default(),
            exec_deadlock: ExecDeadlockGuard::new(),
            urgent: None,
            leader_exit: ExitWait::of_leader(pid),
            _bound: PhantomData,
        })
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> &ProcessMemory {
        &self.memory
    }

    pub(crate) fn memory_and_threads(&mut self) -> (&ProcessMemory, &mut [Thread]) {
        (&self.memory, &mut self.threads)
    }

    /// Stops every thread: returns when none runs any more, or at the deadline.
    ///
    /// Threads that are born meanwhile are stopped too; threads that end meanwhile are no error.
    /// Seizing them is no part of the pause: it stops nobody.
    ///
    /// # Errors
    /// If the process has gone or may not be traced, if it executes 32-bit code, and, if the options say
    /// so, if some threads have not stopped in time. It runs on then.
    pub fn stop(&mut self, deadline: Instant) -> Result<Stop<'_>, TraceError> {
        let some_run = self.prepare()?;
        // Threads that spin would preempt us between one interrupt and the next.
        self.urgent =
            if some_run && self.options.urgent { RealtimePriority::request() } else { None };
        // From here on, dropping the stop lets everything go, also if something panics.
        let mut stop = Stop::begin(self);
        stop.tracee().stop_all(deadline);
        stop.tracee().read_registers();
        let refused = stop.tracee().refusal();
        stop.all_have_stopped();
        refused.map_or(Ok(stop), Err)
    }

    /// All that can be done while the process still runs. True if some of its threads were running.
    fn prepare(&mut self) -> Result<bool, TraceError> {
        // The memory file of a program that has executed another is the old one's.
        self.memory = ProcessMemory::of(self.pid);
        self.restarts.check_program(self.pid);
        self.seize()?;
        let mut some_run = false;
        for thread in &self.threads {
            some_run |= self.restarts.inspect(self.pid, thread.tid) == Activity::Running;
        }
        let threads = &self.threads;
        self.restarts.keep(|tid| threads.iter().any(|thread| thread.tid == tid));
        Ok(some_run)
    }

    /// Seizes every thread that is not seized.
    fn seize(&mut self) -> Result<(), TraceError> {
        if let Err(error) = self.seize_listed() {
            // A seized thread can't be let go before it has stopped.
            self.interrupt_all();
            self.settle(Instant::now() + FIRST_TRY);
            return Err(error);
        }
        if self.threads.is_empty() { Err(TraceError::Gone { pid: self.pid }) } else { Ok(()) }
    }

    /// Seizes the threads that are listed and not seized yet.
    fn seize_listed(&mut self) -> Result<(), TraceError> {
        let mut ours: Vec<i32> =
            self.threads.iter().map(|thread| thread.tid).filter(|tid| *tid != self.pid).collect();
        let tids =
            self.tasks.list().map_err(|source| TraceError::List { pid: self.pid, source })?;
        for tid in tids {
            let known = self.threads.len();
            self.seize_one(tid, &ours)?;
            if self.threads.len() > known && tid != self.pid {
                ours.push(tid);
            }
        }
        Ok(())
    }

    /// Seizes one thread, if it is not seized yet. `ours` are those that are, without the leader.
    fn seize_one(&mut self, tid: i32, ours: &[i32]) -> Result<(), TraceError> {
        if self.threads.iter().any(|thread| thread.tid == tid) {
            return Ok(());
        }
        for attempt in 1.. {
            match self.exec_deadlock.guard(ours, || request::seize(tid, 0)) {
                Ok(()) => {
                    self.leader_ended &= tid != self.pid;
                    self.threads.push(Thread::new(tid, ThreadState::Running));
                    break;
                }
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => break,
                Err(source) => match explain(self.pid, tid, source) {
                    Refusal::Ended => {
                        self.leader_ended |= tid == self.pid;
                        break;
                    }
                    // It executes a program, and is known by the tid that it had before.
                    Refusal::OurOwn => break,
                    // A leader that has ended may be another thread the next moment, by an exec.
                    Refusal::For(error) if attempt == ATTEMPTS => return Err(error),
                    Refusal::For(_) => {}
                },
            }
        }
        Ok(())
    }

    fn interrupt_all(&mut self) {
        self.threads.iter_mut().for_each(Thread::interrupt);
    }

    /// Interrupts all threads and waits, until no thread runs and no new one appears.
    fn stop_all(&mut self, deadline: Instant) {
        self.interrupt_all();
        let mut lists_without_new = 0;
        while self.await_stops(deadline) && !self.knows_all() {
            let known = self.threads.len();
            // What forbids one thread would have forbidden the others, so an error here is its end.
            let _ = self.seize_listed();
            // An ending thread can make the kernel skip another one in a list; not in several.
            lists_without_new = if self.threads.len() > known { 0 } else { lists_without_new + 1 };
            if lists_without_new == LISTS_WITHOUT_NEW {
                return;
            }
            self.interrupt_all();
        }
    }

    /// True if there are no more threads than those that are known.
    fn knows_all(&mut self) -> bool {
        self.threads.retain(|thread| thread.state != ThreadState::Gone);
        // A process that is no more has no threads.
        let there = self.tasks.count().unwrap_or(0);
        there <= self.threads.len() + usize::from(self.leader_ended)
    }

    /// Waits for the threads that were interrupted. False if the deadline has come first.
    fn await_stops(&mut self, deadline: Instant) -> bool {
        let wait = PollWait::until(deadline);
        let mut wait = if self.urgent.is_some() { wait.without_yielding() } else { wait };
        // All must stop, so they are polled one after the other; one that has stopped not again.
        let mut first = 0;
        loop {
            while first < self.threads.len() {
                if self.threads[first].state == ThreadState::Interrupted && !self.poll(first) {
                    break;
                }
                first += 1;
            }
            if first == self.threads.len() && !self.awaits_any() {
                return true;
            }
            if !wait.wait() {
                self.poll_all();
                return !self.awaits_any();
            }
            if wait.is_sleeping() {
                if self.options.urgent && self.urgent.is_none() {
                    self.urgent = RealtimePriority::request();
                }
                // An exec waits until all other threads are waited for, in any order.
                self.poll_all();
                first = 0;
            }
        }
    }

    fn awaits_any(&self) -> bool {
        self.threads.iter().any(|thread| thread.state == ThreadState::Interrupted)
    }

    fn poll_all(&mut self) {
        self.check_leader();
        // Those that have stopped too: an exec kills them, and waits until they are waited for.
        for index in 0..self.threads.len() {
            if self.threads[index].state != ThreadState::Gone && !self.poll(index) {
                self.threads[index].find_stop();
            }
        }
        self.set_zombie_leader_aside();
    }

    fn leader(&mut self) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.tid == self.pid)
    }

    /// A leader that is our process's child can be waited for even if it is not our tracee any more,
    /// since a thread that was never seized has taken its place by an exec.
    fn check_leader(&mut self) {
        let pid = self.pid;
        if self.leader_exit == ExitWait::Leave
            && let Some(leader) = self.leader()
            && matches!(
                leader.state,
                ThreadState::Interrupted | ThreadState::Dying | ThreadState::Zombie
            )
            && !tasks::is_traced_by_us(pid)
        {
            leader.state = ThreadState::Gone;
        }
    }

    /// Asks what has become of a thread. True if that is something new.
    fn poll(&mut self, index: usize) -> bool {
        let thread = &mut self.threads[index];
        let is_leader = thread.tid == self.pid;
        let result = thread.poll(if is_leader { self.leader_exit } else { ExitWait::Reap });
        if result == Some(WaitResult::NotOurs) && !is_leader {
            self.leader_is_another();
        }
        result.is_some()
    }

    /// A thread that executed a program is the leader now, by the leader's tid, and the interrupt that
    /// it was sent is still to come.
    fn leader_is_another(&mut self) {
        self.restarts.forget();
        if !tasks::is_traced_by_us(self.pid) {
            return;
        }
        self.leader_ended = false;
        let (pid, exit) = (self.pid, self.leader_exit);
        if self.leader().is_none() {
            self.threads.push(Thread::new(pid, ThreadState::Interrupted));
        }
        // A stop that is known of may be the former leader's.
        if let Some(leader) = self.leader()
            && leader.poll(exit).is_none()
        {
            leader.state = ThreadState::Interrupted;
        }
    }

    /// Reads the registers of the stopped threads, and has their interrupted system calls restarted.
    fn read_registers(&mut self) {
        for thread in self.threads.iter_mut().filter(|thread| thread.is_stopped()) {
            thread.read_registers();
            // A process in a group-stop gets its EINTR when it continues, as without a tracer.
            if !matches!(thread.state, ThreadState::Stopped(PtraceStop::Group(_)))
                && let Some(registers) = &mut thread.registers
                && self.restarts.prepare_restart(thread.tid, registers, &self.memory)
                && registers.write(thread.tid).is_err()
            {
                thread.state = ThreadState::Dying;
            }
        }
    }

    /// Why the stop has failed.
    fn refusal(&self) -> Option<TraceError> {
        let pid = self.pid;
        let stopped = || self.threads.iter().filter(|thread| thread.is_stopped());
        let late = self.late();
        if self.options.late == LatePolicy::Fail && !late.is_empty() {
            return Some(TraceError::Late { pid, threads: late });
        }
        if stopped().next().is_none() && late.is_empty() {
            return Some(TraceError::Gone { pid });
        }
        (stopped().next().is_some() && stopped().all(|thread| thread.registers.is_none()))
            .then_some(TraceError::ThirtyTwoBit { pid })
    }

    /// The threads that have not stopped.
    pub(crate) fn late(&self) -> Vec<LateThread> {
        let late = self.threads.iter().filter(|thread| thread.state == ThreadState::Interrupted);
        late.map(|thread| LateThread::now(self.pid, thread.tid)).collect()
    }

    /// Lets all stopped threads go, and ends their tracing.
    pub(crate) fn detach_all(&mut self) {
        self.threads.iter_mut().for_each(Thread::detach);
        self.threads.retain(|thread| thread.state != ThreadState::Gone);
    }

    /// After a stop, if threads were killed meanwhile.
    pub(crate) fn reap_the_dying(&mut self) {
        if self.threads.iter().any(|thread| thread.state == ThreadState::Dying) {
            self.settle(Instant::now() + DYING);
        }
    }

    /// Waits for what is left of the last stop: threads that were interrupted and had not stopped (they
    /// are let go as soon as they do), and threads that were killed meanwhile (their process has not
    /// ended for its parent before this tracer has waited for them). True if nothing is left.
    ///
    /// To be called after each stop until it is true. Nearly always it is at once.
    pub fn settle(&mut self, deadline: Instant) -> bool {
        let mut wait = PollWait::until(deadline);
        loop {
            self.poll_all();
            self.detach_all();
            // A leader that has outlived all others is ours to reap now, if it is ours at all.
            let others_live = || self.tasks.count() > Some(1);
            let only_zombie = self.threads.iter().all(|it| it.state == ThreadState::Zombie);
            if self.threads.is_empty() || only_zombie && others_live() {
                return true;
            }
            if !wait.wait() {
                return false;
            }
        }
    }

    /// A leader that has ended before other threads is not waited for: they may live for long.
    fn set_zombie_leader_aside(&mut self) {
        let pid = self.pid;
        let leader = self.threads.iter_mut().find(|thread| thread.tid == pid);
        if let Some(leader) = leader
            && matches!(leader.state, ThreadState::Dying | ThreadState::Interrupted)
            && tasks::state(pid, pid) == Some('Z')
            && self.tasks.count() > Some(1)
        {
            leader.state = ThreadState::Zombie;
        }
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        self.interrupt_all();
        while self.threads.iter().any(|it| it.is_stopped() || it.state == ThreadState::Interrupted)
        {
            self.settle(Instant::now() + FIRST_TRY);
        }
        self.reap_the_dying();
    }
}
