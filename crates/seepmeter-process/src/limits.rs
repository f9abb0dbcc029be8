//! How large a process may become: its cgroup's limit, its own, and the machine's.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};
use seepmeter_record::Attributes;
use seepmeter_record::conventions::attribute;

use crate::proc::text::{decimal, keyed_lines, kibibytes};
use crate::proc::{ProcFolder, ProcRoot};

/// A cgroup limit from this on is none: version 1 says "unlimited" by the largest number of pages
/// (mm/page_counter.c).
const UNLIMITED: u64 = 1 << 62;

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
        let memory = cgroups(&groups, &mounts, Controller::Memory);
        let tasks = cgroups(&groups, &mounts, Controller::Pids);
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

/// A controller of cgroups that bounds processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Memory,
    Pids,
}

impl Controller {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Memory => b"memory",
            Self::Pids => b"pids",
        }
    }

    fn files(self, version: CgroupVersion) -> Files {
        match (self, version) {
            (Self::Memory, CgroupVersion::V1) => V1,
            (Self::Memory, CgroupVersion::V2) => V2,
            (Self::Pids, _) => PIDS,
        }
    }
}

/// The names of a version's files.
#[derive(Clone, Copy, Debug)]
struct Files {
    limit: &'static str,
    high: Option<&'static str>,
    used: &'static str,
    /// The most that was used.
    peak: &'static str,
    /// In memory.stat. That of version 1 counts in the groups below, as the usage does.
    inactive: Option<&'static str>,
    /// Where the kernel counts what it has done: only whom it has killed in version 1.
    events: &'static str,
    /// How often the limit was in the way: a number alone, or that of `max` among the events.
    failures: &'static str,
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

/// A cgroup hierarchy, as far as it is mounted here.
struct Mount<'a> {
    version: CgroupVersion,
    /// Of version 1: its controllers are among them.
    options: &'a [u8],
    /// The group that is mounted: not the root of the hierarchy in a container.
    group: &'a Path,
    at: PathBuf,
}

impl<'a> Mount<'a> {
    /// All hierarchies in the text of our own mountinfo.
    fn all(mounts: &'a [u8]) -> impl Iterator<Item = Self> {
        mounts.split(|byte| *byte == b'\n').filter_map(Self::parse)
    }

    /// The same, those that account for memory first, version 2 before version 1.
    fn memory_first(mounts: &'a [u8]) -> Vec<Self> {
        let mut mounts: Vec<Self> = Self::all(mounts).collect();
        mounts.sort_by_key(|mount| match mount.version {
            CgroupVersion::V2 => 0,
            CgroupVersion::V1 if mount.may_have(Controller::Memory) => 1,
            CgroupVersion::V1 => 2,
        });
        mounts
    }

    /// Reads a line of the kernel's (fs/proc_namespace.c, `show_mountinfo`), in whose paths a blank is
    /// `\040`; none if it is no hierarchy of cgroups. The fields before `-` may be more:
    ///
    /// ```text
    /// ID PARENT DEVICE ROOT PATH       OPTIONS             -  TYPE   SOURCE OPTIONS
    /// 30 23     0:26   /    /sys/fs/cg rw,nosuid shared:9  -  cgroup cgroup rw,memory
    /// ```
    fn parse(line: &'a [u8]) -> Option<Self> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = words.iter().position(|word| *word == b"-")?;
        let version = match *words.get(dash + 1)? {
            b"cgroup2" => CgroupVersion::V2,
            b"cgroup" => CgroupVersion::V1,
            _ => return None,
        };
        let options = words.get(dash + 3)?;
        let group = Path::new(OsStr::from_bytes(words.get(3)?));
        Some(Self { version, options, group, at: unescaped(words.get(4)?) })
    }

    /// True if it is known to have this controller; which ones version 2 has, its folders say.
    fn may_have(&self, controller: Controller) -> bool {
        let mut options = self.options.split(|byte| *byte == b',');
        self.version == CgroupVersion::V2 || options.any(|option| option == controller.name())
    }

    /// The folder of a group; none if it is not under what is mounted here.
    fn folder(&self, group: &Path) -> Option<(&Path, PathBuf)> {
        // Of a group outside of our cgroup namespace the kernel says `/../…`.
        let outside = group.components().any(|part| part == std::path::Component::ParentDir);
        let below = group.strip_prefix(self.group).ok().filter(|_| !outside)?;
        self.at.join(below).is_dir().then(|| (self.at.as_path(), below.to_owned()))
    }
}

/// The limit in files of a name, if a version has it, with the least room along the ways from these cgroups up to
/// the roots of their hierarchies.
fn least_room(
    groups: &[Cgroup],
    controller: Controller,
    limit: fn(Files) -> Option<&'static str>,
) -> Option<CgroupLimit> {
    let limits = groups.iter().flat_map(|group| {
        let files = controller.files(group.version);
        group.way_up().filter_map(move |folder| limit_of(&folder, limit(files)?, files))
    });
    limits.min_by_key(room)
}

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
        cgroups(groups, mounts, Controller::Memory)
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
    fn way_up(&self) -> impl Iterator<Item = PathBuf> {
        self.below.ancestors().map(|above| self.root.join(above))
    }

    /// How often each limit of memory along the way up was in the way, in bytes and how often; none of a group
    /// without one.
    fn failures(&self) -> Vec<Option<(u64, u64)>> {
        let files = Controller::Memory.files(self.version);
        let of = |folder: PathBuf| {
            let limit = limit_of(&folder, files.limit, files)?.limit;
            let text = std::fs::read_to_string(folder.join(files.failures)).ok()?;
            let number = number_behind(&text, "oom").or_else(|| text.trim().parse().ok())?;
            Some((limit, number))
        };
        self.way_up().map(of).collect()
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
fn cgroups(groups: &[u8], mounts: &[u8], controller: Controller) -> Vec<Cgroup> {
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
        Some(Cgroup { version, path: path.to_owned(), root: root.to_owned(), below })
    };
    groups.split(|byte| *byte == b'\n').filter_map(cgroup).collect()
}

/// What the kernel has done so far in a process's cgroup because memory was short.
#[derive(Clone, Debug)]
pub struct MemoryEvents {
    /// Where the kernel counts: a process that has ended is in no group of version 1 any more.
    groups: Vec<Cgroup>,
    oom_kills: Option<u64>,
    high: Option<u64>,
    /// See `Cgroup::failures`, of each group.
    failures: Vec<Vec<Option<(u64, u64)>>>,
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
        let failures = groups.iter().map(Cgroup::failures).collect();
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
        let now = self.groups.iter().flat_map(Cgroup::failures);
        let grown = self.failures.iter().flatten().zip(now).filter_map(|(before, now)| {
            let (limit, failures) = now?;
            before.is_none_or(|(_, before)| failures > before).then_some(limit)
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

/// The number behind a name; there is one of each a line (mm/memcontrol.c).
fn number_behind(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name)?.1.trim().parse().ok()
}

/// A path in mountinfo, in which a blank, a tab, a newline and a backslash are octal numbers.
fn unescaped(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| first == b'\\' && digits.is_ascii());
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

fn room(cgroup: &CgroupLimit) -> u64 {
    cgroup.limit.saturating_sub(cgroup.used.unwrap_or(0))
}

/// The limit of one group, if it has one.
fn limit_of(folder: &Path, limit: &str, files: Files) -> Option<CgroupLimit> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let limit = number(limit).filter(|bytes| *bytes < UNLIMITED)?;
    let stat = files.inactive.and_then(|name| Some((read("memory.stat")?, name)));
    let inactive = stat.and_then(|(stat, name)| number_behind(&stat, name));
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
            made.mount("/", fs_type, options);
            fs::create_dir_all(made.folder.join("cg/service/worker")).unwrap();
            fs::create_dir_all(made.folder.join("cg/job")).unwrap();
            made
        }

        fn mount(&self, group: &str, fs_type: &str, options: &str) {
            let at = self.folder.join("cg");
            let elsewhere = "29 23 0:25 /other /nowhere rw - cgroup2 none rw";
            let here = format!("30 23 0:26 {group} {} rw - {fs_type} none {options}", at.display());
            let own = format!("proc/{}/mountinfo", std::process::id());
            self.write(&own, &format!("{elsewhere}\n{here}\n"));
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn limits(&self) -> Limits {
            Limits::of(7, &ProcRoot::new(self.folder.join("proc")))
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
    fn an_event_is_one_more_in_the_group_that_the_process_was_in() {
        let made = Made::new("events", "0::/service/worker\n", "cgroup2", "rw");
        let events = || MemoryEvents::of(7, &ProcRoot::new(made.folder.join("proc")));
        let nothing = events();
        assert!(nothing.oom_kill().is_none() && !nothing.was_slowed());
        let write = |high, kills| {
            let text = format!("low 0\nhigh {high}\nmax 9\noom {kills}\noom_kill {kills}\n");
            made.write("cg/service/worker/memory.events", &text);
        };
        made.write("cg/service/worker/memory.max", "62914560\n");
        write(3, 1);
        let before = events();
        assert!(before.oom_kill().is_none() && !before.was_slowed());
        made.write("proc/7/cgroup", "0::/\n");
        write(3, 2);
        let at_limit = Some(OomKill { cgroup_limit: Some(60 << 20) });
        assert_eq!(before.oom_kill(), at_limit, "wherever the process is now");
        assert!(!before.was_slowed());
        write(4, 2);
        assert!(before.was_slowed());
    }

    #[test]
    fn the_least_limit_along_the_way_up_counts_in_cgroup_version_2() {
        let made = Made::new("v2", "0::/service/worker\n", "cgroup2", "rw");
        made.write("cg/service/worker/memory.max", "max\n");
        made.write("cg/service/memory.max", "536870912\n");
        assert_eq!(made.limit(), Some(512 << 20));
        made.write("cg/service/worker/memory.max", "1048576\n");
        assert_eq!(made.limit(), Some(1 << 20));
        let high = || made.limits().cgroup_high.map(|high| high.limit);
        made.write("cg/service/worker/memory.high", "max\n");
        assert_eq!(high(), None);
        made.write("cg/service/memory.high", "524288\n");
        assert_eq!(high(), Some(512 << 10));
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
        let made = Made::new("shm", "", "cgroup2", "rw");
        fs::create_dir_all(made.folder.join("proc/7/root/dev")).unwrap();
        let link = made.folder.join("proc/7/root/dev/shm");
        std::os::unix::fs::symlink("/dev/shm", &link).unwrap();
        assert_eq!(made.limits().shm, None);
    }

    #[test]
    fn a_group_is_looked_for_through_our_own_mounts_and_one_outside_of_them_is_not_known() {
        let made = Made::new("mounts", "0::/box/service/worker\n", "cgroup2", "rw");
        made.write("cg/service/worker/memory.max", "1048576\n");
        // As in a sandbox, whose mounts name other folders than ours.
        made.write("proc/7/mountinfo", "30 23 0:26 / /wrong rw - cgroup2 none rw\n");
        assert_eq!(made.limit(), None);
        made.mount("/box", "cgroup2", "rw");
        assert_eq!(made.limit(), Some(1 << 20));
        made.write("proc/7/cgroup", "0::/../box/service/worker\n");
        assert_eq!(made.limit(), None);
    }

    #[test]
    fn limits_of_descriptors_threads_and_mappings_are_read() {
        let made = Made::new("counts", "0::/service/worker\n", "cgroup2", "rw");
        made.write("cg/service/pids.max", "100\n");
        made.write("cg/service/pids.current", "60\n");
        made.write("cg/service/worker/pids.max", "max\n");
        made.write("cg/service/worker/memory.stat", "anon 7\ninactive_file 9\n");
        made.write("proc/sys/vm/max_map_count", "65530\n");
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             7823                 7823                 processes \n\
                      Max open files            1024                 524288               files     \n";
        made.write("proc/7/limits", limits);
        made.write("proc/7/status", "Tgid:\t7\nCapEff:\t0000000000000000\n");
        let read = made.limits();
        assert_eq!(read.tasks, Some(CgroupLimit { limit: 100, used: Some(60) }));
        assert_eq!((read.descriptors, read.mappings), (Some(1_024), Some(65_530)));
        assert_eq!(read.user_tasks, Some(7_823));
        // CAP_SYS_RESOURCE.
        made.write("proc/7/status", "Tgid:\t7\nCapEff:\t0000000001000000\n");
        assert_eq!(made.limits().user_tasks, None);
    }

    #[test]
    fn the_cgroups_above_one_are_those_that_are_mounted() {
        let made = Made::new("above", "0::/box/service/worker\n", "cgroup2", "rw");
        made.mount("/box", "cgroup2", "rw");
        let root = ProcRoot::new(made.folder.join("proc"));
        let mounts = root.own().read("mountinfo").unwrap();
        let cgroups = Cgroup::of_memory(b"0::/box/service/worker\n", &mounts);
        let [cgroup] = &cgroups[..] else { panic!("{cgroups:?}") };
        assert_eq!(cgroup.folder(), made.folder.join("cg/service/worker"));
        let above = std::iter::successors(Some(cgroup.clone()), Cgroup::above);
        let paths: Vec<PathBuf> = above.map(|cgroup| cgroup.path).collect();
        assert_eq!(paths, ["/box/service/worker", "/box/service", "/box"].map(PathBuf::from));
    }

    #[test]
    fn the_limit_of_the_address_space_and_a_blank_in_a_mount_point_are_read() {
        let line =
            "Max address space         8589934592           unlimited            bytes     \n";
        let space = |text: &str| soft_limit(text.as_bytes(), "Max address space");
        assert_eq!(space(line), Some(8 << 30));
        assert_eq!(space(&line.replace("8589934592", "unlimited")), None);
        assert_eq!(unescaped(b"/mnt/a\\040b\\134"), Path::new("/mnt/a b\\"));
        assert_eq!(unescaped(b"/mnt/a\\"), Path::new("/mnt/a\\"));
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
