//! From registers and a copy of the stack to frames, and from frames to names.
//!
//! Whoever stops a process takes three things while it is stopped: each thread's registers, the upper
//! part of its stack, and the text of /proc/PID/maps. The rest is done here when the process runs on.
//!
//! ```no_run
//! use seepmeter_symbols::{Images, ProcessCode, StackCopy, UnwindRegisters};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (pid, registers, bytes) = (1, UnwindRegisters::default(), vec![0u8; 8192]);
//! // Once: the files that are known, and the process.
//! let mut images = Images::new();
//! let mut process = ProcessCode::new(pid, &mut images);
//!
//! // For each sample: the address space, as it was then.
//! let space = process.space(&std::fs::read(format!("/proc/{pid}/maps"))?, &mut images)?;
//! // For each thread: its frames, and how they ended.
//! let mut frames = Vec::new();
//! let end = space.unwind(&registers, StackCopy { base: registers.sp, bytes: &bytes }, &mut frames);
//! for frame in &frames {
//!     let resolved = space.resolve(frame, &mut images);
//!     let build_id = resolved.image.as_ref().and_then(|image| image.build_id.as_deref());
//!     println!("{resolved} in {build_id:x?}, at {:#x}", frame.address);
//!     for function in resolved.functions.iter() {
//!         println!("    {} {:?}", function.name, function.source);
//!     }
//! }
//! println!("{end:?}");
//! # Ok(())
//! # }
//! ```
//!
//! - A [`RawFrame`] is an address in an image, wherever the image lay. So a stack is the same stack after
//!   a library was loaded again.
//! - Unwinding goes by .eh_frame and .debug_frame, which gimli reads, and by frame pointers if there is
//!   neither. If a table can't be followed, the stack ends there: nothing is guessed past it.
//! - Names are blazesym's, from DWARF with its inlined functions, from separate debug files, from
//!   tables of symbols; perf maps and the vdso are read here.
//! - A file is opened when it is first seen mapped, only if it is the one that is mapped, and it stays
//!   open: code that was unloaded, deleted or replaced since is still named right.
//!
//! Everything belongs to one thread.

mod arch;
mod code;
mod data;
mod decompress;
mod demangle;
mod elf;
mod frame;
mod image;
mod images;
mod open;
mod perf_map;
mod process;
mod resolved;
mod space;
mod stack;
mod step;
mod symbols;
mod tables;
mod unwind;
mod vdso;

pub use data::DataSymbols;
pub use demangle::demangle;
pub use frame::{ImageKey, RawFrame, StackCopy, StackEnd, UnwindFailure, UnwindRegisters};
pub use images::{Images, MAX_IDLE_IMAGES, MAX_IDLE_TABLES, MAX_NAMES, MAX_SYMBOLS};
pub use open::UnreadReason;
pub use perf_map::MAX_PERF_MAP;
pub use process::{NoMappings, ProcessCode};
pub use resolved::{Function, ImageIdentity, ImageKind, ResolvedFrame, SourceLocation};
pub use space::AddressSpace;
pub use unwind::MAX_FRAMES;
