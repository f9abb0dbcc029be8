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
    /// The largest peak that the kernel has noted of those that have ended and are known no more.
    pub(super) forgotten_peak: Option<i64>,
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
    /// That of all descendants beyond the bound.
    others: Option<RoleId>,
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
        // Roles of targets count too, of which there may be more than that.
        if self.roles.len() >= MOST_ROLES {
            let others = self.others.unwrap_or_else(|| self.add("other processes", None, metrics));
            self.others = Some(others);
            return others;
        }
        let id = self.add(name, parent, metrics);
        self.of_descendants.insert(key, id);
        id
    }

    fn add(&mut self, name: &str, parent: Option<RoleId>, metrics: usize) -> RoleId {
        let sums = (0..metrics).map(|_| SourceSeries::new(ROLE_BUCKETS)).collect();
        self.roles.push(Role {
            name: name.to_owned(),
            parent,
            processes: 0,
            forgotten_peak: None,
            sums,
        });
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

#[cfg(test)]
mod tests {
    use seepmeter_analysis::{Classification, Reason};
    use seepmeter_record::EventKind;

    use super::*;
    use crate::collector::made_up::Stream;
    use crate::made_up::SECOND;
    use crate::run_series::Scope;

    #[test]
    fn what_a_server_forks_is_one_role_however_deep_and_what_a_worker_executes_another() {
        let mut roles = RoleTable::default();
        let master = roles.of_target("nginx", 1);
        let worker = roles.of_descendant("nginx (child)", Some(master), 1);
        assert_ne!(master, worker);
        assert_eq!(roles.of_descendant("nginx (child)", Some(master), 1), worker);
        assert_eq!(roles.of_descendant("nginx (child)", Some(worker), 1), worker);
        let script = roles.of_descendant("sh", Some(worker), 1);
        assert_ne!(roles.of_descendant("sh", Some(master), 1), script);
        // Each target is one of its own.
        assert_ne!(roles.of_target("nginx", 1), master);
    }

    #[test]
    fn roles_beyond_the_bound_are_one_however_many_targets_there_are() {
        for targets in [1, MOST_ROLES + 6] {
            let mut roles = RoleTable::default();
            let of_targets: Vec<RoleId> =
                (0..targets).map(|n| roles.of_target(&format!("target {n}"), 1)).collect();
            let mut last = None;
            for n in 0..10_000 {
                last = Some(roles.of_descendant(&format!("name {n}"), Some(of_targets[0]), 1));
            }
            let last = last.unwrap();
            assert_eq!(roles.get_mut(last).name, "other processes");
            assert!(!of_targets.contains(&last));
            assert_eq!(roles.roles.len(), targets.max(MOST_ROLES) + 1);
        }
    }

    #[test]
    fn shared_pages_count_once_as_those_of_the_process_with_the_most() {
        let mut stream = Stream::new();
        let master = stream.process(0, None, "postgres");
        let one = stream.process(0, Some(master), "postgres (child)");
        let two = stream.process(0, Some(master), "postgres (child)");
        stream.sample(0, &[(master, 100, 60), (one, 50, 40), (two, 50, 30)]);
        stream.sample(SECOND, &[(two, 80, 60)]);
        // What is private, and the 60 that all may have in common.
        assert_eq!(stream.sum(), [(0, 70 + 60), (SECOND, 70 + 60)]);
        let sum = &stream.of_scope(Scope::AllTargets)[0];
        assert!(sum.shared_once);
        let role = &stream.of_scope(Scope::Role)[0];
        assert_eq!((&*role.target, role.processes), ("postgres (child)", Some(2)));
        assert_eq!(role.whole.points(), [(0, 30 + 40), (SECOND, 30 + 60)]);
    }

    #[test]
    fn of_processes_that_share_nothing_the_sum_is_plain() {
        let mut stream = Stream::new();
        let shell = stream.process(0, None, "sh");
        let worker = stream.process(0, Some(shell), "worker");
        stream.sample(0, &[(shell, 10, 0), (worker, 50, 0)]);
        assert_eq!(stream.sum(), [(0, 60)]);
        assert!(!stream.of_scope(Scope::AllTargets)[0].shared_once);
        // A role of one process is judged as that process.
        assert!(stream.of_scope(Scope::Role).is_empty());
        assert_eq!(stream.of_scope(Scope::Descendant).len(), 1);
    }

    #[test]
    fn what_a_process_held_leaves_the_sum_with_it_and_a_new_one_counts_when_it_was_sampled() {
        let mut stream = Stream::new();
        let shell = stream.process(0, None, "sh");
        stream.sample(0, &[(shell, 10, 0)]);
        let first = stream.process(SECOND, Some(shell), "worker");
        // Not sampled yet: the sum is that of the others.
        stream.sample(SECOND, &[(shell, 10, 0)]);
        stream.sample(2 * SECOND, &[(first, 50, 0)]);
        stream.end(3 * SECOND, first);
        let second = stream.process(3 * SECOND, Some(shell), "worker");
        stream.sample(4 * SECOND, &[(second, 30, 0)]);
        assert_eq!(stream.sum(), [(SECOND, 10), (2 * SECOND, 60), (4 * SECOND, 40)]);
        let role = &stream.of_scope(Scope::Role)[0];
        assert_eq!((&*role.target, role.processes), ("worker", Some(2)));
        assert_eq!(role.whole.points(), [(SECOND, 0), (2 * SECOND, 50), (4 * SECOND, 30)]);
    }

    #[test]
    fn the_sum_is_not_known_while_a_process_that_is_not_new_has_no_value() {
        let mut stream = Stream::new();
        let shell = stream.process(0, None, "sh");
        let _mute = stream.process(0, Some(shell), "worker");
        stream.sample(SECOND, &[(shell, 10, 0)]);
        stream.sample(YOUNG + SECOND, &[(shell, 11, 0)]);
        assert_eq!(stream.sum(), [(SECOND, 10)]);
    }

    #[test]
    fn what_does_not_grow_is_not_called_steady_while_others_are_not_followed() {
        let judged = |step: i64, followed: bool| {
            let mut stream = Stream::new();
            let shell = stream.process(0, None, "sh");
            let worker = stream.process(0, Some(shell), "worker");
            for i in 0..400 {
                let held = 50_000_000 + step * i + i % 7 * 900;
                let t = i.cast_unsigned() * SECOND;
                stream.sample(t, &[(shell, 9_000_000 + i % 5 * 900, 0), (worker, held, 0)]);
            }
            if !followed {
                let reason = "they are too many".into();
                stream.event(
                    400 * SECOND,
                    shell,
                    EventKind::NotFollowed { processes: Some(3), reason },
                );
            }
            let conclusion = stream.collector.conclude();
            let judgement = &conclusion.main().unwrap().judgement;
            (judgement.classification, judgement.reason)
        };
        assert_eq!(judged(0, true), (Classification::Steady, None));
        let not_known = (Classification::Inconclusive, Some(Reason::NotAllSeen));
        assert_eq!(judged(0, false), not_known);
        assert_eq!(judged(20_000, false), (Classification::Growing, None));
    }

    #[test]
    fn a_process_that_executes_another_program_changes_its_role() {
        let mut stream = Stream::new();
        let shell = stream.process(0, None, "sh");
        let one = stream.process(0, Some(shell), "worker");
        let two = stream.process(0, Some(shell), "sh (child)");
        stream.event(1, two, EventKind::Exec { name: Some("worker".into()) });
        stream.sample(SECOND, &[(shell, 10, 0), (one, 20, 0), (two, 30, 0)]);
        let roles = stream.of_scope(Scope::Role);
        assert_eq!(roles.len(), 1);
        assert_eq!((&*roles[0].target, roles[0].processes), ("worker", Some(2)));
        assert_eq!(roles[0].whole.points(), [(SECOND, 50)]);
        let sum = &stream.of_scope(Scope::AllTargets)[0];
        let of_parts: i64 = sum.parts.iter().filter_map(|part| part.series.at(SECOND)).sum();
        assert_eq!(of_parts, 60, "{:?}", sum.parts);
        assert!(
            sum.parts.iter().all(|part| !part.part.name.contains("(child)")),
            "{:?}",
            sum.parts
        );
    }

    #[test]
    fn a_hundred_thousand_short_processes_take_bounded_memory_and_all_count() {
        let mut stream = Stream::new();
        let shell = stream.process(0, None, "sh");
        stream.sample(0, &[(shell, 10, 0)]);
        for n in 1..=100_000_u64 {
            let t = n * SECOND;
            let child = stream.process(t, Some(shell), "worker");
            // One in a hundred lives long enough for a sample.
            if n % 100 == 0 {
                stream.sample(t, &[(child, 1000, 0)]);
            }
            stream.end(t + 1, child);
        }
        stream.sample(200_000 * SECOND, &[(shell, 10, 0)]);
        let Stream { collector, .. } = &stream;
        assert!(collector.targets.len() <= 65, "{}", collector.targets.len());
        assert!(collector.ended.len() <= 64, "{}", collector.ended.len());
        let role = &stream.of_scope(Scope::Role)[0];
        assert_eq!((&*role.target, role.processes), ("worker", Some(100_000)));
        assert_eq!(role.whole.peak(), Some(1000));
        let sum = stream.of_scope(Scope::AllTargets)[0].whole.clone();
        assert_eq!((sum.peak(), sum.at(200_000 * SECOND)), (Some(1010), Some(10)));
    }
}
