//! Why there is no image.

use std::io;
use std::path::PathBuf;

use seepmeter_process::proc::ProcError;
use seepmeter_tracer::{ForkError, TraceError};

use crate::fork::Refusal;

/// Why there is no image of a process or a core file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A file of /proc could not be read.
    #[error("can't read what memory the process has: {error}{hint}", error = .0, hint = rights(.0))]
    Proc(#[from] ProcError),
    /// The process has ended while it was read, or it can't be read any more.
    #[error("can't read the memory of the process: {0}; it may have ended meanwhile")]
    Memory(#[source] io::Error),
    /// The process may not be traced, or could not be stopped.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The process was stopped, and could not be copied. It runs on as before.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The process should not be copied. It was not touched.
    #[error("process {pid} is not copied: {why}")]
    Refused {
        /// The process.
        pid: i32,
        /// Why not.
        why: Refusal,
    },
    /// The page tables of the copy could not be read.
    #[error("can't read which memory is resident: {0}")]
    PageTables(#[source] io::Error),
    /// The core file could not be read.
    #[error("can't read the core file `{}`: {source}", path.display())]
    CoreFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The file is no core file that can be read.
    #[error("`{}` is no core file that can be read: {reason}", path.display())]
    NoCore {
        /// The file.
        path: PathBuf,
        /// What it is, or what is wrong with it.
        reason: String,
    },
}

fn rights(error: &ProcError) -> &'static str {
    match error.is_denied() {
        true => "; run it as root, or as the process's user if it is dumpable",
        false => "",
    }
}
