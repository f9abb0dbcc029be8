//! The kernel's events of processes: the proc connector.
//!
//! A netlink socket of NETLINK_CONNECTOR, group CN_IDX_PROC, to which PROC_CN_MCAST_LISTEN is sent. It needs
//! CAP_NET_ADMIN before Linux 6.6, and the initial pid, user and network namespaces always; a kernel without
//! CONFIG_PROC_EVENTS has none. (drivers/connector/cn_proc.c, include/uapi/linux/cn_proc.h)

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, send,
    socket_with, sockopt,
};
use seepmeter_record::End;

use crate::wait::wait_one_readable;

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const PROC_CN_MCAST_IGNORE: u32 = 2;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`, and `struct cn_msg` behind it.
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;

const ACK: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const COMM: u32 = 0x200;
const EXIT: u32 = 0x8000_0000;

/// What may wait in the socket: about 5,000 events. Without CAP_NET_ADMIN it is net.core.rmem_max at most.
const BUFFER: usize = 4 << 20;
/// The kernel answers before send(2) returns.
const ANSWER: Duration = Duration::from_millis(200);

/// What has happened to a process. Threads are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEvent {
    /// It was forked, at this time of CLOCK_MONOTONIC.
    Forked { parent: i32, child: i32, time: Duration },
    /// It has executed a program, or has changed its name.
    Renamed { pid: i32 },
    /// Its first thread has ended: nearly always all of it has.
    Exited { pid: i32, end: End },
}

/// What came through the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Event(ProcessEvent),
    /// The socket was full, and events were dropped.
    Dropped,
}

/// A subscription to the events of all processes of the machine.
#[derive(Debug)]
pub(crate) struct ProcessEvents {
    socket: OwnedFd,
    message: [u8; 256],
}

impl ProcessEvents {
    pub(crate) fn subscribe() -> io::Result<Self> {
        if !in_initial_namespaces() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, OUTSIDE));
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::CONNECTOR);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, CN_IDX_PROC))?;
        if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
        }
        let mut events = Self { socket, message: [0; 256] };
        let number = std::process::id();
        events.send(number, &[PROC_CN_MCAST_LISTEN])?;
        events.wait_for_answer(number)?;
        // From Linux 6.6 on the kernel then leaves out all others; an older one does not know the message.
        events.send(number, &[PROC_CN_MCAST_LISTEN, FORK | EXEC | COMM | EXIT])?;
        Ok(events)
    }

    /// The next event of a process, if one has come.
    pub(crate) fn next(&mut self) -> io::Result<Option<Received>> {
        while let Some(text) = self.receive() {
            match text {
                Err(Errno::NOBUFS) => return Ok(Some(Received::Dropped)),
                Err(error) => return Err(error.into()),
                Ok(text) => {
                    if let Some(event) = payload(text).and_then(parse) {
                        return Ok(Some(Received::Event(event)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A message, empty if it is not the kernel's own; none if there is none now.
    fn receive(&mut self) -> Option<Result<&[u8], Errno>> {
        let received = loop {
            match recvfrom(&self.socket, &mut self.message[..], RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                received => break received,
            }
        };
        match received {
            Err(Errno::AGAIN) => None,
            Err(error) => Some(Err(error)),
            Ok((length, _, sender)) => {
                let sender = sender.and_then(|it| SocketAddrNetlink::try_from(it).ok());
                let from_kernel = sender.is_some_and(|sender| sender.pid() == 0);
                Some(Ok(&self.message[..if from_kernel { length } else { 0 }]))
            }
        }
    }

    fn send(&self, number: u32, words: &[u32]) -> io::Result<()> {
        send(&self.socket, &message(number, words), SendFlags::empty())?;
        Ok(())
    }

    /// Outside of the initial namespaces the kernel answers nothing.
    fn wait_for_answer(&mut self, number: u32) -> io::Result<()> {
        let deadline = Instant::now() + ANSWER;
        while wait_one_readable(self.socket.as_fd(), Some(deadline))? {
            match self.receive() {
                Some(Ok(text)) => match payload(text).and_then(|body| answer(text, body)) {
                    Some((to, 0)) if to == number => return Ok(()),
                    Some((to, errno)) if to == number => {
                        return Err(io::Error::from_raw_os_error(errno.cast_signed()));
                    }
                    _ => {}
                },
                // Full of what others do: what is dropped now is nobody's loss.
                Some(Err(Errno::NOBUFS)) | None => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, OUTSIDE))
    }
}

/// Why there are no events in a container.
const OUTSIDE: &str = "the kernel reports them to the initial namespaces only";

/// False if it is sure that the kernel will not answer, so that nobody has to wait for that. The numbers of the
/// first pid and user namespaces are the kernel's (include/linux/proc_ns.h); that of the network is not fixed.
fn in_initial_namespaces() -> bool {
    [("pid", 0xEFFF_FFFC_u32), ("user", 0xEFFF_FFFD)].iter().all(|(name, number)| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}"));
        link.map_or(true, |link| link.as_os_str() == format!("{name}:[{number}]").as_str())
    })
}

impl Drop for ProcessEvents {
    fn drop(&mut self) {
        // Before Linux 6.6 the kernel goes on making events for a socket that has only been closed.
        let _ = self.send(0, &[PROC_CN_MCAST_IGNORE]);
    }
}

impl AsFd for ProcessEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn message(number: u32, words: &[u32]) -> Vec<u8> {
    let data = u16::try_from(words.len() * 4).unwrap_or(0);
    let length = NETLINK_HEADER + CONNECTOR_HEADER + usize::from(data);
    let mut text = Vec::with_capacity(length);
    text.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    text.extend(NLMSG_DONE.to_ne_bytes());
    text.extend([0; 10]);
    for word in [CN_IDX_PROC, CN_VAL_PROC, 0, number] {
        text.extend(word.to_ne_bytes());
    }
    text.extend(data.to_ne_bytes());
    text.extend([0; 2]);
    words.iter().for_each(|word| text.extend(word.to_ne_bytes()));
    text
}

/// The words of the `struct proc_event` in a message; none if it is no event of a process.
fn payload(text: &[u8]) -> Option<Words<'_>> {
    let header = Words(text.get(NETLINK_HEADER..)?);
    let of_processes = header.word(0)? == CN_IDX_PROC && header.word(1)? == CN_VAL_PROC;
    of_processes.then(|| text.get(NETLINK_HEADER + CONNECTOR_HEADER..).map(Words))?
}

/// To which message the kernel answers, and its errno.
fn answer(text: &[u8], event: Words<'_>) -> Option<(u32, u32)> {
    // It answers with the number that follows. (The other number, `seq`, is its own.)
    let number = Words(text.get(NETLINK_HEADER..)?).word(3)?.wrapping_sub(1);
    (event.word(0)? == ACK).then(|| Some((number, event.word(4)?)))?
}

/// Reads a `struct proc_event`, in words of 32 bits:
///
/// ```text
/// what cpu time time  parent-tid parent-pid child-tid child-pid        fork
/// what cpu time time  tid pid [comm, 16 bytes]                         exec, comm
/// what cpu time time  tid pid exit-code exit-signal …                  exit
/// ```
fn parse(event: Words<'_>) -> Option<ProcessEvent> {
    let id = |at| event.word(at).map(u32::cast_signed);
    let of_process = |tid, pid| if tid == pid { Some(pid) } else { None };
    match event.word(0)? {
        FORK => {
            let child = of_process(id(6)?, id(7)?)?;
            let time = Duration::from_nanos(event.long(2)?);
            Some(ProcessEvent::Forked { parent: id(5)?, child, time })
        }
        EXEC => Some(ProcessEvent::Renamed { pid: id(5)? }),
        COMM => Some(ProcessEvent::Renamed { pid: of_process(id(4)?, id(5)?)? }),
        EXIT => {
            let pid = of_process(id(4)?, id(5)?)?;
            Some(ProcessEvent::Exited { pid, end: end_of(event.word(6)?) })
        }
        _ => None,
    }
}

/// When it was this time of CLOCK_MONOTONIC, which is past.
pub(crate) fn instant(time: Duration) -> Instant {
    let elapsed = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(Duration::ZERO, |now| Duration::from(now).saturating_sub(time));
    let now = Instant::now();
    now.checked_sub(elapsed).unwrap_or(now)
}

/// What a status of wait(2) says.
pub(crate) fn end_of(status: u32) -> End {
    match (status & 0x7f, (status >> 8) & 0xff) {
        (0, code) => End::Exited(code.cast_signed()),
        (signal, _) => End::Killed(signal.cast_signed()),
    }
}

#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn word(self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at * 4..at * 4 + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// Two of them.
    fn long(self, at: usize) -> Option<u64> {
        let bytes = self.0.get(at * 4..at * 4 + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(words: &[u32]) -> Option<ProcessEvent> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        parse(Words(&bytes))
    }

    #[test]
    fn a_fork_is_one_of_a_process_and_a_new_thread_is_not() {
        let time = Duration::from_nanos(u64::from_ne_bytes([1, 0, 0, 0, 1, 0, 0, 0]));
        let forked = Some(ProcessEvent::Forked { parent: 7, child: 9, time });
        let one = u32::from_ne_bytes([1, 0, 0, 0]);
        assert_eq!(read(&[FORK, 0, one, one, 8, 7, 9, 9]), forked);
        assert_eq!(read(&[FORK, 0, 0, 0, 7, 7, 9, 7]), None);
        assert_eq!(read(&[FORK, 0, 0, 0, 7, 7, 9]), None);
    }

    #[test]
    fn an_exit_has_the_status_of_wait() {
        let exited = |status| read(&[EXIT, 0, 0, 0, 9, 9, status, 17]);
        let with = |end| Some(ProcessEvent::Exited { pid: 9, end });
        assert_eq!(exited(3 << 8), with(End::Exited(3)));
        assert_eq!(exited(9), with(End::Killed(9)));
        assert_eq!(exited(0x80 | 11), with(End::Killed(11)));
        assert_eq!(read(&[EXIT, 0, 0, 0, 10, 9, 0, 17]), None);
    }

    #[test]
    fn a_name_that_a_thread_gives_itself_is_not_the_processs_but_an_exec_by_one_is() {
        assert_eq!(read(&[COMM, 0, 0, 0, 10, 9, 0, 0, 0, 0]), None);
        assert_eq!(
            read(&[COMM, 0, 0, 0, 9, 9, 0, 0, 0, 0]),
            Some(ProcessEvent::Renamed { pid: 9 })
        );
        assert_eq!(read(&[EXEC, 0, 0, 0, 10, 9]), Some(ProcessEvent::Renamed { pid: 9 }));
    }

    #[test]
    fn what_is_sent_is_what_the_kernel_reads() {
        let text = message(7, &[PROC_CN_MCAST_LISTEN, FORK]);
        assert_eq!(text.len(), 44);
        assert_eq!(payload(&text).and_then(|body| body.word(1)), Some(FORK));
        assert_eq!(Words(&text[NETLINK_HEADER..]).word(4), Some(8));
    }

    proptest! {
        #[test]
        fn no_message_whatever_makes_the_parser_panic(text: Vec<u8>) {
            let _ = payload(&text).and_then(|body| (parse(body), answer(&text, body)).0);
        }
    }
}
