//! Processes that nobody has seen, by what the kernel has added to the account of their parents.
//!
//! Field 11 of /proc/PID/stat, the page faults of the children that a process has waited for, grows with each
//! of them, for every process has page faults. If it grows and none of the children that are known was
//! waited for, there was one that is not known. A parent that ignores SIGCHLD waits for none, and two may
//! be added at once: so there were at least as many as are counted here.

use std::collections::HashMap;

use crate::ProcessKey;
use crate::proc::ProcRoot;

/// With more zombies than this nothing is concluded any more.
const MOST_ZOMBIES: usize = 10_000;

/// What is known of the account of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    faults: u64,
    known: KnownReaps,
}

/// How many processes that are known were waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KnownReaps {
    by_it: u64,
    /// By nobody knows whom.
    by_any: u64,
}

/// An account that was read before the ends of this refresh were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountReading {
    pub(crate) pid: i32,
    faults: u64,
    known: KnownReaps,
}

/// Which ended processes were waited for, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Accounting {
    /// Those that may be zombies, with their parents if they are known.
    unreaped: Vec<(ProcessKey, Option<i32>)>,
    reaped_by: HashMap<i32, u64>,
    reaped_by_any: u64,
    /// There were children whose ends are not known.
    is_useless: bool,
}

impl Account {
    pub(crate) fn new(faults: u64) -> Self {
        Self { faults, known: KnownReaps::default() }
    }
}

impl Accounting {
    /// What stands in the stat of a process now.
    pub(crate) fn reading(&self, pid: i32, faults: u64) -> AccountReading {
        AccountReading { pid, faults, known: self.known(pid) }
    }

    /// A known process has ended; its parent will wait for it, or has done so.
    pub(crate) fn ended(&mut self, key: ProcessKey, parent: Option<i32>) {
        self.reaped_by.remove(&key.pid);
        self.unreaped.push((key, parent));
        self.is_useless |= self.unreaped.len() > MOST_ZOMBIES;
    }

    /// True if it is a zombie that is known.
    pub(crate) fn has_zombie(&self, key: ProcessKey) -> bool {
        self.unreaped.iter().any(|(zombie, _)| *zombie == key)
    }

    /// There are processes whose ends will not be known, so nothing can be concluded.
    pub(crate) fn give_up(&mut self) {
        self.is_useless = true;
    }

    /// True if a child of this process was waited for that is not known.
    pub(crate) fn shows_unknown_child(
        &mut self,
        account: &mut Account,
        reading: AccountReading,
        root: &ProcRoot,
    ) -> bool {
        let before =
            std::mem::replace(account, Account { faults: reading.faults, known: reading.known });
        if self.is_useless || reading.faults <= before.faults {
            return false;
        }
        self.find_reaped(root);
        self.known(reading.pid) == before.known
    }

    fn known(&self, pid: i32) -> KnownReaps {
        let by_it = self.reaped_by.get(&pid).copied().unwrap_or(0);
        KnownReaps { by_it, by_any: self.reaped_by_any }
    }

    fn find_reaped(&mut self, root: &ProcRoot) {
        let is_there = |key: &ProcessKey| {
            let stat = root.process(key.pid).stat();
            stat.is_ok_and(|stat| stat.start_time == key.start_time)
        };
        for (_, parent) in self.unreaped.extract_if(.., |(key, _)| !is_there(key)) {
            match parent {
                Some(parent) => *self.reaped_by.entry(parent).or_default() += 1,
                None => self.reaped_by_any += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: i32 = 7;
    const CHILD: ProcessKey = ProcessKey { pid: 9, start_time: 100 };

    /// A made-up procfs in which the child is a zombie.
    fn zombie() -> (tempfile::TempDir, ProcRoot) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("9")).unwrap();
        let text = format!("9 (x) Z 7 7 0 0 0 0 {}100 0\n", "0 ".repeat(12));
        std::fs::write(folder.path().join("9/stat"), text).unwrap();
        let root = ProcRoot::new(folder.path());
        (folder, root)
    }

    #[test]
    fn growth_without_a_known_child_shows_an_unknown_one_once() {
        let (_folder, root) = zombie();
        let (mut accounting, mut account) = (Accounting::default(), Account::new(10));
        for (faults, shown) in [(10, false), (50, true), (50, false), (60, true)] {
            let reading = accounting.reading(PARENT, faults);
            assert_eq!(accounting.shows_unknown_child(&mut account, reading, &root), shown);
        }
    }

    #[test]
    fn a_known_child_that_was_waited_for_explains_the_growth_and_a_zombie_does_not() {
        let (folder, root) = zombie();
        let (mut accounting, mut account) = (Accounting::default(), Account::new(10));
        accounting.ended(CHILD, Some(PARENT));
        let reading = accounting.reading(PARENT, 50);
        assert!(accounting.shows_unknown_child(&mut account, reading, &root));
        std::fs::remove_dir_all(folder.path().join("9")).unwrap();
        // When it was waited for is not known: it may have been behind the first of these.
        for (faults, shown) in [(90, false), (130, false), (170, true)] {
            let reading = accounting.reading(PARENT, faults);
            assert_eq!(accounting.shows_unknown_child(&mut account, reading, &root), shown);
        }
    }

    #[test]
    fn a_child_that_is_waited_for_just_behind_the_reading_explains_the_next_growth() {
        let root = ProcRoot::new("/nowhere");
        let (mut accounting, mut account) = (Accounting::default(), Account::new(10));
        let reading = accounting.reading(PARENT, 11);
        accounting.ended(CHILD, None);
        assert!(!accounting.shows_unknown_child(&mut account, reading, &root));
        let reading = accounting.reading(PARENT, 50);
        assert!(!accounting.shows_unknown_child(&mut account, reading, &root));
    }

    #[test]
    fn nothing_is_concluded_if_there_are_children_whose_ends_are_not_known() {
        let root = ProcRoot::new("/nowhere");
        let (mut accounting, mut account) = (Accounting::default(), Account::new(10));
        accounting.give_up();
        let reading = accounting.reading(PARENT, 50);
        assert!(!accounting.shows_unknown_child(&mut account, reading, &root));
    }
}
