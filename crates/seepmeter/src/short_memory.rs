//! What the kernel has done to targets because memory was short, which their ends do not say.

use anyhow::Result;
use nix::libc;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{MemoryEvents, OomKill, Process};
use seepmeter_record::{Bytes, End, Unit, human};

use crate::messages;
use crate::watch::TargetLife;

/// What to do about it.
const NEXT: &str = "raise the cgroup's limit, or see in the summary what has grown";

/// A target that is started again and again is known of its last so many times.
const MOST_TARGETS: usize = 16;

/// The events of the cgroups of all targets, as they were before the watch.
pub(crate) struct ShortMemory {
    targets: Vec<Target>,
}

struct Target {
    pid: i32,
    name: Bytes,
    before: MemoryEvents,
    /// What the kernel had done when the target had ended.
    oom_kill: Option<OomKill>,
}

impl ShortMemory {
    /// Reads the events before the watch.
    pub(crate) fn before<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Self {
        Self { targets: processes.into_iter().map(Target::before).collect() }
    }

    /// A target has come later. Of those that have come and gone, the last ones are kept.
    pub(crate) fn add(&mut self, process: &Process) {
        if self.targets.len() >= MOST_TARGETS {
            let forgotten = self.targets.iter().position(|target| target.oom_kill.is_none());
            self.targets.remove(forgotten.unwrap_or(0));
        }
        self.targets.push(Target::before(process));
    }

    /// A target has ended: reads the events again, since a cgroup may go with the last of its processes.
    pub(crate) fn ended(&mut self, process: &Process) {
        let target = self.targets.iter_mut().rfind(|target| target.pid == process.pid());
        if let Some(target) = target {
            target.oom_kill = target.before.oom_kill();
        }
    }

    /// Reports it for a child, which has ended so; `killed_by_us` if seepmeter has sent it SIGKILL.
    pub(crate) fn report_of_child(&self, end: End, killed_by_us: bool) {
        let Some(target) = self.targets.first() else { return };
        let killed = end == End::Killed(libc::SIGKILL) && !killed_by_us;
        match target.oom_kill {
            Some(kill) if killed => messages::notice(&format!(
                "the target was killed by the OOM killer{}; {NEXT}",
                of(kill)
            )),
            Some(kill) => messages::notice(&format!(
                "the OOM killer has killed another process of the target's cgroup{}; {NEXT}",
                of(kill)
            )),
            None => target.report_slowed("the target"),
        }
    }

    /// Reports it for processes of which nobody says how they have ended.
    pub(crate) fn report_of_others(&self) {
        for target in &self.targets {
            let name = format!("{} (pid {})", target.name, target.pid);
            match target.oom_kill {
                Some(kill) => messages::notice(&format!(
                    "{name} has ended, and the OOM killer has killed a process of its cgroup, perhaps this \
                     one{}; {NEXT}",
                    of(kill)
                )),
                None => target.report_slowed(&name),
            }
        }
    }
}

impl TargetLife for ShortMemory {
    fn begin(&mut self, process: &Process) {
        self.add(process);
    }

    fn end(&mut self, process: &Process) -> Result<End> {
        self.ended(process);
        Ok(End::Gone)
    }
}

impl Target {
    fn before(process: &Process) -> Self {
        Self {
            pid: process.pid(),
            name: process.name().into(),
            before: MemoryEvents::of(process.pid(), &ProcRoot::default()),
            oom_kill: None,
        }
    }

    fn report_slowed(&self, name: &str) {
        if self.before.was_slowed() {
            messages::notice(&format!(
                "the kernel has slowed processes in the cgroup of {name} down, since it was above memory.high; \
                 raise that limit, or see in the summary what has grown"
            ));
        }
    }
}

/// At which limit that was.
fn of(kill: OomKill) -> String {
    match kill.cgroup_limit {
        Some(limit) => {
            let limit = human::amount(limit as f64, Unit::Bytes);
            format!(" at its cgroup's limit of {limit}: memory was short in its cgroup")
        }
        None => ": memory was short on the machine, or at a limit that is not known".to_owned(),
    }
}
