//! What has grown between two images of a process, and who holds it.

use std::collections::HashMap;

use crate::census::{Block, Census, KnownBlocks};
use crate::class::{BlockClass, BlockName, ClassKey};
use crate::paths::{HolderPath, MergedPath, PathRoot, Paths};

/// Of so many blocks of a class the paths are searched.
const SAMPLED: usize = 300;

/// How a class has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassGrowth {
    /// Its name.
    pub name: BlockName,
    /// By how many blocks.
    pub count: i64,
    /// By how many bytes.
    pub bytes: i64,
}

impl ClassGrowth {
    /// All classes that have another number of blocks or bytes than before, from the one that has grown by most bytes on.
    #[must_use]
    pub fn between(before: &[BlockClass], after: &[BlockClass]) -> Vec<Self> {
        let mut all: HashMap<&BlockName, (i64, i64)> = HashMap::new();
        for (classes, sign) in [(before, -1), (after, 1)] {
            for class in classes {
                let (count, bytes) = all.entry(&class.name).or_default();
                *count += sign * class.count.cast_signed();
                *bytes += sign * class.bytes.cast_signed();
            }
        }
        let changed = all.into_iter().filter(|(_, sums)| *sums != (0, 0));
        let growth =
            |(name, (count, bytes)): (&BlockName, _)| Self { name: name.clone(), count, bytes };
        let mut all: Vec<Self> = changed.map(growth).collect();
        all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

/// Who holds blocks of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassHolders {
    /// Merged paths to them, the first are those of most blocks.
    pub paths: Vec<MergedPath>,
    /// To how many blocks these are.
    pub held: u64,
    /// How many more were searched for that no path leads to.
    pub unreachable: u64,
}

impl ClassHolders {
    /// Who holds the blocks of a class, of at most 300 of them; only of those that were not known, if
    /// `known` is given. `root` names the places where paths begin.
    #[must_use]
    pub fn of(
        census: &Census,
        paths: &Paths<'_, '_, '_>,
        name: &BlockName,
        known: Option<&KnownBlocks>,
        root: &dyn Fn(&PathRoot) -> String,
    ) -> Self {
        let mut is_named: HashMap<ClassKey, bool> = HashMap::new();
        let mut is_meant = |block: &Block| {
            let key = census.class_key(block);
            *is_named.entry(key).or_insert_with(|| census.name_of_class(key) == *name)
                && known.is_none_or(|known| !known.has(block))
        };
        let meant: Vec<Block> = census.blocks().filter(|block| is_meant(block)).collect();
        let step = meant.len().div_ceil(SAMPLED).max(1);
        let sample: Vec<&Block> = meant.iter().step_by(step).collect();
        let held: Vec<HolderPath> = sample.iter().filter_map(|block| paths.to(block)).collect();
        let unreachable = (sample.len() - held.len()) as u64;
        Self { held: held.len() as u64, paths: MergedPath::of(held, root), unreachable }
    }
}
