//! A target and its descendants.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::accounting::AccountReading;
use super::change::{FoundBy, TreeChange, TreeCounts, TreeProcess};
use super::discovery::{Discovery, Listing, Mechanism};
use super::members::{Candidate, Members, Origin, Unopened, watch};
use super::new_pids::{Candidates, NewPids};
use super::orphans::Orphans;
use super::own_cgroup::OwnCgroup;
use super::process_events::{ProcessEvent, ProcessEvents, Received, end_of, instant};
use super::{NameFilter, statm};
use crate::proc::{ProcError, ProcRoot, Stat, StatmPages};
use crate::process::exists;
use crate::{Cgroup, HeldChild, Process, ProcessKey};
use seepmeter_record::End;

/// How much time should lie between two calls of [`ProcessTree::refresh`] while the descriptor of a tree is
/// readable all the time. What lives more briefly is only counted then, and a target that forks all the time
/// is not slowed down by one that reads about each of its children.
pub const BATCH: Duration = Duration::from_millis(5);

/// Without events all processes are listed so often, for what no other way has found.
const LIST_ALL: Duration = Duration::from_secs(10);
/// Without events so many processes are read again at each refresh, in turns.
const READ_AGAIN: usize = 2;
/// No process is read again more often than this.
const TURNS: Duration = Duration::from_millis(100);
/// As many if processes of the machine have ended unseen.
const READ_AGAIN_BUSY: usize = 4;
/// To try a new pid takes this many times less than to read the children of a process.
const PIDS_FOR_CHILDREN: usize = 8;
/// A new process executes its program soon: it is read again at so many refreshes.
const YOUNG: u8 = 3;
/// Descriptors that others need.
const DESCRIPTORS_OF_OTHERS: u64 = 128;
/// With events a process is taken in when it has lived so long, unless the tree is at its end: one that ends
/// earlier costs no more than its events.
const RIPE: Duration = Duration::from_millis(4);
/// What is born while others are taken in is taken in too, so often.
const ROUNDS: u32 = 16;

/// How a tree is followed.
#[derive(Clone, Debug)]
pub struct TreeOptions {
    /// Whether to make a cgroup for a spawned target, if that is allowed.
    pub cgroup: CgroupUse,
    /// Take the kernel's events, if that is allowed.
    pub events: bool,
    /// Become the parent of a spawned target's orphans, if there are neither events nor a cgroup.
    pub subreaper: bool,
    /// Report only processes that it matches, and the target.
    pub filter: Option<NameFilter>,
    /// Follow no more processes than this. With RLIMIT_NOFILE, getrlimit(2), it is fewer: each needs two
    /// descriptors.
    pub most: usize,
    /// Where procfs is mounted.
    pub proc_root: ProcRoot,
}

/// Whether a spawned target gets a cgroup of its own.
///
/// Programs such as the JVM ask their own group for limits, and may not ask those above it: so where the kernel's
/// events find all processes, it is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupUse {
    /// Only if there are no events of the kernel.
    #[default]
    WithoutEvents,
    /// In any case: the kernel keeps the peak of its memory.
    Always,
    /// Never.
    Never,
}

impl CgroupUse {
    fn is_wanted(self, has_events: bool) -> bool {
        match self {
            Self::WithoutEvents => !has_events,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Default for TreeOptions {
    /// What is allowed and needed, everything reported, at most 10,000 processes.
    fn default() -> Self {
        Self {
            cgroup: CgroupUse::WithoutEvents,
            events: true,
            subreaper: true,
            filter: None,
            most: 10_000,
            proc_root: ProcRoot::default(),
        }
    }
}

/// A target and its descendants: see [the module](super).
#[derive(Debug)]
pub struct ProcessTree {
    target: ProcessKey,
    pub(super) root: ProcRoot,
    pub(super) members: Members,
    discovery: Discovery,
    events: Option<ProcessEvents>,
    cgroup: Option<OwnCgroup>,
    /// All of its processes belong to the tree.
    group: Option<Cgroup>,
    orphans: Option<Orphans>,
    new_pids: Option<NewPids>,
    /// Those whose forks were reported and that were not taken in yet.
    newborn: HashMap<i32, Newborn>,
    births: u64,
    renamed: Vec<i32>,
    turns: VecDeque<i32>,
    turns_began: Instant,
    young: Vec<(i32, u8)>,
    listed_all: Instant,
    births_unseen: bool,
    /// Of CONFIG_PROC_CHILDREN.
    has_children_files: bool,
    list_children_again: bool,
    /// [`end`](Self::end) was called.
    pub(super) is_ending: bool,
}

/// A process whose fork was reported.
#[derive(Debug)]
struct Newborn {
    since: Instant,
    /// Which fork it was: a pid may be given again.
    birth: u64,
    parent: i32,
    /// Where it belongs, by the nearest ancestor that is known.
    origin: Origin,
    /// It could not be taken hold of: its end will be reported.
    is_tried: bool,
}

impl ProcessTree {
    /// The tree of a child that is still held: nothing of it can be missed.
    ///
    /// Until the child executes its command it is a copy of this process, with its name: then it is
    /// [`TreeChange::Executed`].
    ///
    /// # Errors
    /// If the child has ended, there can be no epoll instance, or procfs is that of another pid namespace. What finds
    /// processes and can't be had is no error: [`discovery`](Self::discovery) says so.
    pub fn of_child(child: &HeldChild, options: TreeOptions) -> io::Result<Self> {
        let mut tree = Self::new(child.process(), &options)?;
        let pid = child.process().pid();
        if options.cgroup.is_wanted(tree.events.is_some()) {
            let cgroup = OwnCgroup::with(pid, &tree.root);
            (tree.cgroup, tree.discovery.cgroup) = in_use(cgroup);
        }
        if options.subreaper && tree.events.is_none() && tree.cgroup.is_none() {
            let orphans = Orphans::adopt(tree.target, &tree.root);
            (tree.orphans, tree.discovery.subreaper) = in_use(orphans);
        }
        Ok(tree)
    }

    /// The tree of a process that runs already. Its descendants are found if their parents live: a
    /// daemon that it has started before has another parent now, and is not found.
    ///
    /// # Errors
    /// If the process has ended, there can be no epoll instance, or processes can't be listed; and if procfs is that of
    /// another pid namespace.
    pub fn of_process(process: &Process, options: TreeOptions) -> io::Result<Self> {
        let mut tree = Self::new(process, &options)?;
        tree.list_all()?;
        Ok(tree)
    }

    /// The tree of a process that runs already, and with it all processes in a cgroup and below it, those that come
    /// later too. A process that moves to another cgroup stays in the tree.
    ///
    /// # Errors
    /// As of [`of_process`](Self::of_process).
    pub fn of_cgroup(process: &Process, group: Cgroup, options: TreeOptions) -> io::Result<Self> {
        let mut tree = Self::new(process, &options)?;
        tree.discovery.cgroup = Mechanism::InUse;
        tree.discovery.admits_others = true;
        tree.group = Some(group);
        tree.list_cgroup()?;
        tree.list_all()?;
        Ok(tree)
    }

    fn new(target: &Process, options: &TreeOptions) -> io::Result<Self> {
        let root = options.proc_root.clone();
        if !root.is_of_our_namespace() {
            let why = format!("{} belongs to another pid namespace", root.path().display());
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let most = options.most.min(descriptors() / 2);
        let mut members = Members::new(&root, options.filter.clone(), most)?;
        let subscribed = options.events.then(ProcessEvents::subscribe);
        let (events, events_in_use) = subscribed.map_or((None, Mechanism::NotUsed), in_use);
        if let Some(events) = &events {
            watch(&members.epoll, events)?;
        }
        members.counts.brief.is_exact = events.is_some();
        let new_pids = NewPids::begin(&root).ok();
        let own = root.own().thread(std::process::id().cast_signed());
        let has_children_files = own.file("children").exists();
        let listing = if new_pids.is_some() { Listing::NewPids } else { Listing::AllProcesses };
        let discovery = Discovery {
            cgroup: Mechanism::NotUsed,
            events: events_in_use,
            subreaper: Mechanism::NotUsed,
            listing,
            admits_others: false,
        };
        let mut tree = Self {
            target: target.key(),
            root,
            members,
            discovery,
            events,
            cgroup: None,
            group: None,
            orphans: None,
            new_pids,
            newborn: HashMap::new(),
            births: 0,
            renamed: Vec::new(),
            turns: VecDeque::new(),
            turns_began: Instant::now(),
            young: Vec::new(),
            listed_all: Instant::now(),
            births_unseen: false,
            has_children_files,
            list_children_again: false,
            is_ending: false,
        };
        let origin = Origin { parent: None, parent_role: None, found_by: FoundBy::Target };
        if !tree.take_in(target.pid(), origin)? || !tree.members.by_pid.contains_key(&target.pid())
        {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(tree)
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> ProcessKey {
        self.target
    }

    /// By what processes are found.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// How many processes there were so far.
    #[must_use]
    pub fn counts(&self) -> TreeCounts {
        self.members.counts
    }

    /// The most memory that the target and its descendants have had at once, with page cache and kernel
    /// memory, in bytes. None if the target has no cgroup of its own, or the kernel does not keep it.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        self.cgroup.as_ref()?.memory_peak()
    }

    /// The folders of the target's own cgroup: none, that of version 2, that of version 1, or both.
    pub fn cgroup_folders(&self) -> impl Iterator<Item = &std::path::Path> {
        self.cgroup.iter().flat_map(OwnCgroup::folders)
    }

    /// True if all processes of a cgroup are followed, which has been removed.
    #[must_use]
    pub fn has_lost_its_cgroup(&self) -> bool {
        self.group.as_ref().is_some_and(|group| !group.folder().exists())
    }

    /// The processes that run, the target among them, also those that the filter leaves out.
    pub fn running(&self) -> impl Iterator<Item = &Arc<TreeProcess>> {
        self.members.by_pid.values().map(|member| &member.info)
    }

    /// The descendants that run: without the target.
    pub fn descendants(&self) -> impl Iterator<Item = &Arc<TreeProcess>> {
        self.running().filter(|process| process.key != self.target)
    }

    /// Reads the statm of each process that is reported, by descriptors that are kept open. One whose
    /// statm can't be read is given with the error, one that has just ended is left out.
    pub fn read_statm(
        &mut self,
        mut with: impl FnMut(&Arc<TreeProcess>, Result<StatmPages, ProcError>),
    ) {
        for member in self.members.by_pid.values_mut().filter(|member| member.is_reported) {
            if let Some(pages) = statm::read(member, &self.root) {
                with(&member.info, pages);
            }
        }
    }

    /// Finds what has changed since the last call, and returns it in the order in which it is known to have
    /// happened.
    ///
    /// # Errors
    /// What the system calls fail with that are made for all processes; the tree can be asked again.
    pub fn refresh(&mut self) -> io::Result<Vec<TreeChange>> {
        self.update()?;
        Ok(std::mem::take(&mut self.members.changes))
    }

    /// When [`refresh`](Self::refresh) is due although nothing is readable: what was born lately is followed then, if
    /// it still runs.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let untried = self.newborn.values().filter(|newborn| !newborn.is_tried);
        untried.map(|newborn| newborn.since + RIPE).min()
    }

    pub(super) fn update(&mut self) -> io::Result<()> {
        // Before the ends: a child that was waited for behind this is no unknown one.
        let readings = self.read_again();
        let ended = self.members.ended()?;
        let dropped = self.read_events()?;
        self.finish(ended)?;
        self.take_in_newborn()?;
        if dropped {
            self.resynchronise()?;
        }
        if self.events.is_none() {
            self.find_new()?;
        }
        if self.group.is_some() {
            self.list_cgroup()?;
        }
        self.count_unknown(&readings);
        self.members.promote()
    }

    /// Takes hold of a process and follows it. False if it is a zombie.
    fn take_in(&mut self, pid: i32, origin: Origin) -> io::Result<bool> {
        // This process may be a child of the target, and is no part of what the target does.
        if pid.cast_unsigned() == std::process::id() {
            return Ok(true);
        }
        match self.members.open(pid) {
            Ok(candidate) => self.add(candidate, origin).map(|()| true),
            Err(Unopened::Zombie) => Ok(false),
            Err(Unopened::None) => Ok(true),
            Err(Unopened::NoDescriptors) => {
                let stat = self.root.process(pid).stat();
                if let Some(start_time) = stat.ok().map(|stat| stat.start_time) {
                    self.members.leave_beyond(ProcessKey { pid, start_time }, origin);
                }
                Ok(true)
            }
            Err(Unopened::Hidden) => {
                self.members.leave_hidden(pid);
                Ok(true)
            }
        }
    }

    fn add(&mut self, candidate: Candidate, origin: Origin) -> io::Result<()> {
        let pid = candidate.pid();
        self.members.add(candidate, origin)?;
        if self.events.is_none() {
            self.young.push((pid, YOUNG));
        }
        Ok(())
    }

    // With events.

    /// Reads all events that have come. True if some were dropped.
    fn read_events(&mut self) -> io::Result<bool> {
        let mut dropped = false;
        while let Some(received) = self.events.as_mut().map_or(Ok(None), ProcessEvents::next)? {
            match received {
                Received::Dropped => dropped = true,
                Received::Event(event) => self.note(event),
            }
        }
        Ok(dropped)
    }

    fn note(&mut self, event: ProcessEvent) {
        match event {
            ProcessEvent::Forked { parent, child, time } => {
                let of_newborn = self.newborn.get(&parent).map(|newborn| newborn.origin.clone());
                let of_member = || self.members.origin_of_child(parent, FoundBy::Event);
                if let Some(origin) = of_newborn.or_else(of_member) {
                    self.births += 1;
                    let birth = self.births;
                    let since = instant(time);
                    let newborn = Newborn { since, birth, parent, origin, is_tried: false };
                    self.newborn.insert(child, newborn);
                }
            }
            ProcessEvent::Renamed { pid } => {
                if self.members.by_pid.contains_key(&pid) || self.newborn.contains_key(&pid) {
                    self.renamed.push(pid);
                }
            }
            ProcessEvent::Exited { pid, end } => {
                if self.newborn.remove(&pid).is_some() {
                    self.members.counts.brief.at_least += 1;
                } else if let Some(member) = self.members.by_pid.get_mut(&pid) {
                    member.end = Some(end);
                } else {
                    self.members.forget_beyond(pid);
                }
            }
        }
    }

    /// Takes in those whose forks were reported. A pid that was given again meanwhile belongs to another
    /// process, whose predecessor's exit is among the events then: they are read once more in between.
    fn take_in_newborn(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS {
            for pid in std::mem::take(&mut self.renamed) {
                if let Some(stat) = self.members.stat(pid) {
                    self.members.reread(pid, stat);
                }
            }
            let fresh = self.ripe_newborn();
            if fresh.is_empty() {
                return Ok(());
            }
            let opened: Vec<_> = fresh
                .into_iter()
                .map(|(birth, pid)| (birth, pid, self.members.open(pid)))
                .collect();
            if self.read_events()? {
                return self.resynchronise();
            }
            for (birth, pid, candidate) in opened {
                self.take_in_if_alive(birth, pid, candidate)?;
            }
        }
        Ok(())
    }

    /// Those that are to be taken in now, with the numbers of their births, in the order of these.
    fn ripe_newborn(&mut self) -> Vec<(u64, i32)> {
        let at_the_end = self.is_ending || !self.members.by_pid.contains_key(&self.target.pid);
        let mut ripe = Vec::new();
        for (pid, newborn) in self.newborn.iter_mut().filter(|(_, newborn)| !newborn.is_tried) {
            if at_the_end || newborn.since.elapsed() >= RIPE {
                newborn.is_tried = true;
                ripe.push((newborn.birth, *pid));
            }
        }
        ripe.sort_unstable();
        ripe
    }

    fn take_in_if_alive(
        &mut self,
        birth: u64,
        pid: i32,
        candidate: Result<Candidate, Unopened>,
    ) -> io::Result<()> {
        if self.newborn.get(&pid).is_none_or(|newborn| newborn.birth != birth) {
            return Ok(());
        }
        // What has ended stays known until its exit is reported: it may have children.
        if matches!(candidate, Err(Unopened::Zombie | Unopened::None)) {
            return Ok(());
        }
        let Some(newborn) = self.newborn.remove(&pid) else { return Ok(()) };
        // Its parent may have been taken in meanwhile.
        let known = self.members.origin_of_child(newborn.parent, FoundBy::Event);
        let origin = known.unwrap_or(newborn.origin);
        match candidate {
            Ok(candidate) => self.add(candidate, origin)?,
            Err(_) => {
                // Its exit will be reported as that of one that is not known.
                let is_alive = self.take_in(pid, origin)?;
                self.members.counts.brief.at_least += u64::from(!is_alive);
            }
        }
        Ok(())
    }

    fn resynchronise(&mut self) -> io::Result<()> {
        self.newborn.clear();
        self.members.counts.brief.is_exact = false;
        self.members.changes.push(TreeChange::EventsDropped);
        self.list_cgroup()?;
        self.list_all()
    }

    // Without events.

    /// The accounts of a few processes in turns, and what they execute.
    fn read_again(&mut self) -> Vec<AccountReading> {
        if self.events.is_some() {
            return Vec::new();
        }
        if self.turns.is_empty() && self.turns_began.elapsed() >= TURNS {
            self.turns_began = Instant::now();
            self.turns.extend(self.members.by_pid.keys());
        }
        let count = if self.births_unseen { READ_AGAIN_BUSY } else { READ_AGAIN };
        let mut pids: Vec<i32> = self.turns.drain(..count.min(self.turns.len())).collect();
        for (pid, times) in &mut self.young {
            *times -= 1;
            pids.push(*pid);
        }
        self.young.retain(|(_, times)| *times > 0);
        let mut readings = Vec::new();
        for pid in pids {
            if let Some(stat) = self.members.stat(pid) {
                readings.push(self.members.accounting.reading(pid, stat.child_faults));
                self.members.compare(pid, stat);
            }
        }
        readings
    }

    fn count_unknown(&mut self, readings: &[AccountReading]) {
        let Members { by_pid, accounting, counts, .. } = &mut self.members;
        for reading in readings {
            let Some(member) = by_pid.get_mut(&reading.pid) else { continue };
            if accounting.shows_unknown_child(&mut member.account, *reading, &self.root) {
                counts.brief.at_least += 1;
            }
        }
    }

    fn find_new(&mut self) -> io::Result<()> {
        let mut pids = self.new_pids.take();
        let found = match &mut pids {
            None => self.list_all(),
            Some(pids) => self.try_candidates(pids),
        };
        self.new_pids = pids;
        found?;
        self.take_in_orphans()?;
        if self.listed_all.elapsed() >= LIST_ALL { self.list_all() } else { Ok(()) }
    }

    /// What is cheapest: the target's cgroup, the new pids, or the children of all that is known.
    fn try_candidates(&mut self, pids: &mut NewPids) -> io::Result<()> {
        let candidates = pids.next()?;
        let Candidates::Pids { again, new } = candidates else {
            self.births_unseen = true;
            self.list_cgroup()?;
            return self.list_all();
        };
        let count = again.len() + new.len();
        if self.cgroup.is_some() {
            self.births_unseen = count > 0;
            return if count > 0 { self.list_cgroup() } else { Ok(()) };
        }
        let known = self.members.pids();
        let list_children =
            self.has_children_files && count > PIDS_FOR_CHILDREN * (known.len() + 1);
        if list_children || std::mem::replace(&mut self.list_children_again, list_children) {
            self.births_unseen = true;
            return self.list_children(known);
        }
        self.births_unseen = false;
        for pid in &again {
            self.births_unseen |= !self.try_candidate(*pid)?;
        }
        for pid in &new {
            if !self.try_candidate(*pid)? {
                pids.unseen(*pid);
            }
        }
        Ok(())
    }

    /// By the children files of all that are known. A file may miss a child while others end, so it is read
    /// once more at the next refresh.
    fn list_children(&mut self, mut known: Vec<i32>) -> io::Result<()> {
        while let Some(parent) = known.pop() {
            for pid in self.root.children(parent).unwrap_or_default() {
                if !self.members.contains(pid)
                    && self.try_candidate(pid)?
                    && self.members.contains(pid)
                {
                    known.push(pid);
                }
            }
        }
        Ok(())
    }

    /// Follows a process if it belongs to the tree. False if there is none of this pid.
    fn try_candidate(&mut self, pid: i32) -> io::Result<bool> {
        if self.members.contains(pid) {
            return Ok(true);
        }
        // Most have ended already, and kill(2) says so much faster than /proc does.
        if !exists(pid) {
            return Ok(false);
        }
        let Ok(stat) = self.root.process(pid).stat() else { return Ok(false) };
        // What its parent executes is a part of its role.
        if let Some(parent) = self.members.stat(stat.ppid) {
            self.members.compare(stat.ppid, parent);
        }
        if let Some(origin) = self.members.origin_of_child(stat.ppid, FoundBy::Parent) {
            self.take_in_or_count(&stat, origin)?;
        }
        Ok(true)
    }

    /// Follows a process, or counts it if nobody has seen it alive.
    fn take_in_or_count(&mut self, stat: &Stat, origin: Origin) -> io::Result<()> {
        let key = ProcessKey { pid: stat.pid, start_time: stat.start_time };
        if !self.take_in(stat.pid, origin)? && !self.members.accounting.has_zombie(key) {
            self.members.counts.brief.at_least += 1;
            self.members.accounting.ended(key, Some(stat.ppid));
        }
        Ok(())
    }

    fn take_in_orphans(&mut self) -> io::Result<()> {
        for stat in self.orphans.as_ref().map_or(Vec::new(), Orphans::list) {
            if !self.members.contains(stat.pid) {
                self.take_in_or_count(&stat, self.origin_of_orphan(FoundBy::Orphan))?;
                if stat.has_ended()
                    && let Some(orphans) = &self.orphans
                {
                    orphans.reap_zombie(&stat)?;
                }
            }
        }
        Ok(())
    }

    fn origin_of_orphan(&self, found_by: FoundBy) -> Origin {
        let target = self.members.by_pid.get(&self.target.pid);
        let parent_role = target.map(|target| target.info.role.clone());
        Origin { parent: None, parent_role, found_by }
    }

    fn list_cgroup(&mut self) -> io::Result<()> {
        let pids = match (&self.group, &self.cgroup) {
            // One that has been removed has none.
            (Some(group), _) => group.pids().unwrap_or_default(),
            (None, Some(cgroup)) => cgroup.pids()?,
            (None, None) => Vec::new(),
        };
        let mut unknown: Vec<i32> =
            pids.into_iter().filter(|pid| !self.members.contains(*pid)).collect();
        // Parents first, mostly.
        unknown.sort_unstable();
        for pid in unknown {
            let Ok(stat) = self.root.process(pid).stat() else { continue };
            let known = self.members.origin_of_child(stat.ppid, FoundBy::Cgroup);
            let origin = known.unwrap_or_else(|| self.origin_of_orphan(FoundBy::Cgroup));
            self.take_in(pid, origin)?;
        }
        Ok(())
    }

    /// Finds all descendants by the parents of all processes.
    fn list_all(&mut self) -> io::Result<()> {
        self.listed_all = Instant::now();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for (pid, parent) in self.root.parents()? {
            children.entry(parent).or_default().push(pid);
        }
        self.forget_ended_beyond();
        let mut known = self.members.pids();
        while let Some(parent) = known.pop() {
            for pid in children.remove(&parent).unwrap_or_default() {
                if !self.members.contains(pid)
                    && let Some(origin) = self.members.origin_of_child(parent, FoundBy::Parent)
                {
                    self.take_in(pid, origin)?;
                }
                known.push(pid);
            }
        }
        Ok(())
    }

    fn forget_ended_beyond(&mut self) {
        let is_there = |key: &ProcessKey| {
            let stat = self.root.process(key.pid).stat();
            stat.is_ok_and(|stat| stat.start_time == key.start_time)
        };
        let ended: Vec<_> = self.members.not_followed().filter(|key| !is_there(key)).collect();
        ended.into_iter().for_each(|key| self.members.forget_beyond(key.pid));
    }

    // The end.

    fn finish(&mut self, ended: Vec<i32>) -> io::Result<()> {
        for pid in ended {
            let Some(member) = self.members.by_pid.get(&pid) else { continue };
            let key = member.process.key();
            let mut end = member.end;
            if let Some(orphans) = self.orphans.as_ref().filter(|_| key != self.target) {
                end = orphans.reap(&member.process)?.or(end);
            }
            // The parent that has forked it is its parent still, if it lives.
            let parent = member.info.parent.filter(|parent| {
                let member = self.members.by_pid.get(&parent.pid);
                member.is_some_and(|member| member.process.key() == *parent)
            });
            let end = end.or_else(|| self.end_of_zombie(key)).unwrap_or(End::Gone);
            if self.events.is_none() {
                self.members.accounting.ended(key, parent.map(|parent| parent.pid));
            }
            self.members.remove(pid, end);
        }
        Ok(())
    }

    /// How it has ended, if it was not reaped yet. A status of 0 is also what the kernel shows to those who
    /// may not know.
    fn end_of_zombie(&self, key: ProcessKey) -> Option<End> {
        let stat = self.root.process(key.pid).stat().ok()?;
        let status = stat.exit_code.filter(|status| *status != 0)?;
        (stat.start_time == key.start_time).then(|| end_of(status.cast_unsigned()))
    }
}

impl AsFd for ProcessTree {
    /// Readable if something has changed: a process has ended, or events have come. What is born without
    /// events is found by [`refresh`](Self::refresh) alone. See also [`ProcessTree::due`] and [`BATCH`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.members.epoll.0.as_fd()
    }
}

fn in_use<T>(attempt: io::Result<T>) -> (Option<T>, Mechanism) {
    match attempt {
        Ok(mechanism) => (Some(mechanism), Mechanism::InUse),
        Err(error) => (None, Mechanism::Refused { reason: error.to_string() }),
    }
}

/// How many descriptors this process may have for a tree.
fn descriptors() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most.saturating_sub(DESCRIPTORS_OF_OTHERS)).unwrap_or(usize::MAX).max(32)
}
