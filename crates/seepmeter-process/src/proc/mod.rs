//! The readers of procfs, one for each file that Seepmeter reads.
//!
//! A [`ProcRoot`] is where procfs is mounted, `/proc` or a made-up tree in a test. A [`ProcFolder`] is
//! the folder of one process in it, or of one of its threads: both hold files of the same names. Files
//! that are read at every tick are kept open: [`StatmFile`] and [`StatusFile`].
//!
//! Every reader distinguishes a process that has ended ([`ProcError::Gone`]) from any other failure,
//! and a parse error carries the path, the line and the item.
//!
//! ```
//! use seepmeter_process::proc::ProcRoot;
//!
//! let own = ProcRoot::default().own();
//! assert!(own.statm()?.resident > 0);
//! assert_eq!(own.stat()?.ppid, std::os::unix::process::parent_id().cast_signed());
//! # Ok::<(), seepmeter_process::proc::ProcError>(())
//! ```

mod children;
mod error;
mod folder;
mod rollup;
mod stat;
mod statm;
mod status;
pub(crate) mod text;

pub use error::ProcError;
pub use folder::{ProcFolder, ProcRoot};
pub use rollup::SmapsRollup;
pub use stat::Stat;
pub use statm::{StatmFile, StatmPages};
pub use status::{Status, StatusFile};
