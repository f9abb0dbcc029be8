//! What seepmeter itself uses.

use nix::sys::resource::{UsageWho, getrusage};
use seepmeter_record::Cost;

/// The CPU time and the largest resident set of this process so far.
///
/// The resident set is VmHWM of /proc/self/status: `ru_maxrss` can be that of whoever forked us.
#[must_use]
pub fn own_cost() -> Cost {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).ok().and_then(|usage| {
        let times = [usage.user_time(), usage.system_time()];
        let nanos = times.iter().map(|time| time.tv_sec() * 1_000_000_000 + time.tv_usec() * 1000);
        u64::try_from(nanos.sum::<i64>()).ok()
    });
    let status = procfs::process::Process::myself().and_then(|own| own.status()).ok();
    let peak_rss = status.and_then(|status| status.vmhwm).map(|kib| kib * 1024);
    Cost { cpu, peak_rss }
}
