//! Where code stands: images, frames and stacks, each defined once and named by its number.

use serde::{Deserialize, Serialize};

use super::{FrameId, ImageId, StackId};
use crate::Bytes;
use crate::jsonl::limits;

/// Defines a file that holds code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its number in this stream.
    pub id: ImageId,
    /// Its path as the target has it, or what the kernel calls it (`[vdso]`).
    pub path: Bytes,
    /// Its build-id in hexadecimal digits (the note NT_GNU_BUILD_ID), where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<Box<str>>,
}

/// Defines an address in an image, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its number in this stream.
    pub id: FrameId,
    /// Where it is; none for code that is in no file, as a JIT compiler makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// The address in the image, as the symbols of the image count addresses; of code that is in no
    /// file, the address in memory.
    pub address: u64,
    /// The function, where its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Bytes>,
    /// The source file, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Bytes>,
    /// The line in that file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The calls that the compiler has inlined here, the innermost first. The function above is the
    /// outermost, which is the one that really was called.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limits::inlined_calls"
    )]
    pub inlined: Vec<InlinedCall>,
}

/// A call that the compiler has inlined.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InlinedCall {
    /// The function that was inlined.
    pub function: Bytes,
    /// The source file, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Bytes>,
    /// The line in that file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Defines a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Its number in this stream.
    pub id: StackId,
    /// Its frames, the innermost first.
    #[serde(deserialize_with = "limits::frames")]
    pub frames: Vec<FrameId>,
    /// Why it ends before the outermost frame, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Bytes>,
}
