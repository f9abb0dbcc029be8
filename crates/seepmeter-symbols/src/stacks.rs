//! Vectors of frames, each of them kept once.

use std::collections::HashMap;

use crate::frame::Frame;

/// A stack's number. Equal stacks have equal numbers, for as long as one [`Stacks`] lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(u32);

impl StackId {
    /// The number itself.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Which stack it is, and whether it was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interned {
    /// The stack.
    pub id: StackId,
    /// True where it is seen for the first time.
    pub new: bool,
}

/// All stacks that were seen, as a tree from their roots: stacks that begin in `main` share what they
/// have in common, and one more stack costs no more than the frames that are its own.
///
/// ```
/// # use seepmeter_symbols::Stacks;
/// let mut stacks = Stacks::new(100_000);
/// let first = stacks.intern(&[]).unwrap();
/// assert!(first.new);
/// assert_eq!(stacks.intern(&[]).unwrap().id, first.id);
/// ```
#[derive(Debug)]
pub struct Stacks {
    nodes: Vec<Node>,
    children: HashMap<(u32, Frame), u32>,
    limit: usize,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    /// None at the root of the tree alone, which is the stack of no frames.
    frame: Option<Frame>,
    seen: bool,
}

impl Stacks {
    /// Keeps at most `limit` frames, counted as the tree has them: about 80 bytes each.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let root = Node { parent: 0, frame: None, seen: false };
        Self { nodes: vec![root], children: HashMap::new(), limit: limit.min(u32::MAX as usize) }
    }

    /// The number of a stack, its frames given from the innermost on. None where it is a new one and
    /// there is no room for it any more; then nothing is kept of it.
    pub fn intern(&mut self, frames: &[Frame]) -> Option<Interned> {
        let (mut at, mut known) = (0, 0);
        for frame in frames.iter().rev() {
            let Some(&child) = self.children.get(&(at, *frame)) else { break };
            (at, known) = (child, known + 1);
        }
        let rest = &frames[..frames.len() - known];
        if self.len() + rest.len() > self.limit {
            return None;
        }
        for frame in rest.iter().rev() {
            at = self.grow(at, *frame);
        }
        let node = &mut self.nodes[at as usize];
        let new = !std::mem::replace(&mut node.seen, true);
        Some(Interned { id: StackId(at), new })
    }

    fn grow(&mut self, parent: u32, frame: Frame) -> u32 {
        // The limit is below 2^32.
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { parent, frame: Some(frame), seen: false });
        self.children.insert((parent, frame), number);
        number
    }

    /// The frames of a stack, from the innermost on.
    pub fn frames(&self, id: StackId) -> impl Iterator<Item = &Frame> {
        let mut at = id.0;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.parent;
            node.frame.as_ref()
        })
    }

    /// How many frames are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ImageId;

    fn stack(addresses: &[u64]) -> Vec<Frame> {
        let frame = |&address| Frame { image: ImageId(1), address, call: true };
        addresses.iter().map(frame).collect()
    }

    #[test]
    fn equal_stacks_are_one_and_their_frames_come_back() {
        let mut stacks = Stacks::new(100);
        let one = stacks.intern(&stack(&[3, 2, 1])).unwrap();
        let other = stacks.intern(&stack(&[4, 2, 1])).unwrap();
        assert!(one.new && other.new && one.id != other.id);
        assert_eq!(stacks.intern(&stack(&[3, 2, 1])), Some(Interned { id: one.id, new: false }));
        let frames: Vec<Frame> = stacks.frames(one.id).copied().collect();
        assert_eq!(frames, stack(&[3, 2, 1]));
        assert_eq!(stacks.len(), 4);
    }

    #[test]
    fn a_stack_that_ends_inside_another_is_a_stack_of_its_own() {
        let mut stacks = Stacks::new(100);
        stacks.intern(&stack(&[3, 2, 1])).unwrap();
        let caller = stacks.intern(&stack(&[2, 1])).unwrap();
        assert!(caller.new);
        assert!(!stacks.intern(&stack(&[2, 1])).unwrap().new);
    }

    #[test]
    fn a_new_stack_is_refused_where_there_is_no_room_and_an_old_one_is_not() {
        let mut stacks = Stacks::new(3);
        let one = stacks.intern(&stack(&[3, 2, 1])).unwrap();
        assert_eq!(stacks.intern(&stack(&[4, 2, 1])), None);
        assert_eq!(stacks.len(), 3);
        assert_eq!(stacks.intern(&stack(&[3, 2, 1])).unwrap().id, one.id);
    }
}
