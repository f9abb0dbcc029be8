//! Since when a thread has slept.
//!
//! /proc/PID/task/TID/sched tells when a thread last ran (`se.exec_start`, in ms), by a clock of the
//! scheduler's: one for each processor, that stands still while the hypervisor or an interrupt has the
//! processor. On a virtual machine of half an hour's age the clocks of its two processors were 53 ms
//! apart, and 2.4 s behind the monotonic clock. So each processor's clock is compared with the monotonic
//! one, by going there for a moment.

use std::collections::HashMap;
use std::fs;
use std::mem::MaybeUninit;

use super::clock::{self, Nanoseconds};

/// How long a comparison is good for: what the hypervisor takes meanwhile is the error.
const GOOD_FOR: Nanoseconds = 1_000_000_000;

/// The processors' clocks, as they were last compared.
#[derive(Debug, Default)]
pub(super) struct LastRun {
    /// By processor: monotonic time less the scheduler's, and when that was.
    offsets: HashMap<usize, (Nanoseconds, Nanoseconds)>,
}

impl LastRun {
    /// When the thread, which sleeps, last ran: monotonic time. None where the kernel does not tell, or
    /// its processor is not one that we may go to.
    pub(super) fn of(&mut self, pid: i32, tid: i32) -> Option<Nanoseconds> {
        let folder = format!("/proc/{pid}/task/{tid}");
        let ran = exec_start(&folder)?;
        Some(ran + self.offset(processor(&folder)?)?)
    }

    fn offset(&mut self, processor: usize) -> Option<Nanoseconds> {
        let now = clock::now();
        match self.offsets.get(&processor) {
            Some((offset, compared)) if now - compared < GOOD_FOR => Some(*offset),
            _ => {
                let offset = compare(processor)?;
                self.offsets.insert(processor, (offset, now));
                Some(offset)
            }
        }
    }
}

/// `se.exec_start : 1354023.674455`, in ms.
fn exec_start(folder: &str) -> Option<Nanoseconds> {
    let text = fs::read(format!("{folder}/sched")).ok()?;
    let place = memchr::memmem::find(&text, b"se.exec_start")?;
    let line = text[place..].split(|byte| *byte == b'\n').next()?;
    let value = std::str::from_utf8(line).ok()?.split_once(':')?.1.trim();
    let (whole, fraction) = value.split_once('.')?;
    Some(whole.parse::<Nanoseconds>().ok()? * 1_000_000 + fraction.parse::<Nanoseconds>().ok()?)
}

/// Field 39 of /proc/PID/stat: the processor that the thread was last on.
fn processor(folder: &str) -> Option<usize> {
    let stat = fs::read(format!("{folder}/stat")).ok()?;
    let end_of_name = memchr::memrchr(b')', &stat)?;
    let rest = std::str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(36)?.parse().ok()
}

/// Monotonic time less the scheduler's on this processor.
fn compare(processor: usize) -> Option<Nanoseconds> {
    let _there = Elsewhere::on(processor)?;
    // Asking for the thread's own time brings its exec_start up to now (`task_sched_runtime()`).
    let _ = clock::read(libc::CLOCK_THREAD_CPUTIME_ID);
    let now = clock::now();
    Some(now - exec_start("/proc/thread-self")?)
}

/// This thread is on another processor for as long as this lives.
struct Elsewhere(libc::cpu_set_t);

impl Elsewhere {
    fn on(processor: usize) -> Option<Self> {
        if processor >= libc::CPU_SETSIZE as usize {
            return None;
        }
        let size = size_of::<libc::cpu_set_t>();
        let mut before = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the kernel writes a set of that size; zeros are a set too.
        let before = unsafe {
            if libc::sched_getaffinity(0, size, before.as_mut_ptr()) != 0 {
                return None;
            }
            before.assume_init()
        };
        // SAFETY: zeros are the empty set; the processor is within it.
        let there = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(processor, &mut set);
            set
        };
        // SAFETY: the kernel reads the set.
        (unsafe { libc::sched_setaffinity(0, size, &raw const there) } == 0).then_some(Self(before))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // SAFETY: the kernel reads the set that it gave us.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.0) };
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
            // SAFETY: asks for the caller's own tid.
            say.send((unsafe { libc::gettid() }, clock::now())).unwrap();
            let _ = ended.recv();
        });
        let (tid, fell_asleep) = born.recv().unwrap();
        thread::sleep(Duration::from_millis(300));
        let ran = LastRun::default().of(std::process::id().cast_signed(), tid);
        drop(end);
        sleeper.join().unwrap();
        let ran = ran.expect("this kernel has /proc/PID/sched");
        // The machine may be busy, so the sleeper may have been late; but it has not run since.
        let late = ran - fell_asleep;
        assert!((-20_000_000..200_000_000).contains(&late), "{late} ns behind its last words");
    }
}
