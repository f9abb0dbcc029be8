//! What is emitted once: images, frames and stacks, which refer to each other by ids.

use std::rc::Rc;

use seepmeter_symbols::{ImageIdentity, ResolvedFrame, StackEnd};

/// An image's id in one [`StackTable`](crate::StackTable). Ids count from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub u32);

/// A frame's id in one [`StackTable`](crate::StackTable). Ids count from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(pub u32);

/// A stack's id in one [`StackTable`](crate::StackTable). Ids count from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub u32);

/// An image: a file by path and build-id, the vdso, or generated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDefinition {
    /// Its id.
    pub id: ImageId,
    /// Which image it is.
    pub identity: Rc<ImageIdentity>,
}

/// A frame: an address in an image, with its functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameDefinition {
    /// Its id.
    pub id: FrameId,
    /// Its image. None if it is not known.
    pub image: Option<ImageId>,
    /// Its address, and the functions at that address with file and line, the innermost first.
    pub frame: Rc<ResolvedFrame>,
}

/// A stack: a list of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackDefinition {
    /// Its id.
    pub id: StackId,
    /// How far its frames go.
    pub kind: StackKind,
    /// Its frames, the innermost first.
    pub frames: Box<[FrameId]>,
    /// The frames of a deep recursion that are not in `frames`.
    pub omitted: Option<OmittedFrames>,
}

/// Frames that were left out of the middle of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OmittedFrames {
    /// They stood before the frame with this index, counted from the innermost.
    pub before: usize,
    /// How many they are.
    pub count: usize,
}

/// How far the frames of a stack go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackKind {
    /// To the thread's start.
    Whole,
    /// To the end of what was copied of it.
    Cut,
    /// To where it could not be unwound any further.
    Broken,
    /// To the most frames that are unwound, [`MAX_FRAMES`](seepmeter_symbols::MAX_FRAMES).
    Deep,
    /// It has none: the process has ended before its mappings were read.
    Unknown,
    /// It has none: it stands for all new stacks after [`MAX_STACKS`](crate::MAX_STACKS).
    Others,
}

impl From<StackEnd> for StackKind {
    fn from(end: StackEnd) -> Self {
        match end {
            StackEnd::Root | StackEnd::FramePointersEnd => Self::Whole,
            StackEnd::Cut { .. } => Self::Cut,
            StackEnd::Broken(_) => Self::Broken,
            StackEnd::Deep => Self::Deep,
        }
    }
}

/// What is to be emitted, in this order: a definition refers only to those before it.
#[derive(Clone, Copy, Debug)]
#[must_use = "what is taken is not given again"]
pub struct NewDefinitions<'t> {
    /// The new images.
    pub images: &'t [ImageDefinition],
    /// The new frames.
    pub frames: &'t [FrameDefinition],
    /// The new stacks.
    pub stacks: &'t [StackDefinition],
}
