//! Orphans of the target that become children of this process: prctl(2), PR_SET_CHILD_SUBREAPER.
//!
//! Only if there is no better way, for the target can notice: the parent of its orphans is not pid 1. Programs
//! under systemd --user or in many containers have to live with that too. Nothing else is different: an
//! orphan is reaped as soon as it has ended, as init does.
//!
//! This process has other children, of plugins too, and must not reap those. The kernel gives an orphan to
//! the first thread of its new parent (kernel/exit.c, `find_alive_thread`), and a child that was forked here
//! belongs to the thread that has forked it. So an orphan is one that was known as a descendant, or a child
//! of the first thread that was born after the target. The first thread must fork nothing else meanwhile.

use std::io;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use seepmeter_record::End;

use crate::proc::text::decimal;
use crate::proc::{ProcRoot, Stat};
use crate::{Process, ProcessKey};

/// This process, as the parent of the target's orphans.
#[derive(Debug)]
pub(crate) struct Orphans {
    own_pid: i32,
    target: ProcessKey,
    root: ProcRoot,
}

impl Orphans {
    pub(crate) fn adopt(target: ProcessKey, root: &ProcRoot) -> io::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        Ok(Self { own_pid: std::process::id().cast_signed(), target, root: root.clone() })
    }

    /// The orphans of the target's tree that were not reaped, with what they are now. Without
    /// CONFIG_PROC_CHILDREN nothing can be told apart, so there are none.
    pub(crate) fn list(&self) -> Vec<Stat> {
        let children = self.root.own().thread(self.own_pid).read("children").unwrap_or_default();
        let pids = children.split(u8::is_ascii_whitespace).filter_map(decimal);
        let pids = pids.filter_map(|pid| i32::try_from(pid).ok());
        let others = pids.filter(|pid| *pid != self.target.pid);
        let stats = others.filter_map(|pid| self.root.process(pid).stat().ok());
        stats.filter(|stat| stat.start_time >= self.target.start_time).collect()
    }

    /// Reaps a descendant that has ended, if it is a child of this process.
    pub(crate) fn reap(&self, process: &Process) -> io::Result<Option<End>> {
        wait_for(WaitId::PidFd(process.pidfd()))
    }

    /// Reaps an orphan that was a zombie when it was listed.
    pub(crate) fn reap_zombie(&self, stat: &Stat) -> io::Result<()> {
        match Pid::from_raw(stat.pid).filter(|_| stat.ppid == self.own_pid) {
            Some(pid) => wait_for(WaitId::Pid(pid)).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = nix::sys::prctl::set_child_subreaper(false);
    }
}

/// None if it is somebody else's child.
fn wait_for(id: WaitId<'_>) -> io::Result<Option<End>> {
    let status = match waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Err(rustix::io::Errno::CHILD) => None,
        status => status?,
    };
    let end = |status: WaitIdStatus| match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(End::Exited(code)),
        (None, signal) => signal.map(End::Killed),
    };
    Ok(status.and_then(end))
}
