//! Says whether the kernel tells its events of processes here: `test-target process-events` says `yes`, or
//! why not.

use nix::errno::Errno;
use nix::libc;
use seepmeter_tests::target::say;

/// The group of the process connector (linux/connector.h, `CN_IDX_PROC`).
const GROUP: u32 = 1;

pub(crate) fn run() {
    say(&bind().map_or_else(|errno| format!("no ({errno})"), |()| "yes".to_owned()));
}

fn bind() -> nix::Result<()> {
    // SAFETY: makes a socket, which is closed with the process. nix has no such protocol.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_CONNECTOR) };
    Errno::result(socket)?;
    // SAFETY: all zeros are a valid address.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = GROUP;
    let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the address is as long as it is said to be.
    Errno::result(unsafe { libc::bind(socket, (&raw const address).cast(), length) }).map(drop)
}
