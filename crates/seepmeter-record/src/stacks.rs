//! The stacks that a stream has defined.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Frame, FrameId, Image, ImageId, Record, Stack, StackId};

/// The images, frames and stacks that a stream has defined so far.
#[derive(Debug, Default)]
pub struct StackDefinitions {
    images: HashMap<ImageId, Arc<Image>>,
    frames: HashMap<FrameId, Arc<Frame>>,
    stacks: HashMap<StackId, Arc<Stack>>,
}

impl StackDefinitions {
    /// Takes in a definition; other records pass.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Image(image) => {
                self.images.insert(image.id, Arc::clone(image));
            }
            Record::Frame(frame) => {
                self.frames.insert(frame.id, Arc::clone(frame));
            }
            Record::Stack(stack) => {
                self.stacks.insert(stack.id, Arc::clone(stack));
            }
            _ => {}
        }
    }

    /// A stack by its number.
    #[must_use]
    pub fn stack(&self, id: StackId) -> Option<&Arc<Stack>> {
        self.stacks.get(&id)
    }

    /// The frames of a stack, the innermost first.
    pub fn frames(&self, stack: &Stack) -> impl DoubleEndedIterator<Item = &Arc<Frame>> {
        stack.frames.iter().filter_map(|id| self.frames.get(id))
    }

    /// The image of a frame.
    #[must_use]
    pub fn image(&self, frame: &Frame) -> Option<&Arc<Image>> {
        self.images.get(&frame.image?)
    }
}
