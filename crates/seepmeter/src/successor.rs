//! Finding what a target is started again as.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{Pid, getsid};
use seepmeter_process::find::{ListedProcess, NamePattern, PendingSearch, Search, roots};
use seepmeter_process::tree::{BATCH, Program};
use seepmeter_process::{Process, ProcessKey};

use crate::selection::{CgroupName, LOOK_EVERY, SelectedTarget, Selector};

/// A target's end is noticed a little later than it was, and by then its successor may run.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// By what a successor is known.
#[derive(Clone, Debug)]
pub(crate) enum SuccessorOf {
    /// By the name that the user has given.
    Name(NamePattern),
    /// By the program of the target; if several begin at once, by its command line too.
    Program(Program, Vec<Vec<u8>>),
    /// By the cgroup that it is in.
    Cgroup(CgroupName),
}

/// How the successors of a target are found.
#[derive(Debug)]
pub(crate) struct SuccessorSearch {
    selector: Selector,
    by: SuccessorOf,
}

/// A target that has ended, as far as it matters to who its successor is.
#[derive(Debug)]
pub(crate) struct EndedTarget {
    /// The session that it was in.
    pub(crate) session: Option<Pid>,
    /// What it has left behind.
    pub(crate) descendants: HashSet<ProcessKey>,
    /// When that was noticed, from the start of the machine on.
    pub(crate) noticed: Duration,
}

/// A search for the successor of one target.
#[derive(Debug)]
pub(crate) struct PendingSuccessor {
    selector: Selector,
    by: PendingBy,
    ended: EndedTarget,
    /// No sooner than this is looked again.
    earliest: Instant,
}

#[derive(Debug)]
enum PendingBy {
    Name(PendingSearch),
    Program(PendingSearch, Vec<Vec<u8>>),
    Cgroup(CgroupName),
}

/// The session that a process is in; none if it has ended.
pub(crate) fn session_of(process: &Process) -> Option<Pid> {
    getsid(Some(Pid::from_raw(process.pid()))).ok()
}

impl SuccessorSearch {
    pub(crate) fn new(selector: Selector, by: SuccessorOf) -> Self {
        Self { selector, by }
    }

    /// Searches from now on for what this target is started again as.
    pub(crate) fn begin(&self, ended: EndedTarget) -> PendingSuccessor {
        let selector = self.selector.clone();
        let search = |pattern| PendingSearch::begin(Search::new(pattern, selector.root()));
        let by = match self.by.clone() {
            SuccessorOf::Name(pattern) => PendingBy::Name(search(pattern)),
            SuccessorOf::Program(program, command) => {
                PendingBy::Program(search(NamePattern::Program(program)), command)
            }
            SuccessorOf::Cgroup(name) => PendingBy::Cgroup(name),
        };
        PendingSuccessor { selector, by, ended, earliest: Instant::now() }
    }
}

impl PendingSuccessor {
    fn search(&self) -> Option<&PendingSearch> {
        match &self.by {
            PendingBy::Name(search) | PendingBy::Program(search, _) => Some(search),
            PendingBy::Cgroup(_) => None,
        }
    }

    /// What is readable when there may be one; nothing so soon after the last look.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.search()?.fd().filter(|_| self.earliest <= Instant::now())
    }

    /// When to look although nothing is readable.
    pub(crate) fn due(&self) -> Option<Instant> {
        let waits_for_fd = self.search().is_some_and(|search| search.due().is_none());
        (!waits_for_fd || self.earliest > Instant::now()).then_some(self.earliest)
    }

    /// The successor, if there is one; it waits for nothing.
    ///
    /// # Errors
    /// If it can't be looked for.
    pub(crate) fn look(&mut self) -> Result<Option<SelectedTarget>> {
        let now = Instant::now();
        if now < self.earliest {
            return Ok(None);
        }
        let (search, command) = match &mut self.by {
            PendingBy::Cgroup(name) => {
                self.earliest = now + LOOK_EVERY;
                return self.selector.in_cgroup(name);
            }
            PendingBy::Name(search) => (search, None),
            PendingBy::Program(search, command) => (search, Some(&*command)),
        };
        let found = search.look().context("cannot look for what the target is started again as")?;
        // Without events, when processes are to be listed again.
        self.earliest = search.due().unwrap_or(now + BATCH);
        let is_successor = |listed: &ListedProcess| self.ended.may_be_followed_by(listed.key);
        let found: Vec<_> = found.into_iter().filter(is_successor).collect();
        let mut found = roots(&found, self.selector.root());
        let another = |listed: &ListedProcess| command.is_some_and(|it| *it != listed.command);
        found.sort_by_key(|it| (another(it), it.key.start_time, it.key.pid));
        Ok(found.iter().find_map(|listed| self.selector.open(listed)))
    }
}

impl EndedTarget {
    /// Others of the name that ran beside it are not its successors, and neither are the workers that a killed server
    /// leaves. What has left its session has put itself into the background: that goes on as the target did.
    fn may_be_followed_by(&self, process: ProcessKey) -> bool {
        if self.descendants.contains(&process) {
            let session = getsid(Some(Pid::from_raw(process.pid))).ok();
            return session.is_some() && session != self.session;
        }
        process.since_boot() + NOTICED_WITHIN >= self.noticed
    }
}
