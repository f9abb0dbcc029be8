//! What a sweep has counted, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use seepmeter_plugin::record::DescriptorKind;

use crate::link::Link;

/// A name is kept as soon as so many descriptors have it: most names are those of one.
pub(crate) const LEAST_OF_A_NAME: u64 = 8;

/// No more names are counted in one sweep, by their hashes, and no more are kept. What has another name
/// counts for its kind alone.
const MOST_HASHES: usize = 1 << 16;
const MOST_KEPT: usize = 1 << 10;

/// A name of a kind, by its hash: whoever makes up names does not know the hasher's keys.
pub(crate) type NameHash = u64;

/// A name that many descriptors have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommonName {
    pub(crate) hash: NameHash,
    pub(crate) kind: DescriptorKind,
    pub(crate) name: Box<[u8]>,
}

/// What a sweep has counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: HashMap<DescriptorKind, u64>,
    names: HashMap<NameHash, u64>,
    common: Vec<CommonName>,
    hasher: RandomState,
}

impl Tally {
    /// Counts a descriptor.
    pub(crate) fn count(&mut self, link: &Link<'_>) {
        match self.kinds.get_mut(&link.kind) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(link.kind.clone(), 1)),
        }
        let Some(name) = link.name else { return };
        let hash = self.hasher.hash_one((&link.kind, name));
        if self.names.len() >= MOST_HASHES && !self.names.contains_key(&hash) {
            return;
        }
        let count = self.names.entry(hash).or_default();
        *count += 1;
        if *count == LEAST_OF_A_NAME && self.common.len() < MOST_KEPT {
            self.common.push(CommonName { hash, kind: link.kind.clone(), name: name.into() });
        }
    }

    /// Begins anew; names have the same hashes as before.
    pub(crate) fn clear(&mut self) {
        self.kinds.clear();
        self.names.clear();
        self.common.clear();
    }

    /// How many descriptors of a kind there are.
    pub(crate) fn of_kind(&self, kind: &DescriptorKind) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    /// How many descriptors of a name there are.
    pub(crate) fn of_name(&self, hash: NameHash) -> u64 {
        self.names.get(&hash).copied().unwrap_or(0)
    }

    /// The names that many have, the most frequent first.
    pub(crate) fn common(&mut self) -> &[CommonName] {
        let names = &self.names;
        self.common.sort_by_key(|it| std::cmp::Reverse(names.get(&it.hash)));
        &self.common
    }

    /// How many descriptors there are at all.
    pub(crate) fn total(&self) -> u64 {
        self.kinds.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_many_have_is_kept_and_others_count_for_their_kind() {
        let mut tally = Tally::default();
        for i in 0..20 {
            tally.count(&Link::parse(b"/var/log/shop.log"));
            tally.count(&Link::parse(format!("/tmp/{i}").as_bytes()));
            tally.count(&Link::parse(format!("socket:[{i}]").as_bytes()));
        }
        let common = tally.common().to_vec();
        assert_eq!(common.len(), 1);
        assert_eq!(&*common[0].name, b"/var/log/shop.log");
        assert_eq!(tally.of_name(common[0].hash), 20);
        assert_eq!(tally.of_kind(&DescriptorKind::File), 40);
        assert_eq!((tally.of_kind(&DescriptorKind::Socket), tally.total()), (20, 60));
        tally.clear();
        assert_eq!((tally.total(), tally.of_name(common[0].hash)), (0, 0));
    }

    #[test]
    fn however_many_names_there_are_memory_is_bounded_and_the_total_is_right() {
        let mut tally = Tally::default();
        for i in 0..200_000 {
            tally.count(&Link::parse(format!("/data/{}", i / 9).as_bytes()));
            tally.count(&Link::parse(format!("/once/{i}").as_bytes()));
        }
        assert_eq!(tally.total(), 400_000);
        assert!(tally.names.len() <= MOST_HASHES && tally.common.len() <= MOST_KEPT);
    }
}
