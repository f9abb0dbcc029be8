//! Cgroups, as far as their hierarchies are mounted here.

mod limit;
mod mount;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::proc::ProcRoot;
use crate::proc::text::decimal;

pub use limit::CgroupLimit;
pub(crate) use limit::{Controller, least_room, limit_of, number_behind};
use mount::Mount;

/// A version of cgroups; a machine may have both mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CgroupVersion {
    /// Version 1: each controller has a hierarchy of its own.
    V1,
    /// Version 2: one hierarchy.
    V2,
}

/// A cgroup, as far as its hierarchy is mounted here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cgroup {
    /// The version of its hierarchy.
    pub version: CgroupVersion,
    /// Its path as /proc/PID/cgroup shows it.
    pub path: PathBuf,
    /// Where its hierarchy is mounted.
    root: PathBuf,
    /// Its folder below that.
    below: PathBuf,
}

impl Cgroup {
    /// Those of this process whose memory is accounted for: one, or one of each version, that of version 2 first.
    pub(crate) fn own_of_memory(root: &ProcRoot) -> Vec<Self> {
        let read = |name: &str| root.own().read(name).unwrap_or_default();
        let mut groups = Self::of_memory(&read("cgroup"), &read("mountinfo"));
        groups.sort_by_key(|group| group.version != CgroupVersion::V2);
        groups
    }

    /// The name of the file with the most memory that it has had, in bytes.
    pub(crate) fn peak_file(&self) -> &'static str {
        Controller::Memory.files(self.version).peak
    }

    /// The cgroups of a process whose memory is accounted for, by the text of its /proc/PID/cgroup and that
    /// of our own mountinfo: one, or one of each version.
    #[must_use]
    pub fn of_memory(groups: &[u8], mounts: &[u8]) -> Vec<Self> {
        Self::of_controller(groups, mounts, Controller::Memory)
    }

    /// Those of a process that have a controller: one, or one of each version. `groups` are the process's and `mounts`
    /// are our own: a sandbox has mounts of its own, whose paths are other folders here, or none.
    ///
    /// `groups` are lines of the kernel's (kernel/cgroup/cgroup.c, `proc_cgroup_show`), of which the number
    /// 0 is version 2:
    ///
    /// ```text
    /// 4:memory:/job
    /// 0::/service/worker
    /// ```
    pub(crate) fn of_controller(groups: &[u8], mounts: &[u8], controller: Controller) -> Vec<Self> {
        let mounts: Vec<Mount<'_>> =
            Mount::all(mounts).filter(|mount| mount.may_have(controller)).collect();
        let cgroup = |line: &[u8]| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let (number, controllers) = (parts.next()?, parts.next()?);
            let path = Path::new(OsStr::from_bytes(parts.next()?));
            let version = if number == b"0" { CgroupVersion::V2 } else { CgroupVersion::V1 };
            let named = controllers.split(|b| *b == b',').any(|name| name == controller.name());
            if version == CgroupVersion::V1 && !named {
                return None;
            }
            let mut mounts = mounts.iter().filter(|mount| mount.version == version);
            let (root, below) = mounts.find_map(|mount| mount.folder(path))?;
            Some(Self { version, path: path.to_owned(), root: root.to_owned(), below })
        };
        groups.split(|byte| *byte == b'\n').filter_map(cgroup).collect()
    }

    /// The cgroups that a user means by a path: the one whose folder it is, or those that /proc/PID/cgroup shows it
    /// for, one of each hierarchy. Those that account for memory are first, version 2 before version 1. `mounts` is
    /// our own mountinfo.
    #[must_use]
    pub fn at(path: &Path, mounts: &[u8]) -> Vec<Self> {
        let mounts = Mount::memory_first(mounts);
        let folder = std::fs::canonicalize(path).unwrap_or_default();
        let by_folder = mounts.iter().find_map(|mount| {
            let below = folder.strip_prefix(&mount.at).ok()?.to_owned();
            let path = mount.group.join(&below);
            Some(Self { version: mount.version, path, root: mount.at.clone(), below })
        });
        let path = Path::new("/").join(path);
        let by_path = mounts.iter().filter_map(|mount| {
            let (root, below) = mount.folder(&path)?;
            Some(Self { version: mount.version, path: path.clone(), root: root.to_owned(), below })
        });
        by_folder.map_or_else(|| by_path.collect(), |group| vec![group])
    }

    /// The uppermost cgroup of each hierarchy, as far as it is mounted here, in the same order.
    pub(crate) fn uppermost(mounts: &[u8]) -> Vec<Self> {
        let group = |mount: Mount<'_>| Self {
            version: mount.version,
            path: mount.group.to_owned(),
            root: mount.at,
            below: PathBuf::new(),
        };
        Mount::memory_first(mounts).into_iter().map(group).collect()
    }

    /// The pids of the processes in it and in the cgroups below it.
    ///
    /// # Errors
    /// If it is not there any more, or can't be read.
    pub fn pids(&self) -> io::Result<Vec<i32>> {
        pids_in(&self.folder())
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// A cgroup of this name in it, whether there is one or not.
    pub(crate) fn child(&self, name: &str) -> Self {
        let (path, below) = (self.path.join(name), self.below.join(name));
        Self { path, below, root: self.root.clone(), version: self.version }
    }

    /// The cgroup above it, as far as that is mounted here.
    #[must_use]
    pub fn above(&self) -> Option<Self> {
        let below = self.below.parent()?.to_owned();
        let path = self.path.parent().unwrap_or(&self.path).to_owned();
        Some(Self { path, below, root: self.root.clone(), version: self.version })
    }

    /// The folders along the way from the group up to the root of its hierarchy.
    pub(crate) fn way_up(&self) -> impl Iterator<Item = PathBuf> {
        self.below.ancestors().map(|above| self.root.join(above))
    }
}

/// In the folder of a cgroup: its processes, a pid in each line.
pub(crate) const PROCESSES: &str = "cgroup.procs";

/// The pids of a cgroup with this folder, and of those below it. A process that our pid namespace does not show is
/// `0`, and left out.
pub(crate) fn pids_in(folder: &Path) -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    add_pids(folder, &mut pids)?;
    Ok(pids)
}

fn add_pids(folder: &Path, pids: &mut Vec<i32>) -> io::Result<()> {
    let text = fs::read(folder.join(PROCESSES))?;
    let lines = text.split(|byte| *byte == b'\n').filter_map(decimal);
    pids.extend(lines.filter_map(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0));
    // Two links are those of a folder with none in it (fs/kernfs/inode.c).
    if fs::metadata(folder)?.nlink() == 2 {
        return Ok(());
    }
    for below in folders_in(folder) {
        // A group may go while it is read, and one of threads does not list processes: its parent does.
        let _ = add_pids(&below, pids);
    }
    Ok(())
}

/// The folders in a folder.
pub(crate) fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CgroupOfProcess;

    #[test]
    fn the_cgroups_above_one_are_those_that_are_mounted() {
        let made = CgroupOfProcess::new("0::/box/service/worker\n", "cgroup2", "rw");
        made.mount("/box", "cgroup2", "rw");
        let root = made.root();
        let mounts = root.own().read("mountinfo").unwrap();
        let cgroups = Cgroup::of_memory(b"0::/box/service/worker\n", &mounts);
        let [cgroup] = &cgroups[..] else { panic!("{cgroups:?}") };
        assert_eq!(cgroup.folder(), made.folder.path().join("cg/service/worker"));
        let above = std::iter::successors(Some(cgroup.clone()), Cgroup::above);
        let paths: Vec<PathBuf> = above.map(|cgroup| cgroup.path).collect();
        assert_eq!(paths, ["/box/service/worker", "/box/service", "/box"].map(PathBuf::from));
    }
}
