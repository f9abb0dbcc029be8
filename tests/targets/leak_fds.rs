//! Opens descriptors of every kind: `test-target leak-fds socket 10 60`, and for `test-target obey`.

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{io, thread};

use nix::libc;
use seepmeter_tests::target::argument;

/// What stays open until it is asked to be closed.
static OPEN: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Leaks so many descriptors of a kind in a second, evenly, for so many seconds.
pub(crate) fn run() {
    let (kind, per_second): (String, u32) = (argument(1).unwrap(), argument(2).unwrap());
    let seconds: u32 = argument(3).unwrap();
    let begin = Instant::now();
    for number in 0..per_second * seconds {
        let due = begin + Duration::from_secs(1) * number / per_second;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        open(&[&kind]).expect("one more descriptor");
    }
}

/// Opens many of a kind, or closes all of them.
pub(crate) fn obey(words: &[&str]) -> Option<String> {
    match words {
        ["open", count, what @ ..] => {
            let count: usize = count.parse().unwrap_or(0);
            let opened = (0..count).try_for_each(|_| open(what));
            Some(opened.map_or_else(|error| error.to_string(), |()| "opened".to_owned()))
        }
        ["close"] => {
            OPEN.lock().unwrap().clear();
            Some("closed".to_owned())
        }
        _ => None,
    }
}

fn open(what: &[&str]) -> io::Result<()> {
    // SAFETY: none of these calls takes a pointer that is not valid, and each makes a descriptor or fails.
    let raw = unsafe {
        match what {
            ["file", path] => return keep(File::open(path)?),
            ["socket"] => return keep(UnixDatagram::unbound()?),
            ["pipe"] => {
                let (reader, writer) = io::pipe()?;
                keep(reader)?;
                return keep(writer);
            }
            ["eventfd"] => libc::eventfd(0, 0),
            ["epoll"] => libc::epoll_create1(0),
            ["inotify"] => libc::inotify_init1(0),
            ["timerfd"] => libc::timerfd_create(libc::CLOCK_MONOTONIC, 0),
            ["signalfd"] => {
                let mut none = std::mem::zeroed();
                libc::sigemptyset(&mut none);
                libc::signalfd(-1, &none, 0)
            }
            ["memfd"] => libc::memfd_create(c"pool".as_ptr(), 0),
            _ => return Err(io::Error::other("what?")),
        }
    };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made and is nobody else's.
    keep(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn keep(descriptor: impl Into<OwnedFd>) -> io::Result<()> {
    OPEN.lock().unwrap().push(descriptor.into());
    Ok(())
}
