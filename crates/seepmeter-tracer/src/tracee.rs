//! A process that is traced.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::error::{Refusal, TraceError, explain};
use crate::memory::Memory;
use crate::patience::Patience;
use crate::request;
use crate::rescue::Rescue;
use crate::restart::{Asked, Restarts};
use crate::stop::Stop;
use crate::tasks::{self, Tasks};
use crate::thread::{State, Thread};
use crate::urgent::Urgent;
use crate::wait::{Change, Ends, Halt};

/// How long the end of a stop waits for threads that were killed meanwhile. They are on their way, and
/// their process has not ended for its parent before its tracer has seen all of their ends.
const DYING: Duration = Duration::from_millis(20);
/// How often a refusal must be had before it is believed.
const ATTEMPTS: u32 = 3;
/// How long a refusal or the first try of all waits for threads to halt.
const FIRST_TRY: Duration = Duration::from_secs(1);

/// How a tracee is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Let the tracer's thread not be preempted (SCHED_FIFO), where that is allowed, while it stops
    /// threads that spin or that don't halt at once. On a busy machine a stop is over much sooner.
    pub urgent: bool,
    /// What to do where some threads have not halted in time.
    pub late: Late,
}

/// What to do where some threads have not halted in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Let the others go too: [`Tracee::stop`] fails with [`TraceError::Late`].
    LetGo,
    /// Look at the others: [`Stop::late`] names those that run.
    LookAtTheOthers,
}

impl Default for Options {
    fn default() -> Self {
        Self { urgent: true, late: Late::LookAtTheOthers }
    }
}

/// A process that this thread can stop, look at and let go.
///
/// Between stops nothing of it is traced: it runs as if there were no tracer, and where the tracer dies,
/// nothing is left behind. What is kept is what the next stop must know of the last one.
///
/// All is bound to the thread that it is made on: ptrace(2) answers no other.
///
/// Dropping waits for threads that were interrupted and had not halted at the last stop, however long
/// that takes, since one that halted with nobody there would stand still. See [`Tracee::settle`].
#[derive(Debug)]
pub struct Tracee {
    pid: i32,
    options: Options,
    pub(crate) threads: Vec<Thread>,
    /// The leader has ended, and is listed until the last thread has. Other threads that end untraced
    /// are gone at once.
    leader_ended: bool,
    tasks: Tasks,
    memory: Memory,
    restarts: Restarts,
    rescue: Rescue,
    /// During a stop, where it is needed and allowed.
    pub(crate) urgent: Option<Urgent>,
    /// How the end of the leader is to be asked for.
    leader_ends: Ends,
    /// Not to be sent to another thread.
    _bound: PhantomData<*const ()>,
}

impl Tracee {
    /// A tracee of the process. Stops it once and lets it go, so that what forbids it is told now.
    ///
    /// # Errors
    /// Where the process has gone, or may not be traced; the error says why, and what to do.
    pub fn new(pid: i32, options: Options) -> Result<Self, TraceError> {
        let mut tracee = Self::untried(pid, options)?;
        drop(tracee.stop(Instant::now() + FIRST_TRY)?);
        Ok(tracee)
    }

    fn untried(pid: i32, options: Options) -> Result<Self, TraceError> {
        let tasks = Tasks::open(pid).map_err(|_| TraceError::Gone { pid })?;
        let parent = tasks::status(pid, "PPid").and_then(|value| value.parse::<u32>().ok());
        let ours = parent == Some(std::process::id());
        Ok(Self {
            pid,
            options,
            threads: Vec::new(),
            leader_ended: false,
            tasks,
            memory: Memory::of(pid),
            restarts: Restarts::default(),
            rescue: Rescue::new(),
            urgent: None,
            leader_ends: if ours { Ends::Peek } else { Ends::Reap },
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
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Stops every thread: returns when none runs any more, or at the deadline.
    ///
    /// Threads that are born meanwhile are stopped too; threads that end meanwhile are no error.
    /// Seizing them is no part of the pause: it stops nobody.
    ///
    /// # Errors
    /// Where the process has gone or may not be traced, where it executes 32-bit code, and, if the
    /// options say so, where some threads have not halted in time. It runs on then.
    pub fn stop(&mut self, deadline: Instant) -> Result<Stop<'_>, TraceError> {
        let some_run = self.prepare()?;
        // Threads that spin would preempt us between one interrupt and the next.
        self.urgent = if some_run && self.options.urgent { Urgent::now() } else { None };
        // From here on, dropping the stop lets everything go, also where something panics.
        let mut stop = Stop::begin(self);
        stop.tracee().halt(deadline);
        stop.tracee().read_registers();
        let refused = stop.tracee().refusal();
        stop.look_begins();
        refused.map_or(Ok(stop), Err)
    }

    /// All that can be done while the process still runs. True where some of its threads were running.
    fn prepare(&mut self) -> Result<bool, TraceError> {
        // The file of the memory of a program that has executed another is the old one's.
        self.memory = Memory::of(self.pid);
        self.restarts.check_program(self.pid);
        self.seize()?;
        let mut some_run = false;
        for thread in &self.threads {
            some_run |= self.restarts.ask(self.pid, thread.tid) == Asked::Running;
        }
        let threads = &self.threads;
        self.restarts.keep(|tid| threads.iter().any(|thread| thread.tid == tid));
        Ok(some_run)
    }

    /// Seizes every thread that is not seized.
    fn seize(&mut self) -> Result<(), TraceError> {
        if let Err(error) = self.seize_listed() {
            // A seized thread can't be let go before it has halted.
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
        for tid in self.tasks.list() {
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
            match self.rescue.guard(ours, || request::seize(tid, 0)) {
                Ok(()) => {
                    self.leader_ended &= tid != self.pid;
                    self.threads.push(Thread::new(tid, State::Running));
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
    fn halt(&mut self, deadline: Instant) {
        self.interrupt_all();
        let mut lists_of_the_known = 0;
        while self.await_halts(deadline) && !self.has_all() {
            let known = self.threads.len();
            // What forbids one thread would have forbidden the others, so an error here is its end.
            let _ = self.seize_listed();
            // An ending thread can make the kernel skip another one in a list; not in three.
            lists_of_the_known =
                if self.threads.len() > known { 0 } else { lists_of_the_known + 1 };
            if lists_of_the_known == 3 {
                return;
            }
            self.interrupt_all();
        }
    }

    /// True where there are no more threads than those that are known.
    fn has_all(&mut self) -> bool {
        self.threads.retain(|thread| thread.state != State::Gone);
        // A process that is no more has no threads.
        let there = self.tasks.count().unwrap_or(0);
        there <= self.threads.len() + usize::from(self.leader_ended)
    }

    /// Waits for the threads that were interrupted. False where the deadline has come first.
    fn await_halts(&mut self, deadline: Instant) -> bool {
        let patience = Patience::until(deadline);
        let mut patience = if self.urgent.is_some() { patience.by_sleeping() } else { patience };
        // All must come, so they are asked one after the other; who has come is not asked again.
        let mut first = 0;
        loop {
            while first < self.threads.len() {
                if self.threads[first].state == State::Called && !self.poll(first) {
                    break;
                }
                first += 1;
            }
            if first == self.threads.len() && !self.awaits_any() {
                return true;
            }
            if !patience.wait() {
                self.poll_all();
                return !self.awaits_any();
            }
            if patience.is_long() {
                if self.options.urgent && self.urgent.is_none() {
                    self.urgent = Urgent::now();
                }
                // An exec waits for the ends of all other threads to be seen, in any order.
                self.poll_all();
                first = 0;
            }
        }
    }

    fn awaits_any(&self) -> bool {
        self.threads.iter().any(|thread| thread.state == State::Called)
    }

    fn poll_all(&mut self) {
        self.check_leader();
        // Those that have halted too: an exec kills them, and waits for their ends to be seen.
        for index in 0..self.threads.len() {
            if self.threads[index].state != State::Gone && !self.poll(index) {
                self.threads[index].find_halted();
            }
        }
        self.bury_the_leader();
    }

    /// A leader that is our process's child can be waited for even where it is not our tracee any more,
    /// since a thread that was never seized has taken its place by an exec.
    fn check_leader(&mut self) {
        let pid = self.pid;
        if let Some(leader) = self.threads.iter_mut().find(|thread| thread.tid == pid)
            && self.leader_ends == Ends::Peek
            && matches!(leader.state, State::Called | State::Dying | State::Zombie)
            && !is_ours(pid)
        {
            leader.state = State::Gone;
        }
    }

    /// Asks what has become of a thread. True where that is something new.
    fn poll(&mut self, index: usize) -> bool {
        let pid = self.pid;
        let thread = &mut self.threads[index];
        let ends = if thread.tid == pid { self.leader_ends } else { Ends::Reap };
        let change = thread.poll(ends);
        if change == Some(Change::Vanished) && thread.tid != pid {
            self.leader_is_another();
        }
        change.is_some()
    }

    /// A thread that executed a program is the leader now, by the leader's tid, and the interrupt that
    /// it was sent is still to come.
    fn leader_is_another(&mut self) {
        self.restarts.forget();
        if !is_ours(self.pid) {
            return;
        }
        self.leader_ended = false;
        let pid = self.pid;
        let index = self.threads.iter().position(|thread| thread.tid == pid).unwrap_or_else(|| {
            self.threads.push(Thread::new(pid, State::Called));
            self.threads.len() - 1
        });
        // A halt that is known of may be the former leader's.
        let leader = &mut self.threads[index];
        if leader.poll(self.leader_ends).is_none() {
            leader.state = State::Called;
        }
    }

    /// Reads the registers of the halted threads, and sees to their interrupted system calls.
    fn read_registers(&mut self) {
        for thread in &mut self.threads {
            if !matches!(thread.state, State::Halted(_)) {
                continue;
            }
            thread.read_registers();
            // A process that is stopped as a group gets its EINTR when it goes on, as without us.
            if !matches!(thread.state, State::Halted(Halt::Group(_)))
                && let Some(registers) = &mut thread.registers
                && self.restarts.mend(thread.tid, registers, &self.memory)
                && registers.write(thread.tid).is_err()
            {
                thread.state = State::Dying;
            }
        }
    }

    /// Why a stop is none.
    fn refusal(&self) -> Option<TraceError> {
        let pid = self.pid;
        let halted = || self.threads.iter().filter(|t| matches!(t.state, State::Halted(_)));
        let late = self.late();
        if self.options.late == Late::LetGo && !late.is_empty() {
            return Some(TraceError::Late { pid, threads: late });
        }
        if halted().next().is_none() && late.is_empty() {
            return Some(TraceError::Gone { pid });
        }
        (halted().next().is_some() && halted().all(|thread| thread.registers.is_none()))
            .then_some(TraceError::ThirtyTwoBit { pid })
    }

    /// The threads that have not halted, and their states.
    pub(crate) fn late(&self) -> Vec<(i32, char)> {
        let late = self.threads.iter().filter(|thread| thread.state == State::Called);
        late.map(|thread| (thread.tid, tasks::state(self.pid, thread.tid).unwrap_or('?'))).collect()
    }

    /// Lets all halted threads go, and ends their tracing.
    pub(crate) fn let_go(&mut self) {
        self.threads.iter_mut().for_each(Thread::detach);
        self.threads.retain(|thread| thread.state != State::Gone);
    }

    /// After a stop, where threads were killed meanwhile.
    pub(crate) fn reap_the_dying(&mut self) {
        if self.threads.iter().any(|thread| thread.state == State::Dying) {
            self.settle(Instant::now() + DYING);
        }
    }

    /// Waits for what is left of the last stop: threads that were interrupted and had not halted (they
    /// are let go as soon as they do), and threads that were killed meanwhile (their process has not
    /// ended for its parent before this tracer has seen their ends). True where nothing is left.
    ///
    /// To be called after each stop until it is true. It is at once, nearly always.
    pub fn settle(&mut self, deadline: Instant) -> bool {
        let mut patience = Patience::until(deadline);
        loop {
            self.poll_all();
            self.let_go();
            // A leader that has outlived all others is ours to reap now, if it is ours at all.
            let outlived = || self.tasks.count() > Some(1);
            let only_zombie = self.threads.iter().all(|thread| thread.state == State::Zombie);
            if self.threads.is_empty() || only_zombie && outlived() {
                return true;
            }
            if !patience.wait() {
                return false;
            }
        }
    }

    /// A leader that has ended before other threads is not waited for: they may live for long.
    fn bury_the_leader(&mut self) {
        let pid = self.pid;
        let leader = self.threads.iter_mut().find(|thread| thread.tid == pid);
        if let Some(leader) = leader
            && matches!(leader.state, State::Dying | State::Called)
            && tasks::state(pid, pid) == Some('Z')
            && self.tasks.count() > Some(1)
        {
            leader.state = State::Zombie;
        }
    }
}

/// True where this very thread traces it.
fn is_ours(tid: i32) -> bool {
    let tracer = tasks::status(tid, "TracerPid").and_then(|value| value.parse::<i32>().ok());
    // SAFETY: asks for the caller's own tid.
    tracer == Some(unsafe { libc::gettid() })
}

impl Drop for Tracee {
    fn drop(&mut self) {
        self.interrupt_all();
        while self.threads.iter().any(|t| matches!(t.state, State::Called | State::Halted(_))) {
            self.settle(Instant::now() + FIRST_TRY);
        }
        self.reap_the_dying();
    }
}
