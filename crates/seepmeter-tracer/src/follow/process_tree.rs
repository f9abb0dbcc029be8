//! The process tree that is followed: its threads, their processes, and their address spaces.

use std::collections::{HashMap, HashSet};

use super::call::AddressSpaceId;
use crate::arch::Registers;
use crate::memory::ProcessMemory;
use crate::restart::SyscallRestarts;
use crate::tasks;

/// Where a thread belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TracedThread {
    pub(super) pid: i32,
    pub(super) space: AddressSpaceId,
}

/// A thread that was added.
pub(super) struct NewThread {
    pub(super) thread: TracedThread,
    /// The process that has forked it, if it is the first thread of a process.
    pub(super) forked_by: Option<ForkParent>,
}

/// A process that has forked, and its address space.
pub(super) struct ForkParent {
    pub(super) pid: i32,
    pub(super) space: AddressSpaceId,
}

#[derive(Debug)]
struct TracedProcess {
    space: AddressSpaceId,
    memory: ProcessMemory,
    restarts: SyscallRestarts,
}

#[derive(Debug)]
pub(super) struct ProcessTree {
    /// By tid: the pid.
    threads: HashMap<i32, i32>,
    processes: HashMap<i32, TracedProcess>,
    /// Threads whose call was let go while another one was under way.
    out_of_order: HashSet<i32>,
    next: u64,
}

impl ProcessTree {
    pub(super) fn of(pid: i32) -> Self {
        let mut tree = Self {
            threads: HashMap::from([(pid, pid)]),
            processes: HashMap::new(),
            out_of_order: HashSet::new(),
            next: 0,
        };
        let space = tree.new_space();
        tree.insert(pid, space);
        tree
    }

    fn new_space(&mut self) -> AddressSpaceId {
        self.next += 1;
        AddressSpaceId(self.next)
    }

    fn insert(&mut self, pid: i32, space: AddressSpaceId) {
        let (memory, restarts) = (ProcessMemory::of(pid), SyscallRestarts::default());
        self.processes.insert(pid, TracedProcess { space, memory, restarts });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    pub(super) fn tids(&self) -> Vec<i32> {
        self.threads.keys().copied().collect()
    }

    pub(super) fn threads_of(&self, pid: i32) -> Vec<i32> {
        self.threads.iter().filter(|(_, of)| **of == pid).map(|(tid, _)| *tid).collect()
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = i32> {
        self.processes.keys().copied()
    }

    pub(super) fn space(&self, pid: i32) -> Option<AddressSpaceId> {
        self.processes.get(&pid).map(|process| process.space)
    }

    pub(super) fn is_in(&self, tid: i32, space: AddressSpaceId) -> bool {
        self.thread(tid).is_some_and(|thread| thread.space == space)
    }

    pub(super) fn thread(&self, tid: i32) -> Option<TracedThread> {
        let pid = *self.threads.get(&tid)?;
        Some(TracedThread { pid, space: self.space(pid)? })
    }

    /// Adds a thread that was born.
    pub(super) fn add_thread(&mut self, tid: i32) -> NewThread {
        let pid = tasks::process_of(tid).unwrap_or(tid);
        self.threads.insert(tid, pid);
        if let Some(space) = self.space(pid) {
            return NewThread { thread: TracedThread { pid, space }, forked_by: None };
        }
        let parent = tasks::parent(tid).unwrap_or(0);
        let parents = self.space(parent);
        let space = match parents {
            Some(parents) if share_memory(parent, pid) => parents,
            _ => self.new_space(),
        };
        self.insert(pid, space);
        let forked_by = parents.map(|space| ForkParent { pid: parent, space });
        NewThread { thread: TracedThread { pid, space }, forked_by }
    }

    pub(super) fn remove(&mut self, tid: i32) -> Option<TracedThread> {
        let thread = self.thread(tid);
        self.out_of_order.remove(&tid);
        let pid = self.threads.remove(&tid)?;
        if !self.threads.values().any(|of| *of == pid) {
            self.processes.remove(&pid);
        }
        thread
    }

    /// A process has executed a program: its new space.
    pub(super) fn executed(&mut self, pid: i32) -> AddressSpaceId {
        let space = self.new_space();
        self.threads.insert(pid, pid);
        self.insert(pid, space);
        space
    }

    pub(super) fn memory(&self, pid: i32) -> &ProcessMemory {
        // Every thread that is asked about is of a process that is known; see `add_thread`.
        &self.processes[&pid].memory
    }

    /// Notes what the threads of a process wait in, before they are interrupted.
    pub(super) fn inspect(&mut self, pid: i32) {
        let tids = self.threads_of(pid);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.restarts.check_program(pid);
        process.restarts.keep(|tid| tids.contains(&tid));
        for tid in tids {
            process.restarts.inspect(pid, tid);
        }
    }

    /// Has the interrupted system call of a stopped thread restarted.
    pub(super) fn prepare_restart(&mut self, tid: i32) {
        let Some(pid) = self.threads.get(&tid) else { return };
        let Some(process) = self.processes.get_mut(pid) else { return };
        if let Ok(mut registers) = Registers::read(tid)
            && process.restarts.prepare_restart(tid, &mut registers, &process.memory)
        {
            // It fails if the thread has died, and then does not matter.
            let _ = registers.write(tid);
        }
        process.restarts.forget_waiting_call(tid);
    }

    pub(super) fn out_of_order(&mut self, tid: i32) {
        self.out_of_order.insert(tid);
    }

    pub(super) fn was_in_order(&mut self, tid: i32) -> bool {
        !self.out_of_order.remove(&tid)
    }
}

/// kcmp(2), KCMP_VM. If the kernel has none, a child is taken to have a space of its own, which is right
/// for all but those by vfork.
fn share_memory(one: i32, other: i32) -> bool {
    const KCMP_VM: i32 = 1;
    // SAFETY: the call takes numbers alone. (nix has no kcmp.)
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}
