//! What is emitted of images, frames and stacks.

use std::os::unix::ffi::OsStrExt;

use seepmeter_plugin::record::{Bytes, ImageId, InlinedCall, hex};
use seepmeter_plugin::{NewFrame, Stream};
use seepmeter_symbols::{Function, ImageIdentity, ImageKind, ResolvedFrame, StackEnd};

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

impl StackKind {
    /// Why the stack ends before its outermost frame, in a word; none if it does not.
    #[must_use]
    pub fn truncated(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Cut => Some("cut"),
            Self::Broken => Some("broken"),
            Self::Deep => Some("deep"),
            Self::Unknown => Some("unknown"),
            Self::Others => Some("others"),
        }
    }
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

/// Defines an image. The reason for which a file could not be read stands behind its path.
pub(crate) fn define_image(identity: &ImageIdentity, stream: &mut dyn Stream) -> ImageId {
    let path = match identity.kind {
        ImageKind::Unread(reason) => [&*identity.path, format!(" ({reason})").as_bytes()].concat(),
        ImageKind::File | ImageKind::Vdso | ImageKind::Generated => identity.path.to_vec(),
    };
    let build_id = identity.build_id.as_deref();
    stream.image(path.into(), build_id.map(|id| hex(id).into_boxed_str()))
}

/// A frame in an image that was defined.
pub(crate) fn new_frame(frame: &ResolvedFrame, image: Option<ImageId>) -> NewFrame {
    let address = frame.raw.address;
    let Some((outermost, inlined)) = frame.functions.split_last() else {
        return NewFrame { image, address, ..NewFrame::default() };
    };
    let (file, line) = source(outermost);
    let call = |function: &Function| {
        let (file, line) = source(function);
        InlinedCall { function: (*function.name).into(), file, line }
    };
    NewFrame {
        image,
        address,
        function: Some((*outermost.name).into()),
        file,
        line,
        inlined: inlined.iter().map(call).collect(),
    }
}

/// Stands for frames of a deep recursion that are left out.
pub(crate) fn omitted_frames(count: usize) -> NewFrame {
    let function = format!("[{count} frames left out]");
    NewFrame { function: Some(function.into()), ..NewFrame::default() }
}

fn source(function: &Function) -> (Option<Bytes>, Option<u32>) {
    match &function.source {
        Some(source) => (Some(source.file.as_os_str().as_bytes().into()), source.line),
        None => (None, None),
    }
}
