//! A tree under test, found in one of the ways there are.

use std::collections::HashMap;
use std::io::{PipeWriter, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seepmeter_process::tree::{
    BATCH, CgroupUse, EndReason, Mechanism, ProcessTree, TreeChange, TreeOptions, TreeProcess,
};
use seepmeter_process::wait::wait_one_readable;
use seepmeter_process::{Child, ChildSignals, Command, ProcessKey, Streams};
use seepmeter_record::End;

/// Far more than a busy machine needs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How processes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Events,
    Cgroup,
    Subreaper,
    NewPids,
}

impl Way {
    pub(crate) fn options(self) -> TreeOptions {
        TreeOptions {
            events: self == Self::Events,
            cgroup: if self == Self::Cgroup { CgroupUse::Always } else { CgroupUse::Never },
            subreaper: self == Self::Subreaper,
            ..TreeOptions::default()
        }
    }

    fn mechanism(self, tree: &ProcessTree) -> Mechanism {
        let discovery = tree.discovery().clone();
        match self {
            Self::Events => discovery.events,
            Self::Cgroup => discovery.cgroup,
            Self::Subreaper => discovery.subreaper,
            Self::NewPids => Mechanism::InUse,
        }
    }
}

/// Says loudly that a test could not run here: past the capture of `cargo test`.
pub(crate) fn not_run(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {what}: {why}");
}

/// A command, its tree, and what was reported of it. All its processes that read standard input, or
/// descriptor 3 of a shell that begins with [`SHARE`], end when this is dropped.
pub(crate) struct Watched {
    pub(crate) tree: ProcessTree,
    pub(crate) child: Child,
    pub(crate) changes: Vec<TreeChange>,
    input: Option<PipeWriter>,
}

/// A shell gives a process in the background no standard input: descriptor 3 is the same.
pub(crate) const SHARE: &str = "exec 3<&0; ";

impl Watched {
    /// None, loudly, if this way can't be had here.
    pub(crate) fn spawn(way: Way, words: &[&str]) -> Option<Self> {
        Self::spawn_with(way, way.options(), words)
    }

    pub(crate) fn shell(way: Way, script: &str) -> Option<Self> {
        Self::spawn(way, &["sh", "-c", &format!("{SHARE}{script}")])
    }

    pub(crate) fn spawn_with(way: Way, options: TreeOptions, words: &[&str]) -> Option<Self> {
        let (reader, input) = pipe().unwrap();
        let output = OwnedFd::from(std::fs::File::create("/dev/null").unwrap());
        let streams = Streams { input: reader.into(), output };
        let command = Command::new(words.iter().copied()).unwrap().with_streams(streams);
        let held = command.spawn(&ChildSignals::as_they_are().unwrap()).unwrap();
        let tree = ProcessTree::of_child(&held, options).unwrap();
        if let Mechanism::Refused { reason } = way.mechanism(&tree) {
            not_run(&format!("{way:?}"), &reason);
            drop(input);
            let pid = nix::unistd::Pid::from_raw(held.process().pid());
            held.process().signal(nix::sys::signal::Signal::SIGKILL).unwrap();
            nix::sys::wait::waitpid(pid, None).unwrap();
            return None;
        }
        assert!(way.mechanism(&tree).is_in_use());
        let child = held.release().expect("it can be executed");
        Some(Self { tree, child, changes: Vec::new(), input: Some(input) })
    }

    /// Lets one process that reads a line go on.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Lets all go that wait for the end of their input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn refresh(&mut self) {
        self.changes.extend(self.tree.refresh().unwrap());
    }

    /// Asks the tree again and again until there is an answer.
    pub(crate) fn until<T>(&mut self, what: &str, mut answer: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.refresh();
            if let Some(answer) = answer(self) {
                return answer;
            }
            let running: Vec<_> = self.tree.running().map(|it| it.role.to_string()).collect();
            assert!(Instant::now() < deadline, "{what}: {running:?}, {:#?}", self.tree.counts());
            wait_one_readable(self.tree.as_fd(), Some(Instant::now() + BATCH)).unwrap();
        }
    }

    /// Waits until so many processes run that have this role's name.
    pub(crate) fn until_running(&mut self, role: &str, count: usize) -> Vec<Arc<TreeProcess>> {
        self.until(&format!("{count} × {role}"), |watched| {
            let of_role = watched.tree.running().filter(|it| it.role.to_string() == role);
            let found: Vec<_> = of_role.cloned().collect();
            (found.len() == count).then_some(found)
        })
    }

    /// Waits until none runs, and returns how each that was reported has ended. Each has been reported
    /// once, and ended once.
    pub(crate) fn until_all_ended(&mut self) -> HashMap<ProcessKey, End> {
        self.until("all have ended", |watched| (watched.tree.running().count() == 0).then_some(()));
        let mut running = HashMap::new();
        let mut ended = HashMap::new();
        for change in &self.changes {
            match change {
                TreeChange::Started(process) => {
                    assert!(running.insert(process.key, ()).is_none(), "twice: {process:?}");
                    assert!(!ended.contains_key(&process.key), "after its end: {process:?}");
                }
                TreeChange::Executed(process) => assert!(running.contains_key(&process.key)),
                TreeChange::Ended { process, reason: EndReason::Ended(end) } => {
                    assert!(running.remove(&process.key).is_some(), "not started: {process:?}");
                    ended.insert(process.key, *end);
                }
                _ => {}
            }
        }
        assert!(running.is_empty(), "no end of {running:?}");
        ended
    }

    /// How many were reported or counted, without the target.
    pub(crate) fn known_descendants(&self) -> u64 {
        let counts = self.tree.counts();
        counts.started - 1 + counts.brief.at_least
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.close_input();
        let _ = self.tree.end(Duration::from_millis(100));
        let _ = self.child.reap();
    }
}
