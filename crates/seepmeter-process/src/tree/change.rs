//! What a tree reports.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_record::End;

use super::Role;
use crate::ProcessKey;

/// A process of a tree. It is replaced by another value when the process executes a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeProcess {
    /// What distinguishes it from every other process of this boot.
    pub key: ProcessKey,
    /// The process that forked it, as far as it was known; none of the target.
    pub parent: Option<ProcessKey>,
    /// Its name: /proc/PID/comm, at most 15 bytes.
    pub name: Vec<u8>,
    /// Its command line; empty if it can't be read.
    pub command: Vec<Vec<u8>>,
    /// The program that it executes; none if this user may not know.
    pub executable: Option<PathBuf>,
    /// What it is beside the other processes.
    pub role: Role,
    /// How it was found.
    pub found_by: FoundBy,
}

/// How a process was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// It is the target.
    Target,
    /// An event reported its fork.
    Event,
    /// It is in the target's cgroup.
    Cgroup,
    /// Its parent is a process of the tree.
    Parent,
    /// Its parent has ended, and it became Seepmeter's child.
    Orphan,
}

/// Something that has happened in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeChange {
    /// A process is there that was not known.
    Started(Arc<TreeProcess>),
    /// It has executed another program, or has changed its name.
    Executed(Arc<TreeProcess>),
    /// It is followed no longer.
    Ended {
        /// Which.
        process: Arc<TreeProcess>,
        /// Why.
        reason: EndReason,
    },
    /// The kernel has dropped events, since too many came at once. All processes were listed anew, but
    /// those that lived in between were missed.
    EventsDropped,
}

/// Why a process is followed no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It has ended. [`End::Gone`] if nobody says how.
    Ended(End),
    /// It has another name now, which the filter leaves out.
    LeftOut,
}

/// How many processes of a tree there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeCounts {
    /// Those that were reported as started.
    pub started: u64,
    /// Those that lived too briefly to be found: they were never reported.
    pub brief: BriefProcesses,
    /// Those that were found and not followed, since there were too many already.
    pub beyond_bound: u64,
    /// Those that were found and that this user may not open.
    pub hidden: u64,
}

/// How many processes lived too briefly to be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BriefProcesses {
    /// So many at least.
    pub at_least: u64,
    /// True if it is the exact number, since every fork and exit was reported.
    pub is_exact: bool,
}

impl fmt::Display for BriefProcesses {
    /// `31`, `at least 31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_least, is_exact } = self;
        if *is_exact { write!(f, "{at_least}") } else { write!(f, "at least {at_least}") }
    }
}
