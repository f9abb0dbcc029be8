//! Ending a whole tree.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{ProcessTree, TreeProcess};
use crate::wait::wait_one_readable;
use crate::{Process, ProcessKey};

/// How often new processes are looked for while others end.
const LOOK: Duration = Duration::from_millis(10);
/// How long the end of processes is waited for that were killed.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// What came of ending a tree.
#[derive(Clone, Debug, Default)]
pub struct TreeEnd {
    /// Those that did not end by SIGTERM within the grace, and were killed.
    pub killed: Vec<Arc<TreeProcess>>,
    /// Those that are left: this user may not signal them, or they hang in the kernel.
    pub left: Vec<Arc<TreeProcess>>,
}

impl ProcessTree {
    /// Sends a signal to the processes that run, also to those that the filter leaves out, and to no other:
    /// by pidfd, so never to one that has got the pid of one of them. Those for which `wants` is false get
    /// none. Returns whom it was sent to.
    pub fn signal(
        &self,
        signal: Signal,
        mut wants: impl FnMut(&ProcessKey) -> bool,
    ) -> Vec<ProcessKey> {
        let mut sent = Vec::new();
        for member in self.members.by_pid.values() {
            let key = member.process.key();
            if wants(&key) && matches!(member.process.signal(signal), Ok(true)) {
                sent.push(key);
            }
        }
        for key in self.members.not_followed().collect::<Vec<_>>() {
            let process = wants(&key).then(|| Process::open(key.pid, &self.root));
            if let Some(Ok(process)) = process
                && process.key() == key
                && matches!(process.signal(signal), Ok(true))
            {
                sent.push(key);
            }
        }
        sent
    }

    /// Ends the target and all its descendants: SIGTERM, and SIGKILL to what is left after the grace. New
    /// processes are ended too. It returns as soon as there are none any more, at the latest five seconds
    /// after the grace. What has changed is returned by the next [`refresh`](ProcessTree::refresh).
    ///
    /// A process that is a child of this one stays to be reaped.
    ///
    /// # Errors
    /// What [`refresh`](ProcessTree::refresh) fails with.
    pub fn end(&mut self, grace: Duration) -> io::Result<TreeEnd> {
        let begin = Instant::now();
        self.is_ending = true;
        if self.signal_until_gone(Signal::SIGTERM, begin + grace)? {
            return Ok(TreeEnd::default());
        }
        let killed = self.running().cloned().collect();
        self.signal_until_gone(Signal::SIGKILL, begin + grace + AFTER_KILL)?;
        Ok(TreeEnd { killed, left: self.running().cloned().collect() })
    }

    /// Signals each process once. True if none is left.
    fn signal_until_gone(&mut self, signal: Signal, deadline: Instant) -> io::Result<bool> {
        let mut signalled = HashSet::new();
        loop {
            self.update()?;
            if self.members.pids().is_empty() {
                return Ok(true);
            }
            let sent = self.signal(signal, |key| !signalled.contains(key));
            signalled.extend(sent);
            if Instant::now() >= deadline {
                return Ok(false);
            }
            wait_one_readable(self.as_fd(), Some(deadline.min(Instant::now() + LOOK)))?;
        }
    }
}
