//! The run that is under way, between the thread that serves signals and the one that makes runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{Process, ReceivedSignal};

/// The run that is under way, if there is one. Its descriptor can be read once a signal has come.
#[derive(Debug)]
pub(crate) struct CurrentRun {
    arrived: EventFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Arc<Process>>,
    /// Has come, and the run has not got it yet.
    unsent: Option<ReceivedSignal>,
    /// The last that has come.
    last: Option<Signal>,
}

impl CurrentRun {
    /// No run is under way.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self { arrived: EventFd::from_flags(flags)?, state: Mutex::default() })
    }

    /// A signal has come: there are to be no more runs.
    pub(crate) fn interrupt(&self, received: ReceivedSignal) {
        let mut state = self.lock();
        (state.unsent, state.last) = (Some(received), Some(received.signal));
        // Only what was never read could fill it.
        let _ = self.arrived.write(1);
    }

    /// The signal that the run has not got yet.
    pub(super) fn take_unsent(&self) -> Option<ReceivedSignal> {
        let _ = self.arrived.read();
        self.lock().unsent.take()
    }

    /// The last signal that has come.
    pub(crate) fn interrupted_by(&self) -> Option<Signal> {
        self.lock().last
    }

    /// A run begins, or none is under way any more.
    pub(super) fn set(&self, process: Option<Arc<Process>>) {
        self.lock().process = process;
    }

    /// Kills the run that is under way, with all that has come of it.
    pub(crate) fn kill(&self) {
        let Some(process) = self.lock().process.clone() else { return };
        kill_trees([&*process]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for CurrentRun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

/// Sends a signal to all of them. One with more rights than ours must not keep the others from being ended.
pub(super) fn send_to_all<'a>(signal: Signal, processes: impl Iterator<Item = &'a Process>) {
    for process in processes {
        let _ = process.signal(signal);
    }
}

/// Kills processes, with all that has come of them. What a process forks just now would be nobody's child a moment
/// later, and never be found: so all are stopped first, until there are no new ones.
pub(super) fn kill_trees<'a>(roots: impl IntoIterator<Item = &'a Process>) {
    /// As long as a process may take to stop.
    const STOPPING: Duration = Duration::from_millis(30);
    let roots: Vec<&Process> = roots.into_iter().collect();
    send_to_all(Signal::SIGSTOP, roots.iter().copied());
    let mut tree: Vec<Process> = Vec::new();
    let begin = Instant::now();
    loop {
        let found = roots.iter().flat_map(|process| descendants(process.pid()));
        let known = |it: &Process| tree.iter().any(|known| known.key() == it.key());
        let new: Vec<Process> = found.filter(|it| !known(it)).collect();
        send_to_all(Signal::SIGSTOP, new.iter());
        let is_stable = new.is_empty() && tree.iter().chain(roots.iter().copied()).all(is_stopped);
        tree.extend(new);
        if is_stable || begin.elapsed() > STOPPING {
            break;
        }
    }
    send_to_all(Signal::SIGKILL, tree.iter().chain(roots));
}

/// True if a process can't fork any more.
fn is_stopped(process: &Process) -> bool {
    let stat = ProcRoot::default().process(process.pid()).stat();
    stat.map_or(true, |stat| stat.has_ended() || matches!(stat.state, 'T' | 't'))
}

/// The processes that have come of one and still are its children, and theirs.
pub(super) fn descendants(pid: i32) -> Vec<Process> {
    let root = ProcRoot::default();
    let (mut found, mut parents) = (Vec::new(), vec![pid]);
    while let Some(parent) = parents.pop() {
        for child in root.children(parent).unwrap_or_default() {
            let Ok(process) = Process::open(child, &root) else { continue };
            // Held now, so that it is no other one that has got the pid.
            if root.process(child).stat().is_ok_and(|stat| stat.ppid == parent) {
                parents.push(child);
                found.push(process);
            }
        }
    }
    found
}
