//! The memory image of a process: what lies where in its memory, its threads' registers, and the bytes
//! by their address.
//!
//! An image is of a copy of a running process ([`Snapshot`]), of a process that is stopped
//! ([`MemoryImage::of_stop`]), of a core file ([`MemoryImage::of_core`]), or of parts that the caller has
//! ([`MemoryImage::of_parts`]). Whoever reads one can't tell which. It does not change while it is read.
//!
//! ```no_run
//! use seepmeter_snapshot::{Snapshot, SnapshotOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let snapshot = Snapshot::take(4711, SnapshotOptions::default())?;
//! // The process runs on; it stood still for `snapshot.pause()`.
//! let image = snapshot.image();
//! for thread in image.threads() {
//!     let top_of_stack: Option<u64> = image.word(thread.stack_pointer);
//! #   let _ = top_of_stack;
//! }
//! // A read that fails is memory that can't be read; this says whether the process has gone.
//! image.check()?;
//! drop(image);
//! snapshot.end()?;
//! # Ok(())
//! # }
//! ```
//!
//! The bytes are another program's, and may be anything: no read panics, and each reads at most what
//! the caller has room for.
//!
//! What an image does not have, as of now: vector registers.

mod core_file;
mod error;
mod fork;
mod image;
mod live;
mod window;

pub use error::SnapshotError;
pub use fork::{KernelWords, Refusal, ResidentPages, Snapshot, SnapshotOptions};
pub use image::{ImageThread, Machine, MemoryImage, MemorySource, Region, SnapshotMemory};
pub use window::Window;
