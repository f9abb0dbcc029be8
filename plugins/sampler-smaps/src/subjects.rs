//! The subjects, groups of mappings or single ones, and which of their values are emitted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use seepmeter_maps::{MappingGroup, group_title, mapping_title};
use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{Attributes, SubjectId};
use seepmeter_plugin::{NewSubject, SampleBuilder, SubjectTable};

use crate::counts::{Counts, ReadCounts};
use crate::metrics::{Metrics, mapping_values, subject_kind};
use crate::options::Detail;
use crate::reads::FinishedPass;
use crate::table::{Mapping, MappingTable, Piece};

/// In partial samples, what has not changed is emitted again after this time, if it was observed.
const CONFIRM_AFTER: Duration = Duration::from_secs(5);

/// What a sample may say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// It covers everything: what it does not mention has not changed.
    pub(crate) whole: bool,
    /// Everything was observed once since the beginning: what was not is new.
    pub(crate) swept: bool,
    /// What was read of mappings in this pass is known.
    pub(crate) pass: Option<FinishedPass>,
    pub(crate) now: Instant,
}

pub(crate) struct Subjects {
    process: SubjectId,
    detail: Detail,
    table: SubjectTable<u32>,
    /// By the keys in [`Mapping::key`].
    sums: HashMap<u32, MappingSum>,
    /// The keys of groups; that of a single mapping is its identity.
    keys: HashMap<MappingGroup, u32>,
    last_key: u32,
    waiting: bool,
}

/// The mappings of one subject.
#[derive(Debug, Default)]
struct MappingSum {
    /// The read of maps that had the first of them first.
    since: u32,
    /// When its values were last emitted, or covered by a whole sample.
    covered: Option<Instant>,
    /// The first of them now, by its place in the table; none if there is none any more.
    first: Option<usize>,
    /// Some of them was not scanned yet.
    unscanned: bool,
    /// Some of them was not read in the newest pass, though it was there.
    unread: bool,
    observed: bool,
    counts: Option<Counts>,
    read: Option<ReadCounts>,
}

impl Subjects {
    pub(crate) fn new(process: SubjectId, detail: Detail, metrics: &Metrics) -> Self {
        Self {
            process,
            detail,
            table: SubjectTable::new(metrics.mapping.clone()),
            sums: HashMap::new(),
            keys: HashMap::new(),
            last_key: 0,
            waiting: false,
        }
    }

    /// True while something waits to be there in a second read of maps.
    pub(crate) fn are_waiting(&self) -> bool {
        self.waiting
    }

    /// Emits what is to be said of the mappings.
    pub(crate) fn emit(
        &mut self,
        mappings: &mut MappingTable,
        scope: Scope,
        sample: &mut SampleBuilder<'_>,
    ) {
        self.sum_up(mappings, scope);
        self.waiting = false;
        self.table.begin();
        for (at, mapping) in mappings.mappings.iter().enumerate() {
            let Some(sum) = mapping.key.and_then(|key| self.sums.get_mut(&key)) else { continue };
            if sum.first == Some(at) {
                self.emit_subject(mapping, mappings.maps_reads, scope, sample);
            }
        }
        self.sums.retain(|_, sum| sum.first.is_some());
        self.keys.retain(|_, key| self.sums.contains_key(key));
        self.table.end_unobserved(sample.stream());
    }

    fn sum_up(&mut self, mappings: &mut MappingTable, scope: Scope) {
        self.sums.values_mut().for_each(MappingSum::clear);
        let MappingTable { mappings, pieces, .. } = mappings;
        for (at, mapping) in mappings.iter_mut().enumerate() {
            let key = *mapping.key.get_or_insert_with(|| match self.detail {
                Detail::Mapping => mapping.identity,
                Detail::Group => *self.keys.entry(mapping.group.together()).or_insert_with(|| {
                    self.last_key = self.last_key.wrapping_add(1);
                    self.last_key
                }),
            });
            let sum = self.sums.entry(key).or_insert_with(|| MappingSum::new(mapping.since));
            sum.first.get_or_insert(at);
            sum.count(&mut pieces[mapping.pieces.clone()]);
            if let Some(pass) = scope.pass {
                sum.read(mapping, pass);
            }
        }
    }

    /// Emits what is to be said of the subject of this mapping, the first of its mappings.
    ///
    /// A mapping that came after the first sample must be there at a second read of maps: a target at work
    /// makes and drops thousands that nobody will miss.
    fn emit_subject(
        &mut self,
        mapping: &Mapping,
        maps_reads: u32,
        scope: Scope,
        sample: &mut SampleBuilder<'_>,
    ) {
        let Some((key, sum)) = mapping.key.and_then(|key| Some((key, self.sums.get_mut(&key)?)))
        else {
            return;
        };
        let defined = self.table.subject(&key).is_some();
        let settled = defined || sum.since <= 1 || sum.since < maps_reads;
        let known = sum.counts.is_some() && (scope.swept || !sum.unscanned);
        let values = match known {
            true => &mapping_values(sum.counts, sum.read.filter(|_| !sum.unread))[..],
            false => &[],
        };
        if !(defined || settled && known) {
            self.waiting |= !settled;
            return;
        }
        let define = |_: &u32| describe(mapping, self.detail, self.process);
        let overdue = sum.covered.is_none_or(|at| scope.now - at >= CONFIRM_AFTER);
        let emit_all = self.table.has_changed(&key, values) || (sum.observed && overdue);
        let is_covered = scope.whole || emit_all;
        let values = if is_covered { values } else { &[] };
        self.table.observe(&key, values, sample, define);
        if is_covered {
            sum.covered = Some(scope.now);
        }
    }
}

impl MappingSum {
    fn new(since: u32) -> Self {
        Self { since, ..Self::default() }
    }

    fn clear(&mut self) {
        *self = Self { covered: self.covered, ..Self::new(self.since) };
    }

    fn count(&mut self, pieces: &mut [Piece]) {
        for piece in pieces {
            self.observed |= std::mem::take(&mut piece.observed);
            match piece.counts {
                Some(counts) => self.counts.get_or_insert_default().add(counts),
                None => self.unscanned = true,
            }
        }
    }

    fn read(&mut self, mapping: &Mapping, pass: FinishedPass) {
        match mapping.read {
            Some((number, read)) if number == pass.number => {
                self.read.get_or_insert_default().add(read);
            }
            // It came after the pass had begun, and was no part of what that has observed.
            _ if mapping.since > pass.maps_reads => {}
            _ => self.unread = true,
        }
    }
}

fn describe(mapping: &Mapping, detail: Detail, process: SubjectId) -> NewSubject {
    let group = &mapping.group;
    let (name, attributes) = match detail {
        Detail::Group => {
            let group = group.together();
            (group_title(&group), group.attributes())
        }
        Detail::Mapping => {
            // Where it was first seen; it may grow from here either way.
            let range = format!("{:x}-{:x}", mapping.start, mapping.end);
            let at = format!(" at {:x}", mapping.start);
            let attributes = Attributes::new()
                .with(attribute::CLASS, group.class())
                .with_known(attribute::FILE, group.file_name())
                .with_known(attribute::TID, group.tid())
                .with(attribute::PERMISSIONS, mapping.perms.to_string().into())
                .with(attribute::RANGE, range.into());
            ([mapping_title(group), at.into_bytes()].concat(), attributes)
        }
    };
    NewSubject { parent: Some(process), kind: subject_kind(detail), name: name.into(), attributes }
}
