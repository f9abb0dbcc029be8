//! Finding what a target is started again as.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{Pid, getsid};
use seepmeter_process::find::{
    ListedProcess, NamePattern, PendingSearch, Search, ancestors, roots,
};
use seepmeter_process::system::since_boot;
use seepmeter_process::tree::Program;
use seepmeter_process::{Process, ProcessKey};

use crate::selection::{CgroupName, SEARCH_EVERY, SelectedTarget, Selector};

/// What has matched for longer than this while the target was alive ran beside it. What began to match later may be
/// its successor: a supervisor may be faster than the search that finds the target's end.
const BESIDE: Duration = Duration::from_secs(1);

/// While the target runs, Seepmeter searches so often for what runs beside it. After a search it rests so many times as
/// long as that took, up to the second time.
const SEARCH_BESIDE_EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const REST: u32 = 100;

/// While a successor is waited for, a machine that executes programs all the time is searched no more often.
const BATCH: Duration = Duration::from_millis(20);

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

/// A target that has ended, as far as it matters to who its successor is.
#[derive(Debug, Default)]
pub(crate) struct EndedTarget {
    /// The session that it was in.
    pub(crate) session: Option<Pid>,
    /// The processes that it descended from, by pid.
    pub(crate) ancestors: HashSet<i32>,
    /// What it has left behind.
    pub(crate) descendants: HashSet<ProcessKey>,
}

/// The search for the successors of a target, one after another. It goes on while a target runs, so that what runs
/// beside it is known.
#[derive(Debug)]
pub(crate) struct SuccessorSearch {
    selector: Selector,
    by: SearchBy,
    /// Processes that match, and since when, from the start of the machine on.
    matching: HashMap<ProcessKey, Duration>,
    /// When the target was last known to be alive.
    last_alive: Duration,
    /// No sooner than this is searched again.
    earliest: Instant,
}

#[derive(Debug)]
enum SearchBy {
    Processes {
        search: Box<PendingSearch>,
        /// The command line of the target, which an interpreter without a script must have, if a pid was given.
        command: Option<Vec<Vec<u8>>>,
    },
    Cgroup(CgroupName),
}

/// The session that a process is in; none if it has ended.
pub(crate) fn session_of(process: &Process) -> Option<Pid> {
    getsid(Some(Pid::from_raw(process.pid()))).ok()
}

impl SuccessorSearch {
    /// What matches now runs beside the target, unless it has just begun or the target has ended.
    ///
    /// # Errors
    /// If processes can't be listed.
    pub(crate) fn begin(selector: Selector, by: SuccessorOf, target: &Process) -> Result<Self> {
        let search =
            |pattern| Box::new(PendingSearch::begin(Search::new(pattern, selector.root())));
        let by = match by {
            SuccessorOf::Name(pattern) => {
                SearchBy::Processes { search: search(pattern), command: None }
            }
            SuccessorOf::Program(program, command) => {
                let search = search(NamePattern::Program(program));
                SearchBy::Processes { search, command: Some(command) }
            }
            SuccessorOf::Cgroup(name) => SearchBy::Cgroup(name),
        };
        let (matching, last_alive, earliest) = (HashMap::new(), Duration::ZERO, Instant::now());
        let mut search = Self { selector, by, matching, last_alive, earliest };
        let found = search.list()?;
        search.matching = found.iter().map(|it| (it.key, it.key.since_boot())).collect();
        if !target.has_ended()? {
            search.last_alive = since_boot();
        }
        Ok(search)
    }

    /// The ancestors of a process, by pid.
    pub(crate) fn ancestors_of(&self, process: &Process) -> HashSet<i32> {
        ancestors(process.pid(), self.selector.root()).collect()
    }

    /// When to search for what runs beside the target; none of a cgroup, all processes of which are the target.
    pub(crate) fn due_beside(&self) -> Option<Instant> {
        matches!(self.by, SearchBy::Processes { .. }).then_some(self.earliest)
    }

    /// Looks for what runs beside the target, if that is due.
    ///
    /// # Errors
    /// If it can't be searched for.
    pub(crate) fn search_beside(&mut self, target: &Process) -> Result<()> {
        let began = Instant::now();
        if self.due_beside().is_none_or(|at| began < at) {
            return Ok(());
        }
        let found = self.found()?;
        // What has begun behind the end may be the successor, and is found again.
        if target.has_ended()? {
            return Ok(());
        }
        self.last_alive = since_boot();
        if !found.is_empty() {
            let since = |key| *self.matching.get(&key).unwrap_or(&self.last_alive);
            self.matching = found.iter().map(|it| (it.key, since(it.key))).collect();
        }
        let [often, seldom] = SEARCH_BESIDE_EVERY;
        self.earliest = Instant::now() + (began.elapsed() * REST).clamp(often, seldom);
        Ok(())
    }

    /// The target has ended: from now on its successor is searched for.
    pub(crate) fn begin_wait(&mut self) {
        self.earliest = Instant::now();
        if let SearchBy::Processes { search, .. } = &mut self.by {
            search.list_at_next_poll();
        }
    }

    /// What is readable when there may be a successor; nothing so soon after the last poll.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.by {
            SearchBy::Processes { search, .. } => {
                search.fd().filter(|_| self.earliest <= Instant::now())
            }
            SearchBy::Cgroup(_) => None,
        }
    }

    /// When to search for a successor although nothing is readable.
    pub(crate) fn due(&self) -> Instant {
        match &self.by {
            SearchBy::Processes { search, .. } if self.earliest <= Instant::now() => search.due(),
            _ => self.earliest,
        }
    }

    /// The successor, if there is one; it waits for nothing. At the `last` poll nothing is left to events.
    ///
    /// # Errors
    /// If it can't be searched for.
    pub(crate) fn poll(
        &mut self,
        ended: &EndedTarget,
        last: bool,
    ) -> Result<Option<SelectedTarget>> {
        let now = Instant::now();
        if now < self.earliest && !last {
            return Ok(None);
        }
        if let SearchBy::Cgroup(name) = &self.by {
            self.earliest = now + SEARCH_EVERY;
            return self.selector.in_cgroup(name);
        }
        let found = if last { self.list() } else { self.found() }?;
        self.earliest = now + BATCH;
        let is_successor = |listed: &ListedProcess| self.may_follow(ended, listed.key);
        let found: Vec<_> = found.into_iter().filter(is_successor).collect();
        let mut found = roots(&found, self.selector.root());
        found.sort_by_key(|it| (self.has_another_command(it), it.key.start_time, it.key.pid));
        let opened = found.iter().find_map(|listed| self.selector.open(listed));
        if let (None, false, SearchBy::Processes { search, .. }) =
            (&opened, found.is_empty(), &mut self.by)
        {
            // They have ended, and what they have forked may go on.
            search.list_at_next_poll();
            self.earliest = now;
        }
        Ok(opened)
    }

    /// All that match, if there may be one that did not at the last poll.
    fn found(&mut self) -> Result<Vec<ListedProcess>> {
        self.matching(PendingSearch::poll)
    }

    fn list(&mut self) -> Result<Vec<ListedProcess>> {
        self.matching(PendingSearch::list)
    }

    fn matching(
        &mut self,
        find: impl FnOnce(&mut PendingSearch) -> std::io::Result<Vec<ListedProcess>>,
    ) -> Result<Vec<ListedProcess>> {
        let SearchBy::Processes { search, .. } = &mut self.by else { return Ok(Vec::new()) };
        let mut found =
            find(search).context("cannot search for what the target is started again as")?;
        // Two interpreters without a script may have nothing else in common.
        found.retain(|it| !it.program.is_interpreter_alone() || !self.has_another_command(it));
        Ok(found)
    }

    /// True if a pid was given, and the command line is not that of its process.
    fn has_another_command(&self, listed: &ListedProcess) -> bool {
        match &self.by {
            SearchBy::Processes { command: Some(command), .. } => *command != listed.command,
            _ => false,
        }
    }

    /// True of a process that matches and did not beside the target.
    ///
    /// The workers that a killed server leaves are not its successors. What has left its session has put itself into
    /// the background: that goes on as the target did.
    fn may_follow(&self, ended: &EndedTarget, process: ProcessKey) -> bool {
        if ended.descendants.contains(&process) {
            let session = getsid(Some(Pid::from_raw(process.pid))).ok();
            return session.is_some() && session != ended.session;
        }
        !self.ran_beside(&process) && !self.is_of_another(ended, process)
    }

    fn ran_beside(&self, process: &ProcessKey) -> bool {
        self.matching.get(process).is_some_and(|since| *since + BESIDE <= self.last_alive)
    }

    /// True of what a process that ran beside the target has forked, unless the target was forked by it as well.
    fn is_of_another(&self, ended: &EndedTarget, process: ProcessKey) -> bool {
        let others = self.matching.keys().filter(|other| self.ran_beside(other));
        let others: HashSet<i32> = others.map(|other| other.pid).collect();
        ancestors(process.pid, self.selector.root())
            .any(|pid| others.contains(&pid) && !ended.ancestors.contains(&pid))
    }
}
