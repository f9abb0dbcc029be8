//! What seepmeter itself takes.

use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::process_cpu_time;
use seepmeter_record::Cost;

use crate::clock::nanos;

/// The CPU time and the largest resident set of this process so far; zero where it can't be read.
///
/// The resident set is VmHWM of /proc/self/status: `ru_maxrss` can be that of whoever forked us.
#[must_use]
pub fn own_cost() -> Cost {
    let own = ProcRoot::default().own();
    let peak_rss = own.status().ok().and_then(|status| status.peak_rss).unwrap_or(0);
    Cost { cpu: nanos(process_cpu_time()), peak_rss }
}
