//! The stream's first record.

use std::io;

use jiff::ZonedDateTime;
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, sysconf};
use seepmeter_record::{FORMAT, Header, SamplerInfo, TargetInfo};

/// The header of a stream that starts now.
pub(crate) fn header(target: TargetInfo, samplers: Vec<SamplerInfo>) -> io::Result<Header> {
    use std::os::unix::ffi::OsStrExt;
    let system = uname()?;
    Ok(Header {
        format: FORMAT,
        seepmeter: env!("CARGO_PKG_VERSION").to_owned(),
        start: ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string(),
        host: system.nodename().as_bytes().into(),
        kernel: system.release().as_bytes().into(),
        page_size: page_size()?,
        target,
        samplers,
    })
}

/// Bytes in a page: sysconf(3).
fn page_size() -> io::Result<u64> {
    sysconf(SysconfVar::PAGE_SIZE)?
        .and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| io::Error::other("the system does not tell its page size"))
}
