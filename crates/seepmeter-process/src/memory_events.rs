//! What the kernel does to a process because memory is short.

use std::path::PathBuf;

use crate::cgroup::{Cgroup, Controller, limit_of, number_behind};
use crate::proc::{ProcFolder, ProcRoot};

/// What the kernel has done so far in a process's cgroup because memory was short.
#[derive(Clone, Debug)]
pub struct MemoryEvents {
    /// Where the kernel counts: a process that has ended is in no group of version 1 any more.
    groups: Vec<Cgroup>,
    oom_kills: Option<u64>,
    high: Option<u64>,
    /// See [`failures`], of each group.
    failures: Vec<Vec<Option<LimitFailures>>>,
}

/// How often a limit of memory was in the way.
#[derive(Clone, Copy, Debug)]
struct LimitFailures {
    /// The limit in bytes.
    limit: u64,
    count: u64,
}

/// The kernel has killed a process because memory was short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// The limit in bytes that was in the way; none if it was the machine's memory, or that is not known.
    pub cgroup_limit: Option<u64>,
}

impl MemoryEvents {
    /// Reads the numbers for the cgroup that a process is in.
    #[must_use]
    pub fn of(pid: i32, root: &ProcRoot) -> Self {
        let read = |folder: ProcFolder, name: &str| folder.read(name).unwrap_or_default();
        let (group, mounts) = (read(root.process(pid), "cgroup"), read(root.own(), "mountinfo"));
        let groups = Cgroup::of_memory(&group, &mounts);
        let failures = groups.iter().map(failures).collect();
        let (oom_kills, high) = (event_count(&groups, OOM_KILL), event_count(&groups, HIGH));
        Self { groups, oom_kills, high, failures }
    }

    /// Whether the kernel has killed a process of the group since then. Not known of Linux before 4.13.
    #[must_use]
    pub fn oom_kill(&self) -> Option<OomKill> {
        // What was not known before does not show that there are more.
        let before = self.oom_kills?;
        if event_count(&self.groups, OOM_KILL)? <= before {
            return None;
        }
        let now = self.groups.iter().flat_map(failures);
        let grown = self.failures.iter().flatten().zip(now).filter_map(|(before, now)| {
            let LimitFailures { limit, count } = now?;
            before.is_none_or(|before| count > before.count).then_some(limit)
        });
        Some(OomKill { cgroup_limit: grown.min() })
    }

    /// True if the group was above its memory.high since then, so that the kernel has slowed it down.
    #[must_use]
    pub fn was_slowed(&self) -> bool {
        self.high.is_some_and(|before| event_count(&self.groups, HIGH) > Some(before))
    }
}

const OOM_KILL: &str = "oom_kill";
const HIGH: &str = "high";

/// How often an event has happened.
fn event_count(groups: &[Cgroup], event: &str) -> Option<u64> {
    let file = |it: &Cgroup| it.folder().join(Controller::Memory.files(it.version).events);
    let files = groups.iter().map(file);
    let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
    texts.filter_map(|text| number_behind(&text, event)).max()
}

/// How often each limit along the way up was in the way; none of a group without one.
fn failures(group: &Cgroup) -> Vec<Option<LimitFailures>> {
    let files = Controller::Memory.files(group.version);
    let of = |folder: PathBuf| {
        let limit = limit_of(&folder, files.limit, files)?.limit;
        let text = std::fs::read_to_string(folder.join(files.failures)).ok()?;
        let count = number_behind(&text, "oom").or_else(|| text.trim().parse().ok())?;
        Some(LimitFailures { limit, count })
    };
    group.way_up().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CgroupOfProcess;

    #[test]
    fn an_event_is_one_more_in_the_group_that_the_process_was_in() {
        let made = CgroupOfProcess::new("0::/service/worker\n", "cgroup2", "rw");
        let events = || MemoryEvents::of(7, &made.root());
        let nothing = events();
        assert!(nothing.oom_kill().is_none() && !nothing.was_slowed());
        let write = |high, kills| {
            let text = format!("low 0\nhigh {high}\nmax 9\noom {kills}\noom_kill {kills}\n");
            made.folder.write("cg/service/worker/memory.events", &text);
        };
        made.folder.write("cg/service/worker/memory.max", "62914560\n");
        write(3, 1);
        let before = events();
        assert!(before.oom_kill().is_none() && !before.was_slowed());
        made.folder.write("proc/7/cgroup", "0::/\n");
        write(3, 2);
        let at_limit = Some(OomKill { cgroup_limit: Some(60 << 20) });
        assert_eq!(before.oom_kill(), at_limit, "wherever the process is now");
        assert!(!before.was_slowed());
        write(4, 2);
        assert!(before.was_slowed());
    }
}
