//! The last moment of every process of a run: a process that was spawned, and its descendants.
//!
//! A tracee stops when a thread of it ends (PTRACE_EVENT_EXIT, ptrace(2)), before the kernel takes its
//! address space away. At the stop of the last thread everything is there that the process has held to
//! its end: statm, status, smaps and memory can be read exactly, even of a run of milliseconds. A zombie
//! has nothing of it any more.
//!
//! The process is seized while it is held before its exec, and stays seized; so are the threads and
//! processes that come of it. They stop when a thread or a process is born, at an exec, at a signal and at
//! the end, and at nothing else. If the tracer is killed, they run on, untraced.
//!
//! What a tracee may notice: programs that are setuid or have capabilities do not get their rights, unless
//! the tracer has CAP_SYS_PTRACE (execve(2)); nobody else can trace it; and a signal that it ignores may
//! end a call of it with EINTR that waits.

use std::collections::{HashMap, HashSet};
use std::io;
use std::marker::PhantomData;

use crate::error::{TraceError, refused};
use crate::request;
use crate::tasks;
use crate::wait::{self, ExitWait, PtraceStop, WaitResult};

/// The stops that are made. A birth must be known before the parent can end.
const PTRACE_OPTIONS: i32 = libc::PTRACE_O_TRACEEXIT
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK;

/// The last thread of a process, stopped at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastThread {
    /// The process.
    pub pid: i32,
    /// The thread. /proc/PID/task/TID has what the process holds, also if its main thread has ended
    /// before, and /proc/PID/statm is all zeros.
    pub tid: i32,
}

/// Waits for the ends of a process and of its descendants. Bound to the thread that it is made on.
///
/// Dropping it lets go of nobody: the kernel does when the thread ends, and all of them run on.
#[derive(Debug)]
pub struct ExitTracer {
    root: i32,
    root_exit: ExitWait,
    /// By tid, the processes of the threads that live.
    threads: HashMap<i32, i32>,
    /// Threads that have stopped at their end and were not yet waited for.
    ending: HashSet<i32>,
    /// Not to be sent to another thread.
    _bound: PhantomData<*const ()>,
}

impl ExitTracer {
    /// Seizes a process of one thread, which should be held before its exec. It runs on.
    ///
    /// # Errors
    /// If it may not be traced, or has gone.
    pub fn begin(pid: i32) -> Result<Self, TraceError> {
        let root_exit = ExitWait::of_leader(pid);
        request::seize(pid, PTRACE_OPTIONS).map_err(|source| refused(pid, source))?;
        let threads = HashMap::from([(pid, pid)]);
        Ok(Self { root: pid, root_exit, threads, ending: HashSet::new(), _bound: PhantomData })
    }

    /// Waits until the process has ended, and shows the last thread of it and of every descendant that
    /// ends before, with the pids of the processes that go on. The thread is stopped until `read` is over.
    ///
    /// A process that is killed while it ends may not be shown.
    ///
    /// # Errors
    /// If waiting itself fails.
    pub fn run_to_exit(mut self, mut read: impl FnMut(LastThread, &[i32])) -> io::Result<()> {
        loop {
            let tid = match wait::any(true) {
                Ok(Some(tid)) => tid,
                Ok(None) => continue,
                // Somebody else has reaped the last of them.
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
                Err(error) => return Err(error),
            };
            let exit = if tid == self.root { self.root_exit } else { ExitWait::Reap };
            match wait::take(tid, exit)? {
                Some(WaitResult::Stopped(stop)) => self.handle(tid, stop, &mut read),
                Some(WaitResult::Exited | WaitResult::NotOurs) if tid == self.root => return Ok(()),
                Some(WaitResult::Exited | WaitResult::NotOurs) => self.forget(tid),
                None => {}
            }
        }
    }

    fn forget(&mut self, tid: i32) {
        self.threads.remove(&tid);
        self.ending.remove(&tid);
    }

    /// Handles a stop, and lets the thread run on. That it has been killed meanwhile is no failure: it
    /// ends, and the next wait says so.
    fn handle(&mut self, tid: i32, stop: PtraceStop, read: &mut impl FnMut(LastThread, &[i32])) {
        self.add(tid);
        match stop {
            PtraceStop::Event(libc::PTRACE_EVENT_EXIT) => {
                let pid = self.threads.remove(&tid);
                self.ending.insert(tid);
                let mut living: Vec<i32> = self.threads.values().copied().collect();
                living.sort_unstable();
                living.dedup();
                if let Some(pid) = pid.filter(|pid| living.binary_search(pid).is_err()) {
                    read(LastThread { pid, tid }, &living);
                }
            }
            PtraceStop::Event(libc::PTRACE_EVENT_EXEC) => {
                // The thread has the leader's tid now, and all others have ended.
                self.threads.retain(|other, pid| *other == tid || *pid != tid);
                self.ending.remove(&tid);
                self.threads.insert(tid, tid);
            }
            birth if birth.is_birth() => {
                request::event_tid(tid).into_iter().for_each(|born| self.add(born));
            }
            PtraceStop::Group(_) => {
                let _ = request::listen(tid);
                return;
            }
            _ => {}
        }
        let _ = request::run_on(tid, stop.signal());
    }

    /// Adds a thread that is new. It may have ended before its birth is reported.
    fn add(&mut self, tid: i32) {
        if self.threads.contains_key(&tid) || self.ending.contains(&tid) {
            return;
        }
        if let Some(pid) = tasks::process_of(tid).filter(|_| tasks::is_traced_by_us(tid)) {
            self.threads.insert(tid, pid);
        }
    }
}
