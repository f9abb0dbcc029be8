//! What the processes of each name have together.

use std::collections::{HashMap, HashSet};

use seepmeter_record::{SubjectId, human};

use super::super::process_sum::ProcessSum;

/// No more names than this are kept apart, so that a tree of any length takes bounded memory.
pub(super) const MOST_NAMES: usize = 256;
/// No more names than this are printed.
const MOST_PRINTED: usize = 4;

/// The processes by their names.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    pub(super) names: HashMap<String, OfName>,
}

/// The processes of one name.
#[derive(Debug, Default)]
pub(super) struct OfName {
    processes: u64,
    now: HashSet<SubjectId>,
    last: i64,
    peak: i64,
}

impl NameTable {
    pub(super) fn add(&mut self, subject: SubjectId, name: String) {
        if self.names.contains_key(&name) || self.names.len() < MOST_NAMES {
            let of_name = self.names.entry(name).or_default();
            of_name.processes += 1;
            of_name.now.insert(subject);
        }
    }

    /// A process has ended, or has another name. A name is forgotten if none of its processes was ever sampled.
    pub(super) fn remove(&mut self, subject: SubjectId) {
        for of_name in self.names.values_mut() {
            if of_name.now.remove(&subject) && of_name.peak == 0 && of_name.now.is_empty() {
                of_name.processes -= 1;
            }
        }
        self.names.retain(|_, of_name| of_name.processes > 0);
    }

    /// What those have now that run.
    pub(super) fn observe(&mut self, rss: &ProcessSum) {
        for of_name in self.names.values_mut().filter(|of_name| !of_name.now.is_empty()) {
            of_name.last = of_name.now.iter().filter_map(|it| rss.of(*it)).sum();
            of_name.peak = of_name.peak.max(of_name.last);
        }
    }

    /// One process of this name has had so much.
    pub(super) fn note_peak(&mut self, name: &str, value: i64) {
        if let Some(of_name) = self.names.get_mut(name) {
            of_name.peak = of_name.peak.max(value);
        }
    }

    /// Those with the largest peaks, a line each.
    pub(super) fn largest(&self) -> impl Iterator<Item = String> {
        let mut all: Vec<_> = self.names.iter().filter(|(_, it)| it.peak > 0).collect();
        all.sort_by(|(one, a), (other, b)| b.peak.cmp(&a.peak).then_with(|| one.cmp(other)));
        all.truncate(MOST_PRINTED);
        all.into_iter().map(|(name, OfName { processes, last, peak, .. })| {
            let several = match processes {
                1 => String::new(),
                several => format!(" ({several} processes)"),
            };
            format!("{name}{several}: last {}, peak {}", human::bytes(*last), human::bytes(*peak))
        })
    }
}
