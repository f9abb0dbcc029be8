//! How large a process may become: its cgroup's limit, its own, and the machine's.

use std::path::{Path, PathBuf};

use procfs::process::{LimitValue, Limits as ProcLimits, MountInfos};
use procfs::{FromRead, Meminfo, ProcessCGroups};

/// A cgroup limit from this on is none: version 1 says "unlimited" by the largest number of pages
/// (mm/page_counter.c).
const UNLIMITED: u64 = 1 << 62;

/// What may end a process that grows, in bytes; none where there is no such limit or it can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The least memory limit of its cgroup and of those above: `memory.max` of version 2,
    /// `memory.limit_in_bytes` of version 1. It bounds the resident memory of all the group's processes.
    pub cgroup: Option<u64>,
    /// RLIMIT_AS of getrlimit(2): it bounds the address space.
    pub address_space: Option<u64>,
    /// The machine's memory: MemTotal of /proc/meminfo.
    pub machine: Option<u64>,
}

impl Limits {
    /// Reads the limits of a process. What can't be read is no limit: a limit is told, and never
    /// needed.
    #[must_use]
    pub fn of(pid: i32, proc_root: &Path) -> Self {
        let folder = proc_root.join(pid.to_string());
        let address_space = ProcLimits::from_file(folder.join("limits")).ok().and_then(|limits| {
            match limits.max_address_space.soft_limit {
                LimitValue::Value(bytes) => Some(bytes),
                LimitValue::Unlimited => None,
            }
        });
        let machine = Meminfo::from_file(proc_root.join("meminfo")).ok();
        Self {
            cgroup: cgroup_limit(&folder),
            address_space,
            machine: machine.map(|meminfo| meminfo.mem_total),
        }
    }
}

/// The least limit along the way from the process's cgroup up to the root of its hierarchy.
fn cgroup_limit(folder: &Path) -> Option<u64> {
    let groups = ProcessCGroups::from_file(folder.join("cgroup")).ok()?;
    let mounts = MountInfos::from_file(folder.join("mountinfo")).ok()?;
    let mounted = |is: &dyn Fn(&procfs::process::MountInfo) -> bool| {
        mounts.0.iter().find(|mount| is(mount)).map(|mount| mount.mount_point.clone())
    };
    groups
        .0
        .iter()
        .filter_map(|group| {
            let (root, file) = if group.hierarchy == 0 {
                (mounted(&|mount| mount.fs_type == "cgroup2")?, "memory.max")
            } else if group.controllers.iter().any(|controller| controller == "memory") {
                let is_memory = |mount: &procfs::process::MountInfo| {
                    mount.fs_type == "cgroup" && mount.super_options.contains_key("memory")
                };
                (mounted(&is_memory)?, "memory.limit_in_bytes")
            } else {
                return None;
            };
            least_limit(&root, Path::new(group.pathname.trim_start_matches('/')), file)
        })
        .min()
}

fn least_limit(root: &Path, group: &Path, file: &str) -> Option<u64> {
    let read = |folder: PathBuf| {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        text.trim().parse::<u64>().ok().filter(|bytes| *bytes < UNLIMITED)
    };
    group.ancestors().filter_map(|above| read(root.join(above))).min()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A made-up /proc of one process, and a made-up cgroup file system beside it.
    struct Made {
        folder: PathBuf,
    }

    impl Made {
        fn new(name: &str, cgroup: &str, fs_type: &str, options: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("seepmeter-{name}-{}", std::process::id()));
            let made = Self { folder };
            made.write("proc/7/cgroup", cgroup);
            let mount = made.folder.join("cg");
            let mountinfo =
                format!("30 23 0:26 / {} rw - {fs_type} none {options}\n", mount.display());
            made.write("proc/7/mountinfo", &mountinfo);
            made
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn limits(&self) -> Limits {
            Limits::of(7, &self.folder.join("proc"))
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn the_least_limit_along_the_way_up_counts_in_cgroup_version_2() {
        let made = Made::new("v2", "0::/service/worker\n", "cgroup2", "rw");
        made.write("cg/service/worker/memory.max", "max\n");
        made.write("cg/service/memory.max", "536870912\n");
        assert_eq!(made.limits().cgroup, Some(512 << 20));
        made.write("cg/service/worker/memory.max", "1048576\n");
        assert_eq!(made.limits().cgroup, Some(1 << 20));
    }

    #[test]
    fn version_1_names_no_limit_by_a_huge_number() {
        let made = Made::new("v1", "4:memory:/job\n", "cgroup", "rw,memory");
        made.write("cg/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(made.limits().cgroup, None);
        made.write("cg/job/memory.limit_in_bytes", "4096\n");
        assert_eq!(made.limits().cgroup, Some(4096));
    }

    #[test]
    fn this_process_has_the_machines_memory() {
        let limits = Limits::of(std::process::id().cast_signed(), Path::new("/proc"));
        assert!(limits.machine.is_some_and(|bytes| bytes > 64 << 20));
    }
}
