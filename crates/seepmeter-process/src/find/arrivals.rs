//! When programs are executed.

use std::io;
use std::os::fd::AsFd;
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
}

impl Arrivals {
    /// From now on.
    pub(super) fn begin() -> Self {
        Self { events: ProcessEvents::subscribe().ok(), listing_since: Instant::now() }
    }

    /// Waits for the next ones, at most until the deadline.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Arrived> {
        let Some(events) = &mut self.events else {
            let rest = (self.listing_since.elapsed() * REST).clamp(SHORTEST, LONGEST);
            let until = Instant::now() + rest;
            let until = deadline.map_or(until, |deadline| deadline.min(until));
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            self.listing_since = Instant::now();
            return Ok(Arrived::Unknown);
        };
        wait_one_readable(events.as_fd(), deadline)?;
        let mut pids = Vec::new();
        while let Some(received) = events.next()? {
            match received {
                Received::Event(ProcessEvent::Renamed { pid }) => pids.push(pid),
                Received::Event(_) => {}
                Received::Dropped => return Ok(Arrived::Unknown),
            }
        }
        Ok(Arrived::Programs(pids))
    }
}
