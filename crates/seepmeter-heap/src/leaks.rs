//! Leaked blocks: those that no pointer leads to in two images of a process.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use seepmeter_snapshot::{MemoryImage, Window};

use crate::census::{Block, Census};
use crate::class::{BlockName, BlockSum};
use crate::mark::{Marks, MissingRoots, Reachability};
use crate::python::PythonBlock;

/// So much of a block is compared.
const COMPARED: u64 = 4096;

/// The blocks that were unreachable in one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreachableBlocks {
    /// By address.
    blocks: Vec<UnreachableBlock>,
}

/// A block is the same one in another image if all of this is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnreachableBlock {
    address: u64,
    size: u64,
    /// Of what it holds: nobody can write to a block that has leaked.
    digest: u64,
}

impl UnreachableBlocks {
    /// Those of a census. `image` is the one that it was taken of.
    ///
    /// # Errors
    /// If roots may be missing: then it can't be said of any block.
    pub fn of(
        census: &Census,
        marks: &Marks,
        image: &MemoryImage<'_>,
    ) -> Result<Self, MissingRoots> {
        match marks.missing_roots() {
            Some(missing) => Err(missing),
            None => {
                let blocks = unreachable(census, marks);
                Ok(Self { blocks: digests(census, &blocks, image) })
            }
        }
    }

    fn has(&self, block: &UnreachableBlock) -> bool {
        self.blocks.binary_search(block).is_ok()
    }
}

fn unreachable(census: &Census, marks: &Marks) -> Vec<Block> {
    census.blocks().filter(|block| marks.of(block) == Reachability::Unreachable).collect()
}

fn digests(census: &Census, blocks: &[Block], image: &MemoryImage<'_>) -> Vec<UnreachableBlock> {
    let mut window = Window::new(image, u64::MAX);
    let digest = |&block: &Block| {
        // The collector's links before an object change with its neighbours.
        let start = block.address + census.object_offset(&block);
        let end = block.address.saturating_add(block.size).min(start.saturating_add(COMPARED));
        let mut hasher = DefaultHasher::new();
        for address in (start..end & !7).step_by(8) {
            hasher.write_u64(window.word(address).unwrap_or(0));
        }
        UnreachableBlock { address: block.address, size: block.size, digest: hasher.finish() }
    };
    blocks.iter().map(digest).collect()
}

/// What leaked blocks begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeakShape {
    /// A block that no leaked block points at.
    Block,
    /// Blocks that point at each other, and that no other leaked block points at.
    Cycle,
}

/// Leaks that begin with the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakGroup {
    /// What they begin with.
    pub shape: LeakShape,
    /// The class of the block, or of one in the cycle.
    pub name: BlockName,
    /// How many leaks there are.
    pub leaks: u64,
    /// The blocks that they begin with.
    pub first: BlockSum,
    /// All blocks of them: also those that only leaked blocks lead to. A block that hangs on several leaks counts in
    /// one of them.
    pub blocks: BlockSum,
    /// The address of the first of them.
    pub example: u64,
}

/// The leaked blocks of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// In groups, from the one with most bytes on.
    pub groups: Vec<LeakGroup>,
    /// Blocks that are unreachable in both images, and that CPython's collector will find, since no reference to them is
    /// missing: cycles, and what hangs on them. They are not leaked, unless the collector is off.
    pub collectable: BlockSum,
    /// Blocks that are unreachable in the second image alone.
    pub unconfirmed: BlockSum,
}

impl Leaks {
    /// The blocks that were unreachable in an earlier image and are so in this one, `image`, of which the census is.
    ///
    /// # Errors
    /// If roots may be missing.
    pub fn confirm(
        earlier: &UnreachableBlocks,
        census: &Census,
        marks: &Marks,
        image: &MemoryImage<'_>,
    ) -> Result<Self, MissingRoots> {
        let now = UnreachableBlocks::of(census, marks, image)?;
        let graph = Graph::new(census, unreachable(census, marks));
        let lost = graph.without_collector(image);
        let mut leaks = Self::default();
        let mut leaked = vec![false; graph.nodes.len()];
        for (at, block) in graph.nodes.iter().enumerate() {
            let is_same = now.blocks.get(at).is_some_and(|it| earlier.has(it));
            if !lost[at] && graph.is_dead(at) {
                continue;
            }
            match (is_same, lost[at]) {
                (false, _) => leaks.unconfirmed.add(block),
                (true, false) => leaks.collectable.add(block),
                (true, true) => leaked[at] = true,
            }
        }
        leaks.groups = graph.groups(leaked);
        Ok(leaks)
    }

    /// All leaked blocks.
    #[must_use]
    pub fn sum(&self) -> BlockSum {
        self.groups.iter().map(|group| group.blocks).sum()
    }
}

/// The unreachable blocks, and what leads from one to the other.
struct Graph<'c> {
    census: &'c Census,
    /// By address, and so by number.
    nodes: Vec<Block>,
}

impl<'c> Graph<'c> {
    fn new(census: &'c Census, nodes: Vec<Block>) -> Self {
        Self { census, nodes }
    }

    /// Where the edges of a node lead, as often as there are pointers.
    fn edges(&self, node: usize) -> impl Iterator<Item = usize> {
        let targets = self.census.edges.of(self.nodes[node].number);
        targets.filter_map(|(target, _)| {
            self.nodes.binary_search_by_key(&target, |block| block.number).ok()
        })
    }

    /// True of a dead object that CPython keeps for the next one. What was never written may look like one: if a lost
    /// block leads to it, it is lost too.
    fn is_dead(&self, node: usize) -> bool {
        self.census.python_block(&self.nodes[node]) == Some(PythonBlock::FreeList)
    }

    /// Adds to a set of nodes all that they lead to.
    fn close(&self, set: &mut [bool]) {
        let mut work: Vec<usize> = (0..set.len()).filter(|&node| set[node]).collect();
        while let Some(node) = work.pop() {
            for target in self.edges(node) {
                if !std::mem::replace(&mut set[target], true) {
                    work.push(target);
                }
            }
        }
    }

    /// Which nodes CPython's collector will not free: those that no object in its lists leads to, and those with more
    /// references than there are.
    fn without_collector(&self, image: &MemoryImage<'_>) -> Vec<bool> {
        let mut references = vec![0u64; self.nodes.len()];
        for node in 0..self.nodes.len() {
            self.edges(node).for_each(|target| references[target] += 1);
        }
        let is_counted = |node: usize| {
            let count = self.census.reference_count(&self.nodes[node], image);
            count.is_none_or(|count| count <= references[node])
        };
        let mut collected: Vec<bool> = (0..self.nodes.len())
            .map(|node| self.census.object_offset(&self.nodes[node]) > 0 && is_counted(node))
            .collect();
        self.close(&mut collected);
        let mut lost: Vec<bool> =
            (0..self.nodes.len()).map(|node| !collected[node] || !is_counted(node)).collect();
        self.close(&mut lost);
        lost
    }

    /// The leaked nodes in groups.
    fn groups(&self, leaked: Vec<bool>) -> Vec<LeakGroup> {
        let mut left = leaked;
        let mut is_target = vec![false; left.len()];
        for node in (0..left.len()).filter(|&node| left[node]) {
            self.edges(node).filter(|&target| target != node).for_each(|it| is_target[it] = true);
        }
        let mut groups = HashMap::new();
        for node in 0..left.len() {
            if left[node] && !is_target[node] {
                let blocks = self.take(node, &mut left);
                self.add(&mut groups, LeakShape::Block, &[node], &blocks);
            }
        }
        // What is left is in cycles, or hangs on them. The last node to be left in a search from all of them is in a
        // cycle that no other leads to.
        for node in self.in_order_of_search(&left).into_iter().rev() {
            if left[node] {
                let blocks = self.take(node, &mut left);
                let cycle = self.cycle(node, &blocks);
                self.add(&mut groups, LeakShape::Cycle, &cycle, &blocks);
            }
        }
        let mut groups: Vec<LeakGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.blocks.bytes), group.example));
        groups
    }

    /// Takes a node and all that it leads to.
    fn take(&self, node: usize, left: &mut [bool]) -> Vec<usize> {
        left[node] = false;
        let (mut taken, mut next) = (vec![node], 0);
        while let Some(&node) = taken.get(next) {
            next += 1;
            for target in self.edges(node) {
                if std::mem::replace(&mut left[target], false) {
                    taken.push(target);
                }
            }
        }
        taken
    }

    /// The nodes in the order in which a search in depth leaves them.
    fn in_order_of_search(&self, left: &[bool]) -> Vec<usize> {
        let mut unseen = left.to_vec();
        let mut order = Vec::new();
        for start in 0..left.len() {
            if !std::mem::replace(&mut unseen[start], false) {
                continue;
            }
            let mut path = vec![(start, self.edges(start))];
            while let Some((node, edges)) = path.last_mut() {
                match edges.find(|&target| unseen[target]) {
                    Some(target) => {
                        unseen[target] = false;
                        path.push((target, self.edges(target)));
                    }
                    None => {
                        order.push(*node);
                        path.pop();
                    }
                }
            }
        }
        order
    }

    /// Those of the blocks that lead back to the first of them.
    fn cycle(&self, first: usize, blocks: &[usize]) -> Vec<usize> {
        let mut back: HashMap<usize, Vec<usize>> = HashMap::new();
        for &node in blocks {
            self.edges(node).for_each(|target| back.entry(target).or_default().push(node));
        }
        let mut cycle = vec![first];
        let mut next = 0;
        while let Some(node) = cycle.get(next) {
            next += 1;
            // Each is removed as it is visited, and so is visited once.
            cycle.extend(back.remove(node).unwrap_or_default());
        }
        cycle.sort_unstable();
        cycle.dedup();
        cycle
    }

    fn add(
        &self,
        groups: &mut HashMap<(LeakShape, BlockName), LeakGroup>,
        shape: LeakShape,
        first: &[usize],
        blocks: &[usize],
    ) {
        let names = first.iter().map(|&node| self.census.block_name(&self.nodes[node]));
        // A class of the program's own says most.
        let rank = |name: &BlockName| match name {
            BlockName::PythonObject(name) if name.contains('.') => 0,
            BlockName::PythonObject(_) => 1,
            _ => 2,
        };
        let Some(name) = names.min_by_key(rank) else { return };
        let example = self.nodes[first[0]].address;
        let group = groups.entry((shape, name.clone())).or_insert_with(|| LeakGroup {
            shape,
            name,
            leaks: 0,
            first: BlockSum::default(),
            blocks: BlockSum::default(),
            example,
        });
        group.leaks += 1;
        first.iter().for_each(|&node| group.first.add(&self.nodes[node]));
        blocks.iter().for_each(|&node| group.blocks.add(&self.nodes[node]));
    }
}
