//! What is the same for every process of the machine, and the clocks that std does not have.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The size of a page in bytes.
#[must_use]
pub fn page_size() -> u64 {
    // Not by sysconf(3), which may fail: the kernel has given this to every process at its start.
    rustix::param::page_size() as u64
}

/// How long the calling thread has run so far. Time in which it waited for a lock or for a CPU does
/// not count.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    cpu_time(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// How long all threads of this process have run so far, those that have ended too.
#[must_use]
pub fn process_cpu_time() -> Duration {
    cpu_time(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_time(clock: ClockId) -> Duration {
    // Every Linux has both clocks, so there is nothing that a caller could do about a failure.
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
