//! Going on with what a target is started again as: each time, an epoch of the run ends and the next one begins.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::unistd::Pid;
use seepmeter_process::Process;
use seepmeter_process::system::since_boot;
use seepmeter_process::tree::BATCH;
use seepmeter_record::conventions::attribute;
use seepmeter_record::{End, Restart, SubjectId, human};

use super::{Watch, WatchedTarget};
use crate::flags::TreeFlags;
use crate::messages;
use crate::selection::SelectedTarget;
use crate::successor::{EndedTarget, PendingSuccessor, SuccessorSearch, session_of};

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
    target: CurrentTarget,
    waiting: Option<Waiting>,
}

/// The target that is watched, or was last.
struct CurrentTarget {
    /// What people call it.
    called: String,
    session: Option<Pid>,
    /// Its subject, once it has ended, and when that was.
    ended: Option<(SubjectId, Instant)>,
}

impl CurrentTarget {
    fn of(target: &SelectedTarget, name: &str) -> Self {
        let called = format!("{name} (pid {})", target.process.pid());
        Self { called, session: session_of(&target.process), ended: None }
    }
}

/// It has ended, and its successor is waited for.
struct Waiting {
    pending: PendingSuccessor,
    deadline: Option<Instant>,
    /// Until then the samplers take their last samples of it, and nothing is looked for.
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
        let target = CurrentTarget::of(target, &target.spec().name.to_string());
        Self { search, tree: tree.clone(), limit, target, waiting: None }
    }

    /// What is readable when there may be a successor.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.waiting.as_ref().filter(|waiting| waiting.last_samples.is_none())?.pending.fd()
    }

    /// When to look for one although nothing is readable, or to stop waiting.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref()?;
        let last_samples = waiting.last_samples.map(|until| until.min(Instant::now() + BATCH));
        last_samples.or_else(|| waiting.pending.due().into_iter().chain(waiting.deadline).min())
    }

    /// Looks for the successor; reports why it is waited for no longer.
    fn look(&mut self) -> Found {
        let Some(Waiting { pending, deadline, .. }) = &mut self.waiting else {
            return Found::NotYet;
        };
        let called = &self.target.called;
        match pending.look() {
            Ok(Some(target)) => return Found::Successor(target),
            Ok(None) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                return Found::NotYet;
            }
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

/// What came of a look for a successor.
enum Found {
    Successor(SelectedTarget),
    NotYet,
    Never,
}

impl Watch {
    /// The watch goes on with the successors of its only target.
    pub(crate) fn follow(&mut self, restarts: Option<Restarts>) {
        self.restarts = restarts;
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
        let ended = EndedTarget {
            session: restarts.target.session,
            descendants: left.unwrap_or_default(),
            noticed: since_boot(),
        };
        let pending = restarts.search.begin(ended);
        let deadline = restarts.limit.and_then(|limit| Instant::now().checked_add(limit));
        let last_samples = Some(Instant::now() + LAST_SAMPLES);
        restarts.waiting = Some(Waiting { pending, deadline, last_samples });
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
        match self.restarts.as_mut().map(Restarts::look) {
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
        let successor = CurrentTarget::of(target, &spec.name.to_string());
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
