//! The roles of processes, and sums over processes.

use std::collections::{HashMap, HashSet};
use std::fmt;

use seepmeter_record::{SamplerId, human};

use super::target::{SourceSeries, TargetCollector, WHOLE_BUCKETS};

/// Later roles than so many are one, of all other processes.
const MOST_ROLES: usize = 64;
/// Buckets for each role.
const ROLE_BUCKETS: usize = WHOLE_BUCKETS / 4;

/// A descendant without a value does not count yet: it is so new. If it has none behind this time, in ns, the sum
/// is not known.
const YOUNG: u64 = 10_000_000_000;

/// The place of a role in the [`RoleTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoleId(usize);

/// What is kept of the processes of one role: those that execute the same and whose parents have the same role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    parent: Option<RoleId>,
    /// How many processes there were so far.
    pub(super) processes: u64,
    /// How many of these have ended and are known no more.
    pub(super) forgotten: u64,
    /// One for each metric of the options.
    pub(super) sums: Vec<SourceSeries>,
}

impl fmt::Display for Role {
    /// `python3 worker.py (3 processes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, human::count(self.processes, "process"))
    }
}

/// The roles, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct RoleTable {
    roles: Vec<Role>,
    of_descendants: HashMap<(Option<RoleId>, String), RoleId>,
    /// The metrics in whose sums pages that several processes share count once.
    shared_once: HashSet<usize>,
}

impl RoleTable {
    /// That of a process that the user has named: each is one of its own.
    pub(super) fn of_target(&mut self, name: &str, metrics: usize) -> RoleId {
        self.add(name, None, metrics)
    }

    /// That of a descendant. What a process forks of its own program is one role, however deep.
    pub(super) fn of_descendant(
        &mut self,
        name: &str,
        parent: Option<RoleId>,
        metrics: usize,
    ) -> RoleId {
        if let Some(parent) = parent.filter(|_| name.ends_with(CHILD)) {
            let Role { name: of_parent, parent: grandparent, .. } = &self.roles[parent.0];
            if grandparent.is_some() && of_parent == name {
                return parent;
            }
        }
        let key = (parent, name.to_owned());
        if let Some(known) = self.of_descendants.get(&key) {
            return *known;
        }
        let id = match self.roles.len() {
            known if known < MOST_ROLES => self.add(name, parent, metrics),
            MOST_ROLES => self.add("other processes", None, metrics),
            _ => return RoleId(MOST_ROLES),
        };
        if id.0 < MOST_ROLES {
            self.of_descendants.insert(key, id);
        }
        id
    }

    fn add(&mut self, name: &str, parent: Option<RoleId>, metrics: usize) -> RoleId {
        let sums = (0..metrics).map(|_| SourceSeries::new(ROLE_BUCKETS)).collect();
        self.roles.push(Role { name: name.to_owned(), parent, processes: 0, forgotten: 0, sums });
        RoleId(self.roles.len() - 1)
    }

    pub(super) fn get_mut(&mut self, id: RoleId) -> &mut Role {
        &mut self.roles[id.0]
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.roles.iter().enumerate().map(|(place, role)| (RoleId(place), role))
    }

    /// The sums of one of the metrics after a sample: of each role, and of all.
    pub(super) fn sum_up<'a>(
        &mut self,
        targets: impl Iterator<Item = &'a TargetCollector>,
        place: usize,
        (t, sampler): (u64, SamplerId),
    ) -> Option<i64> {
        let mut of_roles = vec![ProcessSum::default(); self.roles.len()];
        let mut all = ProcessSum::default();
        for target in targets {
            all.add(target, place, t);
            of_roles[target.role.0].add(target, place, t);
        }
        for (role, sum) in self.roles.iter_mut().zip(of_roles) {
            if let Some(total) = sum.total() {
                role.sums[place].source = Some(sampler);
                role.sums[place].push(t, total);
            }
        }
        if all.counts_shared_once() {
            self.shared_once.insert(place);
        }
        all.total()
    }

    /// True if pages that several processes share count once in the sums of one of the metrics.
    pub(super) fn counts_shared_once(&self, place: usize) -> bool {
        self.shared_once.contains(&place)
    }
}

/// What the name of a process ends with whose parent executes the same.
const CHILD: &str = " (child)";

/// What several processes hold together.
///
/// The resident sets of all of them, added up, count each shared page once for each process: their growth may be
/// that of processes which touch, one after another, what is there already. So of resident memory it is what
/// no file and no other process can have, and the shared pages of the process with the most of them: never more
/// than what they truly hold, but for pages that a fork has left in common until one writes to them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessSum {
    total: i64,
    shared: i64,
    most_shared: i64,
    shared_unknown: bool,
    unknown: bool,
}

impl ProcessSum {
    /// Adds a process. One that has ended holds nothing; one whose value is not known makes the sum unknown,
    /// unless it is so new that it had no time for one.
    pub(super) fn add(&mut self, target: &TargetCollector, place: usize, t: u64) {
        if target.ended {
            return;
        }
        let metric = &target.metrics[place];
        let Some(total) = metric.total() else {
            self.unknown |= !(target.is_descendant && t.saturating_sub(target.since) < YOUNG);
            return;
        };
        self.total = self.total.saturating_add(total);
        match target.shared.filter(|_| metric.counts_shared_pages()) {
            Some(shared) => {
                self.shared = self.shared.saturating_add(shared);
                self.most_shared = self.most_shared.max(shared);
            }
            None => self.shared_unknown = true,
        }
    }

    fn counts_shared_once(self) -> bool {
        self.shared > self.most_shared && !self.shared_unknown && !self.unknown
    }

    /// What they have, each for itself, added up; none if it is not known.
    pub(super) fn plain_total(self) -> Option<i64> {
        (!self.unknown).then_some(self.total)
    }

    /// What they hold together; none if it is not known.
    pub(super) fn total(self) -> Option<i64> {
        let shared_once = self.total.saturating_sub(self.shared).saturating_add(self.most_shared);
        let total = if self.shared_unknown { self.total } else { shared_once };
        (!self.unknown).then_some(total)
    }
}
