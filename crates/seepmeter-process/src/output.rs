//! Writing to descriptors that others have too.
//!
//! Whether a write waits is a flag of the open file (O_NONBLOCK of open(2)), not of the descriptor: a target
//! that sets it on its standard output, as Node.js does on pipes, sets it for everybody who has inherited
//! the same pipe. EAGAIN then means that the reader is slow, and nothing has failed.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;

use crate::wait::wait_one_writable;

/// Writes to a descriptor, and waits if there is no room, whether or not the descriptor itself does.
#[derive(Debug)]
pub struct WaitingWriter<F>(pub F);

impl<F: AsFd> Write for WaitingWriter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match nix::unistd::write(&self.0, bytes) {
                Err(Errno::EAGAIN) => wait_one_writable(self.0.as_fd(), None).map(drop)?,
                outcome => return Ok(outcome?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes`, but waits no longer than until the deadline for somebody who does not read,
/// whether or not the descriptor itself would.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] after the deadline; what write(2) fails with.
pub fn write_until(fd: impl AsFd, bytes: &[u8], deadline: Instant) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        if !wait_one_writable(fd.as_fd(), Some(deadline))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // What fits a pipe's page is written without waiting if the pipe has room at all.
        match nix::unistd::write(&fd, &rest[..rest.len().min(libc::PIPE_BUF)]) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    /// More than a pipe holds.
    fn bytes() -> Vec<u8> {
        (0..300_000_u32).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn a_pipe_that_does_not_wait_gets_every_byte_all_the_same() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let writing = std::thread::spawn(move || WaitingWriter(writer).write_all(&bytes()));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap().unwrap();
        assert!(read == bytes());
    }

    #[test]
    fn a_bounded_write_ends_if_nobody_reads_and_is_whole_if_somebody_does() {
        for flags in [OFlag::empty(), OFlag::O_NONBLOCK] {
            let (mut reader, writer) = io::pipe().unwrap();
            fcntl(&writer, FcntlArg::F_SETFL(flags)).unwrap();
            let soon = Instant::now() + Duration::from_millis(20);
            let error = write_until(&writer, &bytes(), soon).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let reading = std::thread::spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).map(|_| read)
            });
            write_until(&writer, &bytes(), Instant::now() + Duration::from_secs(60)).unwrap();
            drop(writer);
            assert!(reading.join().unwrap().unwrap().ends_with(&bytes()));
        }
    }
}
