//! By what the processes of a tree are found.

use std::fmt;

/// Whether something that finds processes is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// It is.
    InUse,
    /// It was not asked for, or something better is in use.
    NotUsed,
    /// It can't be had here.
    Refused {
        /// Why, as the system says.
        reason: String,
    },
}

impl Mechanism {
    /// True if it is in use.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        *self == Self::InUse
    }
}

/// What is read at each tick if nothing else says which processes are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The pids that the kernel has given since the last tick, or the children of all that are known if
    /// that is less to read.
    NewPids,
    /// All processes of the machine.
    AllProcesses,
}

/// By what the processes of a tree are found: what the mechanisms in use can see, it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// A cgroup for the target alone lists all its processes, orphans too.
    pub cgroup: Mechanism,
    /// The kernel's events report every fork, exec and exit.
    pub events: Mechanism,
    /// Orphans of the target become Seepmeter's children: prctl(2), PR_SET_CHILD_SUBREAPER.
    pub subreaper: Mechanism,
    /// What is read at each tick, unless there are events.
    pub listing: Listing,
    /// The cgroup is the user's, and a process that nobody in the tree has forked may enter it.
    pub admits_others: bool,
}

impl Discovery {
    /// True if no process is missed, however short its life is. Otherwise one that begins and ends between
    /// two ticks is missed, with what it has forked.
    #[must_use]
    pub fn sees_every_process(&self) -> bool {
        self.events.is_in_use() && !self.admits_others
    }

    /// True if a process is found also if its parent has ended before it was.
    #[must_use]
    pub fn finds_orphans(&self) -> bool {
        [&self.cgroup, &self.events, &self.subreaper].into_iter().any(Mechanism::is_in_use)
    }
}

impl fmt::Display for Discovery {
    /// What is in use, the best first: `process events and a cgroup`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, cgroup) = (self.events.is_in_use(), self.cgroup.is_in_use());
        let listing = match self.listing {
            Listing::NewPids => "new pids at each tick",
            Listing::AllProcesses => "all processes at each tick",
        };
        match (events, cgroup) {
            (true, true) => f.write_str("process events and a cgroup"),
            (true, false) => f.write_str("process events"),
            (false, true) => write!(f, "a cgroup and {listing}"),
            (false, false) if self.subreaper.is_in_use() => write!(f, "{listing}, and orphans"),
            (false, false) => f.write_str(listing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_says_what_is_seen() {
        let refused = || Mechanism::Refused { reason: "no right to".to_owned() };
        let mut discovery = Discovery {
            cgroup: refused(),
            events: refused(),
            subreaper: Mechanism::NotUsed,
            listing: Listing::NewPids,
            admits_others: false,
        };
        assert_eq!(discovery.to_string(), "new pids at each tick");
        assert!(!discovery.finds_orphans() && !discovery.sees_every_process());
        discovery.subreaper = Mechanism::InUse;
        assert_eq!(discovery.to_string(), "new pids at each tick, and orphans");
        assert!(discovery.finds_orphans() && !discovery.sees_every_process());
        discovery.events = Mechanism::InUse;
        assert_eq!(discovery.to_string(), "process events");
        assert!(discovery.sees_every_process());
        discovery.admits_others = true;
        assert!(!discovery.sees_every_process());
    }
}
