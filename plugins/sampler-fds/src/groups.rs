//! Which groups of descriptors are subjects, and their values.

use std::collections::BTreeSet;

use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{Attributes, DescriptorKind, MetricId, SubjectId, SubjectKind};
use seepmeter_plugin::{NewSubject, SampleBuilder, SubjectTable};

use crate::tally::{CommonName, LEAST_OF_A_NAME, NameHash, Tally};

/// What a subject stands for: a name, or what is of a kind and of no name that has a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Group {
    Kind(DescriptorKind),
    Name(NameHash),
}

/// The groups of one process.
#[derive(Debug)]
pub(crate) struct Groups {
    process: SubjectId,
    /// So many names may be subjects.
    most_names: usize,
    names: Vec<CommonName>,
    /// Those that there was something of: a kind that has none any more has 0.
    kinds: BTreeSet<DescriptorKind>,
    table: SubjectTable<Group>,
}

impl Groups {
    pub(crate) fn new(process: SubjectId, fds: MetricId, most_names: usize) -> Self {
        let (names, kinds) = (Vec::new(), BTreeSet::new());
        Self { process, most_names, names, kinds, table: SubjectTable::new(vec![fds]) }
    }

    /// Emits what a whole sweep has counted.
    pub(crate) fn emit(&mut self, tally: &mut Tally, sample: &mut SampleBuilder<'_>) {
        self.choose_names(tally);
        self.table.begin();
        let process = self.process;
        for name in &self.names {
            let count = in_stream(tally.of_name(name.hash));
            let define = |_: &Group| describe(process, name.kind.clone(), Some(&name.name));
            self.table.observe(&Group::Name(name.hash), &[Some(count)], sample, define);
        }
        let found = DescriptorKind::KNOWN.iter().filter(|kind| tally.of_kind(kind) > 0);
        self.kinds.extend(found.cloned());
        for kind in &self.kinds {
            let named = self.names.iter().filter(|name| name.kind == *kind);
            let named: u64 = named.map(|name| tally.of_name(name.hash)).sum();
            let count = in_stream(tally.of_kind(kind).saturating_sub(named));
            let define = |_: &Group| describe(process, kind.clone(), None);
            self.table.observe(&Group::Kind(kind.clone()), &[Some(count)], sample, define);
        }
        self.table.end_unobserved(sample.stream());
    }

    /// A name that has become rare makes room; the most frequent others have what room there is.
    fn choose_names(&mut self, tally: &mut Tally) {
        self.names.retain(|name| tally.of_name(name.hash) >= LEAST_OF_A_NAME / 2);
        let room = self.most_names.saturating_sub(self.names.len());
        let known: BTreeSet<NameHash> = self.names.iter().map(|name| name.hash).collect();
        let new = tally.common().iter().filter(|name| !known.contains(&name.hash));
        let new: Vec<CommonName> = new.take(room.max(1)).cloned().collect();
        if room > 0 {
            self.names.extend(new);
        } else if let [name] = &new[..] {
            self.replace_rarest(name, tally);
        }
    }

    /// A name takes the place of the rarest if it is twice as frequent.
    fn replace_rarest(&mut self, name: &CommonName, tally: &Tally) {
        let count = |name: &CommonName| tally.of_name(name.hash);
        let rarest = self.names.iter_mut().min_by_key(|known| count(known));
        if let Some(rarest) = rarest.filter(|rarest| count(name) > 2 * count(rarest)) {
            *rarest = name.clone();
        }
    }
}

fn describe(process: SubjectId, kind: DescriptorKind, file: Option<&[u8]>) -> NewSubject {
    let mut name = kind.plural().as_bytes().to_vec();
    if let Some(file) = file {
        name.push(b' ');
        name.extend(file);
    }
    let attributes = Attributes::new()
        .with_known(attribute::FILE, file.map(Into::into))
        .with(attribute::DESCRIPTOR, kind);
    NewSubject {
        parent: Some(process),
        kind: SubjectKind::DescriptorGroup,
        name: name.into(),
        attributes,
    }
}

/// A count as the stream has it.
pub(crate) fn in_stream(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
