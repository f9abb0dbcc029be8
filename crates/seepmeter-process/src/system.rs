//! What is the same for every process of the machine, and the clocks that std does not have.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The size of a page in bytes.
#[must_use]
pub fn page_size() -> u64 {
    // Not by sysconf(3), which may fail: the kernel has given this to every process at its start.
    rustix::param::page_size() as u64
}

/// No more descriptors than this are asked for: each of a process costs memory in the kernel.
const MOST_DESCRIPTORS: u64 = 1 << 17;

/// Raises the number of descriptors that this process may have (RLIMIT_NOFILE of getrlimit(2)) to what it is allowed
/// to, at most 131,072, and says what it is then. What this process spawns from here on has the raised limit too.
pub fn raise_descriptor_limit() -> usize {
    let found = getrlimit(Resource::Nofile);
    let soft = found.current.unwrap_or(u64::MAX);
    let wanted = found.maximum.unwrap_or(u64::MAX).min(MOST_DESCRIPTORS).max(soft);
    let raised = Rlimit { current: Some(wanted), ..found };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How long the calling thread has run so far. Time in which it waited for a lock or for a CPU does
/// not count.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    time_of(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// How long all threads of this process have run so far, those that have ended too.
#[must_use]
pub fn process_cpu_time() -> Duration {
    time_of(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// The time since the machine was started; time in which it slept counts.
#[must_use]
pub fn since_boot() -> Duration {
    time_of(ClockId::CLOCK_BOOTTIME)
}

fn time_of(clock: ClockId) -> Duration {
    // Every Linux has these clocks, so there is nothing that a caller could do about a failure.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_charged_and_no_more_than_its_process() {
        let (process, thread) = (process_cpu_time(), thread_cpu_time());
        while thread_cpu_time() < thread + Duration::from_millis(2) {}
        assert!(process_cpu_time() >= process + Duration::from_millis(2));
        assert!(thread_cpu_time() <= process_cpu_time());
    }

    #[test]
    fn the_page_size_is_what_sysconf_says() {
        use nix::unistd::{SysconfVar, sysconf};
        let said = sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap();
        assert_eq!(page_size(), u64::try_from(said).unwrap());
    }
}
