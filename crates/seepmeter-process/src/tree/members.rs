//! The processes of a tree that are followed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use seepmeter_record::End;

use super::accounting::{Account, Accounting};
use super::change::{EndReason, FoundBy, TreeChange, TreeCounts, TreeProcess};
use super::{NameFilter, Role};
use crate::find::ListedProcess;
use crate::proc::{ProcRoot, Stat, StatmFile};
use crate::{AttachError, Process, ProcessKey};

/// A process that is followed.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) info: Arc<TreeProcess>,
    pub(crate) statm: Option<StatmFile>,
    pub(crate) account: Account,
    /// How it has ended, as an event says.
    pub(crate) end: Option<End>,
    /// False if the filter leaves it out.
    pub(crate) is_reported: bool,
    parent_role: Option<Role>,
    start_code: Option<u64>,
}

/// A process that may become a member, and what it executes.
pub(crate) struct Candidate {
    process: Process,
    stat: Stat,
    listed: ListedProcess,
}

impl Candidate {
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }
}

/// Why there is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is a zombie.
    Zombie,
    /// There is no such process, or the id is a thread's.
    None,
    /// This process has no descriptors left.
    NoDescriptors,
    /// This user may not.
    Hidden,
}

/// Where a process belongs.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) parent: Option<ProcessKey>,
    /// None of the target.
    pub(crate) parent_role: Option<Role>,
    pub(crate) found_by: FoundBy,
}

/// A process that is not followed since there are too many.
#[derive(Debug)]
struct Beyond {
    start_time: u64,
    origin: Origin,
}

/// The processes of a tree.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) epoll: Epoll,
    pub(crate) by_pid: BTreeMap<i32, Member>,
    pub(crate) changes: Vec<TreeChange>,
    pub(crate) counts: TreeCounts,
    pub(crate) accounting: Accounting,
    beyond: HashMap<i32, Beyond>,
    hidden: HashSet<i32>,
    root: ProcRoot,
    filter: Option<NameFilter>,
    most: usize,
}

impl Members {
    pub(crate) fn new(
        root: &ProcRoot,
        filter: Option<NameFilter>,
        most: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            by_pid: BTreeMap::new(),
            changes: Vec::new(),
            counts: TreeCounts::default(),
            accounting: Accounting::default(),
            beyond: HashMap::new(),
            hidden: HashSet::new(),
            root: root.clone(),
            filter,
            most,
        })
    }

    /// True if it is of the tree, followed or not.
    pub(crate) fn contains(&self, pid: i32) -> bool {
        self.by_pid.contains_key(&pid) || self.beyond.contains_key(&pid)
    }

    /// Where a child of this process belongs; none if it is not of the tree.
    pub(crate) fn origin_of_child(&self, parent: i32, found_by: FoundBy) -> Option<Origin> {
        if let Some(member) = self.by_pid.get(&parent) {
            let parent_role = Some(member.info.role.clone());
            return Some(Origin { parent: Some(member.process.key()), parent_role, found_by });
        }
        let beyond = self.beyond.get(&parent)?;
        let key = ProcessKey { pid: parent, start_time: beyond.start_time };
        Some(Origin { parent: Some(key), found_by, ..beyond.origin.clone() })
    }

    /// The pids of all of them, followed or not.
    pub(crate) fn pids(&self) -> Vec<i32> {
        self.by_pid.keys().chain(self.beyond.keys()).copied().collect()
    }

    /// Those that are not followed, with their start times.
    pub(crate) fn not_followed(&self) -> impl Iterator<Item = ProcessKey> {
        let key =
            |(&pid, beyond): (&i32, &Beyond)| ProcessKey { pid, start_time: beyond.start_time };
        self.beyond.iter().map(key)
    }

    /// Takes hold of a process.
    pub(crate) fn open(&self, pid: i32) -> Result<Candidate, Unopened> {
        let opened = Process::open_unchecked(pid, &self.root);
        let (process, stat) = opened.map_err(|error| match error {
            AttachError::Hidden { .. } => Unopened::Hidden,
            AttachError::Other { source, .. } => match source.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE) => Unopened::NoDescriptors,
                _ => Unopened::Hidden,
            },
            _ => Unopened::None,
        })?;
        let listed = ListedProcess::read(process.key(), stat.comm.clone(), &self.root);
        // What was read may be another process's then.
        match process.has_ended() {
            Ok(true) => Err(Unopened::Zombie),
            Ok(false) | Err(_) => Ok(Candidate { process, stat, listed }),
        }
    }

    /// Follows a process from now on, unless there are too many.
    pub(crate) fn add(&mut self, candidate: Candidate, origin: Origin) -> io::Result<()> {
        let Candidate { process, stat, listed } = candidate;
        let key = process.key();
        if self.by_pid.len() >= self.most {
            self.leave_beyond(key, origin);
            return Ok(());
        }
        let info = describe(listed, &origin);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(key.pid.cast_unsigned()));
        self.epoll.add(process.pidfd(), event)?;
        let is_reported = self.reports(&info);
        if is_reported {
            self.counts.started += 1;
            self.changes.push(TreeChange::Started(info.clone()));
        }
        let member = Member {
            process,
            info,
            statm: None,
            account: Account::new(stat.child_faults),
            end: None,
            is_reported,
            parent_role: origin.parent_role,
            start_code: stat.start_code,
        };
        self.beyond.remove(&key.pid);
        self.by_pid.insert(key.pid, member);
        Ok(())
    }

    /// Remembers a process that is not followed, so that its children are known.
    pub(crate) fn leave_beyond(&mut self, key: ProcessKey, origin: Origin) {
        self.accounting.give_up();
        let ProcessKey { pid, start_time } = key;
        let before = self.beyond.insert(pid, Beyond { start_time, origin });
        let is_known = before.is_some_and(|before| before.start_time == start_time);
        self.counts.beyond_bound += u64::from(!is_known);
    }

    /// Counts a process that this user may not see, which is found again and again.
    pub(crate) fn leave_hidden(&mut self, pid: i32) {
        self.accounting.give_up();
        self.counts.hidden += u64::from(self.hidden.insert(pid));
    }

    /// Follows those that were too many, now that there is room.
    pub(crate) fn promote(&mut self) -> io::Result<()> {
        let room = self.most.saturating_sub(self.by_pid.len()).min(16);
        let pids: Vec<i32> = self.beyond.keys().copied().take(room).collect();
        for pid in pids {
            let candidate = self.open(pid);
            let Some(beyond) = self.beyond.remove(&pid) else { continue };
            match candidate {
                Ok(candidate) if candidate.process.start_time() == beyond.start_time => {
                    self.add(candidate, beyond.origin)?;
                }
                Err(Unopened::NoDescriptors) => {
                    self.beyond.insert(pid, beyond);
                    break;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A process that is not followed has ended.
    pub(crate) fn forget_beyond(&mut self, pid: i32) {
        self.beyond.remove(&pid);
    }

    /// The members that have ended since this was last asked.
    pub(crate) fn ended(&self) -> io::Result<Vec<i32>> {
        let mut events = [EpollEvent::empty(); 256];
        loop {
            match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                // The number 0 is that of the events' socket.
                Ok(count) => {
                    let pids =
                        events[..count].iter().filter_map(|event| event.data().try_into().ok());
                    return Ok(pids.filter(|pid: &i32| *pid != 0).collect());
                }
            }
        }
    }

    /// Follows a process no longer.
    pub(crate) fn remove(&mut self, pid: i32, end: End) {
        let Some(member) = self.by_pid.remove(&pid) else { return };
        if member.is_reported {
            let reason = EndReason::Ended(end);
            self.changes.push(TreeChange::Ended { process: member.info, reason });
        }
    }

    /// The stat of a member; none if it has ended.
    pub(crate) fn stat(&self, pid: i32) -> Option<Stat> {
        let member = self.by_pid.get(&pid)?;
        let stat = self.root.process(pid).stat().ok()?;
        (stat.start_time == member.process.start_time() && !stat.has_ended()).then_some(stat)
    }

    /// Notes what a process executes now, if its stat says that this has changed.
    pub(crate) fn compare(&mut self, pid: i32, stat: Stat) {
        let Some(member) = self.by_pid.get(&pid) else { return };
        if stat.comm != member.info.name || stat.start_code != member.start_code {
            self.reread(pid, stat);
        }
    }

    /// Notes what a process executes now, if that has changed.
    pub(crate) fn reread(&mut self, pid: i32, stat: Stat) {
        let Some(member) = self.by_pid.get(&pid) else { return };
        let TreeProcess { key, parent, found_by, .. } = *member.info;
        let origin = Origin { parent, parent_role: member.parent_role.clone(), found_by };
        let info = describe(ListedProcess::read(key, stat.comm, &self.root), &origin);
        let is_reported = self.reports(&info);
        let Some(member) = self.by_pid.get_mut(&pid) else { return };
        member.start_code = stat.start_code;
        if info == member.info {
            return;
        }
        let before = std::mem::replace(&mut member.info, info.clone());
        let was_reported = std::mem::replace(&mut member.is_reported, is_reported);
        let left_out = || TreeChange::Ended { process: before, reason: EndReason::LeftOut };
        self.counts.started += u64::from(is_reported && !was_reported);
        self.changes.extend(match (was_reported, is_reported) {
            (true, true) => Some(TreeChange::Executed(info)),
            (true, false) => Some(left_out()),
            (false, true) => Some(TreeChange::Started(info)),
            (false, false) => None,
        });
    }

    fn reports(&self, info: &TreeProcess) -> bool {
        let filter = self.filter.as_ref().filter(|_| info.found_by != FoundBy::Target);
        filter.is_none_or(|filter| filter.matches(info))
    }
}

fn describe(listed: ListedProcess, origin: &Origin) -> Arc<TreeProcess> {
    let ListedProcess { key, name, command, executable, program } = listed;
    let role = Role::new(program, origin.parent_role.as_ref());
    let Origin { parent, found_by, .. } = *origin;
    Arc::new(TreeProcess { key, parent, name, command, executable, role, found_by })
}

/// Lets the epoll instance report when the events' socket can be read.
pub(crate) fn watch(epoll: &Epoll, fd: impl AsFd) -> io::Result<()> {
    Ok(epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
}
