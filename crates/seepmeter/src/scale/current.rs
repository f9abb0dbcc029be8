//! The run that is under way, between the thread that serves signals and the one that makes runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        let tree = descendants(process.pid());
        send_to_all(Signal::SIGKILL, tree.iter().chain([&*process]));
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
