//! How long a socket of another process waits.

use nix::sys::socket::{getsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::clock::Nanoseconds;

/// Which timeout of a socket limits a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketTimeout {
    /// SO_RCVTIMEO.
    Receive,
    /// SO_SNDTIMEO.
    Send,
}

impl SocketTimeout {
    /// The timeout of a descriptor of the process. None if it is not a socket, waits for ever, or the
    /// kernel (before 5.6) gives no access to descriptors.
    pub(super) fn read(self, pid: i32, descriptor: u64) -> Option<Nanoseconds> {
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let descriptor = i32::try_from(descriptor).ok()?;
        let socket = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).ok()?;
        let timeout = match self {
            Self::Receive => getsockopt(&socket, sockopt::ReceiveTimeout),
            Self::Send => getsockopt(&socket, sockopt::SendTimeout),
        };
        let timeout = timeout.ok()?;
        let seconds = timeout.tv_sec().checked_mul(1_000_000_000)?;
        let timeout = seconds.checked_add(timeout.tv_usec() * 1000)?;
        (timeout > 0).then_some(timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_timeout_of_a_socket_is_found_and_others_have_none() {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        let pid = std::process::id().cast_signed();
        let of = |socket: &dyn AsRawFd, timeout: SocketTimeout| {
            timeout.read(pid, socket.as_raw_fd() as u64)
        };
        assert_eq!(of(&one, SocketTimeout::Receive), Some(1_500_000_000));
        assert_eq!(of(&one, SocketTimeout::Send), None);
        assert_eq!(of(&other, SocketTimeout::Receive), None);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(of(&file, SocketTimeout::Receive), None);
        assert_eq!(SocketTimeout::Receive.read(pid, u64::MAX), None);
    }
}
