//! The process that reads the pipe of marks.
//!
//! It is forked, and never executes anything. It has one descriptor for Seepmeter, one for the pipe, and no
//! others, so it keeps nothing else open. It leaves Seepmeter's session and blocks all signals: what ends
//! Seepmeter must not end it. It ends when Seepmeter is gone and the last writer has closed the pipe.
//!
//! A message to Seepmeter (SOCK_SEQPACKET, so each is whole or not sent at all) is the number of lines that
//! were dropped before it (u64, native), and the bytes of the pipe.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, setsid};

use super::ReceivedMarks;
use super::socket::{MarkSocket, SocketFiles};

/// Bytes of the pipe in one message.
const CHUNK: usize = 32 << 10;

/// The number of dropped lines.
const HEADER: usize = size_of::<u64>();

/// No message, of the relay or to the socket, is received beyond this, in bytes.
pub(super) const LARGEST_MESSAGE: usize = HEADER + CHUNK;

/// So much the pipe takes while the relay waits for a CPU, in bytes, if the system allows it.
const PIPE: i32 = 1 << 20;

/// How long the relay waits for room, in ms: once, and not again before Seepmeter has received something.
/// Meanwhile the pipe takes what is written.
const ROOM_WAIT_MS: i32 = 100;

/// Its two descriptors. All others are closed.
const SEEPMETER: RawFd = 0;
const MARKS: RawFd = 1;

/// Starts the relay, and returns the end on which it sends.
pub(super) fn start(pipe: Option<OwnedFd>, socket: Option<&MarkSocket>) -> io::Result<OwnedFd> {
    let files = socket.map(MarkSocket::files).transpose()?;
    let (seepmeter, relay) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    if let Some(pipe) = &pipe {
        // If it stays at 64 KiB, that is enough mostly.
        // SAFETY: a number, and no memory.
        let _ = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE) };
    }
    let parts = Parts { seepmeter: relay, pipe, files };
    // SAFETY: the child calls async-signal-safe functions only: see `Parts::leave`.
    match unsafe { fork() }? {
        ForkResult::Child => parts.leave(),
        ForkResult::Parent { child } => {
            drop(parts);
            // It forks again and ends, so that the relay is nobody's child and leaves no zombie.
            match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => Ok(seepmeter),
                _ => Err(io::Error::other("the process that reads marks cannot be forked")),
            }
        }
    }
}

/// What a message of the relay says.
pub(super) fn message(bytes: &[u8]) -> ReceivedMarks<'_> {
    match bytes.split_first_chunk() {
        Some((lost, bytes)) => ReceivedMarks::Pipe { bytes, lost: u64::from_ne_bytes(*lost) },
        None => ReceivedMarks::Nothing,
    }
}

/// What the relay is made of.
struct Parts {
    seepmeter: OwnedFd,
    pipe: Option<OwnedFd>,
    files: Option<SocketFiles>,
}

impl Parts {
    /// Becomes the relay, in a child of a child. Nothing here allocates, takes a lock or unwinds.
    fn leave(self) -> ! {
        let _ = setsid();
        // SAFETY: as of the fork before.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {}
            Ok(ForkResult::Parent { .. }) => exit(0),
            Err(_) => exit(1),
        }
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        // SAFETY: numbers, and a string that ends with NUL. The descriptors are this process's own copies, and
        // nothing here uses another.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, c"seepmeter-marks".as_ptr());
            libc::dup2(self.seepmeter.as_raw_fd(), SEEPMETER);
            match &self.pipe {
                Some(pipe) => libc::dup2(pipe.as_raw_fd(), MARKS),
                None => libc::close(MARKS),
            };
            close_from(2);
            libc::chdir(c"/".as_ptr());
        }
        Relay {
            files: self.files.as_ref(),
            has_pipe: self.pipe.is_some(),
            has_reader: true,
            lost: 0,
            full: false,
            buffer: [0; LARGEST_MESSAGE],
        }
        .run()
    }
}

/// Closes all descriptors from this one on.
///
/// # Safety
/// Nothing may use them.
unsafe fn close_from(first: RawFd) {
    // SAFETY: numbers; see above.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 {
            return;
        }
        // Before Linux 5.9.
        let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 1 << 16) as RawFd;
        for fd in first..most {
            libc::close(fd);
        }
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: ends the process without running what Seepmeter registered for its exit.
    unsafe { libc::_exit(status) }
}

/// The relay at work.
struct Relay<'a> {
    files: Option<&'a SocketFiles>,
    /// Somebody can write to the pipe.
    has_pipe: bool,
    /// Seepmeter receives.
    has_reader: bool,
    /// Lines that were dropped since the last message.
    lost: u64,
    /// Seepmeter has made no room for so long that it is not waited for.
    full: bool,
    buffer: [u8; LARGEST_MESSAGE],
}

impl Relay<'_> {
    fn run(mut self) -> ! {
        while self.has_pipe || self.has_reader {
            let [seepmeter, marks] = self.poll(-1);
            if marks {
                self.read();
            }
            // It sends nothing: this is that it is gone, or wants no more.
            if seepmeter {
                self.end();
            }
        }
        exit(0)
    }

    /// Waits a moment for room in what Seepmeter receives.
    fn wait_for_room(&self) {
        let mut fd = libc::pollfd { fd: SEEPMETER, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one entry, as it says.
        unsafe { libc::poll(&raw mut fd, 1, ROOM_WAIT_MS) };
    }

    /// Waits until the descriptors can be read or have ended; a descriptor below 0 is none: poll(2).
    fn poll(&self, timeout: i32) -> [bool; 2] {
        let fd = |has: bool, fd| libc::pollfd {
            fd: if has { fd } else { -1 },
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [fd(self.has_reader, SEEPMETER), fd(self.has_pipe, MARKS)];
        // SAFETY: two entries, as it says.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, timeout) };
        fds.map(|fd| ready > 0 && fd.revents != 0)
    }

    /// Reads from the pipe once, and sends that on if Seepmeter has room for it.
    fn read(&mut self) {
        if self.has_reader && !self.full {
            self.wait_for_room();
        }
        let chunk = &mut self.buffer[HEADER..];
        // SAFETY: the memory is ours, of this length.
        let read = unsafe { libc::read(MARKS, chunk.as_mut_ptr().cast(), chunk.len()) };
        let length = match usize::try_from(read) {
            Ok(length) if length > 0 => length,
            Err(_) if Errno::last() == Errno::EINTR => return,
            _ => {
                self.has_pipe = false;
                return;
            }
        };
        if self.has_reader {
            self.send(length);
        }
    }

    /// Sends on so many bytes of what was read, and how many lines were dropped before.
    fn send(&mut self, length: usize) {
        self.buffer[..HEADER].copy_from_slice(&self.lost.to_ne_bytes());
        let message = &self.buffer[..HEADER + length];
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the memory is ours, of this length.
        let sent = unsafe { libc::send(SEEPMETER, message.as_ptr().cast(), message.len(), flags) };
        self.full = sent == -1;
        self.lost = match sent {
            // Half a line counts as one: without its other half it is lost too.
            -1 => {
                let lines = message[HEADER..].iter().filter(|byte| **byte == b'\n').count();
                self.lost + (lines as u64).max(1)
            }
            _ => 0,
        };
    }

    /// Sends on what is in the pipe now, and then does without Seepmeter.
    fn end(&mut self) {
        // As much as the pipe takes, for a writer that does not stop.
        let mut rest = PIPE as usize / CHUNK;
        while self.has_pipe && rest > 0 && self.poll(0)[1] {
            self.read();
            rest -= 1;
        }
        if self.lost > 0 {
            // No bytes, only the count.
            self.wait_for_room();
            self.send(0);
        }
        if let Some(files) = self.files.take() {
            files.remove();
        }
        self.has_reader = false;
        // SAFETY: a number. Seepmeter learns by it that all is done.
        unsafe { libc::close(SEEPMETER) };
    }
}
