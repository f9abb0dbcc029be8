//! What this process found when it began.
//!
//! Before main, Rust's runtime opens /dev/null in place of standard streams that are closed, and ignores
//! SIGPIPE (std, `sys/pal/unix/mod.rs`, `init`). A program that seepmeter spawns should find both as
//! seepmeter found them. So they are read earlier still, where the C library runs what stands in
//! `.init_array`. The runtime's third change, handlers for SIGSEGV and SIGBUS on a stack of their own, is
//! undone by the exec.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

/// The descriptors of the standard streams.
const STREAMS: std::ops::Range<RawFd> = 0..3;

/// A bit for each of the standard streams that was closed, and [`PIPE_IGNORED`].
static FOUND: AtomicU8 = AtomicU8::new(0);

/// The bit for SIGPIPE.
const PIPE_IGNORED: u8 = 1 << 3;

// SAFETY: a function of the type that the C library calls there; it touches an atomic and asks the
// kernel, which needs nothing of what Rust's runtime sets up later.
#[used]
#[unsafe(link_section = ".init_array")]
static ASK_EARLY: extern "C" fn() = ask_early;

extern "C" fn ask_early() {
    // SAFETY: F_GETFD reads a flag of a descriptor, and fails if there is none.
    let closed = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == -1;
    let mut found = STREAMS.filter(closed).map(|fd| 1 << fd).sum();
    if crate::signals::is_ignored(nix::sys::signal::SIGPIPE).unwrap_or(false) {
        found |= PIPE_IGNORED;
    }
    FOUND.store(found, Ordering::Relaxed);
}

/// True if this descriptor of a standard stream was closed when this process began. Now it is /dev/null.
#[must_use]
pub fn was_closed(stream: RawFd) -> bool {
    STREAMS.contains(&stream) && FOUND.load(Ordering::Relaxed) & (1 << stream) != 0
}

/// True if this process has more rights than whoever started it: AT_SECURE of getauxval(3), which the kernel
/// sets for a file that is setuid, setgid or has capabilities, and where a security module wants it.
#[must_use]
pub fn raised_rights() -> bool {
    // SAFETY: reads a word that the kernel has put there at the exec.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// True if SIGPIPE was ignored when this process began.
pub(crate) fn ignored_pipe() -> bool {
    FOUND.load(Ordering::Relaxed) & PIPE_IGNORED != 0
}

/// Closes standard output and error if they were closed when this process began. Async-signal-safe, for a
/// child between fork and exec that has a standard input of its own.
pub fn close_outputs_as_found() {
    close_as_found(1..3);
}

/// Closes those of the standard streams that were closed. Async-signal-safe, for a child between fork and
/// exec.
pub(crate) fn close_streams_as_found() {
    close_as_found(STREAMS);
}

fn close_as_found(streams: std::ops::Range<RawFd>) {
    for fd in streams.filter(|fd| was_closed(*fd)) {
        // SAFETY: the child's own copy of the /dev/null that the runtime opened; nothing of it is used.
        unsafe { libc::close(fd) };
    }
}
