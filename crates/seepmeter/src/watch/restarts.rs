//! Going on with what a target is started again as: each time, an epoch of the run ends and the next one begins.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use seepmeter_process::tree::{BATCH, ProcessTree};
use seepmeter_process::{Process, ProcessKey};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{End, Restart, SubjectId, human};

use super::{Watch, WatchedTarget};
use crate::flags::{TreeFlags, TreeMode};
use crate::messages;
use crate::selection::{SEARCH_EVERY, SelectedTarget};
use crate::successor::SuccessorSearch;

/// Who takes part in the begin and the end of each target.
pub(crate) trait TargetLife {
    /// One was started again, and is watched from now on.
    fn begin(&mut self, _process: &Process) {}

    /// Says how one has ended.
    fn end(&mut self, process: &Process) -> Result<End>;
}

impl<F: FnMut(&Process) -> Result<End>> TargetLife for F {
    fn end(&mut self, process: &Process) -> Result<End> {
        self(process)
    }
}

/// How the watch goes on with the successors of the target.
pub(crate) struct Restarts {
    search: SuccessorSearch,
    tree: TreeFlags,
    /// For so long a successor is waited for; none for as long as it takes.
    limit: Option<Duration>,
    /// What runs beside the target could not be searched for, which is reported once.
    has_failed: bool,
    target: CurrentTarget,
    waiting: Option<Waiting>,
}

/// The target that is watched, or was last.
struct CurrentTarget {
    process: Arc<Process>,
    /// What people call it.
    called: String,
    /// Its descendants, if they are not watched: they are no successors of it.
    unwatched: Option<UnwatchedTree>,
    /// Its subject, once it has ended, and when its epoch has.
    ended: Option<(SubjectId, Instant)>,
}

impl CurrentTarget {
    fn of(target: &SelectedTarget) -> Self {
        let process = Arc::clone(&target.process);
        Self {
            called: format!("{} (pid {})", target.spec().name, process.pid()),
            unwatched: None,
            ended: None,
            process,
        }
    }

    /// Knows its descendants although they are not watched.
    fn follow_unwatched(&mut self, flags: &TreeFlags) {
        if flags.tree != TreeMode::Off {
            return;
        }
        let flags = TreeFlags { tree: TreeMode::On, ..flags.clone() };
        match flags.of_process(&self.process) {
            Ok(tree) => {
                self.unwatched = tree.map(|tree| UnwatchedTree { tree, due: Instant::now() });
            }
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Err(error) => messages::notice(&format!(
                "cannot follow the descendants of {}: {error}; one of them may be taken for its successor",
                self.called
            )),
        }
    }
}

/// The descendants of a target that is watched alone.
struct UnwatchedTree {
    tree: ProcessTree,
    due: Instant,
}

impl UnwatchedTree {
    fn refresh_if_due(&mut self) {
        if Instant::now() < self.due {
            return;
        }
        // What can't be found now may be at the next time.
        let _ = self.tree.refresh();
        let exact = self.tree.discovery().sees_every_process();
        self.due = Instant::now() + if exact { SELDOM } else { SEARCH_EVERY };
    }

    /// Those that run on when the target has ended.
    fn left(mut self) -> HashSet<ProcessKey> {
        let _ = self.tree.refresh();
        self.tree.descendants().map(|process| process.key).collect()
    }
}

/// How often the descendants that are not watched are searched for, with events of all and without.
const SELDOM: Duration = Duration::from_secs(1);

/// It has ended, and its successor is waited for.
struct Waiting {
    deadline: Option<Instant>,
    /// Until then the samplers take their last samples of it, and nothing is searched for.
    last_samples: Option<Instant>,
}

/// The end of a target shall come before its successor in the stream, with its last samples; but for so long at most
/// a successor is left unwatched for that.
const LAST_SAMPLES: Duration = Duration::from_millis(200);

impl Restarts {
    /// The successors of this target.
    pub(crate) fn new(
        search: SuccessorSearch,
        target: &SelectedTarget,
        tree: &TreeFlags,
        limit: Option<Duration>,
    ) -> Self {
        let target = CurrentTarget::of(target);
        Self { search, tree: tree.clone(), limit, has_failed: false, target, waiting: None }
    }

    /// What is readable when there may be a successor.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.waiting.as_ref().filter(|waiting| waiting.last_samples.is_none())?;
        self.search.fd()
    }

    /// When to search for one although nothing is readable, to stop waiting, or to search for what runs beside the target.
    pub(super) fn due(&self) -> Option<Instant> {
        let Some(waiting) = &self.waiting else {
            let tree = self.target.unwatched.as_ref().map(|tree| tree.due);
            let due = self.search.due_beside().into_iter().chain(tree).min();
            return due.filter(|_| self.target.ended.is_none());
        };
        let last_samples = waiting.last_samples.map(|until| until.min(Instant::now() + BATCH));
        last_samples.or_else(|| [self.search.due()].into_iter().chain(waiting.deadline).min())
    }

    /// Looks for what runs beside the target, if it is alive and that is due.
    fn search_beside(&mut self) {
        if self.target.ended.is_some() {
            return;
        }
        if let Some(tree) = &mut self.target.unwatched {
            tree.refresh_if_due();
        }
        if let Err(error) = self.search.search_beside()
            && !std::mem::replace(&mut self.has_failed, true)
        {
            messages::notice_at_once(&format!(
                "{error:#}; it is tried again, and what has begun beside the target meanwhile may be taken for its successor"
            ));
        }
    }

    /// Looks for the successor; reports why it is waited for no longer.
    fn poll(&mut self) -> Found {
        let Some(Waiting { deadline, .. }) = &self.waiting else {
            return Found::NotYet;
        };
        let called = &self.target.called;
        let is_last = deadline.is_some_and(|deadline| deadline <= Instant::now());
        match self.search.poll(is_last) {
            Ok(Some(target)) => return Found::Successor(target),
            Ok(None) if !is_last => return Found::NotYet,
            Ok(None) => {
                let limit = human::duration(self.limit.unwrap_or_default().as_nanos() as u64);
                messages::notice_at_once(&format!(
                    "{called} has ended, and was not started again within {limit}"
                ));
            }
            Err(error) => messages::notice_at_once(&format!(
                "{called} has ended, and what it is started again as can't be watched: {error:#}"
            )),
        }
        Found::Never
    }
}

/// What came of a search for a successor.
enum Found {
    Successor(SelectedTarget),
    NotYet,
    Never,
}

impl Watch {
    /// The watch goes on with the successors of its only target.
    pub(crate) fn follow(&mut self, restarts: Option<Restarts>) {
        self.restarts = restarts;
        if let Some(restarts) = &mut self.restarts {
            restarts.target.follow_unwatched(&restarts.tree);
        }
    }

    /// Looks for what runs beside the target, if its successors are watched and that is due.
    pub(super) fn search_beside_target(&mut self) {
        if let Some(restarts) = &mut self.restarts {
            restarts.search_beside();
        }
    }

    /// A target has ended, and is about to leave the stream. If its successor is to be watched and nothing more of
    /// its tree is waited for, the descendants leave before it, so that their sum has no end without it.
    pub(super) fn end_epoch_of(&mut self, target: &WatchedTarget) {
        let is_last = self.targets.len() == 1;
        let waits = self.waits_for_descendants();
        let Some(restarts) = &mut self.restarts else { return };
        restarts.target.ended = Some((target.subject, Instant::now()));
        if is_last && !waits {
            self.wait_for_successor();
        }
    }

    /// The cgroup of the target was removed, and with it its epoch ends. True if its successor is waited for.
    pub(super) fn end_epoch_of_lost_cgroup(&mut self) -> bool {
        let Some(restarts) = &mut self.restarts else { return false };
        if let Some(live) = &mut self.live {
            for target in self.targets.drain(..) {
                restarts.target.ended = Some((target.subject, Instant::now()));
                live.end_target(target.subject, End::Left);
            }
        }
        self.wait_for_successor();
        true
    }

    fn wait_for_successor(&mut self) {
        let (Some(restarts), Some(live)) = (&mut self.restarts, &mut self.live) else { return };
        let left = self.descendants.as_mut().map(|descendants| descendants.leave(live));
        if let Some((_, at)) = &mut restarts.target.ended {
            // With descendants that were waited for, it lasted longer than the target.
            *at = Instant::now();
        }
        let unwatched = restarts.target.unwatched.take().map(UnwatchedTree::left);
        restarts.search.begin_wait([left, unwatched].into_iter().flatten().flatten());
        let deadline = restarts.limit.and_then(|limit| Instant::now().checked_add(limit));
        let last_samples = Some(Instant::now() + LAST_SAMPLES);
        restarts.waiting = Some(Waiting { deadline, last_samples });
        if let Some(interim) = &mut self.interim {
            interim.wait_for_successor(&restarts.target.called);
        }
    }

    /// All that is watched has ended. True if the watch goes on: with the successor, or since one is waited for.
    pub(super) fn goes_on(&mut self, life: &mut impl TargetLife) -> bool {
        match &self.restarts {
            None => return false,
            Some(restarts) if restarts.waiting.is_none() => self.wait_for_successor(),
            Some(_) => {}
        }
        if self.last_samples_are_taken() {
            return true;
        }
        match self.restarts.as_mut().map(Restarts::poll) {
            Some(Found::Successor(target)) => {
                self.take_over(&target, life);
                true
            }
            Some(Found::NotYet) => true,
            Some(Found::Never) | None => false,
        }
    }

    /// True as long as samplers take their last samples of the target that has ended, but not for long.
    fn last_samples_are_taken(&mut self) -> bool {
        let waiting = self.restarts.as_mut().and_then(|restarts| restarts.waiting.as_mut());
        let (Some(waiting), Some(live)) = (waiting, &self.live) else { return false };
        let is_time = waiting.last_samples.is_some_and(|until| Instant::now() < until);
        if is_time && live.has_pending_ends() {
            return true;
        }
        if waiting.last_samples.take().is_some() {
            live.send_pending_ends();
        }
        false
    }

    /// The next epoch begins.
    fn take_over(&mut self, target: &SelectedTarget, life: &mut impl TargetLife) {
        let (Some(restarts), Some(live)) = (&mut self.restarts, &mut self.live) else { return };
        let mut spec = target.spec();
        let ended = restarts.target.ended;
        let gap = ended.map(|(_, at)| at.elapsed().as_nanos() as u64);
        spec.attributes =
            spec.attributes.with_known(attribute::PREDECESSOR, ended.map(|(subject, _)| subject));
        let mut successor = CurrentTarget::of(target);
        successor.follow_unwatched(&restarts.tree);
        let subject = live.add_target(spec);
        if let Some(descendants) = &mut self.descendants {
            descendants.follow(target.tree(&restarts.tree), subject, false);
            descendants.begin(live);
        }
        life.begin(&target.process);
        let before = std::mem::replace(&mut restarts.target, successor);
        restarts.waiting = None;
        let after = restarts.target.called.clone();
        if let Some(interim) = &mut self.interim {
            let predecessor = ended.map_or(subject, |(predecessor, _)| predecessor);
            interim.restarted(&Restart { predecessor, before: before.called, after, gap });
        }
        self.targets.push(WatchedTarget { process: target.process.clone(), subject });
    }
}
