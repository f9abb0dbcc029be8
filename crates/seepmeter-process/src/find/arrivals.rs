//! When programs are executed.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::tree::process_events::{ProcessEvent, ProcessEvents, Received};
use crate::wait::wait_one_readable;

/// Without events all processes are listed so often at most, and so often at least.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);
/// Between two lists it rests so many times as long as what a list took.
const REST: u32 = 20;
/// With events they are listed so often, for what has forked without executing anything.
const WITH_EVENTS: Duration = Duration::from_secs(10);

/// What may be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// These have executed a program, have changed their names, or were forked by one of those that had ended when it
    /// was to be read.
    Processes(Vec<i32>),
    /// Any process.
    Unknown,
}

/// Waits for processes that execute programs.
#[derive(Debug)]
pub(super) struct Arrivals {
    events: Option<ProcessEvents>,
    /// Reported, and not known yet: what these fork is reported too. They may end before anybody can read what they
    /// were, as the launcher of a daemon does.
    unknown: HashSet<i32>,
    /// Those that matched when all were listed last: what they fork matches from its start on.
    matching: HashSet<i32>,
    /// One of them has forked since.
    have_forked: bool,
    listing_since: Instant,
    /// When processes are to be listed again.
    due: Instant,
}

impl Arrivals {
    /// From now on.
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        let events = ProcessEvents::subscribe().ok();
        let (unknown, matching) = (HashSet::new(), HashSet::new());
        Self { events, unknown, matching, have_forked: false, listing_since: now, due: now }
    }

    /// It is known whether this process is one that is searched for.
    pub(super) fn set_known(&mut self, pid: i32) {
        self.unknown.remove(&pid);
    }

    /// All processes are listed from now on.
    pub(super) fn begin_list(&mut self) {
        self.listing_since = Instant::now();
        self.have_forked = false;
    }

    /// They have been listed, and these match.
    pub(super) fn end_list(&mut self, matching: impl Iterator<Item = i32>) {
        self.matching = matching.collect();
        self.unknown.retain(|pid| !self.matching.contains(pid));
        let rest = (self.listing_since.elapsed() * REST).clamp(SHORTEST, LONGEST);
        self.due = Instant::now() + if self.events.is_some() { WITH_EVENTS } else { rest };
    }

    /// True if one that matched when all were listed last has forked since.
    pub(super) fn have_forked(&self) -> bool {
        self.have_forked
    }

    /// What is readable when there are new ones; none if they have to be listed.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// When they have to be listed.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The next ones, at once.
    pub(super) fn take(&mut self) -> io::Result<Arrived> {
        let mut pids = Vec::new();
        if Instant::now() >= self.due {
            return Ok(Arrived::Unknown);
        }
        while let Some(received) = self.events.as_mut().map_or(Ok(None), ProcessEvents::next)? {
            let event = match received {
                Received::Event(event) => event,
                Received::Dropped => {
                    // Some of them may have ended. A list follows in any case.
                    self.unknown.clear();
                    return Ok(Arrived::Unknown);
                }
            };
            let arrived = match event {
                ProcessEvent::Renamed { pid } => Some(pid),
                ProcessEvent::Forked { parent, child, .. } => {
                    self.have_forked |= self.matching.contains(&parent);
                    self.unknown.contains(&parent).then_some(child)
                }
                ProcessEvent::Exited { pid, .. } => {
                    self.unknown.remove(&pid);
                    None
                }
            };
            self.unknown.extend(arrived);
            pids.extend(arrived);
        }
        Ok(Arrived::Processes(pids))
    }

    /// Waits until there may be new ones, at most until the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<()> {
        let until = deadline.map_or(self.due, |deadline| deadline.min(self.due));
        if let Some(fd) = self.fd() {
            return wait_one_readable(fd, Some(until)).map(drop);
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    }
}
