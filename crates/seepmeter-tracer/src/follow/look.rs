//! A look at a followed process: stopped as a whole, and let run on, still traced.

use std::time::Instant;

use super::Follower;
use crate::arch::Registers;
use crate::memory::Memory;
use crate::patience::Patience;
use crate::request;
use crate::stop::Timing;
use crate::wait::{self, Change, Ends, Halt};

/// A followed process of which no thread runs, except those that are [late](FollowedStop::late). Dropping
/// it lets the process run on.
#[derive(Debug)]
pub struct FollowedStop<'f> {
    follower: &'f mut Follower,
    pid: i32,
    halted: Vec<(i32, Halt, Option<Registers>)>,
    /// Threads that stood still anyway.
    standing: Vec<(i32, Registers)>,
    late: Vec<i32>,
    began: Instant,
    look_began: Instant,
}

impl Follower {
    /// Stops every thread of one followed process, at the latest until the deadline. None where it is not
    /// followed (any more).
    pub fn stop(&mut self, pid: i32, deadline: Instant) -> Option<FollowedStop<'_>> {
        self.family.space(pid)?;
        self.family.ask(pid);
        let began = Instant::now();
        let mut stop = FollowedStop {
            follower: self,
            pid,
            halted: Vec::new(),
            standing: Vec::new(),
            late: Vec::new(),
            began,
            look_began: began,
        };
        stop.halt(deadline);
        stop.look_began = Instant::now();
        Some(stop)
    }
}

impl FollowedStop<'_> {
    fn halt(&mut self, deadline: Instant) {
        let mut patience = Patience::until(deadline);
        let mut called = Vec::new();
        loop {
            // Births are told to us, so the list is whole once nobody runs.
            let new: Vec<i32> = self
                .follower
                .family
                .threads_of(self.pid)
                .into_iter()
                .filter(|tid| !called.contains(tid) && !self.is_halted(*tid))
                .collect();
            for tid in new {
                if !self.stands_already(tid) && request::interrupt(tid).is_ok() {
                    called.push(tid);
                }
            }
            called.retain(|tid| !self.has_halted(*tid));
            if called.is_empty() && self.knows_all() {
                self.read_those_that_stand();
                return;
            }
            if !patience.wait() {
                self.late = called;
                self.read_those_that_stand();
                return;
            }
        }
    }

    fn is_halted(&self, tid: i32) -> bool {
        self.halted.iter().any(|(halted, ..)| *halted == tid)
    }

    fn knows_all(&self) -> bool {
        let known = self.follower.family.threads_of(self.pid);
        known.iter().all(|tid| self.is_halted(*tid) || self.stands_already(*tid))
    }

    fn read_those_that_stand(&mut self) {
        let tids = self.follower.family.threads_of(self.pid);
        let standing = tids.into_iter().filter(|tid| self.stands_already(*tid));
        self.standing =
            standing.filter_map(|tid| Some((tid, Registers::read(tid).ok()?))).collect();
    }

    /// It is held before a call, or a halt of it is still to be seen to: it stands still anyway.
    fn stands_already(&self, tid: i32) -> bool {
        self.follower.held.iter().any(|(held, _)| *held == tid)
            || self.follower.pending.iter().any(|(pending, _)| *pending == tid)
    }

    /// Asks a thread that was interrupted. True where it runs no more.
    fn has_halted(&mut self, tid: i32) -> bool {
        let ends = if tid == self.follower.root { self.follower.root_ends } else { Ends::Reap };
        match wait::take(tid, ends) {
            Ok(Some(Change::Halted(halt))) => {
                if let Halt::Event(
                    libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK,
                ) = halt
                    && let Ok(child) = request::event_message(tid)
                    && let Ok(child) = i32::try_from(child)
                    && crate::tasks::status(child, "Tgid") == Some(self.pid.to_string())
                    && self.follower.family.member(child).is_none()
                {
                    self.follower.family.take_in(child);
                }
                if !matches!(halt, Halt::Group(_)) {
                    self.follower.family.mend(tid);
                }
                let registers = Registers::read(tid).ok();
                self.halted.push((tid, halt, registers));
                true
            }
            Ok(Some(Change::Ended | Change::Vanished)) => {
                self.follower.gone(tid, &mut |_| {});
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// The threads that stand still, and their registers.
    pub fn threads(&self) -> impl Iterator<Item = (i32, &Registers)> {
        self.halted
            .iter()
            .filter_map(|(tid, _, registers)| registers.as_ref().map(|registers| (*tid, registers)))
            .chain(self.standing.iter().map(|(tid, registers)| (*tid, registers)))
    }

    /// The threads that had not halted in time, and run.
    #[must_use]
    pub fn late(&self) -> &[i32] {
        &self.late
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        self.follower.family.memory(self.pid)
    }

    /// Lets it run on. Halts that have something to tell are seen to by the next [`Follower::serve`].
    pub fn resume(mut self) -> Timing {
        self.end()
    }

    fn end(&mut self) -> Timing {
        let look_ended = Instant::now();
        for (tid, halt, _) in std::mem::take(&mut self.halted) {
            match halt {
                // Where it has died meanwhile, its end is still to come.
                Halt::Group(_) => drop(request::listen(tid)),
                Halt::Interrupted | Halt::Signal(_) => drop(request::run_on(tid, halt.signal())),
                Halt::Event(_) | Halt::Call => self.follower.pending.push_back((tid, halt)),
            }
        }
        Timing {
            stop: self.look_began - self.began,
            look: look_ended - self.look_began,
            resume: look_ended.elapsed(),
        }
    }
}

impl Drop for FollowedStop<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
