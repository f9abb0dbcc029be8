//! How long a socket of another process is to wait.

use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::clock::Nanoseconds;

/// The time that SO_RCVTIMEO or SO_SNDTIMEO says for a descriptor of the process. None where it is not a
/// socket, waits for ever, or the kernel (before 5.6) lends no descriptors.
pub(super) fn limit(pid: i32, descriptor: u64, option: i32) -> Option<Nanoseconds> {
    let process = opened(libc::SYS_pidfd_open, pid.into(), 0)?;
    let ours = opened(
        libc::SYS_pidfd_getfd,
        process.as_raw_fd().into(),
        i64::from(i32::try_from(descriptor).ok()?),
    )?;
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut size = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: the kernel writes a timeval, as long as `size` says.
    let asked = unsafe {
        let place = (&raw mut time).cast();
        libc::getsockopt(ours.as_raw_fd(), libc::SOL_SOCKET, option, place, &raw mut size)
    };
    let limit = time.tv_sec.checked_mul(1_000_000_000)?.checked_add(time.tv_usec * 1000)?;
    (asked == 0 && limit > 0).then_some(limit)
}

/// A call that returns a new descriptor.
fn opened(number: i64, first: i64, second: i64) -> Option<OwnedFd> {
    // SAFETY: these calls take numbers alone.
    let result = unsafe { libc::syscall(number, first, second, 0) };
    match i32::try_from(result) {
        // SAFETY: the kernel has just given it to us.
        Ok(descriptor @ 0..) => Some(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_limit_of_a_socket_is_found_and_others_have_none() {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        let pid = std::process::id().cast_signed();
        let of = |socket: &dyn AsRawFd, option| limit(pid, socket.as_raw_fd() as u64, option);
        assert_eq!(of(&one, libc::SO_RCVTIMEO), Some(1_500_000_000));
        assert_eq!(of(&one, libc::SO_SNDTIMEO), None);
        assert_eq!(of(&other, libc::SO_RCVTIMEO), None);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(of(&file, libc::SO_RCVTIMEO), None);
        assert_eq!(limit(pid, u64::MAX, libc::SO_RCVTIMEO), None);
    }
}
