//! What this process found when it began.
//!
//! Before main, Rust's runtime opens /dev/null in place of standard streams that are closed, and ignores
//! SIGPIPE (std, `sys/pal/unix/mod.rs`, `init`). A program that seepmeter spawns should find both as
//! seepmeter found them, and so the signals that seepmeter itself ignores or stops ignoring. So they are
//! read earlier still, where the C library runs what stands in `.init_array`. The runtime's third change,
//! handlers for SIGSEGV and SIGBUS on a stack of their own, is undone by the exec.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal};

use crate::signals::{is_ignored, set_disposition};

/// The descriptors of the standard streams.
const STREAMS: std::ops::Range<RawFd> = 0..3;

/// The signals whose dispositions are changed: Rust's runtime ignores SIGPIPE, on which a program that writes
/// into a closed pipe counts; the other two are set by [`Signals::take`](crate::Signals::take).
const SIGNALS: [Signal; 3] = [Signal::SIGPIPE, Signal::SIGXFSZ, Signal::SIGCHLD];

/// A bit for each of the standard streams that was closed, and behind them one for each signal that was
/// ignored.
static FOUND: AtomicU8 = AtomicU8::new(0);

// SAFETY: a function of the type that the C library calls there; it touches an atomic and asks the
// kernel, which needs nothing of what Rust's runtime sets up later.
#[used]
#[unsafe(link_section = ".init_array")]
static ASK_EARLY: extern "C" fn() = ask_early;

extern "C" fn ask_early() {
    // SAFETY: F_GETFD reads a flag of a descriptor, and fails if there is none.
    let closed = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == -1;
    let mut found = STREAMS.filter(closed).map(|fd| 1 << fd).sum();
    for (signal, bit) in ignored_bits() {
        if is_ignored(signal).unwrap_or(false) {
            found |= bit;
        }
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

fn ignored_bits() -> impl Iterator<Item = (Signal, u8)> {
    SIGNALS.into_iter().zip((STREAMS.end..).map(|bit| 1 << bit))
}

/// Ignores those signals that were ignored when this process began, and lets the others that it has changed
/// do what they do by default. Async-signal-safe, for a child between fork and exec.
///
/// # Errors
/// What sigaction(2) fails with.
pub fn ignore_as_found() -> Result<(), Errno> {
    let found = FOUND.load(Ordering::Relaxed);
    ignored_bits().try_for_each(|(signal, bit)| match found & bit {
        0 => set_disposition(signal, SigHandler::SigDfl),
        _ => set_disposition(signal, SigHandler::SigIgn),
    })
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
