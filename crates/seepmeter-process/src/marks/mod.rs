//! Marks: lines that a target writes, such as `n 1000`, and how they come to Seepmeter.
//!
//! A target writes them to a pipe that it got as a descriptor, or sends them to a Unix datagram socket. It
//! must neither wait nor die of that, whatever becomes of Seepmeter. A pipe alone can't do it: if nobody has
//! its other end any more, a write kills the writer (SIGPIPE), and if nobody reads, it waits. So the pipe is
//! read by a process that does nothing else, the [relay](relay): it sends on what Seepmeter has room for,
//! counts what it has none for, and reads on when Seepmeter is gone. It removes the socket's file too, however
//! Seepmeter has ended.
//!
//! ```
//! use std::io::Write;
//! use seepmeter_process::marks::{MarkSource, ReceivedMarks};
//!
//! let (mut source, pipe) = MarkSource::open(true, None)?;
//! let mut pipe = pipe.expect("a pipe was asked for");
//! pipe.write_all(b"n 1000\n")?;
//! source.stopper()?.stop();
//! let ReceivedMarks::Pipe { bytes, lost: 0 } = source.receive(None)? else { panic!() };
//! assert_eq!(bytes, b"n 1000\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod relay;
mod socket;

use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};

use self::socket::MarkSocket;
pub use self::socket::MarkSocketError;
use crate::wait::wait_readable;

/// The variable that has the path of the socket.
pub const VARIABLE: &str = "SEEPMETER_MARKS";

/// No line of marks is longer than this, in bytes.
pub const LONGEST_MARK: usize = 512;

/// Where the socket for marks is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketPlace {
    /// In a new folder that nobody else can enter.
    Private,
    /// Here.
    At(PathBuf),
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceivedMarks<'a> {
    /// The next bytes of the pipe, wherever lines end.
    Pipe {
        /// The bytes.
        bytes: &'a [u8],
        /// How many lines were dropped between these and the bytes before, because Seepmeter was too slow.
        lost: u64,
    },
    /// A message to the socket: whole lines, the last of them with or without its end.
    Message {
        /// The lines.
        bytes: &'a [u8],
        /// It was longer than what is received, and the line at which that ends is left out, with all that followed.
        cut: bool,
    },
    /// Nothing until the deadline.
    Nothing,
    /// No more will come.
    End,
}

/// Where marks come from.
#[derive(Debug)]
pub struct MarkSource {
    relay: OwnedFd,
    socket: Option<MarkSocket>,
    buffer: Vec<u8>,
    /// When the relay has sent its last.
    ended: Option<Instant>,
}

/// What was sent to the socket before the end has come so soon after it; who goes on sending is not waited for.
const LAST_MESSAGES: Duration = Duration::from_millis(200);

/// Ends a [`MarkSource`], from any thread.
#[derive(Debug)]
pub struct MarkStopper(OwnedFd);

impl MarkStopper {
    /// What has been written until now will still be received, and then the end.
    pub fn stop(&self) {
        // It fails if the relay is gone, and then the end has come.
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Write);
    }
}

impl MarkSource {
    /// Opens a pipe for marks, if it is asked for, and returns the end to write to; and a socket, if its place is
    /// given.
    ///
    /// # Errors
    /// A socket that can't be made, and what the system calls fail with.
    pub fn open(
        pipe: bool,
        place: Option<&SocketPlace>,
    ) -> Result<(Self, Option<PipeWriter>), MarkSocketError> {
        let socket = place.map(MarkSocket::bind).transpose()?;
        let pipe = if pipe { Some(io::pipe()?) } else { None };
        let (reader, writer) = pipe.unzip();
        let relay = relay::start(reader.map(OwnedFd::from), socket.as_ref())?;
        let buffer = vec![0; relay::LARGEST_MESSAGE];
        Ok((Self { relay, socket, buffer, ended: None }, writer))
    }

    /// The path of the socket.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        self.socket.as_ref().map(MarkSocket::path)
    }

    /// What ends it.
    ///
    /// # Errors
    /// If there can be no other descriptor.
    pub fn stopper(&self) -> io::Result<MarkStopper> {
        Ok(MarkStopper(self.relay.try_clone()?))
    }

    /// Waits for what comes next, no longer than until the deadline.
    ///
    /// # Errors
    /// What ppoll(2) and recv(2) fail with.
    pub fn receive(&mut self, deadline: Option<Instant>) -> io::Result<ReceivedMarks<'_>> {
        if self.ended.is_some_and(|at| at.elapsed() > LAST_MESSAGES) {
            return Ok(ReceivedMarks::End);
        }
        let ended = self.ended.is_some();
        let socket = self.socket.as_ref().map(MarkSocket::as_datagram);
        // Once the relay has ended, what is in the socket is all that comes.
        let deadline = if ended { Some(Instant::now()) } else { deadline };
        let relay = Some(self.relay.as_fd()).filter(|_| !ended);
        let fds: Vec<_> = relay.into_iter().chain(socket.map(AsFd::as_fd)).collect();
        let ready = wait_readable(&fds, deadline)?;
        if !ended && ready.first() == Some(&true) {
            match receive_from_relay(&self.relay, &mut self.buffer)? {
                0 => self.ended = Some(Instant::now()),
                length => return Ok(relay::message(&self.buffer[..length])),
            }
        }
        match socket.map(|socket| receive_message(socket, &mut self.buffer)).transpose()?.flatten()
        {
            Some(Message { length, cut }) => {
                Ok(ReceivedMarks::Message { bytes: &self.buffer[..length], cut })
            }
            None if self.ended.is_some() => Ok(ReceivedMarks::End),
            None => Ok(ReceivedMarks::Nothing),
        }
    }
}

/// The length of the next message of the relay; 0 if no more will come.
fn receive_from_relay(relay: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(relay.as_raw_fd(), buffer, MsgFlags::empty()) {
            // The relay was killed while it had something to read.
            Err(Errno::ECONNRESET) => return Ok(0),
            Err(Errno::EINTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// What of a message to the socket is in the buffer.
struct Message {
    length: usize,
    cut: bool,
}

/// The next message, if there is one.
fn receive_message(socket: &UnixDatagram, buffer: &mut [u8]) -> io::Result<Option<Message>> {
    // With MSG_TRUNC it is the length of the message, and not of what was received: recv(2).
    match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
        Ok(length) if length <= buffer.len() => Ok(Some(Message { length, cut: false })),
        Ok(_) => {
            // Half a line is no mark, and half a number a wrong one.
            let length = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            Ok(Some(Message { length, cut: true }))
        }
        Err(Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_at_which_a_long_message_is_cut_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let (mut source, _) =
            MarkSource::open(false, Some(&SocketPlace::At(path.clone()))).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(&b"n 123456\n".repeat(5_000), &path).unwrap();
        let received = source.receive(None).unwrap();
        let ReceivedMarks::Message { bytes, cut } = received else { panic!("{received:?}") };
        assert!(cut && bytes.len() > 32_000 && bytes.len().is_multiple_of(9), "{}", bytes.len());
        sender.send_to(b"n 7", &path).unwrap();
        let whole = ReceivedMarks::Message { bytes: b"n 7", cut: false };
        assert_eq!(source.receive(None).unwrap(), whole);
    }

    #[test]
    fn who_goes_on_sending_behind_the_end_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let (mut source, _) =
            MarkSource::open(false, Some(&SocketPlace::At(path.clone()))).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        source.stopper().unwrap().stop();
        let begin = Instant::now();
        loop {
            // The socket's file is gone with the relay, and the connection stays.
            sender.send(b"n 1\n").unwrap();
            if source.receive(None).unwrap() == ReceivedMarks::End {
                break;
            }
        }
        assert!(begin.elapsed() >= LAST_MESSAGES);
    }
}
