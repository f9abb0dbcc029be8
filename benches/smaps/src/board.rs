//! What target and bench tell each other: a page of counters in a memfd.

use std::fs::File;
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PHASES: usize = 256;

/// The page.
#[repr(C)]
pub(crate) struct Board {
    /// Set by the target when its mappings stand.
    pub(crate) ready: AtomicU64,
    /// The phase that is being counted, set by the bench.
    pub(crate) phase: AtomicU64,
    /// How many MiB the growing mapping should have, set by the bench.
    pub(crate) grow: AtomicU64,
    counters: [Counters; PHASES],
}

/// What the target counts in one phase.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) rounds: AtomicU64,
    /// Nanoseconds in rounds that waited for a lock.
    pub(crate) blocked: AtomicU64,
    /// The longest of them.
    pub(crate) worst: AtomicU64,
}

impl Board {
    /// A new page, and the file to hand to the target; it survives an exec.
    pub(crate) fn create() -> Result<(&'static Self, File), Error> {
        // SAFETY: the name is a string that ends in a zero, and no flags are given.
        let fd = unsafe { libc::memfd_create(c"board".as_ptr(), 0) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and is nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(size_of::<Self>() as u64)?;
        Ok((Self::map(&file)?, file))
    }

    /// The page of this file, mapped for as long as the process lives.
    pub(crate) fn map(file: &File) -> Result<&'static Self, Error> {
        let (size, fd) = (size_of::<Self>(), file.as_raw_fd());
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping anywhere harms nothing.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size, access, libc::MAP_SHARED, fd, 0) };
        if at == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        // SAFETY: the mapping is as long as the type, is never unmapped, starts as zeros, which are
        // atomics, and both processes touch it through atomics alone.
        Ok(unsafe { &*at.cast::<Self>() })
    }

    pub(crate) fn of(&self, phase: u64) -> &Counters {
        &self.counters[usize::try_from(phase).unwrap_or(0) % PHASES]
    }

    /// The counters of the running phase.
    pub(crate) fn now(&self) -> &Counters {
        self.of(self.phase.load(Relaxed))
    }
}
