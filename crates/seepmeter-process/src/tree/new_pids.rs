//! Which pids were given since the last time.
//!
//! The kernel gives pids in order and begins anew at the largest (kernel/pid.c, `idr_alloc_cyclic`), and the
//! last word of /proc/loadavg is the one that was given last. So what has been forked since is among the
//! pids between: to find new processes takes as long as there are new ones, on the whole machine, and not
//! as long as there are processes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::proc::ProcRoot;
use crate::proc::text::decimal;

/// Below this the kernel begins anew (kernel/pid.c, RESERVED_PIDS).
const RESERVED: i32 = 300;
/// With more new pids than this, all processes are listed instead.
const MOST: usize = 4096;

/// The pids that may be new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// Each is a process, a thread, or has ended.
    Pids {
        /// Those that were not seen when they were new.
        again: Vec<i32>,
        /// Those that are new.
        new: Vec<i32>,
    },
    /// Too many to try each.
    TooMany,
}

/// Follows the pids that the kernel gives.
#[derive(Debug)]
pub(crate) struct NewPids {
    loadavg: File,
    proc_root: ProcRoot,
    last: i32,
    /// There was no process of these pids when they were new. A fork takes its pid before /proc shows it.
    unseen: Vec<i32>,
}

impl NewPids {
    /// None if the kernel's own loadavg can't be read: in some containers there is another file in its
    /// place.
    pub(crate) fn begin(proc_root: &ProcRoot) -> io::Result<Self> {
        let loadavg = File::open(proc_root.path().join("loadavg"))?;
        if rustix::fs::fstatfs(&loadavg)?.f_type != rustix::fs::PROC_SUPER_MAGIC {
            let text = "it is not the kernel's file";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let last = read_last(&loadavg)?;
        Ok(Self { loadavg, proc_root: proc_root.clone(), last, unseen: Vec::new() })
    }

    /// The pids that were given since the last call, and those that were not seen then.
    pub(crate) fn next(&mut self) -> io::Result<Candidates> {
        let last = read_last(&self.loadavg)?;
        let before = std::mem::replace(&mut self.last, last);
        let again = std::mem::take(&mut self.unseen);
        // The largest pid is asked for only if it matters.
        let largest = if last < before { self.largest()? } else { last };
        let count = between(before, last, largest).count();
        if count > MOST {
            return Ok(Candidates::TooMany);
        }
        Ok(Candidates::Pids { again, new: between(before, last, largest).collect() })
    }

    /// There was no process of this new pid: it is tried once more.
    pub(crate) fn unseen(&mut self, pid: i32) {
        self.unseen.push(pid);
    }

    fn largest(&self) -> io::Result<i32> {
        let text = std::fs::read(self.proc_root.path().join("sys/kernel/pid_max"))?;
        parse_pid(&text)
    }
}

/// The pids that are given after `before` up to `last`.
fn between(before: i32, last: i32, largest: i32) -> impl Iterator<Item = i32> {
    let (first, second) = if last >= before {
        (before + 1..last + 1, 0..0)
    } else {
        (before + 1..largest, RESERVED..last + 1)
    };
    first.chain(second)
}

/// Reads the last word of the kernel's line (fs/proc/loadavg.c):
///
/// ```text
/// LOAD LOAD LOAD RUNNING/THREADS LAST-PID
/// 0.20 0.18 0.12 1/80 11206
/// ```
fn read_last(loadavg: &File) -> io::Result<i32> {
    let mut text = [0; 128];
    let length = loadavg.read_at(&mut text, 0)?;
    let mut words = text[..length].split(u8::is_ascii_whitespace);
    parse_pid(words.rfind(|word| !word.is_empty()).unwrap_or_default())
}

fn parse_pid(text: &[u8]) -> io::Result<i32> {
    let pid = decimal(text.trim_ascii()).and_then(|pid| i32::try_from(pid).ok());
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no pid in it"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn pids_between_two_are_those_given_since_also_around_the_end() {
        let all = |before, last, largest| between(before, last, largest).collect::<Vec<_>>();
        assert_eq!(all(7, 10, 10), [8, 9, 10]);
        assert_eq!(all(7, 7, 7), [0; 0]);
        assert_eq!(all(997, 302, 1000), [998, 999, 300, 301, 302]);
    }

    #[test]
    fn a_child_is_among_the_pids_that_are_new() {
        let mut pids = NewPids::begin(&ProcRoot::default()).unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let candidates = pids.next().unwrap();
        child.wait().unwrap();
        let Candidates::Pids { new, .. } = candidates else { return };
        assert!(new.contains(&child.id().cast_signed()));
    }

    #[test]
    fn a_file_that_is_not_the_kernels_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("loadavg"), "0.20 0.18 0.12 1/80 11206\n").unwrap();
        let error = NewPids::begin(&ProcRoot::new(root.path())).unwrap_err();
        assert_eq!(error.to_string(), "it is not the kernel's file");
    }
}
