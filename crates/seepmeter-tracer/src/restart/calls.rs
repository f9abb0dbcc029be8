//! The system calls that an interrupt ends with EINTR for good, and how long they were to wait.
//!
//! Most calls that wait are restarted by the kernel after an interrupt: their result is -512 to -516 at
//! the ptrace-stop, and there is nothing to do about them. Some give EINTR: those that signal(7) lists
//! under "interruption of system calls by stop signals", and those that reading the kernel adds
//! (io_getevents, io_uring_enter, semop). Only those are listed here whose EINTR surely means that nothing
//! was done. A close(2), which gives EINTR and has closed, must never be; nor a connect(2) with
//! SO_SNDTIMEO, which restarted gives EALREADY instead of EINPROGRESS.

use crate::arch::{IO_PGETEVENTS, SystemCall};
use crate::memory::ProcessMemory;
use crate::restart::clock::Nanoseconds;
use crate::restart::socket_timeout::SocketTimeout;

/// io_uring_enter(2): the fifth argument is a struct, which has the time.
const IORING_ENTER_EXT_ARG: u64 = 1 << 3;
/// …its time is one of the clock, and not how long to wait.
const IORING_ENTER_ABS_TIMER: u64 = 1 << 5;
/// …the fifth argument is a place in a registered region instead.
const IORING_ENTER_EXT_ARG_REG: u64 = 1 << 6;
/// The offset of the address of the time in `struct io_uring_getevents_arg`.
const URING_TIME: usize = 16;
/// Its size in bytes.
pub(super) const URING_ARGUMENT: usize = 24;

/// How a call knows how long to wait: by the argument of this number, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// In milliseconds; below 0 is for ever.
    Milliseconds(usize),
    /// By a timespec; null is for ever.
    Timespec(usize),
    /// By a timespec in a `struct io_uring_getevents_arg`.
    Uring(usize),
    /// By a timeout of the socket that the first argument is a descriptor of. Only a socket with a timeout
    /// gives EINTR; of anything else nobody knows what EINTR means.
    Socket(SocketTimeout),
    /// It is not.
    None,
}

/// How a call is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestartRule {
    pub(super) limit: Limit,
    /// Its result if the time is over.
    pub(super) result_when_over: i64,
}

/// The rule for a call. None if it is not listed.
pub(super) fn restart_rule(call: &SystemCall) -> Option<RestartRule> {
    const EAGAIN: i64 = -(libc::EAGAIN as i64);
    const ETIME: i64 = -(libc::ETIME as i64);
    let (limit, result_when_over) = match call.number {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => (Limit::Milliseconds(3), 0),
        libc::SYS_epoll_pwait => (Limit::Milliseconds(3), 0),
        libc::SYS_epoll_pwait2 => (Limit::Timespec(3), 0),
        libc::SYS_rt_sigtimedwait => (Limit::Timespec(2), EAGAIN),
        libc::SYS_semop => (Limit::None, 0),
        libc::SYS_semtimedop => (Limit::Timespec(3), EAGAIN),
        libc::SYS_io_getevents | IO_PGETEVENTS => (Limit::Timespec(4), 0),
        libc::SYS_io_uring_enter => (uring_limit(call.arguments[3]), ETIME),
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_accept
        | libc::SYS_accept4 => (Limit::Socket(SocketTimeout::Receive), EAGAIN),
        libc::SYS_write | libc::SYS_writev | libc::SYS_sendto | libc::SYS_sendmsg => {
            (Limit::Socket(SocketTimeout::Send), EAGAIN)
        }
        _ => return None,
    };
    Some(RestartRule { limit, result_when_over })
}

fn uring_limit(flags: u64) -> Limit {
    let relative = flags & IORING_ENTER_EXT_ARG != 0
        && flags & (IORING_ENTER_ABS_TIMER | IORING_ENTER_EXT_ARG_REG) == 0;
    if relative { Limit::Uring(4) } else { Limit::None }
}

impl Limit {
    /// How long the call was to wait. None is for ever, or until a time of the clock.
    pub(super) fn read(self, call: &SystemCall, memory: &ProcessMemory) -> Option<Nanoseconds> {
        match self {
            Self::None => None,
            Self::Milliseconds(index) => {
                // The kernel takes the lower half of the register, as an int.
                let milliseconds = call.arguments[index] as i32;
                (milliseconds >= 0).then(|| i64::from(milliseconds) * 1_000_000)
            }
            Self::Timespec(index) => timespec(call.arguments[index], memory),
            Self::Socket(timeout) => timeout.read(memory.pid(), call.arguments[0]),
            Self::Uring(index) => {
                let address = call.arguments[index].checked_add(URING_TIME as u64)?;
                timespec(memory.word(address)?, memory)
            }
        }
    }
}

fn timespec(address: u64, memory: &ProcessMemory) -> Option<Nanoseconds> {
    if address == 0 {
        return None;
    }
    let seconds = memory.word(address)?.cast_signed();
    let nanoseconds = memory.word(address.checked_add(8)?)?.cast_signed();
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: i64, arguments: [u64; 6]) -> SystemCall {
        SystemCall { number, arguments }
    }

    fn wait(call: &SystemCall) -> Option<Nanoseconds> {
        let memory = ProcessMemory::of(std::process::id().cast_signed());
        restart_rule(call).unwrap().limit.read(call, &memory)
    }

    #[test]
    fn calls_that_have_done_something_when_they_give_eintr_are_never_restarted() {
        for number in [libc::SYS_close, libc::SYS_dup3, libc::SYS_connect, libc::SYS_recvmmsg] {
            assert_eq!(restart_rule(&call(number, [0; 6])), None);
        }
    }

    #[test]
    fn the_time_to_wait_is_read_as_the_kernel_reads_it() {
        let time = [3u64, 500];
        let address = time.as_ptr() as u64;
        let uring = [0, 0, address];
        let forever = call(libc::SYS_epoll_pwait, [0, 0, 0, 0xffff_ffff, 0, 0]);
        assert_eq!(wait(&forever), None);
        let brief = call(libc::SYS_epoll_pwait, [0, 0, 0, 0xdead_0000_0007, 0, 0]);
        assert_eq!(wait(&brief), Some(7_000_000));
        let timed = call(libc::SYS_semtimedop, [0, 0, 0, address, 0, 0]);
        assert_eq!(wait(&timed), Some(3_000_000_500));
        let uring = uring.as_ptr() as u64;
        let timed = call(libc::SYS_io_uring_enter, [0, 0, 1, IORING_ENTER_EXT_ARG, uring, 24]);
        assert_eq!(wait(&timed), Some(3_000_000_500));
        let flags = IORING_ENTER_EXT_ARG | IORING_ENTER_ABS_TIMER;
        assert_eq!(wait(&call(libc::SYS_io_uring_enter, [0, 0, 1, flags, uring, 24])), None);
    }
}
