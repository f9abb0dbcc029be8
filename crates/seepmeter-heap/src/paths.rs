//! Who holds a block: shortest paths to it, and what it holds itself.

use std::cell::RefCell;
use std::collections::HashMap;

use seepmeter_snapshot::MemoryImage;

use crate::census::{Block, Census};
use crate::class::{BlockName, BlockSum};
use crate::error::MarkError;
use crate::index::NONE;
use crate::mark::{BitSet, Marking, Reachability, RootPlace};
use crate::python::{PythonBlock, ascii_text};

/// `md_name` of a module (Objects/moduleobject.c), the same from 3.8 to 3.14.
const MODULE_NAME: u64 = 48;
/// No path is followed further back.
const MAX_STEPS: usize = 1 << 16;
/// So much of a block is searched for the word that leads on.
const MAX_SEARCH: u64 = 16 << 20;

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PathRoot {
    /// A module of CPython, by its name.
    Module(String),
    /// The data of a program or a library, at this address.
    Data(u64),
    /// A stack or the registers of a thread.
    Stack,
    /// Other memory, or what the kernel keeps.
    Other,
}

/// A block on a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathStep {
    /// The key by which a dict or the attributes of an object lead to it, if that is a text.
    pub key: Option<String>,
    /// Its class.
    pub name: BlockName,
    /// Its address.
    pub address: u64,
}

/// A shortest path from a root to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderPath {
    /// Where it begins.
    pub root: PathRoot,
    /// The blocks of it, the last of which is the one that is held.
    pub steps: Vec<PathStep>,
}

/// Shortest paths to all blocks. One from a module of CPython comes before one from data, that before one from a
/// stack, and all before those that lead into the middle of a block.
pub struct Paths<'c, 'i, 's> {
    census: &'c Census,
    image: &'i MemoryImage<'s>,
    /// Of each block, the one before it; [`NONE`] of one that no path leads to, itself if it is the first.
    before: Vec<u32>,
    roots: HashMap<u32, PathRoot>,
    /// The table that was searched last, and where it is: that of the next path is mostly the same.
    table: RefCell<(u64, Vec<u8>)>,
}

impl<'c, 'i, 's> Paths<'c, 'i, 's> {
    /// Finds them. `image` is the image that the census was taken of.
    ///
    /// # Errors
    /// As [`Census::mark`].
    pub fn find(census: &'c Census, image: &'i MemoryImage<'s>) -> Result<Self, MarkError> {
        let count = census.index.blocks() as usize;
        let (before, roots, table) = (vec![NONE; count], HashMap::new(), RefCell::default());
        let mut paths = Self { census, image, before, roots, table };
        let mut roots: [Vec<(u32, bool, PathRoot)>; 4] = Default::default();
        // However many words point at a block, it is a root of a stage once.
        let mut seen = [(); 8].map(|()| BitSet::new(census.index.blocks()));
        census.each_root(image, |place, address, word| {
            if let Some((block, exact)) = census.index.block_at(word) {
                let (stage, root) = match place {
                    RootPlace::Data => (1, PathRoot::Data(address)),
                    RootPlace::Stack => (2, PathRoot::Stack),
                    RootPlace::Other => (3, PathRoot::Other),
                };
                if seen[2 * stage + usize::from(exact)].insert(block) {
                    roots[stage].push((block, exact, root));
                }
            }
        })?;
        // Garbage may have modules too.
        let marks = census.mark(image)?;
        for block in census.blocks().filter(|it| marks.of(it) == Reachability::Reachable) {
            if let Some(name) = paths.module(&block) {
                roots[0].push((block.number, true, PathRoot::Module(name)));
            }
        }
        for exact in [true, false] {
            for stage in &roots {
                paths.search(stage, exact);
            }
        }
        image.check()?;
        Ok(paths)
    }

    /// The name of a module.
    fn module(&self, block: &Block) -> Option<String> {
        let Some(PythonBlock::Object(it)) = self.census.python_block(block) else { return None };
        (self.census.python_type(it) == "module").then_some(())?;
        let object = block.address + self.census.object_offset(block);
        ascii_text(self.image, self.image.word(object + MODULE_NAME)?)
    }

    /// Goes on from these roots, in breadth, to all blocks that are not reached yet: by pointers to their beginnings, or
    /// by all.
    fn search(&mut self, roots: &[(u32, bool, PathRoot)], only_exact: bool) {
        let mut work = Vec::new();
        if !only_exact {
            let reached = |&(_, &before): &(u32, &u32)| before != NONE;
            work.extend((0..).zip(&self.before).filter(reached).map(|(block, _)| block));
        }
        for (block, exact, root) in roots {
            let at = *block as usize;
            if (*exact || !only_exact) && self.before[at] == NONE {
                self.before[at] = *block;
                self.roots.insert(*block, root.clone());
                work.push(*block);
            }
        }
        let mut next = 0;
        while let Some(&block) = work.get(next) {
            next += 1;
            for (target, exact) in self.census.edges.of(block) {
                if (exact || !only_exact) && self.before[target as usize] == NONE {
                    self.before[target as usize] = block;
                    work.push(target);
                }
            }
        }
    }

    /// The path to a block. None if there is none: it is unreachable.
    #[must_use]
    pub fn to(&self, block: &Block) -> Option<HolderPath> {
        let mut numbers = vec![block.number];
        let root = loop {
            let last = *numbers.last()?;
            let before = *self.before.get(last as usize)?;
            if before == last {
                break self.roots.get(&last)?.clone();
            }
            (before != NONE && numbers.len() < MAX_STEPS).then(|| numbers.push(before))?;
        };
        numbers.reverse();
        let blocks: Vec<Block> =
            numbers.iter().filter_map(|&number| self.census.block(number)).collect();
        let steps = blocks.iter().enumerate().map(|(at, block)| {
            let before = at.checked_sub(1).map(|at| &blocks[at]);
            PathStep {
                key: before.and_then(|before| self.key(before, block)),
                name: self.census.block_name(block),
                address: block.address,
            }
        });
        Some(HolderPath { root, steps: steps.collect() })
    }

    /// The key by which the table of a dict leads to a block: in an entry, the value is behind the key.
    fn key(&self, table: &Block, block: &Block) -> Option<String> {
        let Some(PythonBlock::Buffer(it)) = self.census.python_block(table) else { return None };
        (self.census.python_type(it) == "dict").then_some(())?;
        let mut last = self.table.borrow_mut();
        if last.0 != table.address {
            let mut bytes = vec![0; usize::try_from(table.size.min(MAX_SEARCH)).ok()?];
            let read = self.image.read(table.address, &mut bytes);
            bytes.truncate(read);
            *last = (table.address, bytes);
        }
        let inside = block.address..block.address + block.size;
        let words = last.1.as_chunks().0;
        let pair = words.windows(2).find(|pair| inside.contains(&u64::from_le_bytes(pair[1])))?;
        ascii_text(self.image, u64::from_le_bytes(pair[0]))
    }
}

/// Paths of several blocks, of which all go by the same classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedPath {
    /// What they begin at.
    pub root: String,
    /// The classes that they go by, with the keys that are the same in all, and how often each is repeated at once.
    pub steps: Vec<MergedStep>,
    /// How many paths there are.
    pub count: u64,
}

/// Blocks at the same place of several paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedStep {
    /// Their class.
    pub name: BlockName,
    /// Their key, if all have the same.
    pub key: Option<String>,
    /// True if there are several of the class, one behind the other.
    pub repeated: bool,
    /// The address of the first of them.
    pub example: u64,
}

impl MergedPath {
    /// Merges paths whose roots have one name; the first are those that most have in common.
    #[must_use]
    pub fn of(paths: Vec<HolderPath>, name: &dyn Fn(&PathRoot) -> String) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut places: HashMap<(String, Vec<(BlockName, bool)>), usize> = HashMap::new();
        for HolderPath { root, steps } in paths {
            let (root, steps) = (name(&root), folded(steps));
            let classes = steps.iter().map(|step| (step.name.clone(), step.repeated)).collect();
            let at = *places.entry((root.clone(), classes)).or_insert(all.len());
            match all.get_mut(at) {
                Some(merged) => {
                    merged.count += 1;
                    for (step, other) in merged.steps.iter_mut().zip(steps) {
                        step.key = step.key.take().filter(|key| Some(key) == other.key.as_ref());
                    }
                }
                None => all.push(Self { root, steps, count: 1 }),
            }
        }
        all.sort_by_key(|path| std::cmp::Reverse(path.count));
        all
    }
}

/// The steps, each class that follows itself once.
fn folded(steps: Vec<PathStep>) -> Vec<MergedStep> {
    let mut folded: Vec<MergedStep> = Vec::new();
    for PathStep { key, name, address } in steps {
        match folded.last_mut() {
            Some(last) if last.name == name => last.repeated = true,
            _ => folded.push(MergedStep { name, key, repeated: false, example: address }),
        }
    }
    folded
}

/// What a block keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// The block itself and all that would be unreachable without it.
    pub sum: BlockSum,
    /// The same by class, from the one with most bytes on.
    pub classes: Vec<(BlockName, BlockSum)>,
}

impl Retained {
    /// What this block keeps alive: what only it, or what it leads to, has pointers to.
    ///
    /// # Errors
    /// As [`Census::mark`].
    pub fn by(block: &Block, census: &Census, image: &MemoryImage<'_>) -> Result<Self, MarkError> {
        let mut marking = Marking::new(census);
        marking.avoid(block.number);
        census.each_root(image, |place, _, word| marking.root_in(place, word))?;
        let others = marking.finish();
        let mut numbers = vec![block.number];
        let mut seen = others.into_reachable();
        let mut next = 0;
        while let Some(&number) = numbers.get(next) {
            next += 1;
            for (target, _) in census.edges.of(number) {
                if seen.insert(target) {
                    numbers.push(target);
                }
            }
        }
        let (mut sum, mut classes) = (BlockSum::default(), HashMap::new());
        numbers.sort_unstable();
        for block in numbers.into_iter().filter_map(|number| census.block(number)) {
            sum.add(&block);
            classes.entry(census.class_key(&block)).or_insert_with(BlockSum::default).add(&block);
        }
        let named = |(key, sum)| (census.name_of_class(key), sum);
        let mut classes: Vec<_> = classes.into_iter().map(named).collect();
        classes.sort_by(|(a, x), (b, y)| y.bytes.cmp(&x.bytes).then_with(|| a.cmp(b)));
        Ok(Self { sum, classes })
    }
}
