//! From registers and a copy of the stack to frames, and from frames to names.
//!
//! Whoever stops a process takes three things while it stands still: each thread's registers, the
//! upper part of its stack, and the text of /proc/PID/maps. All else is done here when it runs on.
//!
//! ```no_run
//! use seepmeter_symbols::{Images, Process, Registers, StackCopy, Stacks};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (pid, registers, bytes) = (1, Registers::default(), vec![0u8; 8192]);
//! // Once: the files that are known, the process, and the stacks that were seen.
//! let mut images = Images::new();
//! let mut process = Process::new(pid, &mut images);
//! let mut stacks = Stacks::new(250_000);
//!
//! // For each look: its address space, as it was then.
//! let space = process.space(&std::fs::read(format!("/proc/{pid}/maps"))?, &mut images)?;
//! // For each thread: its frames, and how they ended.
//! let mut frames = Vec::new();
//! let stack = StackCopy { base: registers.sp, bytes: &bytes };
//! let end = space.unwind(&registers, stack, &mut frames);
//! // A stack that is new is named, once.
//! if let Some(stack) = stacks.intern(&frames).filter(|stack| stack.new) {
//!     for frame in &frames {
//!         for name in space.name(frame, &mut images).iter() {
//!             println!("{} {name}", stack.id.number());
//!         }
//!     }
//!     println!("{end:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - A [`Frame`] is an address in an image, wherever the image lay: so a stack is the same stack after
//!   a library was loaded again, and in the next run.
//! - Unwinding goes by .eh_frame and .debug_frame, which gimli reads, and by frame pointers where there
//!   is neither. Where a table can't be followed the stack ends there: nothing is guessed past it.
//! - Names are blazesym's, from DWARF with its inlined functions, from separate debug files, from
//!   tables of symbols; perf maps and the vdso are read here.
//! - A file is opened when it is first seen mapped, only if it is the one that is mapped, and it stays
//!   open: what was unloaded, deleted or replaced since is still told right.
//!
//! Everything belongs to one thread.

mod arch;
mod code;
mod decompress;
mod demangle;
mod elf;
mod frame;
mod image;
mod images;
mod name;
mod open;
mod perf_map;
mod process;
mod space;
mod stack;
mod stacks;
mod step;
mod symbols;
mod tables;
mod unwind;
mod vdso;

pub use demangle::demangle;
pub use frame::{Break, End, Frame, ImageId, Registers, StackCopy};
pub use images::{Images, MAX_IDLE_IMAGES, MAX_IDLE_TABLES, MAX_NAMES, MAX_SYMBOLS};
pub use name::Name;
pub use open::Unread;
pub use perf_map::MAX_PERF_MAP;
pub use process::{Error, Process};
pub use space::AddressSpace;
pub use stacks::{Interned, StackId, Stacks};
pub use unwind::MAX_FRAMES;
