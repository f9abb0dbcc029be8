//! Registers, frames, and how a stack ended.

/// The registers of a thread that unwinding begins with.
///
/// On x86-64 they are rip, rsp and rbp; on aarch64 pc, sp, x29 and x30.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// The instruction pointer: the next instruction of the thread.
    pub ip: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The frame pointer, whether or not the code uses it as one.
    pub fp: u64,
    /// The link register; x86-64 has none, and there its value is not looked at.
    pub lr: u64,
}

/// A stretch of a thread's stack as it was when the thread stood still.
#[derive(Clone, Copy, Debug)]
pub struct StackCopy<'a> {
    /// The address of the first byte, most often the stack pointer.
    pub base: u64,
    /// The bytes from there on, towards the callers.
    pub bytes: &'a [u8],
}

/// An image's number: a file of one content, the vdso, or the code that one process has generated.
///
/// The number is the same wherever and whenever an image is mapped, as long as
/// [`Images`](crate::Images) remembers it. It is never given to another image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub(crate) u32);

/// Where a thread was, or where it will return to: an address in an image.
///
/// It is not tied to where the image was mapped, so equal frames of two looks, of two runs of one
/// program, or of a library that was loaded twice, are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The image.
    pub image: ImageId,
    /// The address as the file's own program headers count it (the one that `nm` and `addr2line`
    /// show). In generated code, and where the file could not be read, see [`Name`](crate::Name).
    pub address: u64,
    /// True where a call will return to `address`, so that the call stands before it; false where the
    /// thread was at `address` itself: the first frame, and one that a signal interrupted.
    pub call: bool,
}

impl Frame {
    /// The address to look up: the last byte of the call, since a call may be its function's last
    /// instruction.
    #[must_use]
    pub fn lookup(&self) -> u64 {
        self.address.saturating_sub(u64::from(self.call))
    }
}

/// How a stack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the root: the unwind table says that the last frame has no caller (`_start`, `clone`), or
    /// its return address is 0.
    Root,
    /// The chain of frame pointers ended in a 0, in code without an unwind table. So the ABIs mark the
    /// outermost frame; but code that uses the register for something else can look the same.
    FramePointersEnd,
    /// The copy of the stack ended before the stack did.
    Cut {
        /// How many bytes more, at least, the next frame needs.
        missing: u64,
    },
    /// The stack makes no sense from here on.
    Broken(Break),
    /// There were more frames than [`MAX_FRAMES`](crate::MAX_FRAMES).
    Deep,
}

/// Why a stack makes no sense any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The next address is in no executable mapping.
    NoCode {
        /// That address.
        address: u64,
    },
    /// The next frame would lie below this one.
    Backwards,
    /// What the next frame needs is not on this stack, as where a signal's handler has one of its own;
    /// or its table asks for a register that was not given.
    NotOnStack,
}

impl End {
    /// True where all frames are there: the stack was followed to the thread's start.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Root | Self::FramePointersEnd)
    }
}
