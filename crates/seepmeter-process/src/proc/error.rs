//! Why a file of procfs could not be read.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file of procfs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// The process or the thread has ended. This is normal life: it may end between any two reads.
    #[error("{}: the process has ended", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure to read it: no right to, no such file in this kernel.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system call failed with.
        source: io::Error,
    },
    /// Its text is not what the kernel writes.
    #[error("{}, line {line}: cannot parse {item} in {text:?}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What was looked for.
        item: &'static str,
        /// What stands there.
        text: String,
    },
}

impl ProcError {
    /// The error of a system call on `path`. ENOENT and ESRCH mean that the process has ended, unless
    /// the folder of the file is still there: then this kernel has no such file.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let gone = match source.raw_os_error() {
            Some(libc::ESRCH) => true,
            Some(libc::ENOENT) => !path.parent().is_some_and(Path::exists),
            _ => false,
        };
        let path = path.to_owned();
        if gone { Self::Gone { path } } else { Self::Io { path, source } }
    }

    pub(crate) fn parse(path: &Path, line: usize, item: &'static str, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text).trim_end().to_owned();
        Self::Parse { path: path.to_owned(), line, item, text }
    }

    /// True if the process or the thread has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }

    /// True if the file may not be read by this user.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.raw_os_error(), Some(libc::EACCES | libc::EPERM))
    }

    /// True if this kernel has no such file.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.raw_os_error() == Some(libc::ENOENT)
    }

    /// The errno of the system call, if one failed for another reason than an ended process.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            Self::Gone { .. } | Self::Parse { .. } => None,
        }
    }
}

impl From<ProcError> for io::Error {
    /// An ended process is ESRCH.
    fn from(error: ProcError) -> Self {
        match error {
            ProcError::Gone { .. } => Self::from_raw_os_error(libc::ESRCH),
            ProcError::Io { source, .. } => source,
            error @ ProcError::Parse { .. } => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
