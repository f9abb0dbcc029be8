//! The stream's first record.

use std::io;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};
use nix::sys::utsname::uname;
use seepmeter_process::system::page_size;
use seepmeter_record::{FORMAT, Header, SamplerInfo, TargetInfo};

/// The header of a stream that starts now.
pub(crate) fn header(targets: Vec<TargetInfo>, samplers: Vec<SamplerInfo>) -> io::Result<Header> {
    use std::os::unix::ffi::OsStrExt;
    let system = uname()?;
    Ok(Header {
        format: FORMAT,
        seepmeter: env!("CARGO_PKG_VERSION").to_owned(),
        start: wall_clock().strftime("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string(),
        host: system.nodename().as_bytes().into(),
        kernel: system.release().as_bytes().into(),
        boot_id: boot_id(),
        page_size: page_size(),
        targets,
        samplers,
    })
}

/// The time of day where we are.
fn wall_clock() -> ZonedDateTime {
    let now = Timestamp::now();
    now.to_zoned_datetime(TimeZone::fixed(local_offset(now)))
}

/// How far the local time is from UTC now; UTC where that can't be told.
///
/// This asks the C library, which reads one file. jiff's own time zones list every file under
/// /usr/share/zoneinfo first, and that took longer than all else before the target's start.
fn local_offset(now: Timestamp) -> Offset {
    let seconds: libc::time_t = now.as_second();
    // SAFETY: a `tm` is numbers and a pointer, and zeros are valid values of them all.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for the call. It reads the environment, which nothing of seepmeter's
    // ever changes.
    let known = unsafe { libc::localtime_r(&seconds, &mut broken_down) };
    if known.is_null() {
        return Offset::UTC;
    }
    i32::try_from(broken_down.tm_gmtoff)
        .ok()
        .and_then(|seconds| Offset::from_seconds(seconds).ok())
        .unwrap_or(Offset::UTC)
}

/// Which boot of the machine this is (proc_sys_kernel(5)); none where it can't be read.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_tells_now_whatever_the_offset_is() {
        let before = Timestamp::now();
        let clock = wall_clock();
        assert!(before <= clock.timestamp() && clock.timestamp() <= Timestamp::now());
    }
}
