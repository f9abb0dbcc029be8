//! Finding what a target is started again as.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{Pid, getsid};
use seepmeter_process::find::{
    ExecutedProgram, ListedProcess, NamePattern, PendingSearch, Search, ancestors, roots,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::since_boot;
use seepmeter_process::{Process, ProcessKey};

use crate::selection::{CgroupName, SEARCH_EVERY, SelectedTarget, Selector};

/// What has matched for longer than this while the target was alive ran beside it. What began to match later may be
/// its successor: a supervisor may be faster than the search that finds the target's end.
const BESIDE: Duration = Duration::from_secs(1);

/// While the target runs, Seepmeter searches so often for what runs beside it. After a search it rests so many times as
/// long as that took, up to the second time.
const SEARCH_BESIDE_EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const REST: u32 = 100;

/// While a successor is waited for, a machine that executes programs all the time is searched no more often, and after
/// a long wait no more often than this.
const BATCH: Duration = Duration::from_millis(20);
const LATE_BATCH: Duration = Duration::from_millis(200);
const LONG_WAIT: Duration = Duration::from_secs(60);

/// By what a successor is known.
#[derive(Clone, Debug)]
pub(crate) enum SuccessorOf {
    /// By the name that the user has given.
    Name(NamePattern),
    /// By the program of the target; if several begin at once, by its command line too.
    Program(ExecutedProgram, Vec<Vec<u8>>),
    /// By the cgroup that it is in.
    Cgroup(CgroupName),
}

/// The target that runs, or has ended last, as far as it matters to who its successor is.
#[derive(Debug)]
struct Target {
    process: Arc<Process>,
    /// The session that it was in when its watch began. It may have begun one since.
    session: Option<Pid>,
    /// The processes that it descended from, by pid.
    ancestors: HashSet<i32>,
    /// Its descendants, as far as they are known: all, once it has ended.
    descendants: HashSet<ProcessKey>,
}

impl Target {
    fn of(process: &Arc<Process>, root: &ProcRoot) -> Self {
        Self {
            process: Arc::clone(process),
            session: session_of(process.pid()),
            ancestors: ancestors(process.pid(), root).collect(),
            descendants: HashSet::new(),
        }
    }
}

/// The search for the successors of a target, one after another. It goes on while a target runs, so that what runs
/// beside it is known.
#[derive(Debug)]
pub(crate) struct SuccessorSearch {
    selector: Selector,
    by: SearchBy,
    target: Target,
    /// All others that match, and since when, from the start of the machine on.
    beside: HashMap<ProcessKey, Duration>,
    /// What the targets before this one have left behind.
    left: HashSet<ProcessKey>,
    /// When the target was last known to be alive.
    last_alive: Duration,
    /// When all that match were listed last, from the start of the machine on.
    listed: Duration,
    /// No sooner than this is searched again.
    earliest: Instant,
    /// When the wait for a successor began, if there is one.
    waits_since: Option<Instant>,
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
fn session_of(pid: i32) -> Option<Pid> {
    getsid(Some(Pid::from_raw(pid))).ok()
}

impl SuccessorSearch {
    /// What matches now runs beside the target, unless it has just begun or the target has ended.
    ///
    /// # Errors
    /// If processes can't be listed.
    pub(crate) fn begin(
        selector: Selector,
        by: SuccessorOf,
        target: &Arc<Process>,
    ) -> Result<Self> {
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
        let target = Target::of(target, selector.root());
        let (beside, left) = (HashMap::new(), HashSet::new());
        let (last_alive, listed) = (Duration::ZERO, Duration::ZERO);
        let (earliest, waits_since) = (Instant::now(), None);
        let mut search =
            Self { selector, by, target, beside, left, last_alive, listed, earliest, waits_since };
        let now = since_boot();
        if !search.target.process.has_ended()? {
            search.last_alive = now;
        }
        let found = search.list()?;
        search.note(&found, now);
        Ok(search)
    }

    /// All of `found` but the target run beside it or descend from it. What has begun since the list before matches from
    /// its start on, and what is new without that has executed a program just `now`.
    fn note(&mut self, found: &[ListedProcess], now: Duration) {
        let target = self.target.process.key();
        let root = self.selector.root();
        let others = || found.iter().map(|it| it.key).filter(|key| *key != target);
        let descends = |key: &ProcessKey| ancestors(key.pid, root).any(|pid| pid == target.pid);
        self.target.descendants.retain(|known| others().any(|key| key == *known));
        self.target.descendants.extend(others().filter(descends));
        let new = |key: ProcessKey| Some(key.since_boot()).filter(|start| *start > self.listed);
        let since = |key| self.beside.get(&key).copied().or_else(|| new(key)).unwrap_or(now);
        self.beside = others().map(|key| (key, since(key))).collect();
        self.listed = now;
    }

    /// When to search for what runs beside the target, or to see that it is alive; none of a cgroup, all processes of
    /// which are the target.
    pub(crate) fn due_beside(&self) -> Option<Instant> {
        let alive = (self.last_alive + SEARCH_BESIDE_EVERY[0]).saturating_sub(since_boot());
        matches!(self.by, SearchBy::Processes { .. })
            .then(|| self.earliest.min(Instant::now() + alive))
    }

    /// Looks for what runs beside the target, if that is due.
    ///
    /// # Errors
    /// If it can't be searched for now; it is tried again.
    pub(crate) fn search_beside(&mut self) -> Result<()> {
        if matches!(self.by, SearchBy::Cgroup(_)) {
            return Ok(());
        }
        let (began, now) = (Instant::now(), since_boot());
        if self.target.process.has_ended()? {
            return Ok(());
        }
        self.last_alive = now;
        if began < self.earliest {
            return Ok(());
        }
        let [often, seldom] = SEARCH_BESIDE_EVERY;
        self.earliest = began + seldom;
        let found = self.matching(PendingSearch::poll_with_forks)?;
        // What has begun behind the end may be the successor, and is found again.
        if self.target.process.has_ended()? {
            return Ok(());
        }
        if found.is_empty() {
            self.listed = now;
        } else {
            self.note(&found, now);
        }
        self.earliest = Instant::now() + (began.elapsed() * REST).clamp(often, seldom);
        Ok(())
    }

    /// The target has ended, and these descendants of it run on: from now on its successor is searched for.
    pub(crate) fn begin_wait(&mut self, descendants: impl IntoIterator<Item = ProcessKey>) {
        self.target.descendants.extend(descendants);
        let root = self.selector.root();
        self.left.retain(|key| {
            root.process(key.pid).stat().is_ok_and(|stat| stat.start_time == key.start_time)
        });
        self.earliest = Instant::now();
        self.waits_since = Some(self.earliest);
        if let SearchBy::Processes { search, .. } = &mut self.by {
            search.list_at_next_poll();
        }
    }

    /// The next target has begun: all others that were found with it run beside it.
    fn go_on_with(&mut self, successor: &Arc<Process>, found: &[ListedProcess]) {
        let target = Target::of(successor, self.selector.root());
        let before = std::mem::replace(&mut self.target, target);
        self.left.extend(before.descendants);
        self.left.remove(&successor.key());
        let now = since_boot();
        self.last_alive = now;
        self.note(found, now);
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

    /// The successor, if there is one, whose own successors are searched for from then on; it waits for nothing. At the
    /// `last` poll nothing is left to events.
    ///
    /// # Errors
    /// If it can't be searched for.
    pub(crate) fn poll(&mut self, last: bool) -> Result<Option<SelectedTarget>> {
        let now = Instant::now();
        if now < self.earliest && !last {
            return Ok(None);
        }
        let (opened, found) = match &self.by {
            SearchBy::Cgroup(name) => {
                self.earliest = now + SEARCH_EVERY;
                (self.selector.in_cgroup(name)?, Vec::new())
            }
            SearchBy::Processes { .. } => {
                let found = if last { self.list() } else { self.found() }?;
                let waits_long = self.waits_since.is_some_and(|since| now > since + LONG_WAIT);
                self.earliest = now + if waits_long { LATE_BATCH } else { BATCH };
                (self.successor_among(&found), found)
            }
        };
        if let Some(opened) = &opened {
            self.go_on_with(&opened.process, &found);
        }
        Ok(opened)
    }

    /// Takes hold of the one of these that is the successor.
    fn successor_among(&mut self, found: &[ListedProcess]) -> Option<SelectedTarget> {
        let may_follow = |listed: &&ListedProcess| self.may_follow(listed.key);
        let found: Vec<_> = found.iter().filter(may_follow).cloned().collect();
        let mut found = roots(&found, self.selector.root());
        found.sort_by_key(|it| (self.has_another_command(it), it.key.start_time, it.key.pid));
        let opened = found.iter().find_map(|listed| self.selector.open(listed));
        if let (None, false, SearchBy::Processes { search, .. }) =
            (&opened, found.is_empty(), &mut self.by)
        {
            // They have ended, and what they have forked may go on.
            search.list_at_next_poll();
        }
        opened
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

    /// True of a process that matches and did not beside the target. What a target has left behind is no successor.
    fn may_follow(&self, process: ProcessKey) -> bool {
        if self.target.descendants.contains(&process) {
            return self.is_daemon(process);
        }
        !self.left.contains(&process) && !self.ran_beside(&process) && !self.is_of_another(process)
    }

    /// True of a descendant that has put itself into the background, which goes on as the target did: it has left the
    /// session of the target, and that has ended soon behind. Servers too have workers in sessions of their own.
    fn is_daemon(&self, descendant: ProcessKey) -> bool {
        let own = Pid::from_raw(self.target.process.pid());
        let has_left = |session| Some(session) != self.target.session && session != own;
        let is_young = descendant.since_boot() + BESIDE > self.last_alive;
        is_young && session_of(descendant.pid).is_some_and(has_left)
    }

    fn ran_beside(&self, process: &ProcessKey) -> bool {
        self.beside.get(process).is_some_and(|since| *since + BESIDE <= self.last_alive)
    }

    /// True of what was forked by a process that a target has left behind, or that ran beside the target, unless the
    /// target was forked by it as well.
    fn is_of_another(&self, process: ProcessKey) -> bool {
        let beside = self.beside.keys().filter(|other| self.ran_beside(other));
        let others = beside.chain(&self.left).chain(&self.target.descendants);
        let others: HashSet<i32> = others.map(|other| other.pid).collect();
        ancestors(process.pid, self.selector.root())
            .any(|pid| others.contains(&pid) && !self.target.ancestors.contains(&pid))
    }
}
