//! The memory image of a process: what lies where in its memory, its threads' registers, and the bytes
//! by their address.
//!
//! An image is of a process that is stopped ([`MemoryImage::of_stop`]), of a core file
//! ([`MemoryImage::of_core`]), or of parts that the caller has ([`MemoryImage::of_parts`]). Whoever
//! reads one can't tell which. It does not change while it is read.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use seepmeter_snapshot::MemoryImage;
//! use seepmeter_tracer::{Tracee, TraceeOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut tracee = Tracee::new(4711, TraceeOptions::default())?;
//! let stop = tracee.stop(Instant::now() + Duration::from_millis(10))?;
//! let image = MemoryImage::of_stop(&stop)?;
//! for thread in image.threads() {
//!     let top_of_stack: Option<u64> = image.word(thread.stack_pointer);
//! #   let _ = top_of_stack;
//! }
//! // A read that fails is memory that can't be read; this says whether the process has gone.
//! image.check()?;
//! # Ok(())
//! # }
//! ```
//!
//! The bytes are another program's, and may be anything: no read panics, and each reads at most what
//! the caller has room for.
//!
//! What an image does not have, as of now: a forked copy of the process as its source, and vector
//! registers.
#![forbid(unsafe_code)]

mod core_file;
mod error;
mod image;
mod live;
mod window;

pub use error::SnapshotError;
pub use image::{ImageThread, Machine, MemoryImage, MemorySource, Region, SnapshotMemory};
pub use window::Window;
