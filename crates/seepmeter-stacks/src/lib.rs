//! Stacks of sampled threads as images, frames and stacks, each defined once: what every sampler with
//! stacks shares.
//!
//! ```
//! use seepmeter_stacks::{StackKind, StackTable, TargetCode};
//! use seepmeter_symbols::{StackCopy, UnwindRegisters};
//!
//! // One table for a sampler, and the code of each target.
//! let mut table = StackTable::new();
//! let mut code = TargetCode::new(4711, "/proc/4711/maps".into(), &mut table);
//!
//! // While the target was stopped the sampler has copied its maps, and of each thread the registers and
//! // the upper part of the stack. Here: a function that a JIT compiler has made was called by another.
//! let maps = b"55000000-55001000 r-xp 00000000 00:00 0\n\
//!              7ffd0000-7ffe0000 rw-p 00000000 00:00 0 [stack]\n";
//! let stack: Vec<u8> = [0u64, 0x5500_0040].map(u64::to_ne_bytes).concat();
//! let registers = UnwindRegisters { ip: 0x5500_0010, sp: 0x7ffd_0000, fp: 0x7ffd_0000, lr: 0 };
//! code.set_maps(maps, &mut table);
//! let copy = StackCopy { base: registers.sp, bytes: &stack };
//! let sampled = table.stack(&code, &registers, copy);
//!
//! // What is new is emitted, in this order: a definition refers only to those before it.
//! let new = table.take_new();
//! assert_eq!((new.images.len(), new.frames.len(), new.stacks.len()), (1, 2, 1));
//! assert_eq!(new.frames[0].frame.to_string(), "[jit]+0x55000010");
//! assert_eq!(new.frames[0].image, Some(new.images[0].id));
//! assert_eq!((new.stacks[0].id, new.stacks[0].kind), (sampled.id, StackKind::Whole));
//! assert_eq!(*new.stacks[0].frames, [new.frames[0].id, new.frames[1].id]);
//!
//! // The same stack again is the same id, and nothing is new.
//! assert_eq!(table.stack(&code, &registers, copy).id, sampled.id);
//! assert!(table.take_new().stacks.is_empty());
//! ```
//!
//! - [`TargetCode`] is one process: its mappings, and how deep its threads' stacks are. It notices that
//!   the process executes another program.
//! - [`StackTable`] is shared by all targets of a sampler. Two stacks with the same functions are one,
//!   wherever within those functions the threads were; the frames of a stack are those of its first
//!   sample.
//! - Nothing runs in the background: a new stack is named when it is asked for. That can take tens of
//!   milliseconds the first time that a file's symbols are read.
//!
//! Everything belongs to one thread.

mod definitions;
mod program;
mod table;
mod target_code;

pub use definitions::{
    FrameDefinition, FrameId, ImageDefinition, ImageId, NewDefinitions, OmittedFrames,
    StackDefinition, StackId, StackKind,
};
pub use table::{INNERMOST_FRAMES, MAX_STACKS, OUTERMOST_FRAMES, SampledStack, StackTable};
pub use target_code::{FIRST_DEPTH, TargetCode};
