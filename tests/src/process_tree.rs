//! All the processes that a test has started, however far down.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use seepmeter_process::Process;
use seepmeter_process::proc::ProcRoot;

/// The variable that the processes of a run have in their environment.
const VARIABLE: &str = "SEEPMETER_TEST_TREE";

/// The processes of one run and all their descendants, known by a variable in their environment, which
/// children inherit and exec keeps. Those that are left when it is dropped are killed.
#[derive(Debug)]
pub struct ProcessTree {
    name: String,
}

impl ProcessTree {
    /// A new one.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("{}-{count}", std::process::id()) }
    }

    /// The variable that makes a process a member.
    pub(crate) fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.name)
    }

    /// Those that live now. A zombie has no environment any more and does not count.
    #[must_use]
    pub fn members(&self) -> Vec<i32> {
        std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| self.has(*pid))
            .collect()
    }

    fn has(&self, pid: i32) -> bool {
        let wanted = format!("{VARIABLE}={}", self.name);
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|v| v == wanted.as_bytes()))
    }

    /// Asserts that none of them lives any more, save those that are just ending.
    pub fn assert_gone(&self) {
        crate::eventually(&format!("processes {:?} stayed behind", self.members()), || {
            self.members().is_empty().then_some(())
        });
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        // A member may fork meanwhile.
        for _ in 0..100 {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            for pid in members {
                if let Ok(process) = Process::open(pid, &ProcRoot::default())
                    && self.has(pid)
                {
                    let _ = process.signal(Signal::SIGKILL);
                    let _ = process.signal(Signal::SIGCONT);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
