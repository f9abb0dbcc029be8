//! How large a process may become: its cgroup's limit, its own, and the machine's.

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};
use seepmeter_record::Attributes;
use seepmeter_record::conventions::attribute;

use crate::cgroup::{Cgroup, CgroupLimit, Controller, least_room};
use crate::proc::text::{decimal, keyed_lines, kibibytes};
use crate::proc::{ProcFolder, ProcRoot};

/// What may end a process that grows; none if there is no such limit or it can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The memory limit of its cgroup, or of one above, whichever has the least room, in bytes.
    pub cgroup: Option<CgroupLimit>,
    /// The `memory.high` of its cgroup, or of one above, whichever has the least room, in bytes; only of version 2.
    /// What is above it is slowed down, and not killed.
    pub cgroup_high: Option<CgroupLimit>,
    /// RLIMIT_AS of getrlimit(2), in bytes: it bounds the address space.
    pub address_space: Option<u64>,
    /// RLIMIT_DATA of getrlimit(2), in bytes: it bounds the private writable address space.
    pub data: Option<u64>,
    /// How many mappings it may have: vm.max_map_count of /proc/sys.
    pub mappings: Option<u64>,
    /// What it sees at /dev/shm, if that is a tmpfs of limited size; not known of Linux before 5.6.
    pub shm: Option<ShmLimit>,
    /// The machine's memory in bytes: MemTotal of /proc/meminfo.
    pub machine: Option<u64>,
    /// What of it can be had without swapping, in bytes: MemAvailable of /proc/meminfo.
    pub machine_available: Option<u64>,
    /// RLIMIT_NOFILE of getrlimit(2): how many descriptors it may have open.
    pub descriptors: Option<u64>,
    /// How many threads all processes of its cgroup may have, or of one above, whichever has the least room.
    pub tasks: Option<CgroupLimit>,
    /// RLIMIT_NPROC of getrlimit(2): how many threads all processes of its user may have. None for a process
    /// that the kernel exempts from it.
    pub user_tasks: Option<u64>,
}

/// The size of the tmpfs at a process's /dev/shm. It bounds the files of shared memory of all processes that see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShmLimit {
    /// Its size.
    pub limit: u64,
    /// What of that is used.
    pub used: u64,
}

impl ShmLimit {
    /// Looks at the process's own /dev/shm: a sandbox has another one than this process.
    fn of(process: &ProcFolder) -> Option<Self> {
        /// Of statfs(2).
        const TMPFS_MAGIC: i64 = 0x0102_1994;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(process.file("root"), flags, Mode::empty()).ok()?;
        // A link that its root has at /dev/shm is to be followed from that root on.
        let folder = openat2(&root, "dev/shm", flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        let status = fstatfs(&folder).ok()?;
        let block = u64::try_from(status.f_bsize).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(block);
        // One of unlimited size has no blocks at all (mm/shmem.c, `shmem_statfs`).
        (status.f_type == TMPFS_MAGIC && status.f_blocks > 0).then(|| Self {
            limit: bytes(status.f_blocks),
            used: bytes(status.f_blocks.saturating_sub(status.f_bfree)),
        })
    }
}

impl Limits {
    /// Reads the limits of a process. What can't be read is no limit: a limit is reported, and never
    /// needed.
    #[must_use]
    pub fn of(pid: i32, root: &ProcRoot) -> Self {
        let read = |name: &str| root.process(pid).read(name).unwrap_or_default();
        let machine = std::fs::read(root.path().join("meminfo")).unwrap_or_default();
        let mounts = root.own().read("mountinfo").unwrap_or_default();
        let groups = read("cgroup");
        let memory = Cgroup::of_controller(&groups, &mounts, Controller::Memory);
        let tasks = Cgroup::of_controller(&groups, &mounts, Controller::Pids);
        let limits = read("limits");
        let mappings = std::fs::read(root.path().join("sys/vm/max_map_count"));
        Self {
            cgroup: least_room(&memory, Controller::Memory, |files| Some(files.limit)),
            cgroup_high: least_room(&memory, Controller::Memory, |files| files.high),
            address_space: soft_limit(&limits, "Max address space"),
            data: soft_limit(&limits, "Max data size"),
            mappings: mappings.ok().and_then(|text| decimal(text.trim_ascii())),
            shm: ShmLimit::of(&root.process(pid)),
            machine: bytes_of(&machine, b"MemTotal"),
            machine_available: bytes_of(&machine, b"MemAvailable"),
            descriptors: soft_limit(&limits, "Max open files"),
            tasks: least_room(&tasks, Controller::Pids, |files| Some(files.limit)),
            user_tasks: soft_limit(&limits, "Max processes").filter(|_| !exempt(pid, root)),
        }
    }

    /// What of them bounds memory, as attributes of a subject.
    #[must_use]
    pub fn memory_attributes(&self) -> Attributes {
        Attributes::new()
            .with_known(attribute::CGROUP_LIMIT, self.cgroup.map(|cgroup| cgroup.limit))
            .with_known(attribute::CGROUP_USED, self.cgroup.and_then(|cgroup| cgroup.used))
            .with_known(attribute::CGROUP_HIGH, self.cgroup_high.map(|cgroup| cgroup.limit))
            .with_known(
                attribute::CGROUP_HIGH_USED,
                self.cgroup_high.and_then(|cgroup| cgroup.used),
            )
            .with_known(attribute::MACHINE_LIMIT, self.machine)
            .with_known(attribute::MACHINE_AVAILABLE, self.machine_available)
    }

    /// All of them as attributes of a process.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.memory_attributes()
            .with_known(attribute::ADDRESS_SPACE_LIMIT, self.address_space)
            .with_known(attribute::DESCRIPTOR_LIMIT, self.descriptors)
            .with_known(attribute::DATA_LIMIT, self.data)
            .with_known(attribute::MAPPINGS_LIMIT, self.mappings)
            .with_known(attribute::SHM_LIMIT, self.shm.map(|shm| shm.limit))
            .with_known(attribute::SHM_USED, self.shm.map(|shm| shm.used))
            .with_known(attribute::TASK_LIMIT, self.tasks.map(|tasks| tasks.limit))
            .with_known(attribute::TASKS_USED, self.tasks.and_then(|tasks| tasks.used))
            .with_known(attribute::USER_TASK_LIMIT, self.user_tasks)
    }
}

/// True if RLIMIT_NPROC does not hold for a process (kernel/fork.c, `copy_process`).
fn exempt(pid: i32, root: &ProcRoot) -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = root.process(pid).status();
    status.is_ok_and(|status| {
        [CAP_SYS_ADMIN, CAP_SYS_RESOURCE].map(|it| status.has_capability(it)).contains(&true)
    })
}

/// The size in bytes that the stack of a new thread of a process has: RLIMIT_STACK of getrlimit(2), and 2 MiB if that
/// is unlimited (pthread_create(3)). None if it can't be read.
#[must_use]
pub fn stack_size(process: &ProcFolder) -> Option<u64> {
    const UNLIMITED_STACK: u64 = 2 << 20;
    let limits = process.read("limits").ok()?;
    Some(soft_limit(&limits, "Max stack size").unwrap_or(UNLIMITED_STACK))
}

/// The soft limit of a line of the kernel's (fs/proc/base.c, `proc_pid_limits`); none if unlimited:
///
/// ```text
/// Limit                     Soft Limit           Hard Limit           Units
/// Max address space         unlimited            unlimited            bytes
/// ```
fn soft_limit(limits: &[u8], name: &str) -> Option<u64> {
    let mut lines = limits.split(|byte| *byte == b'\n');
    let values = lines.find_map(|line| line.strip_prefix(name.as_bytes()))?;
    decimal(values.trim_ascii_start().split(u8::is_ascii_whitespace).next()?)
}

/// The value of a line of /proc/meminfo (fs/proc/meminfo.c), `MemTotal:       16384256 kB`.
fn bytes_of(meminfo: &[u8], key: &[u8]) -> Option<u64> {
    keyed_lines(meminfo).find(|(_, name, _)| *name == key).and_then(|(.., value)| kibibytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CgroupOfProcess;

    fn limit(of: &CgroupOfProcess) -> Option<u64> {
        read_limits(of).cgroup.map(|cgroup| cgroup.limit)
    }

    fn read_limits(of: &CgroupOfProcess) -> Limits {
        Limits::of(7, &of.root())
    }

    #[test]
    fn the_least_limit_along_the_way_up_counts_in_cgroup_version_2() {
        let made = CgroupOfProcess::new("0::/service/worker\n", "cgroup2", "rw");
        made.folder.write("cg/service/worker/memory.max", "max\n");
        made.folder.write("cg/service/memory.max", "536870912\n");
        assert_eq!(limit(&made), Some(512 << 20));
        made.folder.write("cg/service/worker/memory.max", "1048576\n");
        assert_eq!(limit(&made), Some(1 << 20));
        let high = || read_limits(&made).cgroup_high.map(|high| high.limit);
        made.folder.write("cg/service/worker/memory.high", "max\n");
        assert_eq!(high(), None);
        made.folder.write("cg/service/memory.high", "524288\n");
        assert_eq!(high(), Some(512 << 10));
    }

    #[test]
    fn the_group_with_the_least_room_counts_and_what_it_uses_is_without_idle_pages_of_files() {
        let made = CgroupOfProcess::new("0::/service/worker\n", "cgroup2", "rw");
        made.folder.write("cg/service/worker/memory.max", "536870912\n");
        made.folder.write("cg/service/worker/memory.current", "104857600\n");
        let worker = CgroupLimit { limit: 512 << 20, used: Some(100 << 20) };
        assert_eq!(read_limits(&made).cgroup, Some(worker));
        // A neighbour fills the group above.
        made.folder.write("cg/service/memory.max", "1073741824\n");
        made.folder.write("cg/service/memory.current", "1048576000\n");
        made.folder
            .write("cg/service/memory.stat", "anon 7\ninactive_file 10485760\nactive_file 9\n");
        let service = CgroupLimit { limit: 1 << 30, used: Some(990 << 20) };
        assert_eq!(read_limits(&made).cgroup, Some(service));
    }

    #[test]
    fn version_1_names_no_limit_by_a_huge_number() {
        let made = CgroupOfProcess::new("4:memory:/job\n", "cgroup", "rw,memory");
        made.folder.write("cg/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit(&made), None);
        made.folder.write("cg/job/memory.limit_in_bytes", "4096\n");
        assert_eq!(limit(&made), Some(4096));
        made.folder.write("cg/job/memory.usage_in_bytes", "3000\n");
        made.folder.write("cg/job/memory.stat", "inactive_file 100\ntotal_inactive_file 1000\n");
        assert_eq!(read_limits(&made).cgroup.unwrap().used, Some(2000));
    }

    #[test]
    fn this_process_has_the_machines_memory() {
        let limits = Limits::of(std::process::id().cast_signed(), &ProcRoot::default());
        assert!(limits.machine.is_some_and(|bytes| bytes > 64 << 20));
        assert!(limits.machine_available < limits.machine && limits.machine_available > Some(0));
    }

    #[test]
    fn the_size_of_dev_shm_is_what_df_says_and_a_link_at_it_leads_nowhere_else() {
        let own = ShmLimit::of(&ProcRoot::default().own());
        let status = rustix::fs::statfs("/dev/shm").unwrap();
        let size = status.f_blocks * u64::try_from(status.f_bsize).unwrap();
        assert!(own.is_none_or(|own| own.limit == size && own.used <= size));
        // Its /dev/shm is a link to a folder that its root does not have, but ours has.
        let made = CgroupOfProcess::new("", "cgroup2", "rw");
        std::fs::create_dir_all(made.folder.path().join("proc/7/root/dev")).unwrap();
        let link = made.folder.path().join("proc/7/root/dev/shm");
        std::os::unix::fs::symlink("/dev/shm", &link).unwrap();
        assert_eq!(read_limits(&made).shm, None);
    }

    #[test]
    fn trap_45_a_group_is_looked_for_through_our_own_mounts_and_one_outside_of_them_is_not_known() {
        let made = CgroupOfProcess::new("0::/box/service/worker\n", "cgroup2", "rw");
        made.folder.write("cg/service/worker/memory.max", "1048576\n");
        // As in a sandbox, whose mounts name other folders than ours.
        made.folder.write("proc/7/mountinfo", "30 23 0:26 / /wrong rw - cgroup2 none rw\n");
        assert_eq!(limit(&made), None);
        made.mount("/box", "cgroup2", "rw");
        assert_eq!(limit(&made), Some(1 << 20));
        made.folder.write("proc/7/cgroup", "0::/../box/service/worker\n");
        assert_eq!(limit(&made), None);
    }

    #[test]
    fn limits_of_descriptors_threads_and_mappings_are_read() {
        let made = CgroupOfProcess::new("0::/service/worker\n", "cgroup2", "rw");
        made.folder.write("cg/service/pids.max", "100\n");
        made.folder.write("cg/service/pids.current", "60\n");
        made.folder.write("cg/service/worker/pids.max", "max\n");
        made.folder.write("cg/service/worker/memory.stat", "anon 7\ninactive_file 9\n");
        made.folder.write("proc/sys/vm/max_map_count", "65530\n");
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             7823                 7823                 processes \n\
                      Max open files            1024                 524288               files     \n";
        made.folder.write("proc/7/limits", limits);
        made.folder.write("proc/7/status", "Tgid:\t7\nCapEff:\t0000000000000000\n");
        let read = read_limits(&made);
        assert_eq!(read.tasks, Some(CgroupLimit { limit: 100, used: Some(60) }));
        assert_eq!((read.descriptors, read.mappings), (Some(1_024), Some(65_530)));
        assert_eq!(read.user_tasks, Some(7_823));
        // CAP_SYS_RESOURCE.
        made.folder.write("proc/7/status", "Tgid:\t7\nCapEff:\t0000000001000000\n");
        assert_eq!(read_limits(&made).user_tasks, None);
    }

    #[test]
    fn the_limit_of_the_address_space_is_read() {
        let line =
            "Max address space         8589934592           unlimited            bytes     \n";
        let space = |text: &str| soft_limit(text.as_bytes(), "Max address space");
        assert_eq!(space(line), Some(8 << 30));
        assert_eq!(space(&line.replace("8589934592", "unlimited")), None);
    }

    #[test]
    fn the_limits_of_this_process_are_what_the_procfs_crate_reads() {
        use procfs::Current;
        let limits = Limits::of(std::process::id().cast_signed(), &ProcRoot::default());
        let oracle = procfs::process::Process::myself().unwrap().limits().unwrap();
        let soft = match oracle.max_address_space.soft_limit {
            procfs::process::LimitValue::Value(bytes) => Some(bytes),
            procfs::process::LimitValue::Unlimited => None,
        };
        assert_eq!(limits.address_space, soft);
        let sysctl = procfs::sys::vm::max_map_count().unwrap();
        assert_eq!(limits.mappings, Some(sysctl));
        assert_eq!(limits.machine, Some(procfs::Meminfo::current().unwrap().mem_total));
    }
}
