//! Blocks by what they are.

use std::collections::HashMap;
use std::iter::Sum;
use std::ops::AddAssign;

use crate::account::{AccountItem, item_of_block};
use crate::census::{Block, BlockOrigin, Census};
use crate::mark::Marks;
use crate::python::PythonBlock;

/// What blocks of a class have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BlockName {
    /// They are objects of this type of CPython.
    PythonObject(String),
    /// Objects of this type of CPython point at them, and they are none.
    PythonBuffer(String),
    /// They were objects of CPython, which keeps them for the next ones.
    PythonFreeList,
    /// An allocator has given them out, and all have this size in bytes.
    Size(BlockOrigin, u64),
}

/// Blocks that have a name in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockClass {
    /// Their name.
    pub name: BlockName,
    /// How many there are.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Those of them that no pointer leads to at this moment. None if that is not known.
    pub unreachable: Option<BlockSum>,
}

/// So many blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockSum {
    /// How many there are.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

impl BlockClass {
    /// The classes of a census, from the one with most bytes on.
    #[must_use]
    pub fn all(census: &Census, marks: Option<&Marks>) -> Vec<Self> {
        let known = marks.is_some_and(|marks| marks.missing_roots().is_none());
        let mut sums: HashMap<ClassKey, [BlockSum; 2]> = HashMap::new();
        for block in census.blocks() {
            let [all, unreachable] = sums.entry(census.class_key(&block)).or_default();
            all.add(&block);
            if item_of_block(marks, &block) == AccountItem::Unreachable {
                unreachable.add(&block);
            }
        }
        let mut classes: HashMap<BlockName, Self> = HashMap::new();
        // Types of one name are one class: each subinterpreter has its own.
        for (key, [all, unreachable]) in sums {
            let name = census.name_of_class(key);
            let new = Self {
                name: name.clone(),
                count: 0,
                bytes: 0,
                unreachable: known.then(BlockSum::default),
            };
            let class = classes.entry(name).or_insert(new);
            class.count += all.count;
            class.bytes += all.bytes;
            if let Some(sum) = &mut class.unreachable {
                sum.count += unreachable.count;
                sum.bytes += unreachable.bytes;
            }
        }
        let mut classes: Vec<Self> = classes.into_values().collect();
        classes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        classes
    }
}

/// What [`BlockName`] is made of, and cheaper to compare.
pub(crate) type ClassKey = (Option<PythonBlock>, BlockOrigin, u64);

impl Census {
    /// The name of a block's class.
    #[must_use]
    pub fn block_name(&self, block: &Block) -> BlockName {
        self.name_of_class(self.class_key(block))
    }

    pub(crate) fn class_key(&self, block: &Block) -> ClassKey {
        match self.python_block(block) {
            Some(python) => (Some(python), BlockOrigin::Pymalloc, 0),
            None => (None, block.origin, block.size),
        }
    }

    pub(crate) fn name_of_class(&self, (python, origin, size): ClassKey) -> BlockName {
        let name = |it| self.python_type(it).to_owned();
        match python {
            Some(PythonBlock::Object(it)) => BlockName::PythonObject(name(it)),
            Some(PythonBlock::Buffer(it)) => BlockName::PythonBuffer(name(it)),
            Some(PythonBlock::FreeList) => BlockName::PythonFreeList,
            None => BlockName::Size(origin, size),
        }
    }
}

impl BlockSum {
    pub(crate) fn add(&mut self, block: &Block) {
        *self += Self { count: 1, bytes: block.size };
    }
}

impl AddAssign for BlockSum {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

impl Sum for BlockSum {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        let mut all = Self::default();
        sums.for_each(|sum| all += sum);
        all
    }
}
