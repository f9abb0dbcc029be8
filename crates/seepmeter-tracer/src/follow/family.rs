//! Those that are followed: threads, their processes, and whose address space is whose.

use std::collections::{HashMap, HashSet};

use super::call::Space;
use crate::arch::Registers;
use crate::memory::Memory;
use crate::restart::Restarts;
use crate::tasks;

/// A thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: i32,
    pub(super) space: Space,
}

#[derive(Debug)]
struct Process {
    space: Space,
    memory: Memory,
    restarts: Restarts,
}

#[derive(Debug)]
pub(super) struct Family {
    /// By tid: the pid.
    threads: HashMap<i32, i32>,
    processes: HashMap<i32, Process>,
    /// Threads whose call was let go while another one was under way.
    out_of_order: HashSet<i32>,
    next: u64,
}

impl Family {
    pub(super) fn of(pid: i32) -> Self {
        let mut family = Self {
            threads: HashMap::from([(pid, pid)]),
            processes: HashMap::new(),
            out_of_order: HashSet::new(),
            next: 0,
        };
        let space = family.new_space();
        family.insert(pid, space);
        family
    }

    fn new_space(&mut self) -> Space {
        self.next += 1;
        Space(self.next)
    }

    fn insert(&mut self, pid: i32, space: Space) {
        let process = Process { space, memory: Memory::of(pid), restarts: Restarts::default() };
        self.processes.insert(pid, process);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    pub(super) fn tids(&self) -> impl Iterator<Item = i32> {
        self.threads.keys().copied()
    }

    pub(super) fn threads_of(&self, pid: i32) -> Vec<i32> {
        self.threads.iter().filter(|(_, of)| **of == pid).map(|(tid, _)| *tid).collect()
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = i32> {
        self.processes.keys().copied()
    }

    pub(super) fn space(&self, pid: i32) -> Option<Space> {
        self.processes.get(&pid).map(|process| process.space)
    }

    pub(super) fn is_in(&self, tid: i32, space: Space) -> bool {
        self.member(tid).is_some_and(|member| member.space == space)
    }

    pub(super) fn member(&self, tid: i32) -> Option<Member> {
        let pid = *self.threads.get(&tid)?;
        Some(Member { pid, space: self.space(pid)? })
    }

    /// Takes in a thread that was born. If it is a process: its parent, and the parent's space.
    pub(super) fn take_in(&mut self, tid: i32) -> (Member, Option<(i32, Space)>) {
        let number = |key| tasks::status(tid, key).and_then(|value| value.parse::<i32>().ok());
        let pid = number("Tgid").unwrap_or(tid);
        self.threads.insert(tid, pid);
        if let Some(space) = self.space(pid) {
            return (Member { pid, space }, None);
        }
        let parent = number("PPid").unwrap_or(0);
        let of = self.space(parent);
        let space = match of {
            Some(of) if share_memory(parent, pid) => of,
            _ => self.new_space(),
        };
        self.insert(pid, space);
        (Member { pid, space }, of.map(|of| (parent, of)))
    }

    pub(super) fn remove(&mut self, tid: i32) -> Option<Member> {
        let member = self.member(tid);
        self.out_of_order.remove(&tid);
        let pid = self.threads.remove(&tid)?;
        if !self.threads.values().any(|of| *of == pid) {
            self.processes.remove(&pid);
        }
        member
    }

    /// A process has executed a program: its new space.
    pub(super) fn executed(&mut self, pid: i32) -> Space {
        let space = self.new_space();
        self.threads.insert(pid, pid);
        self.insert(pid, space);
        space
    }

    pub(super) fn memory(&self, pid: i32) -> &Memory {
        // Every thread that is told of is of a process that is known; see `take_in`.
        &self.processes[&pid].memory
    }

    /// Asks what the threads of a process wait in, before they are interrupted.
    pub(super) fn ask(&mut self, pid: i32) {
        let tids = self.threads_of(pid);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.restarts.check_program(pid);
        process.restarts.keep(|tid| tids.contains(&tid));
        for tid in tids {
            process.restarts.ask(pid, tid);
        }
    }

    /// Sees to the interrupted call of a thread that is on its way to a signal.
    pub(super) fn mend(&mut self, tid: i32) {
        let Some(pid) = self.threads.get(&tid) else { return };
        let Some(process) = self.processes.get_mut(pid) else { return };
        if let Ok(mut registers) = Registers::read(tid)
            && process.restarts.mend(tid, &mut registers, &process.memory)
        {
            // It fails where the thread has died, and then does not matter.
            let _ = registers.write(tid);
        }
        process.restarts.asked_no_more(tid);
    }

    pub(super) fn out_of_order(&mut self, tid: i32) {
        self.out_of_order.insert(tid);
    }

    pub(super) fn was_in_order(&mut self, tid: i32) -> bool {
        !self.out_of_order.remove(&tid)
    }
}

/// kcmp(2), KCMP_VM. Where the kernel has none, a child is taken to have a space of its own, which is so
/// for all but those by vfork.
fn share_memory(one: i32, other: i32) -> bool {
    const KCMP_VM: i32 = 1;
    // SAFETY: the call takes numbers alone.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}
