//! The heaps of a process, read from its memory image: every block, and which of them are reachable.
//!
//! ```no_run
//! use seepmeter_heap::{Census, Limits, Reachability};
//! use seepmeter_snapshot::MemoryImage;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let image = MemoryImage::of_core("core.4711")?;
//! let census = Census::take(&image, &Limits::default())?;
//! let marks = census.mark(&image)?;
//! for block in census.blocks() {
//!     if marks.of(&block) == Reachability::Unreachable {
//!         // Nobody has a pointer to it now. Only a second image can say that it has leaked.
//! #       let _ = (block.address, block.size);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - A *block* is what one call of malloc, or of CPython's pymalloc, has returned.
//! - [`Census::take`] finds the allocators by the shape of their tables, never by a version or a symbol, and
//!   then checks what it has walked against the allocator's own figures. If anything disagrees there is no
//!   census: a [`CensusError`] says which check it was. So the blocks of a census are all blocks.
//! - [`Census::mark`] follows every word that may be a pointer, from registers, stacks, data of programs and
//!   libraries, and all other writable memory.
//! - [`Leaks::confirm`] has the blocks that are unreachable in two images ([`UnreachableBlocks`] of the first), and
//!   [`ClassGrowth::between`] what has grown between them.
//! - [`Paths`] are shortest paths from roots to blocks, [`ClassHolders`] those to a sample of a class, and
//!   [`Retained`] is what a block keeps alive.
//!
//! # Allocators
//!
//! | allocator | what is done |
//! |---|---|
//! | glibc's malloc 2.30–2.44, x86-64 | walked: arenas, mmapped chunks, thread caches, fast bins, bins, top. Run by the tests on the machine's own; 2.42 and later are written by the reference |
//! | CPython's pymalloc 3.8–3.14 | its pools are walked; objects, in pools or not, have types, with a GIL and without PYTHONMALLOC=debug |
//! | others | named ([`Census::other_allocators`]); their memory is taken as roots |
//!
//! # Memory
//!
//! A census takes 3.1 % of the size of the heaps for the index, 4 bytes for each block (12 in a process with
//! CPython), and 4 bytes for each word of a block that points into a heap. [`Limits`] bounds both. The image's bytes may be
//! anything: no list is followed further than the number of chunks that were walked.
#![forbid(unsafe_code)]

mod account;
mod census;
mod class;
mod error;
mod glibc;
mod growth;
mod index;
mod leaks;
mod mark;
mod other;
mod paths;
mod pymalloc;
mod python;

pub use account::{Account, AccountItem};
pub use census::{Block, BlockOrigin, Census, FreeBytes, KnownBlocks, Limits};
pub use class::{BlockClass, BlockName, BlockSum};
pub use error::{CensusError, LayoutCheck, MarkError};
pub use growth::{ClassGrowth, ClassHolders};
pub use leaks::{LeakGroup, LeakShape, Leaks, UnreachableBlocks};
pub use mark::{Marks, MissingRoots, Reachability};
pub use other::OtherAllocator;
pub use paths::{HolderPath, MergedPath, MergedStep, PathRoot, PathStep, Paths, Retained};
pub use python::PythonBlock;
