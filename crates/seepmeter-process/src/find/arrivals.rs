//! When programs are executed.

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

/// What may be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// These have executed a program, or have changed their names.
    Programs(Vec<i32>),
    /// Any process.
    Unknown,
}

/// Waits for processes that execute programs.
#[derive(Debug)]
pub(super) struct Arrivals {
    events: Option<ProcessEvents>,
    listing_since: Instant,
    /// Without events, when processes are to be listed again.
    due: Instant,
}

impl Arrivals {
    /// From now on.
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self { events: ProcessEvents::subscribe().ok(), listing_since: now, due: now }
    }

    /// All processes are listed from now on.
    pub(super) fn begin_list(&mut self) {
        self.listing_since = Instant::now();
    }

    /// They have been listed.
    pub(super) fn end_list(&mut self) {
        let rest = (self.listing_since.elapsed() * REST).clamp(SHORTEST, LONGEST);
        self.due = Instant::now() + rest;
    }

    /// What is readable when there are new ones; none if they have to be listed.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// When they have to be listed; none if there is a descriptor.
    pub(super) fn due(&self) -> Option<Instant> {
        self.events.is_none().then_some(self.due)
    }

    /// The next ones, at once.
    pub(super) fn take(&mut self) -> io::Result<Arrived> {
        let mut pids = Vec::new();
        let Some(events) = &mut self.events else {
            let is_due = Instant::now() >= self.due;
            return Ok(if is_due { Arrived::Unknown } else { Arrived::Programs(pids) });
        };
        while let Some(received) = events.next()? {
            match received {
                Received::Event(ProcessEvent::Renamed { pid }) => pids.push(pid),
                Received::Event(_) => {}
                Received::Dropped => return Ok(Arrived::Unknown),
            }
        }
        Ok(Arrived::Programs(pids))
    }

    /// Waits until there may be new ones, at most until the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<()> {
        if let Some(fd) = self.fd() {
            return wait_one_readable(fd, deadline).map(drop);
        }
        let until = deadline.map_or(self.due, |deadline| deadline.min(self.due));
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    }
}
