//! The memory calls of a process that was spawned, and of all that descend from it.
//!
//! The process is held before its exec ([`Follower::begin`]). It is made to install a seccomp filter that
//! halts it at brk, mmap, mremap, munmap and madvise and at nothing else, and stays traced; what it
//! forks inherits both. At a call the thread halts twice: before it, and after it, when the result is
//! known and the caller is told.
//!
//! Of two threads that change one address space at a time, one is held until the other's call is over:
//! so the calls are told in the order in which the kernel has carried them out. No longer than
//! [`HELD_AT_MOST`], though, for a call may wait for what another thread does (a page fault that it
//! serves); [`MemoryCall::in_order`] is false then.
//!
//! # It is opt-in, and this is why
//!
//! A filter can't be taken off. Where the tracer is killed, every memory call of the target fails with
//! ENOSYS from then on, and the target with it (seccomp(2), SECCOMP_RET_TRACE). The kernel offers no
//! other action for "no tracer", and a tracee can't be handed to another tracer. So nobody is to be
//! followed who has not asked for it, and never one that was attached to. Without the right to
//! CAP_SYS_ADMIN the filter needs no_new_privs, with which setuid programs and such with file
//! capabilities don't get what they would: see [`gains_rights`](crate::gains_rights), and
//! [`Follower::set_no_new_privs`].

mod alarm;
mod call;
mod family;
mod filter;
mod inject;
mod look;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use alarm::Alarm;
pub use call::{MemoryCall, Space};
use family::{Family, Member};
pub use filter::MemoryCallKind;
use inject::Injection;
pub use look::FollowedStop;

use crate::arch::Registers;
use crate::error::{Refusal, TraceError, explain};
use crate::memory::Memory;
use crate::patience::Patience;
use crate::request;
use crate::tasks;
use crate::wait::{self, Change, Ends, Halt};

/// How long a call is held for another one in the same address space that does not run.
pub const HELD_AT_MOST: Duration = Duration::from_millis(5);

/// What a followed process's threads do that is told.
const EVENTS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC;

/// What has happened among those that are followed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening<'h> {
    /// A memory call has succeeded. The thread stands still until this is taken.
    Call(MemoryCall<'h>),
    /// A process was forked.
    Forked {
        /// The new one.
        pid: i32,
        /// Who has forked it.
        parent: i32,
        /// Its address space…
        space: Space,
        /// …which is a copy of this one, or the same one (vfork).
        of: Space,
    },
    /// A process has executed a program, in a new address space.
    Executed {
        /// Which.
        pid: i32,
        /// The new address space.
        space: Space,
    },
    /// The last thread of a process that was traced has ended.
    Ended {
        /// Which.
        pid: i32,
    },
}

/// Why [`Follower::serve`] has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It was time to, or the descriptor can be read.
    Long,
    /// All that were followed have ended.
    AllEnded,
}

/// Follows a process and its descendants. Bound to the thread that it is made on.
///
/// It must be served ([`Follower::serve`]) whenever there is nothing else to do. Dropping it serves it
/// until all have ended, since those that are followed can't do without it.
#[derive(Debug)]
pub struct Follower {
    root: i32,
    root_ends: Ends,
    family: Family,
    alarm: Alarm,
    no_new_privs: bool,
    /// By address space, the thread whose call is under way.
    under_way: HashMap<Space, i32>,
    /// Threads that are held before their calls, and since when.
    held: VecDeque<(i32, Instant)>,
    /// Halts that are still to be seen to.
    pending: VecDeque<(i32, Halt)>,
    swept: Instant,
}

/// How often those that are known are held against those that there are.
const SWEEP: Duration = Duration::from_millis(500);

impl Follower {
    /// Follows a process of one thread, which should be held before its exec, in a system call that it
    /// can be interrupted in.
    ///
    /// # Errors
    /// Where it may not be traced or take a filter, or has gone. It runs on then.
    pub fn begin(pid: i32) -> Result<Self, TraceError> {
        let failed = |doing| move |source| TraceError::Request { doing, pid, source };
        let parent = tasks::status(pid, "PPid").and_then(|value| value.parse::<u32>().ok());
        let ours = parent == Some(std::process::id());
        let root_ends = if ours { Ends::Peek } else { Ends::Reap };
        let alarm = Alarm::new().map_err(failed("setting up the alarm for following"))?;
        request::seize(pid, EVENTS).map_err(|source| match explain(pid, pid, source) {
            Refusal::For(error) => error,
            Refusal::Ended | Refusal::OurOwn => TraceError::Gone { pid },
        })?;
        request::interrupt(pid).map_err(failed("stopping"))?;
        let memory = Memory::of(pid);
        let mut injection =
            Injection::begin(pid, root_ends, &memory).map_err(failed("stopping"))?;
        let installed = injection.install_filter();
        injection.end().map_err(failed("resuming"))?;
        let no_new_privs = match installed {
            Ok(no_new_privs) => no_new_privs,
            Err(source) => {
                let_go(pid, root_ends);
                return Err(TraceError::Request { doing: "installing the filter", pid, source });
            }
        };
        Ok(Self {
            root: pid,
            root_ends,
            family: Family::of(pid),
            alarm,
            no_new_privs,
            under_way: HashMap::new(),
            held: VecDeque::new(),
            pending: VecDeque::new(),
            swept: Instant::now(),
        })
    }

    /// True where no_new_privs was set: programs that it executes don't gain rights any more.
    #[must_use]
    pub fn set_no_new_privs(&self) -> bool {
        self.no_new_privs
    }

    /// The address space of a followed process.
    #[must_use]
    pub fn space(&self, pid: i32) -> Option<Space> {
        self.family.space(pid)
    }

    /// The followed processes that live.
    pub fn processes(&self) -> impl Iterator<Item = i32> {
        self.family.processes()
    }

    /// Sees to all that happens, until it is time or `wake` can be read.
    ///
    /// # Errors
    /// Where waiting itself fails.
    pub fn serve(
        &mut self,
        until: Instant,
        wake: Option<BorrowedFd<'_>>,
        tell: &mut dyn FnMut(Happening<'_>),
    ) -> io::Result<Served> {
        self.alarm.set(until, wake.map(|wake| wake.as_raw_fd()))?;
        let served = self.serve_until_the_alarm(tell);
        if self.alarm.is_set() {
            self.alarm.cancel()?;
            self.await_alarm()?;
        }
        served
    }

    fn serve_until_the_alarm(&mut self, tell: &mut dyn FnMut(Happening<'_>)) -> io::Result<Served> {
        let mut patience = None;
        loop {
            while let Some((tid, halt)) = self.pending.pop_front() {
                self.see_to(tid, halt, tell);
            }
            if self.family.is_empty() {
                return Ok(Served::AllEnded);
            }
            self.let_the_long_held_go();
            // Somebody who is held must be let go in time, so the wait must not be a long one.
            match wait::any(self.held.is_empty())? {
                Some(pid) if pid == self.alarm.pid() => {
                    self.await_alarm()?;
                    self.sweep(tell);
                    let all_ended = self.family.is_empty();
                    return Ok(if all_ended { Served::AllEnded } else { Served::Long });
                }
                Some(tid) => {
                    patience = None;
                    if !self.ask(tid, tell) {
                        self.ask_all(tell);
                    }
                }
                None => {
                    let patience = patience
                        .get_or_insert_with(|| Patience::until(Instant::now() + HELD_AT_MOST));
                    patience.wait();
                }
            }
        }
    }

    fn await_alarm(&mut self) -> io::Result<()> {
        wait::block(self.alarm.pid(), Ends::Reap)?;
        self.alarm.rang();
        Ok(())
    }

    /// Where the one that has something new is not one to see to: a leader that has ended, which only
    /// its parent can reap, stands in front of all others.
    fn ask_all(&mut self, tell: &mut dyn FnMut(Happening<'_>)) {
        let tids: Vec<i32> = self.family.tids().collect();
        let mut some = false;
        for tid in tids {
            some |= self.ask(tid, tell);
        }
        let alarm_rang = matches!(wait::any(false), Ok(Some(pid)) if pid == self.alarm.pid());
        if !some && !alarm_rang {
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Asks what has become of a thread, and sees to it. False where that is nothing.
    fn ask(&mut self, tid: i32, tell: &mut dyn FnMut(Happening<'_>)) -> bool {
        let ends = if tid == self.root { self.root_ends } else { Ends::Reap };
        match wait::take(tid, ends) {
            Ok(Some(Change::Halted(halt))) => {
                self.see_to(tid, halt, tell);
                true
            }
            Ok(Some(Change::Ended | Change::Vanished)) => self.gone(tid, tell),
            Ok(None) | Err(_) => false,
        }
    }

    fn gone(&mut self, tid: i32, tell: &mut dyn FnMut(Happening<'_>)) -> bool {
        let Some(member) = self.family.remove(tid) else { return false };
        self.held.retain(|(held, _)| *held != tid);
        self.call_is_over(tid, member.space);
        if self.family.space(member.pid).is_none() {
            tell(Happening::Ended { pid: member.pid });
        }
        true
    }

    /// Sees to a halt, and lets the thread run on. One that has died meanwhile is told of by its end.
    fn see_to(&mut self, tid: i32, halt: Halt, tell: &mut dyn FnMut(Happening<'_>)) {
        let member = self.member(tid, tell);
        let _ = match halt {
            Halt::Group(_) => request::listen(tid),
            Halt::Interrupted | Halt::Signal(_) => {
                self.family.mend(tid);
                request::run_on(tid, halt.signal())
            }
            Halt::Event(libc::PTRACE_EVENT_SECCOMP) => self.call_begins(tid, member),
            Halt::Call => {
                self.call_is_over(tid, member.space);
                // It runs on also where the caller panics.
                let _end = RunOn(tid);
                self.tell_call(tid, member, tell);
                Ok(())
            }
            Halt::Event(event) => {
                self.event(tid, event, tell);
                request::run_on(tid, 0)
            }
        };
    }

    /// The thread as it is known; one that is not yet has just been born.
    fn member(&mut self, tid: i32, tell: &mut dyn FnMut(Happening<'_>)) -> Member {
        if let Some(member) = self.family.member(tid) {
            return member;
        }
        let (member, forked) = self.family.take_in(tid);
        if let Some((parent, of)) = forked {
            tell(Happening::Forked { pid: member.pid, parent, space: member.space, of });
        }
        member
    }

    fn event(&mut self, tid: i32, event: i32, tell: &mut dyn FnMut(Happening<'_>)) {
        // Of a thread that dies meanwhile there is nothing to learn any more.
        let Ok(message) = request::event_message(tid) else { return };
        let Ok(other) = i32::try_from(message) else { return };
        match event {
            libc::PTRACE_EVENT_EXEC => {
                // Its former tid, and all its other threads, are no more.
                if other != tid {
                    self.family.remove(other);
                }
                self.held.retain(|(held, _)| *held != other);
                let space = self.family.executed(tid);
                tell(Happening::Executed { pid: tid, space });
            }
            // One that was seen itself before its birth was told may have ended by now.
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK
                if is_ours(other) =>
            {
                self.member(other, tell);
            }
            _ => {}
        }
    }

    /// Removes those whose ends nobody tells: the parent of the root may have reaped it first.
    fn sweep(&mut self, tell: &mut dyn FnMut(Happening<'_>)) {
        self.ask(self.root, tell);
        if self.swept.elapsed() < SWEEP {
            return;
        }
        self.swept = Instant::now();
        let tids: Vec<i32> = self.family.tids().collect();
        for tid in tids.into_iter().filter(|tid| !is_ours(*tid)) {
            self.gone(tid, tell);
        }
    }

    fn call_begins(&mut self, tid: i32, member: Member) -> io::Result<()> {
        if self.under_way.contains_key(&member.space) {
            self.held.push_back((tid, Instant::now()));
            return Ok(());
        }
        self.under_way.insert(member.space, tid);
        request::run_to_call(tid, 0)
    }

    /// Lets the next one go that is held for a call in this address space.
    fn call_is_over(&mut self, tid: i32, space: Space) {
        if self.under_way.get(&space) != Some(&tid) {
            return;
        }
        self.under_way.remove(&space);
        let next = self.held.iter().position(|(tid, _)| self.family.is_in(*tid, space));
        if let Some((tid, _)) = next.and_then(|next| self.held.remove(next)) {
            self.under_way.insert(space, tid);
            // Where it has died, its end is still to come.
            let _ = request::run_to_call(tid, 0);
        }
    }

    fn let_the_long_held_go(&mut self) {
        while let Some((_, since)) = self.held.front()
            && since.elapsed() > HELD_AT_MOST
            && let Some((tid, _)) = self.held.pop_front()
        {
            if self.is_held_by_one_that_runs(tid) {
                // It only waits for a processor; the held one has the same time again.
                self.held.push_back((tid, Instant::now()));
                continue;
            }
            self.family.out_of_order(tid);
            let _ = request::run_to_call(tid, 0);
        }
    }

    fn is_held_by_one_that_runs(&self, tid: i32) -> bool {
        let Some(member) = self.family.member(tid) else { return false };
        // A thread has a folder of its own, whatever its process. One that has halted behind its call is
        // seen to next.
        let holder = self.under_way.get(&member.space);
        holder.is_some_and(|holder| matches!(tasks::state(*holder, *holder), Some('R' | 't')))
    }

    fn tell_call(&mut self, tid: i32, member: Member, tell: &mut dyn FnMut(Happening<'_>)) {
        let in_order = self.family.was_in_order(tid);
        let Ok(registers) = Registers::read(tid) else { return };
        let memory = self.family.memory(member.pid);
        if let Some(call) = MemoryCall::finished(tid, member, &registers, memory, in_order) {
            tell(Happening::Call(call));
        }
    }
}

/// Lets a halted thread run on when this is dropped. One that has died meanwhile is told of by its end.
struct RunOn(i32);

impl Drop for RunOn {
    fn drop(&mut self) {
        let _ = request::run_on(self.0, 0);
    }
}

/// True for a thread that this one traces, also one that has ended and was not waited for.
fn is_ours(tid: i32) -> bool {
    // SAFETY: asks for the caller's own tid.
    let own = unsafe { libc::gettid() };
    tasks::status(tid, "TracerPid") == Some(own.to_string())
}

/// Ends the tracing of a thread that takes no filter. It runs, so it must halt first.
fn let_go(tid: i32, ends: Ends) {
    if request::interrupt(tid).is_ok()
        && let Ok(Change::Halted(halt)) = wait::block(tid, ends)
    {
        let _ = request::detach(tid, halt.signal());
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // No longer: an end that its parent has reaped is seen only when the time is over.
        let time = Duration::from_secs(1);
        while let Ok(Served::Long) = self.serve(Instant::now() + time, None, &mut |_| {}) {}
    }
}
