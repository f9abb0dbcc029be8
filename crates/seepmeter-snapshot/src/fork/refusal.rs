//! What forbids a copy: all of it is known before anything is stopped.

use std::fmt;

use seepmeter_maps::smaps::{ForkEffect, Parser};
use seepmeter_process::Limits;
use seepmeter_process::proc::{ProcFolder, ProcRoot};
use seepmeter_record::human;

use super::SnapshotOptions;
use super::memory::KeptRange;
use crate::error::SnapshotError;

/// Of the resident set, how much may be in huge pages: one in so many bytes.
const HUGE_PART: u64 = 4;
/// So much memory must be had for a copy, and one in so many bytes of the resident set: for its page tables, and
/// for the pages that the process writes while it lives.
const ROOM: u64 = 16 << 20;
const ROOM_PART: u64 = 8;

/// Why a process should not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A seccomp filter may kill it for the fork.
    Seccomp,
    /// A real-time thread would be late.
    RealTime {
        /// The thread.
        tid: i32,
    },
    /// Much of it is in huge pages, which a copy breaks for good.
    HugePages {
        /// How much, in bytes.
        huge: u64,
        /// The resident set in bytes.
        rss: u64,
    },
    /// There is too little memory.
    Memory {
        /// What is needed, in bytes.
        needed: u64,
        /// What its cgroup or the machine has, in bytes.
        room: u64,
    },
    /// None of its threads has a stack that a call can be made on.
    NoStack,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seccomp => f.write_str(
                "its system calls are filtered by seccomp, and the filter may kill it for a fork",
            ),
            Self::RealTime { tid } => write!(
                f,
                "its thread {tid} is scheduled in real time, and would be late for each page that it writes"
            ),
            Self::HugePages { huge, rss } => write!(
                f,
                "{} of its {} are in huge pages, and a fork would break them into small ones for good",
                human::bytes(huge.cast_signed()),
                human::bytes(rss.cast_signed())
            ),
            Self::Memory { needed, room } => write!(
                f,
                "a copy may need {}, and its cgroup or the machine has {} left",
                human::bytes(needed.cast_signed()),
                human::bytes(room.cast_signed())
            ),
            Self::NoStack => f.write_str(
                "none of its threads has a stack of its own that a fork can be made on, or all are just getting signals",
            ),
        }
    }
}

/// What is known of a process before it is stopped.
pub(super) struct Survey {
    /// The ranges that a fork does not copy, without bytes.
    pub(super) unlike: Vec<KeptRange>,
}

/// Looks for what forbids a copy.
pub(super) fn survey(pid: i32, options: SnapshotOptions) -> Result<Survey, SnapshotError> {
    let folder = ProcRoot::default().process(pid);
    let refused = |why| Err(SnapshotError::Refused { pid, why });
    if let Some(why) = by_threads(&folder)? {
        return refused(why);
    }
    let rss = folder.status()?.rss.unwrap_or(0);
    let needed = (rss / ROOM_PART).saturating_add(ROOM);
    let limits = Limits::of(pid, &ProcRoot::default());
    let cgroup = limits.cgroup.and_then(|it| Some(it.limit.saturating_sub(it.used?)));
    if let Some(room) = cgroup.into_iter().chain(limits.machine_available).min()
        && room < needed
    {
        return refused(Refusal::Memory { needed, room });
    }
    let (mut huge, mut unlike) = (0, Vec::new());
    let mut parser = Parser::default();
    let mut each = |entry: seepmeter_maps::smaps::Entry<'_>| {
        huge += if entry.header.perms.shared { 0 } else { entry.figures.thp };
        // What nobody can write, no pointer was written to.
        if entry.fork != ForkEffect::Copied && entry.header.perms.write {
            let (start, end) = (entry.header.start, entry.header.end);
            let left_out = entry.figures.anonymous;
            unlike.push(KeptRange { start, end, bytes: Vec::new(), left_out });
        }
    };
    parser.push(&folder.with_memory()?.read("smaps")?, &mut each);
    parser.finish(&mut each);
    if !options.huge_pages && huge > rss / HUGE_PART {
        return refused(Refusal::HugePages { huge, rss });
    }
    Ok(Survey { unlike })
}

fn by_threads(folder: &ProcFolder) -> Result<Option<Refusal>, SnapshotError> {
    for (tid, thread) in folder.threads()? {
        match (thread.status(), thread.stat()) {
            (Ok(status), Ok(stat)) => {
                if status.seccomp.is_some_and(|mode| mode != 0) {
                    return Ok(Some(Refusal::Seccomp));
                }
                if stat.is_real_time() {
                    return Ok(Some(Refusal::RealTime { tid }));
                }
            }
            // It has just ended.
            (Err(error), _) | (_, Err(error)) if error.is_gone() => {}
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}
