//! What seepmeter itself takes.

use nix::sys::resource::{UsageWho, getrusage};
use seepmeter_record::Cost;

/// The CPU time and the largest resident set of this process so far; zero where it can't be read.
///
/// The resident set is VmHWM of /proc/self/status: `ru_maxrss` can be that of whoever forked us.
#[must_use]
pub fn own_cost() -> Cost {
    let cpu = getrusage(UsageWho::RUSAGE_SELF)
        .map(|usage| [usage.user_time(), usage.system_time()])
        .map(|times| {
            times
                .iter()
                .map(|time| time.tv_sec() * 1_000_000_000 + time.tv_usec() * 1000)
                .sum::<i64>()
        })
        .unwrap_or(0);
    let peak_kib = procfs::process::Process::myself()
        .and_then(|own| own.status())
        .ok()
        .and_then(|status| status.vmhwm)
        .unwrap_or(0);
    Cost { cpu: u64::try_from(cpu).unwrap_or(0), peak_rss: peak_kib * 1024 }
}
