//! Since when a thread has slept.
//!
//! /proc/PID/task/TID/sched says when a thread last ran (`se.exec_start`, in ms), by a clock of the
//! scheduler's: there is one for each processor, which stops while the hypervisor or an interrupt has the
//! processor. On a virtual machine of half an hour's age the clocks of its two processors were 53 ms
//! apart, and 2.4 s behind the monotonic clock. So each processor's clock is compared with the monotonic
//! one, by going there for a moment.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::clock::{self, Nanoseconds};
use crate::tasks;

/// How long a comparison is good for: what the hypervisor takes meanwhile is the error.
const GOOD_FOR: Nanoseconds = 1_000_000_000;

/// Since when threads have slept.
#[derive(Debug, Default)]
pub(super) struct SleepStarts {
    /// By processor.
    offsets: HashMap<usize, ClockOffset>,
}

/// A comparison of a processor's scheduler clock with the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct ClockOffset {
    /// Monotonic time less the scheduler's.
    offset: Nanoseconds,
    compared: Nanoseconds,
}

impl SleepStarts {
    /// When the thread, which sleeps, last ran, in monotonic time. None if the kernel does not say it, or
    /// its processor is not one that we may go to.
    pub(super) fn of(&mut self, pid: i32, tid: i32) -> Option<Nanoseconds> {
        let folder = tasks::folder(pid).thread(tid);
        let ran = exec_start(folder.path())?;
        Some(ran + self.offset(folder.stat().ok()?.processor?)?)
    }

    fn offset(&mut self, processor: usize) -> Option<Nanoseconds> {
        let now = clock::now()?;
        match self.offsets.get(&processor) {
            Some(known) if now - known.compared < GOOD_FOR => Some(known.offset),
            _ => {
                let offset = compare(processor)?;
                self.offsets.insert(processor, ClockOffset { offset, compared: now });
                Some(offset)
            }
        }
    }
}

/// `se.exec_start : 1354023.674455`, in ms.
fn exec_start(folder: &Path) -> Option<Nanoseconds> {
    let text = fs::read(folder.join("sched")).ok()?;
    let place = memchr::memmem::find(&text, b"se.exec_start")?;
    let line = text[place..].split(|byte| *byte == b'\n').next()?;
    let value = std::str::from_utf8(line).ok()?.split_once(':')?.1.trim();
    let (whole, fraction) = value.split_once('.')?;
    Some(whole.parse::<Nanoseconds>().ok()? * 1_000_000 + fraction.parse::<Nanoseconds>().ok()?)
}

/// Monotonic time less the scheduler's on this processor.
fn compare(processor: usize) -> Option<Nanoseconds> {
    let _there = OnProcessor::go(processor)?;
    // Asking for the thread's own time brings its exec_start up to now (`task_sched_runtime()`).
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    let now = clock::now()?;
    Some(now - exec_start(Path::new("/proc/thread-self"))?)
}

/// This thread runs on another processor for as long as this lives. It holds the processors from before.
struct OnProcessor(CpuSet);

/// The calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

impl OnProcessor {
    fn go(processor: usize) -> Option<Self> {
        let mut there = CpuSet::new();
        there.set(processor).ok()?;
        let before = sched_getaffinity(THIS_THREAD).ok()?;
        sched_setaffinity(THIS_THREAD, &there).ok()?;
        Some(Self(before))
    }
}

impl Drop for OnProcessor {
    fn drop(&mut self) {
        // It was allowed there before.
        let _ = sched_setaffinity(THIS_THREAD, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sleeper_is_known_to_have_slept_since_it_fell_asleep() {
        let (end, ended) = mpsc::channel::<()>();
        let (say, born) = mpsc::channel();
        let sleeper = thread::spawn(move || {
            say.send((nix::unistd::gettid().as_raw(), clock::now().unwrap())).unwrap();
            let _ = ended.recv();
        });
        let (tid, fell_asleep) = born.recv().unwrap();
        thread::sleep(Duration::from_millis(300));
        let ran = SleepStarts::default().of(std::process::id().cast_signed(), tid);
        drop(end);
        sleeper.join().unwrap();
        let ran = ran.expect("this kernel has /proc/PID/sched");
        // The machine may be busy, so the sleeper may have been late; but it has not run since.
        let late = ran - fell_asleep;
        assert!((-20_000_000..200_000_000).contains(&late), "{late} ns behind its last words");
    }
}
