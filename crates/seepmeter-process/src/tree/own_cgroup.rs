//! A cgroup for the target alone, so that one file lists all its processes and the kernel keeps their peak.
//!
//! It is a child of Seepmeter's own cgroup, so every limit stays what it was. The target's pid is written to
//! cgroup.procs while the target waits to be released: that works in both versions, where clone3(2) with
//! CLONE_INTO_CGROUP works in version 2 alone and saves nothing here. At the end the processes that go on are
//! moved to where they would have been without it, and it is removed.
//!
//! Its folder is locked (flock(2)) for as long as this process lives. Whoever makes one removes those whose
//! lock is free: they belonged to a Seepmeter that was killed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cgroup::{Cgroup, PROCESSES, folders_in, pids_in};
use crate::proc::ProcRoot;
use crate::proc::text::decimal;

const PREFIX: &str = "seepmeter-tree-";
/// How long a removal may take: a process may fork while it is moved, and one that has just ended still
/// counts for a moment.
const REMOVAL: Duration = Duration::from_secs(2);

/// One of version 2, one of version 1's memory hierarchy, or both: a hierarchy of version 2 may lack the
/// memory controller.
#[derive(Debug)]
pub(crate) struct OwnCgroup {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    folder: PathBuf,
    peak_file: &'static str,
    _lock: File,
}

impl OwnCgroup {
    /// Makes one and places a process in it.
    pub(crate) fn with(pid: i32, root: &ProcRoot) -> io::Result<Self> {
        let mut groups = Vec::new();
        let mut failure =
            io::Error::new(io::ErrorKind::Unsupported, "no cgroup hierarchy is mounted");
        for parent in Cgroup::own_of_memory(root) {
            remove_stale(&parent.folder());
            match Group::with(pid, &parent) {
                Ok(group) => groups.push(group),
                Err(error) => failure = error,
            }
        }
        if groups.is_empty() { Err(failure) } else { Ok(Self { groups }) }
    }

    /// The pids of the processes in it and in the groups below it, which the target may have made.
    pub(crate) fn pids(&self) -> io::Result<Vec<i32>> {
        self.groups.first().map_or(Ok(Vec::new()), |group| pids_in(&group.folder))
    }

    /// The most memory that its processes have had at once, the page cache and the kernel's included, in
    /// bytes; none if the kernel does not keep it: in version 2 before Linux 5.19, or with no memory controller.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let read = |group: &Group| fs::read(group.folder.join(group.peak_file)).ok();
        self.groups.iter().find_map(|group| decimal(read(group)?.trim_ascii()))
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.groups.iter().map(|group| group.folder.as_path())
    }

    /// Moves what still runs to the parent group and removes it.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        let removed = |group: &Group| remove(&group.folder, Instant::now() + REMOVAL);
        self.groups.drain(..).map(|group| removed(&group)).fold(Ok(()), io::Result::and)
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // What is left behind is removed by the next one.
        let _ = self.remove();
    }
}

impl Group {
    fn with(pid: i32, parent: &Cgroup) -> io::Result<Self> {
        let group = Self::under(&parent.folder(), parent.peak_file())?;
        match write_pid(&group.folder, pid) {
            Ok(()) => Ok(group),
            Err(error) => {
                fs::remove_dir(&group.folder)?;
                Err(error)
            }
        }
    }

    fn under(parent: &Path, peak_file: &'static str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                // Left by one in another pid namespace, or by a process that had our pid.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created.map_err(|error| with_path(&folder, error))?,
            }
            let lock = File::open(&folder)?;
            // Between the two lines above another one may have taken it for stale.
            if lock.try_lock().is_ok() && folder.is_dir() {
                return Ok(Self { folder, peak_file, _lock: lock });
            }
        }
    }
}

fn with_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write_pid(folder: &Path, pid: i32) -> io::Result<()> {
    let file = folder.join(PROCESSES);
    fs::write(&file, pid.to_string()).map_err(|error| with_path(&file, error))
}

fn remove_stale(parent: &Path) {
    for folder in folders_in(parent) {
        let name = folder.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        if File::open(&folder).is_ok_and(|file| file.try_lock().is_ok()) {
            // It is no concern of this run's if it can't be removed.
            let _ = remove(&folder, Instant::now() + REMOVAL);
        }
    }
}

fn remove(folder: &Path, deadline: Instant) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    loop {
        remove_stale(folder);
        let pids = match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(with_path(folder, error)),
            Err(_) => pids_in(folder)?,
        };
        for pid in &pids {
            // It may have ended. Nobody else's process is in the group.
            let _ = write_pid(parent, *pid);
        }
        if pids.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::WaitingChild;

    /// None, loudly, if this machine does not let one be made.
    fn made(pid: i32, test: &str) -> Option<OwnCgroup> {
        let cgroup = OwnCgroup::with(pid, &ProcRoot::default());
        let say = |error: &io::Error| writeln!(io::stderr(), "NOT RUN: {test}: {error}");
        cgroup.inspect_err(|error| say(error).unwrap_or(())).ok()
    }

    #[test]
    fn it_lists_its_processes_and_is_removed_while_one_runs_on() {
        let process = WaitingChild::spawn();
        let before = fs::read(format!("/proc/{}/cgroup", process.pid())).unwrap();
        let Some(cgroup) = made(process.pid(), "a cgroup of its own") else { return };
        assert_eq!(cgroup.pids().unwrap(), [process.pid()]);
        let folders: Vec<PathBuf> = cgroup.folders().map(Path::to_owned).collect();
        drop(cgroup);
        assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
        let after = fs::read(format!("/proc/{}/cgroup", process.pid())).unwrap();
        assert_eq!(after, before, "it is where it would have been");
    }

    #[test]
    fn the_next_one_removes_what_a_killed_one_has_left_and_nothing_that_is_in_use() {
        let (process, other) = (WaitingChild::spawn(), WaitingChild::spawn());
        let Some(in_use) = made(process.pid(), "stale cgroups") else { return };
        let group = in_use.folders().next().unwrap().to_owned();
        // As a killed one leaves it: nobody has locked it.
        let stale = group.parent().unwrap().join(format!("{PREFIX}stale-{}", std::process::id()));
        fs::create_dir(&stale).unwrap();
        write_pid(&stale, other.pid()).unwrap();
        let third = WaitingChild::spawn();
        let next = made(third.pid(), "stale cgroups").unwrap();
        assert!(!stale.exists() && group.exists());
        assert_eq!(next.pids().unwrap(), [third.pid()]);
    }
}
