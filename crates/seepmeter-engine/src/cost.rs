//! What seepmeter itself uses.

use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::process_cpu_time;
use seepmeter_record::Cost;

use crate::clock::nanos;

/// The CPU time and the largest resident set of this process so far.
///
/// The resident set is VmHWM of /proc/self/status: `ru_maxrss` can be that of whoever forked us.
#[must_use]
pub fn own_cost() -> Cost {
    let peak_rss = ProcRoot::default().own().status().ok().and_then(|status| status.peak_rss);
    Cost { cpu: Some(nanos(process_cpu_time())), peak_rss }
}
