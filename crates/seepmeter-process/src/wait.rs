//! Waiting for descriptors, with a deadline.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

/// Waits until one of the descriptors can be read or its other end is closed, or until the deadline;
/// with no deadline, for as long as it takes. Returns which ones are ready: none after the deadline.
///
/// A signal does not end the wait, and does not prolong it: what is left until the deadline is
/// computed anew.
///
/// # Errors
/// What ppoll(2) fails with.
pub fn wait_readable(fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut polled, deadline)?;
    Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect())
}

/// The same of one descriptor, for a caller in a hurry: nothing is allocated.
///
/// # Errors
/// What ppoll(2) fails with.
pub fn wait_one_readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    wait_one(fd, PollFlags::POLLIN, deadline)
}

/// Waits until a descriptor can be written to, or its other end is closed, or until the deadline: false
/// after it.
///
/// # Errors
/// What ppoll(2) fails with.
pub fn wait_one_writable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    wait_one(fd, PollFlags::POLLOUT, deadline)
}

fn wait_one(fd: BorrowedFd<'_>, event: PollFlags, deadline: Option<Instant>) -> io::Result<bool> {
    let mut polled = [PollFd::new(fd, event)];
    poll(&mut polled, deadline)?;
    Ok(polled[0].any().unwrap_or(true))
}

pub(crate) fn poll(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match ppoll(fds, left.map(Into::into), None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// True if a descriptor can be read, or its other end is closed, at this moment.
///
/// # Errors
/// What ppoll(2) fails with.
pub fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    wait_one_readable(fd, Some(Instant::now()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::thread::JoinHandleExt;
    use std::sync::mpsc;
    use std::time::Duration;

    use nix::sys::pthread::pthread_kill;
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    use super::*;

    #[test]
    fn those_that_are_ready_are_named_and_a_closed_end_is_ready() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (other, other_writer) = io::pipe().unwrap();
        let fds = [reader.as_fd(), other.as_fd()];
        assert_eq!(wait_readable(&fds, Some(Instant::now())).unwrap(), [false, false]);
        assert!(!is_readable(reader.as_fd()).unwrap());
        writer.write_all(b"x").unwrap();
        assert_eq!(wait_readable(&fds, None).unwrap(), [true, false]);
        drop(other_writer);
        assert_eq!(wait_readable(&fds, None).unwrap(), [true, true]);
    }

    extern "C" fn nothing(_: i32) {}

    #[test]
    fn signals_neither_end_the_wait_nor_prolong_it() {
        let action =
            SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, which is async-signal-safe.
        unsafe { sigaction(Signal::SIGWINCH, &action) }.unwrap();
        let (say, hear) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let (reader, _writer) = io::pipe().unwrap();
            let begin = Instant::now();
            say.send(()).unwrap();
            let time = Duration::from_millis(100);
            let ready = wait_one_readable(reader.as_fd(), Some(begin + time)).unwrap();
            (ready, begin.elapsed() >= time)
        });
        hear.recv().unwrap();
        while !waiting.is_finished() {
            // Were the whole time waited for again after each signal, this would have no end.
            let _ = pthread_kill(waiting.as_pthread_t(), Signal::SIGWINCH);
            std::thread::yield_now();
        }
        assert_eq!(waiting.join().unwrap(), (false, true));
    }
}
