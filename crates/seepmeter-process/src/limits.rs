//! How large a process may become: its cgroup's limit, its own, and the machine's.

use std::path::Path;

use procfs::process::{LimitValue, Limits as ProcLimits, MountInfos};
use procfs::{FromRead, Meminfo, ProcessCGroups};

/// A cgroup limit from this on is none: version 1 says "unlimited" by the largest number of pages
/// (mm/page_counter.c).
const UNLIMITED: u64 = 1 << 62;

/// What may end a process that grows, in bytes; none where there is no such limit or it can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The memory limit of its cgroup, or of one above, whichever has the least room.
    pub cgroup: Option<CgroupLimit>,
    /// RLIMIT_AS of getrlimit(2): it bounds the address space.
    pub address_space: Option<u64>,
    /// The machine's memory: MemTotal of /proc/meminfo.
    pub machine: Option<u64>,
    /// What of it can be had without swapping: MemAvailable of /proc/meminfo.
    pub machine_available: Option<u64>,
}

/// The memory limit of a cgroup. It bounds the resident memory of all the group's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupLimit {
    /// `memory.max` of version 2, `memory.limit_in_bytes` of version 1.
    pub limit: u64,
    /// What the group uses: `memory.current` or `memory.usage_in_bytes`, without the pages of files
    /// that nobody has used lately (`inactive_file` of memory.stat), which the kernel takes back
    /// first. None where it can't be read.
    pub used: Option<u64>,
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
            machine: machine.as_ref().map(|meminfo| meminfo.mem_total),
            machine_available: machine.and_then(|meminfo| meminfo.mem_available),
        }
    }
}

/// The names of a version's files.
#[derive(Clone, Copy)]
struct Files {
    limit: &'static str,
    used: &'static str,
    /// In memory.stat. That of version 1 counts in the groups below, as the usage does.
    inactive: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

const V2: Files = Files { limit: "memory.max", used: "memory.current", inactive: "inactive_file" };

/// The limit with the least room along the way from the process's cgroup up to the root of its
/// hierarchy.
fn cgroup_limit(folder: &Path) -> Option<CgroupLimit> {
    let groups = ProcessCGroups::from_file(folder.join("cgroup")).ok()?;
    let mounts = MountInfos::from_file(folder.join("mountinfo")).ok()?;
    let mounted = |is: &dyn Fn(&procfs::process::MountInfo) -> bool| {
        mounts.0.iter().find(|mount| is(mount)).map(|mount| mount.mount_point.clone())
    };
    groups
        .0
        .iter()
        .filter_map(|group| {
            let (root, files) = if group.hierarchy == 0 {
                (mounted(&|mount| mount.fs_type == "cgroup2")?, V2)
            } else if group.controllers.iter().any(|controller| controller == "memory") {
                let is_memory = |mount: &procfs::process::MountInfo| {
                    mount.fs_type == "cgroup" && mount.super_options.contains_key("memory")
                };
                (mounted(&is_memory)?, V1)
            } else {
                return None;
            };
            least_room(&root, Path::new(group.pathname.trim_start_matches('/')), files)
        })
        .min_by_key(room)
}

fn least_room(root: &Path, group: &Path, files: Files) -> Option<CgroupLimit> {
    group.ancestors().filter_map(|above| limit_of(&root.join(above), files)).min_by_key(room)
}

fn room(cgroup: &CgroupLimit) -> u64 {
    cgroup.limit.saturating_sub(cgroup.used.unwrap_or(0))
}

/// The limit of one group, where it has one.
fn limit_of(folder: &Path, files: Files) -> Option<CgroupLimit> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let limit = number(files.limit).filter(|bytes| *bytes < UNLIMITED)?;
    let inactive = read("memory.stat").and_then(|stat| {
        // One name and one number a line (mm/memcontrol.c).
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(name, _)| *name == files.inactive)?.1.trim().parse::<u64>().ok()
    });
    let used = number(files.used).map(|used| used.saturating_sub(inactive.unwrap_or(0)));
    Some(CgroupLimit { limit, used })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

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

        fn limit(&self) -> Option<u64> {
            self.limits().cgroup.map(|cgroup| cgroup.limit)
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
        assert_eq!(made.limit(), Some(512 << 20));
        made.write("cg/service/worker/memory.max", "1048576\n");
        assert_eq!(made.limit(), Some(1 << 20));
    }

    #[test]
    fn the_group_with_the_least_room_counts_and_what_it_uses_is_without_idle_pages_of_files() {
        let made = Made::new("v2-used", "0::/service/worker\n", "cgroup2", "rw");
        made.write("cg/service/worker/memory.max", "536870912\n");
        made.write("cg/service/worker/memory.current", "104857600\n");
        let worker = CgroupLimit { limit: 512 << 20, used: Some(100 << 20) };
        assert_eq!(made.limits().cgroup, Some(worker));
        // A neighbour fills the group above.
        made.write("cg/service/memory.max", "1073741824\n");
        made.write("cg/service/memory.current", "1048576000\n");
        made.write("cg/service/memory.stat", "anon 7\ninactive_file 10485760\nactive_file 9\n");
        let service = CgroupLimit { limit: 1 << 30, used: Some(990 << 20) };
        assert_eq!(made.limits().cgroup, Some(service));
    }

    #[test]
    fn version_1_names_no_limit_by_a_huge_number() {
        let made = Made::new("v1", "4:memory:/job\n", "cgroup", "rw,memory");
        made.write("cg/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(made.limit(), None);
        made.write("cg/job/memory.limit_in_bytes", "4096\n");
        assert_eq!(made.limit(), Some(4096));
        made.write("cg/job/memory.usage_in_bytes", "3000\n");
        made.write("cg/job/memory.stat", "inactive_file 100\ntotal_inactive_file 1000\n");
        assert_eq!(made.limits().cgroup.unwrap().used, Some(2000));
    }

    #[test]
    fn this_process_has_the_machines_memory() {
        let limits = Limits::of(std::process::id().cast_signed(), Path::new("/proc"));
        assert!(limits.machine.is_some_and(|bytes| bytes > 64 << 20));
        assert!(limits.machine_available < limits.machine && limits.machine_available > Some(0));
    }
}
