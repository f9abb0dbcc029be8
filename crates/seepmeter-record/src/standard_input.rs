//! Standard input, whoever else has it.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Standard input. If there is nothing to be read yet, reading waits, whether or not the descriptor itself
/// does: that is a flag of the open file (O_NONBLOCK of open(2)), which any program that shares the pipe may
/// set, as Node.js does.
#[must_use]
pub fn standard_input() -> impl Read {
    WaitingReader(io::stdin().lock())
}

/// Waits where the descriptor itself would not.
struct WaitingReader<R>(R);

impl<R: Read + AsFd> Read for WaitingReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
