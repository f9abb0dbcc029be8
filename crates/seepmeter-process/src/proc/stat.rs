//! /proc/PID/stat: what a process or a thread is.

use std::path::Path;
use std::str::FromStr;

use memchr::{memchr, memrchr};

use super::ProcError;

/// Of a thread that is ending (include/linux/sched.h, PF_EXITING).
const PF_EXITING: u32 = 0x4;

/// Of a thread of the kernel (include/linux/sched.h, PF_KTHREAD).
const PF_KTHREAD: u32 = 0x0020_0000;

/// What stat says, as far as Seepmeter needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its id.
    pub pid: i32,
    /// Its name, at most 15 bytes, which may be empty and hold any byte but NUL.
    pub comm: Vec<u8>,
    /// The letter of its state: `R` runs, `S` and `D` sleep, `T` and `t` are stopped, `Z` and `X` have
    /// ended.
    pub state: char,
    /// Its parent; 0 if that is in another pid namespace.
    pub ppid: i32,
    /// The kernel's flags of it (include/linux/sched.h, `PF_*`).
    pub flags: u32,
    /// The minor page faults of the children that it has waited for, and of theirs: it grows with each.
    pub child_faults: u64,
    /// When it started, in clock ticks since boot: with the id, this is its identity.
    pub start_time: u64,
    /// Where its code begins: an exec moves it. None if this user may not know, or a kernel is old.
    pub start_code: Option<u64>,
    /// The processor that it last ran on.
    pub processor: Option<usize>,
    /// Its scheduling policy (sched(7)): 1, 2 and 6 are the real-time ones.
    pub policy: Option<u32>,
    /// How a zombie has ended, as wait(2) would say; 0 also if this user may not trace it.
    pub exit_code: Option<i32>,
}

impl Stat {
    /// True if it has ended: it has gone or waits to be reaped. Of a process this is true also if
    /// only its leader has ended and other threads run on.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// True if it has ended or is on its way: it has called exit(2) or was killed. Like
    /// [`Stat::has_ended`] this is true also if other threads of a process run on.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.has_ended() || self.flags & PF_EXITING != 0
    }

    /// True if it is scheduled in real time: by SCHED_FIFO, SCHED_RR or SCHED_DEADLINE.
    #[must_use]
    pub fn is_real_time(&self) -> bool {
        matches!(self.policy, Some(1 | 2 | 6))
    }

    /// True for a thread of the kernel, which has no memory of its own.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Reads the line of the kernel (fs/proc/array.c, `do_task_stat`). The name may hold spaces and
    /// parentheses, so it ends at the last `)`:
    ///
    /// ```text
    /// 1 2      3     4    5    6       7      8     9     …  11      …  22        …  26        …  39        …  41     …  52
    /// PID (COMM) STATE PPID PGRP SESSION TTY_NR TPGID FLAGS …  CMINFLT …  STARTTIME …  STARTCODE …  PROCESSOR …  POLICY …  EXIT_CODE
    /// 4242 (a name) S 1 4242 4242 0 -1 4194560 … 12 … 914 … 94123 … 1 … 0 … 0
    /// ```
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, ProcError> {
        let failed = |item| ProcError::parse(path, 1, item, text);
        let (open, close) = match (memchr(b'(', text), memrchr(b')', text)) {
            (Some(open), Some(close)) if open < close => (open, close),
            _ => return Err(failed("comm")),
        };
        let rest = String::from_utf8_lossy(&text[close + 1..]);
        // Field 3 and on.
        let words: Vec<&str> = rest.split_ascii_whitespace().take(50).collect();
        let state = words.first().and_then(|word| word.chars().next());
        let pid = std::str::from_utf8(&text[..open]).ok();
        Ok(Self {
            pid: pid.and_then(|pid| pid.trim().parse().ok()).ok_or_else(|| failed("pid"))?,
            comm: text[open + 1..close].to_vec(),
            state: state.ok_or_else(|| failed("state"))?,
            ppid: field(&words, 4).ok_or_else(|| failed("ppid"))?,
            flags: field(&words, 9).ok_or_else(|| failed("flags"))?,
            child_faults: field(&words, 11).ok_or_else(|| failed("cminflt"))?,
            start_time: field(&words, 22).ok_or_else(|| failed("starttime"))?,
            // Without the right to trace it, the kernel writes 1.
            start_code: field(&words, 26).filter(|address| *address > 1),
            processor: field(&words, 39),
            policy: field(&words, 41),
            exit_code: field(&words, 52),
        })
    }
}

/// A field by its number in proc_pid_stat(5); `words` begin with field 3.
fn field<T: FromStr>(words: &[&str], number: usize) -> Option<T> {
    words.get(number - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proc::ProcRoot;

    fn parse(text: &[u8]) -> Option<Stat> {
        Stat::parse(text, Path::new("stat")).ok()
    }

    #[test]
    fn a_name_may_be_empty_or_hold_spaces_parentheses_and_newlines() {
        for comm in ["", "a b", ") S 1 (", "((", "a\nb", "\u{e9}"] {
            let text =
                format!("42 ({comm}) S 7 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 914 0\n");
            let stat = parse(text.as_bytes()).unwrap();
            assert_eq!((stat.pid, stat.ppid, stat.state), (42, 7, 'S'));
            assert_eq!((stat.comm.as_slice(), stat.start_time), (comm.as_bytes(), 914));
        }
        assert_eq!(parse(b"42 (x) S 7 42 42 0 -1 4194560\n"), None);
        assert_eq!(parse(b"42 )x( S"), None);
    }

    #[test]
    fn all_processes_of_this_machine_are_read_as_the_procfs_crate_reads_them() {
        let root = ProcRoot::default();
        let mut compared = 0;
        for pid in root.pids().unwrap() {
            let oracle = procfs::process::Process::new(pid).and_then(|process| process.stat());
            // It may have ended between the two reads, or become another process.
            let (Ok(oracle), Ok(stat)) = (oracle, root.process(pid).stat()) else { continue };
            if stat.start_time == oracle.starttime {
                assert_eq!((stat.pid, stat.flags & PF_KTHREAD), (pid, oracle.flags & PF_KTHREAD));
                compared += 1;
            }
        }
        assert!(compared > 0);
        let own = root.own().stat().unwrap();
        let oracle = procfs::process::Process::myself().unwrap().stat().unwrap();
        assert_eq!((own.ppid, own.comm), (oracle.ppid, oracle.comm.into_bytes()));
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse(&text);
        }

        #[test]
        fn no_line_that_is_almost_right_makes_the_parser_panic(text in "[0-9]{0,3} ?\\(?[a-z)( ]{0,5}\\)?[ -~]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
