//! Where the memory of a process is accounted for.

use std::iter::successors;
use std::path::PathBuf;

use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{Cgroup, CgroupVersion};

use crate::files::PRESSURE;

/// The cgroup that the kernel charges a process's memory to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) memory: Cgroup,
    /// The folder of the same cgroup in version 2, which has the pressure: another one if memory is in
    /// version 1.
    pub(crate) pressure: Option<PathBuf>,
    /// The cgroup that the process is in, if that has no memory controller and one above it has.
    pub(crate) below: Option<PathBuf>,
}

impl Place {
    /// That of a process by the text of its /proc/PID/cgroup; none if none is mounted here.
    pub(crate) fn of(groups: &[u8], root: &ProcRoot) -> Option<Self> {
        let mounts = root.own().read("mountinfo").unwrap_or_default();
        let groups = Cgroup::of_memory(groups, &mounts);
        let controlled = |group: &Cgroup| {
            let mut upwards = successors(Some(group.clone()), Cgroup::above);
            let memory = upwards.find(|group| group.folder().join("memory.stat").exists())?;
            let below = (memory != *group).then(|| group.path.clone());
            Some((memory, below))
        };
        let (memory, below) = groups.iter().find_map(controlled)?;
        // Both hierarchies may have a cgroup of this path, and mean the same by it.
        let same =
            |group: &&Cgroup| group.version == CgroupVersion::V2 && group.path == memory.path;
        let pressure = match memory.version {
            CgroupVersion::V2 => Some(memory.folder()),
            CgroupVersion::V1 => groups.iter().find(same).map(Cgroup::folder),
        };
        let pressure = pressure.filter(|folder| folder.join(PRESSURE.file).exists());
        Some(Self { memory, pressure, below })
    }
}
