//! Emits the stacks of sampled threads as images, frames and stacks, each once: what every sampler with
//! stacks shares.
//!
//! ```
//! use seepmeter_plugin::StreamBuffer;
//! use seepmeter_plugin::record::Record;
//! use seepmeter_stacks::{StackTable, TargetCode};
//! use seepmeter_symbols::{StackCopy, UnwindRegisters};
//!
//! // One table for a sampler, and the code of each target.
//! let mut stream = StreamBuffer::new();
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
//! let sampled = table.stack(&code, &registers, copy, &mut stream);
//!
//! // What is new was emitted: two frames, and the stack.
//! let [Record::Frame(inner), Record::Frame(outer), Record::Stack(stack)] = stream.records() else {
//!     panic!("{:?}", stream.records());
//! };
//! assert_eq!((inner.image, inner.address), (None, 0x5500_0010));
//! assert_eq!((stack.id, &stack.frames), (sampled.id, &vec![inner.id, outer.id]));
//! assert_eq!(stack.truncated, None);
//!
//! // The same stack again is the same id, and nothing is emitted.
//! let copy = StackCopy { base: registers.sp, bytes: copy.bytes };
//! assert_eq!(table.stack(&code, &registers, copy, &mut stream).id, sampled.id);
//! assert_eq!(stream.records().len(), 3);
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

mod definition;
mod program;
mod table;
mod target_code;

pub use definition::StackKind;
pub use table::{INNERMOST_FRAMES, MAX_STACKS, OUTERMOST_FRAMES, SampledStack, StackTable};
pub use target_code::{FIRST_DEPTH, TargetCode};
