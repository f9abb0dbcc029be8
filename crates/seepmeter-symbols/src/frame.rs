//! Registers, frames before they are resolved, and how a stack ended.

/// The registers of a thread that unwinding begins with.
///
/// On x86-64 they are rip, rsp and rbp; on aarch64 pc, sp, x29 and x30.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnwindRegisters {
    /// The instruction pointer: the next instruction of the thread.
    pub ip: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The frame pointer, whether or not the code uses it as one.
    pub fp: u64,
    /// The link register; x86-64 has none, and there its value is ignored.
    pub lr: u64,
}

/// A part of a thread's stack, copied while the thread was stopped.
#[derive(Clone, Copy, Debug)]
pub struct StackCopy<'a> {
    /// The address of the first byte, most often the stack pointer.
    pub base: u64,
    /// The bytes from there on, towards the callers.
    pub bytes: &'a [u8],
}

/// Tells images apart: files of one content, the vdso, the code that one process generates.
///
/// The key of an image is the same wherever and whenever it is mapped, for as long as
/// [`Images`](crate::Images) keeps it. It is never given to another image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageKey(pub(crate) u32);

/// A frame before it is resolved: an address in an image, where a thread was or will return to.
///
/// It does not depend on where the image was mapped. So equal frames of two samples, or of a library
/// that was loaded twice, are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawFrame {
    /// The image.
    pub image: ImageKey,
    /// The address in the image, as [`ImageKind`](crate::ImageKind) counts it.
    pub address: u64,
    /// True if a call will return to `address`, so that the call stands before it; false if the
    /// thread was at `address` itself: the first frame, and one that a signal interrupted.
    pub is_return_address: bool,
}

impl RawFrame {
    /// The address to look up: the last byte of the call, since a call may be its function's last
    /// instruction.
    #[must_use]
    pub fn lookup(&self) -> u64 {
        self.address.saturating_sub(u64::from(self.is_return_address))
    }
}

/// How a stack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackEnd {
    /// At the root: the unwind table says that the last frame has no caller (`_start`, `clone`), or
    /// its return address is 0.
    Root,
    /// The chain of frame pointers ended in a 0, in code without an unwind table. This is how the ABIs
    /// mark the outermost frame; but code that uses the register for something else can look the same.
    FramePointersEnd,
    /// The copy of the stack ended before the stack did.
    Cut {
        /// How many bytes more, at least, the next frame needs.
        missing: u64,
    },
    /// The stack makes no sense from here on.
    Broken(UnwindFailure),
    /// There were more frames than [`MAX_FRAMES`](crate::MAX_FRAMES).
    Deep,
}

/// Why a stack can't be unwound any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwindFailure {
    /// The next address is in no executable mapping.
    NoCode {
        /// That address.
        address: u64,
    },
    /// The next frame would lie below this one.
    Backwards,
    /// What the next frame needs is not on this stack, such as when a signal handler has a stack of its
    /// own; or its table asks for a register that was not given.
    NotOnStack,
}

impl StackEnd {
    /// True if all frames are there: the stack was followed to the thread's start.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Root | Self::FramePointersEnd)
    }
}
