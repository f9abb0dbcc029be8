//! What the targets have in common.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::str::FromStr;

use nix::libc::c_void;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// The n-th argument after the target's name (which is the 0th), if it is given and is what is asked for.
#[must_use]
pub fn argument<T: FromStr>(n: usize) -> Option<T> {
    std::env::args_os().nth(n + 1)?.to_str()?.parse().ok()
}

/// The arguments from the n-th behind the target's name on.
pub fn arguments_from(n: usize) -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(n + 1)
}

/// Prints a line on standard output, at once.
pub fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // Whoever listened may be gone; that is no concern of a target's.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Waits for a line on standard input, or its end.
pub fn wait_for_line() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Waits for the end of standard input.
pub fn read_to_end() {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
}

/// Ends the process.
#[allow(clippy::exit, reason = "a target may end as it likes")]
pub fn end_with(status: i32) -> ! {
    std::process::exit(status)
}

/// Memory straight from the kernel, every page of it touched; no allocator keeps it when it is dropped.
#[derive(Debug)]
pub struct Block {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Block {
    /// So many MiB.
    #[must_use]
    pub fn of_mib(mib: usize) -> Self {
        Self::of_bytes(mib << 20)
    }

    /// So many bytes, and at least one.
    #[must_use]
    pub fn of_bytes(bytes: usize) -> Self {
        let length = NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN);
        let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
        // SAFETY: a new anonymous mapping, at an address that the kernel chooses.
        let start = unsafe { mmap_anonymous(None, length, prot, flags) }.expect("memory");
        // SAFETY: all of the mapping is ours and writable.
        unsafe { start.cast::<u8>().as_ptr().write_bytes(1, length.get()) };
        Self { start, length }
    }
}

impl Block {
    /// Lets the kernel take the memory when it needs it: MADV_FREE of madvise(2). Until then it is resident.
    pub fn give_back(&self) {
        let (start, length) = (self.start, self.length.get());
        // SAFETY: the mapping is ours, and nobody reads it again.
        unsafe { madvise(start, length, MmapAdvise::MADV_FREE) }.expect("MADV_FREE");
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

// SAFETY: the block is plain memory that belongs to whoever has it.
unsafe impl Send for Block {}
