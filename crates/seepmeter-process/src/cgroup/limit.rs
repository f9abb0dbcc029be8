//! The limits of cgroups.

use std::path::Path;

use super::{Cgroup, CgroupVersion};

/// A cgroup limit from this on is none: version 1 says "unlimited" by the largest number of pages
/// (mm/page_counter.c).
const UNLIMITED: u64 = 1 << 62;

/// A limit of a cgroup. It bounds what all the group's processes have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupLimit {
    /// `memory.max` of version 2, `memory.limit_in_bytes` of version 1; `pids.max` of both.
    pub limit: u64,
    /// What the group uses: `memory.current` or `memory.usage_in_bytes`, without the pages of files
    /// that nobody has used lately (`inactive_file` of memory.stat), which the kernel takes back
    /// first; `pids.current`. None if it can't be read.
    pub used: Option<u64>,
}

/// A controller of cgroups that bounds processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Pids,
}

impl Controller {
    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Self::Memory => b"memory",
            Self::Pids => b"pids",
        }
    }

    pub(crate) fn files(self, version: CgroupVersion) -> Files {
        match (self, version) {
            (Self::Memory, CgroupVersion::V1) => V1,
            (Self::Memory, CgroupVersion::V2) => V2,
            (Self::Pids, _) => PIDS,
        }
    }
}

/// The names of a version's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    pub(crate) limit: &'static str,
    pub(crate) high: Option<&'static str>,
    pub(crate) used: &'static str,
    /// The most that was used.
    pub(crate) peak: &'static str,
    /// In memory.stat. That of version 1 counts in the groups below, as the usage does.
    inactive: Option<&'static str>,
    /// Where the kernel counts what it has done: only whom it has killed in version 1.
    pub(crate) events: &'static str,
    /// How often the limit was in the way: a number alone, or that of `max` among the events.
    pub(crate) failures: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    high: None,
    used: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
    inactive: Some("total_inactive_file"),
    events: "memory.oom_control",
    failures: "memory.failcnt",
};

const V2: Files = Files {
    limit: "memory.max",
    high: Some("memory.high"),
    used: "memory.current",
    // From Linux 5.19 on.
    peak: "memory.peak",
    inactive: Some("inactive_file"),
    events: "memory.events",
    failures: "memory.events",
};

/// Of both versions.
const PIDS: Files = Files {
    limit: "pids.max",
    high: None,
    used: "pids.current",
    // From Linux 6.11 on.
    peak: "pids.peak",
    inactive: None,
    events: "pids.events",
    failures: "pids.events",
};

/// The limit in files of a name, if a version has it, with the least room along the ways from these cgroups up to
/// the roots of their hierarchies.
pub(crate) fn least_room(
    groups: &[Cgroup],
    controller: Controller,
    limit: fn(Files) -> Option<&'static str>,
) -> Option<CgroupLimit> {
    let limits = groups.iter().flat_map(|group| {
        let files = controller.files(group.version);
        group.way_up().filter_map(move |folder| limit_of(&folder, limit(files)?, files))
    });
    limits.min_by_key(|it| it.limit.saturating_sub(it.used.unwrap_or(0)))
}

/// The number behind a name; there is one of each a line (mm/memcontrol.c).
pub(crate) fn number_behind(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name)?.1.trim().parse().ok()
}

/// The limit of one group, if it has one.
pub(crate) fn limit_of(folder: &Path, limit: &str, files: Files) -> Option<CgroupLimit> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let limit = number(limit).filter(|bytes| *bytes < UNLIMITED)?;
    let stat = files.inactive.and_then(|name| Some((read("memory.stat")?, name)));
    let inactive = stat.and_then(|(stat, name)| number_behind(&stat, name));
    let used = number(files.used).map(|used| used.saturating_sub(inactive.unwrap_or(0)));
    Some(CgroupLimit { limit, used })
}
