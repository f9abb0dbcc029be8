//! Which blocks are reachable.

use std::fmt;
use std::ops::Range;

use seepmeter_record::MappingClass;
use seepmeter_snapshot::{MemoryImage, Region};

use crate::census::{Block, Census};
use crate::error::MarkError;

/// How much of the roots is read at once.
const PIECE: usize = 1 << 20;

/// Whether a block is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reachability {
    /// By pointers to the beginnings of blocks, from a root.
    Reachable,
    /// By pointers of which at least one points into a block, not at its beginning.
    PossiblyReachable,
    /// By no pointer. A block that was just given out may be so for a moment: only one that is unreachable
    /// in a second image too, at the same address and of the same size, may be called leaked.
    Unreachable,
}

/// Where a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RootPlace {
    /// In the data of a program or a library.
    Data,
    /// On a stack.
    Stack,
    /// In other memory.
    Other,
}

/// Which blocks of a census are reachable.
pub struct Marks {
    reachable: BitSet,
    possibly: BitSet,
    unread_roots: u64,
    missing: Option<MissingRoots>,
}

/// Where pointers may be that were not followed: what seems unreachable may be reachable by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingRoots {
    /// So many bytes of writable memory can't be read, such as those of devices.
    Unread(u64),
    /// What the kernel keeps for the process (epoll(7), timers) is not known, as of a core file.
    Kernel,
    /// The kernel keeps pointers for this, and does not say which.
    Kept(&'static str),
}

impl fmt::Display for MissingRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(bytes) => write!(f, "{bytes} B of writable memory can't be read"),
            Self::Kernel => {
                f.write_str("what the kernel keeps for epoll(7) and timers is not known")
            }
            Self::Kept(what) => {
                write!(f, "the kernel keeps pointers for {what}, and does not show them")
            }
        }
    }
}

impl std::error::Error for MissingRoots {}

impl Marks {
    /// Whether this block of the same census is reachable.
    #[must_use]
    pub fn of(&self, block: &Block) -> Reachability {
        if self.reachable.contains(block.number) {
            Reachability::Reachable
        } else if self.possibly.contains(block.number) {
            Reachability::PossiblyReachable
        } else {
            Reachability::Unreachable
        }
    }

    /// All blocks that are reachable, also those that possibly are.
    pub(crate) fn into_reachable(mut self) -> BitSet {
        let words = self.reachable.0.iter_mut().zip(&self.possibly.0);
        words.for_each(|(word, possibly)| *word |= possibly);
        self.reachable
    }

    /// Where pointers may be that were not followed. Then an unreachable block may be reachable, and may not be
    /// called leaked.
    #[must_use]
    pub fn missing_roots(&self) -> Option<MissingRoots> {
        self.missing
    }

    /// How many bytes of writable memory could not be read. If that is not 0 there may be pointers there, and
    /// an unreachable block may not be called leaked.
    #[must_use]
    pub fn unread_roots(&self) -> u64 {
        self.unread_roots
    }
}

/// How many there are, and not which.
impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |bits: &BitSet| bits.0.iter().map(|word| word.count_ones()).sum::<u32>();
        let mut marks = f.debug_struct("Marks");
        marks.field("reachable", &count(&self.reachable));
        marks.field("possibly", &count(&self.possibly)).finish_non_exhaustive()
    }
}

impl Census {
    /// Follows all pointers from the roots: registers, stacks from their stack pointers on, what the kernel keeps,
    /// and all writable memory that is no heap. `image` is the image that the census was taken of.
    ///
    /// # Errors
    /// If the program hides pointers, if the image has no threads, or if it can't be read any more.
    pub fn mark(&self, image: &MemoryImage<'_>) -> Result<Marks, MarkError> {
        let mut marking = Marking::new(self);
        let unread = self.each_root(image, |place, _, word| marking.root_in(place, word))?;
        let missing = match image.kernel_words().map(|it| it.unknown) {
            _ if unread > 0 => Some(MissingRoots::Unread(unread)),
            None => Some(MissingRoots::Kernel),
            Some(unknown) => unknown.map(MissingRoots::Kept),
        };
        Ok(Marks { missing, unread_roots: unread, ..marking.finish() })
    }

    /// Hands on each word that is a root, with where it is: its address, or 0 if it is in no memory. Returns how many bytes of
    /// roots can't be read.
    pub(crate) fn each_root(
        &self,
        image: &MemoryImage<'_>,
        mut each: impl FnMut(RootPlace, u64, u64),
    ) -> Result<u64, MarkError> {
        if let Some(other) = self.others.iter().find(|other| other.hides_pointers()) {
            return Err(MarkError::HiddenPointers(other.name()));
        }
        if image.threads().is_empty() {
            return Err(MarkError::NoThreads);
        }
        let registers = image.threads().iter().flat_map(|thread| &thread.registers);
        registers.for_each(|&word| each(RootPlace::Stack, 0, word));
        let kept = image.kernel_words().into_iter().flat_map(|it| &it.words);
        kept.for_each(|&word| each(RootPlace::Other, 0, word));
        let (mut buffer, mut unread) = (vec![0; PIECE], 0);
        for (place, range) in self.roots(image) {
            unread += image.read_range(range, &mut buffer, |start, bytes| {
                // Whole words: a piece begins at a page, or where a heap ends.
                let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
                (start..).step_by(8).zip(words).for_each(|(at, word)| each(place, at, word));
            });
        }
        image.check()?;
        Ok(unread)
    }

    /// The memory that is read for pointers.
    fn roots(&self, image: &MemoryImage<'_>) -> Vec<(RootPlace, Range<u64>)> {
        let mut roots = Vec::new();
        for (at, region) in image.regions().iter().enumerate() {
            if !(region.perms.write && region.perms.read) {
                continue;
            }
            let before = at.checked_sub(1).and_then(|at| image.regions().get(at));
            let place = match region.class {
                MappingClass::MainStack | MappingClass::ThreadStack => RootPlace::Stack,
                _ if region.is_image_data() => RootPlace::Data,
                // Data that begins as zeros is right behind that of its file.
                _ if region.is_anonymous()
                    && before.is_some_and(|it| it.is_image_data() && it.end == region.start) =>
                {
                    RootPlace::Data
                }
                _ => RootPlace::Other,
            };
            let mut start = stack_start(image, region, before).unwrap_or(region.start);
            let ranges = self.index.ranges();
            let first = ranges.partition_point(|range| range.end <= start);
            for heap in ranges[first..].iter().take_while(|heap| heap.start < region.end) {
                if start < heap.start {
                    roots.push((place, start..heap.start));
                }
                start = start.max(heap.end);
            }
            if start < region.end {
                roots.push((place, start..region.end));
            }
        }
        roots
    }
}

/// Where the used part of a stack begins: at the stack pointer, less what a function may use below it. Only if
/// nothing else can lie before it: it is the main stack, or a guard is right below it.
fn stack_start(image: &MemoryImage<'_>, region: &Region, before: Option<&Region>) -> Option<u64> {
    let guarded = before.is_some_and(|it| it.perms.none() && it.end == region.start);
    let stack = match region.class {
        MappingClass::MainStack => true,
        MappingClass::ThreadStack => guarded,
        _ => false,
    };
    let pointers = image.threads().iter().map(|thread| thread.stack_pointer);
    let lowest = pointers.filter(|pointer| stack && region.range().contains(pointer)).min()?;
    let start = lowest.saturating_sub(image.machine().red_zone()) & !7;
    Some(start.max(region.start))
}

/// The marks, and what is left to follow.
pub(crate) struct Marking<'c> {
    census: &'c Census,
    reachable: BitSet,
    /// Reachable, and not yet followed.
    work: Vec<u32>,
    /// Pointed into, and not yet followed.
    inside: Vec<u32>,
    /// All that were ever in `inside`: each is there once.
    inside_seen: BitSet,
}

impl<'c> Marking<'c> {
    pub(crate) fn new(census: &'c Census) -> Self {
        let blocks = census.index.blocks();
        let [reachable, inside_seen] = [BitSet::new(blocks), BitSet::new(blocks)];
        let (work, inside) = (Vec::new(), Vec::new());
        Self { census, reachable, work, inside, inside_seen }
    }

    /// Nothing is to be reached by way of this block.
    pub(crate) fn avoid(&mut self, block: u32) {
        self.reachable.insert(block);
        self.inside_seen.insert(block);
    }

    /// A word at such a place.
    pub(crate) fn root_in(&mut self, place: RootPlace, word: u64) {
        if let Some((block, exact)) = self.census.index.block_at(word) {
            self.reach(block, exact);
        }
        // While malloc and free are at work a thread may have a pointer to the chunk alone, which is in no block or in
        // the one before.
        if place == RootPlace::Stack
            && let Some(block) = self.census.index.block_of_chunk(word)
        {
            self.reach(block, false);
        }
    }

    fn reach(&mut self, block: u32, exact: bool) {
        if exact && self.reachable.insert(block) {
            self.work.push(block);
        } else if !exact && self.inside_seen.insert(block) {
            self.inside.push(block);
        }
    }

    /// Follows all that was reached.
    pub(crate) fn finish(mut self) -> Marks {
        while let Some(block) = self.work.pop() {
            for (target, exact) in self.census.edges.of(block) {
                self.reach(target, exact);
            }
        }
        let mut possibly = BitSet::new(self.census.index.blocks());
        while let Some(block) = self.inside.pop() {
            if self.reachable.contains(block) {
                continue;
            }
            possibly.insert(block);
            for (target, _) in self.census.edges.of(block) {
                if self.inside_seen.insert(target) {
                    self.inside.push(target);
                }
            }
        }
        Marks { reachable: self.reachable, possibly, unread_roots: 0, missing: None }
    }
}

/// A bit for each block.
pub(crate) struct BitSet(Vec<u64>);

impl BitSet {
    pub(crate) fn new(count: u32) -> Self {
        Self(vec![0; count.div_ceil(64) as usize])
    }

    fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// True if it was not there.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let Some(word) = self.0.get_mut(number as usize / 64) else { return false };
        let new = *word >> (number % 64) & 1 == 0;
        *word |= 1 << (number % 64);
        new
    }
}
