//! The descendants of the targets, as they come and go.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seepmeter_engine::{Live, TargetSpec};
use seepmeter_process::ProcessKey;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::tree::{
    BATCH, Discovery, EndReason, Mechanism, ProcessTree, TreeChange, TreeProcess,
};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Attributes, Bytes, End, EventKind, SubjectId, TargetOrigin};

use crate::flags::{TreeFlags, TreeMode, WatchFlags};
use crate::messages;
use crate::session;

/// The trees of the targets.
pub(crate) struct Descendants {
    trees: Vec<FollowedTree>,
    /// Targets whose descendants can't be followed, and why.
    alone: Vec<(SubjectId, String)>,
    /// Without events of the kernel, new processes are looked for so often.
    every: Duration,
    /// No sooner than this are they looked for again.
    earliest: Instant,
    /// The watch goes on until all have ended.
    waits: bool,
    redact: bool,
    is_filtered: bool,
    /// A cgroup of its own was asked for, for a spawned target.
    wants_cgroup: bool,
}

/// The tree of one target.
struct FollowedTree {
    tree: ProcessTree,
    target: SubjectId,
    /// The target has executed its command.
    has_executed: bool,
    /// Its descendants that are watched.
    subjects: HashMap<ProcessKey, SubjectId>,
    failed: bool,
    /// How many processes events say of that they are not followed: those beyond the bound, and the hidden ones.
    not_followed: [u64; 2],
}

impl Descendants {
    /// None yet. With `redact` the arguments of commands are left out.
    pub(crate) fn new(flags: &WatchFlags, redact: bool) -> Self {
        let WatchFlags { interval, descendants, .. } = flags;
        let every = TreeFlags::every(*interval);
        let waits = descendants.wait_tree;
        let is_filtered = descendants.tree_filter.is_some();
        let wants_cgroup = descendants.tree == TreeMode::Cgroup;
        let (trees, alone, earliest) = (Vec::new(), Vec::new(), Instant::now());
        Self { trees, alone, every, earliest, waits, redact, is_filtered, wants_cgroup }
    }

    /// Follows the tree of a target, if it is to be followed. What a spawned one executes first is its command.
    pub(crate) fn follow(
        &mut self,
        tree: io::Result<Option<ProcessTree>>,
        target: SubjectId,
        spawned: bool,
    ) {
        let (subjects, has_executed, not_followed) = (HashMap::new(), !spawned, [0; 2]);
        match tree {
            Ok(None) => {}
            // The target has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Ok(Some(tree)) => self.trees.push(FollowedTree {
                tree,
                target,
                has_executed,
                subjects,
                failed: false,
                not_followed,
            }),
            Err(error) => {
                let why = format!(
                    "cannot follow the descendants of the target: {error}; it is watched alone, and `--tree=off` \
                     says that it is to be"
                );
                messages::notice(&why);
                self.alone.push((target, why));
            }
        }
    }

    /// Emits how the descendants are found.
    pub(super) fn begin(&mut self, live: &mut Live) {
        for (target, why) in &self.alone {
            let reason = why.as_str().into();
            live.emit(EventKind::NotFollowed { processes: None, reason }, *target);
        }
        for FollowedTree { tree, target, .. } in &self.trees {
            let Discovery { events, .. } = tree.discovery();
            let why = match events {
                Mechanism::Refused { reason } => format!("; no process events: {reason}"),
                Mechanism::InUse | Mechanism::NotUsed => String::new(),
            };
            let text = format!("{}{why}", tree.discovery()).into();
            let exact = tree.discovery().sees_every_process().then_some(1);
            live.emit(EventKind::Discovery { exact, text }, *target);
            if let (Err(why), true) = (has_cgroup(tree), self.wants_cgroup) {
                messages::notice(&format!("the target has no cgroup of its own: {why}"));
            }
        }
        self.refresh(live);
    }

    /// What is readable when something has changed; nothing so soon after the last time, or if they are soon searched
    /// for anyway.
    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let listens = Instant::now() >= self.earliest && self.soon().is_none();
        self.trees.iter().filter(|_| listens).map(|followed| followed.tree.as_fd()).collect()
    }

    /// When [`Descendants::refresh`] is due although nothing is readable, or something is to be listened to again.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.trees.is_empty() {
            return None;
        }
        let sees_all = |followed: &FollowedTree| followed.tree.discovery().sees_every_process();
        let listen = (Instant::now() < self.earliest).then_some(self.earliest);
        let search = || (!self.trees.iter().all(sees_all)).then(|| self.earliest + self.every);
        self.soon().or(listen).or_else(search)
    }

    /// When what was born lately is taken in, if there is such a process.
    fn soon(&self) -> Option<Instant> {
        let due = self.trees.iter().filter_map(|followed| followed.tree.due()).min()?;
        Some(due.max(self.earliest))
    }

    /// Begins and ends the watch of those that have come and gone.
    pub(super) fn refresh(&mut self, live: &mut Live) {
        for place in 0..self.trees.len() {
            let changes = self.trees[place].tree.refresh().unwrap_or_else(|error| {
                self.trees[place].report(&error, live);
                Vec::new()
            });
            for change in changes {
                self.apply(place, change, live);
            }
            self.trees[place].emit_not_followed(live, |emitted| emitted == 0);
        }
        self.earliest = Instant::now() + BATCH;
    }

    fn apply(&mut self, place: usize, change: TreeChange, live: &mut Live) {
        match change {
            TreeChange::Started(process) if !self.is_watched(&process.key) => {
                let followed = &mut self.trees[place];
                let parent = process.parent.and_then(|parent| followed.subject(&parent));
                let spec = spec_of(&process, parent.unwrap_or(followed.target), self.redact);
                followed.subjects.insert(process.key, live.add_target(spec));
            }
            TreeChange::Executed(process) => {
                let followed = &mut self.trees[place];
                // The command itself has the name that the user has typed.
                let is_command = process.key == followed.tree.target()
                    && !std::mem::replace(&mut followed.has_executed, true);
                if let Some(subject) = followed.subject(&process.key).filter(|_| !is_command) {
                    let name = Some(name_of(&process, self.redact));
                    live.emit(EventKind::Exec { name }, subject);
                }
            }
            TreeChange::Ended { process, reason } => {
                let end = match reason {
                    EndReason::Ended(end) => end,
                    EndReason::LeftOut => End::Left,
                };
                if let Some(subject) = self.trees[place].subjects.remove(&process.key) {
                    live.end_target(subject, end);
                }
            }
            TreeChange::EventsDropped => {
                let text = "so many processes began and ended at once that the kernel dropped events of them".into();
                live.emit(EventKind::Incomplete { count: None, text }, self.trees[place].target);
            }
            _ => {}
        }
    }

    /// The watch of all of them is over; which of them run on.
    pub(super) fn leave(&mut self, live: &mut Live) -> HashSet<ProcessKey> {
        self.end(live);
        // That no descendant has matched is not reported again.
        self.is_filtered = false;
        self.alone.clear();
        let mut running = HashSet::new();
        for FollowedTree { tree, subjects, .. } in self.trees.drain(..) {
            running.extend(tree.descendants().map(|process| process.key));
            subjects.into_values().for_each(|subject| live.end_target(subject, End::Left));
        }
        running
    }

    /// True of a target, and of what another tree has already.
    fn is_watched(&self, process: &ProcessKey) -> bool {
        self.trees.iter().any(|followed| followed.subject(process).is_some())
    }

    /// True if the watch goes on for them although all targets have ended: if that is wanted, or they are all
    /// processes of a cgroup, of which none is more than another.
    pub(super) fn are_awaited(&self) -> bool {
        let waits = |followed: &FollowedTree| self.waits || followed.tree.discovery().admits_others;
        self.trees.iter().any(|followed| waits(followed) && followed.runs())
    }

    /// True if there is nothing to wait for but processes of cgroups that have been removed.
    pub(super) fn have_lost_their_cgroups(&self) -> bool {
        !self.trees.is_empty()
            && self.trees.iter().all(|followed| followed.tree.has_lost_its_cgroup())
    }

    /// True if one runs, watched or not.
    pub(super) fn any_runs(&self) -> bool {
        self.trees.iter().any(FollowedTree::runs)
    }

    /// Sends a signal to all that run but the targets. False if it was sent to none.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        let sent = self.trees.iter().map(|followed| {
            let target = followed.tree.target();
            followed.tree.signal(signal, |key| *key != target).len()
        });
        sent.sum::<usize>() > 0
    }

    /// Emits how many were not followed, at the end of the watch.
    pub(super) fn end(&mut self, live: &Live) {
        for followed in &mut self.trees {
            let counts = followed.tree.counts();
            if counts.brief.at_least > 0 {
                let kind = EventKind::BriefProcesses { processes: counts.brief.at_least };
                live.emit(kind, followed.target);
            }
            followed.emit_not_followed(live, |_| true);
            let has_cgroup = has_cgroup(&followed.tree);
            if self.wants_cgroup || has_cgroup.is_ok() {
                followed.emit_cgroup_peak(live, has_cgroup);
            }
            let is_alone = counts.started <= 1 && counts.brief.at_least == 0;
            if self.is_filtered && is_alone {
                messages::notice(
                    "no descendant matched --tree-filter: only the target was watched",
                );
            }
        }
    }
}

impl FollowedTree {
    /// True if one but the target runs, watched or not.
    fn runs(&self) -> bool {
        self.tree.descendants().next().is_some()
    }

    fn subject(&self, process: &ProcessKey) -> Option<SubjectId> {
        let is_target = *process == self.tree.target();
        is_target.then_some(self.target).or_else(|| self.subjects.get(process).copied())
    }

    /// Reports once that descendants can't be found.
    fn report(&mut self, error: &io::Error, live: &Live) {
        if !std::mem::replace(&mut self.failed, true) {
            let pid = self.tree.target().pid;
            let why = format!(
                "cannot look for descendants of process {pid}: {error}; some may be missing from all that is reported"
            );
            messages::notice_at_once(&why);
            let reason = why.as_str().into();
            live.emit(EventKind::NotFollowed { processes: None, reason }, self.target);
        }
    }

    fn emit_cgroup_peak(&self, live: &Live, has_cgroup: Result<(), String>) {
        let peak = has_cgroup.and_then(|()| {
            self.tree.memory_peak().ok_or_else(|| {
                "the kernel keeps none here: Linux 5.19 or later does, with the memory controller"
                    .to_owned()
            })
        });
        let bytes = peak.as_ref().ok().and_then(|peak| i64::try_from(*peak).ok());
        let reason = peak.err().unwrap_or_default().as_str().into();
        live.emit(EventKind::CgroupPeak { bytes, reason }, self.target);
    }

    /// Emits how many are not followed beside those that an event says it of; `wanted` says whether one more event
    /// is wanted after those of so many.
    fn emit_not_followed(&mut self, live: &Live, wanted: impl Fn(u64) -> bool) {
        let counts = self.tree.counts();
        let reasons = [
            (
                counts.beyond_bound,
                "there are more than can be followed with this limit of open files; raise it (ulimit -n), or \
                 choose some (--tree-filter)",
            ),
            (
                counts.hidden,
                "this user may not see them; run seepmeter as the user whom they belong to",
            ),
        ];
        for (emitted, (count, reason)) in self.not_followed.iter_mut().zip(reasons) {
            if count > *emitted && wanted(*emitted) {
                let processes = i64::try_from(count - *emitted).ok();
                *emitted = count;
                let reason = reason.into();
                live.emit(EventKind::NotFollowed { processes, reason }, self.target);
            }
        }
    }
}

/// Whether the target has a cgroup of its own, or why not.
fn has_cgroup(tree: &ProcessTree) -> Result<(), String> {
    match &tree.discovery().cgroup {
        Mechanism::InUse if tree.cgroup_folders().next().is_some() => Ok(()),
        Mechanism::Refused { reason } => Err(format!(
            "{reason}; run seepmeter as root, or in a cgroup that is delegated to you (systemd-run --user --scope \
             -p Delegate=yes)"
        )),
        Mechanism::InUse | Mechanism::NotUsed => Err(
            "a process that runs already is left where it is; -s cgroup samples the cgroup that it is in".to_owned(),
        ),
    }
}

/// What it is called: by its role, in which the script of an interpreter is named unless arguments are left out.
fn name_of(process: &TreeProcess, redact: bool) -> Bytes {
    let name = process.role.to_string();
    if redact { session::program_of(&name).into() } else { name.into() }
}

/// A descendant as the engine takes it. Its limits are those of the target, or not known.
fn spec_of(process: &TreeProcess, parent: SubjectId, redact: bool) -> TargetSpec {
    let command = process.command.join(&b' ');
    let command = (!command.is_empty() && !redact).then(|| Bytes::from(&command[..]));
    TargetSpec {
        origin: TargetOrigin::Pid(process.key.pid),
        parent: Some(parent),
        name: name_of(process, redact),
        pid: process.key.pid,
        start_time: process.key.start_time,
        attributes: Attributes::new().with_known(attribute::COMMAND, command),
        proc_root: ProcRoot::default().path().to_owned(),
        executable: None,
    }
}
