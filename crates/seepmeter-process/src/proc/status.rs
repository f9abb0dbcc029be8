//! /proc/PID/status: marks of the memory, and rights.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::text::{keyed_lines, kibibytes, leading_decimal};
use super::{ProcError, ProcFolder};

/// What status says, as far as Seepmeter needs it. Sizes are in bytes; none if the line is not there,
/// as in the status of a zombie or of a kernel without swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The process that a thread belongs to.
    pub tgid: i32,
    /// The thread's number in its own pid namespace, by which it knows itself: the last of NSpid.
    pub inner_pid: Option<i32>,
    /// The thread that traces it, if there is one: TracerPid.
    pub tracer: Option<i32>,
    /// Its real user id: the first of Uid.
    pub uid: Option<u32>,
    /// The largest resident set so far: VmHWM. With `rss` it comes from one read, so that it is never
    /// the older of the two.
    pub peak_rss: Option<u64>,
    /// The resident set: VmRSS.
    pub rss: Option<u64>,
    /// What of that belongs to no file: RssAnon.
    pub rss_anonymous: Option<u64>,
    /// What of it are pages of files: RssFile.
    pub rss_files: Option<u64>,
    /// What of it is shared memory: RssShmem.
    pub rss_shared: Option<u64>,
    /// What of its anonymous memory is swapped out: VmSwap.
    pub swap: Option<u64>,
    /// How many threads the process has: Threads.
    pub threads: Option<u64>,
    /// The capabilities that it may use, a bit each: CapEff.
    pub capabilities: Option<u64>,
    /// Which of its system calls are filtered: Seccomp. 0 is none, 1 all but four, 2 by a filter.
    pub seccomp: Option<u32>,
}

impl Status {
    /// Reads the lines of the kernel (fs/proc/array.c, `proc_pid_status`; fs/proc/task_mmu.c,
    /// `task_mem`):
    ///
    /// ```text
    /// Tgid:\t4242
    /// NSpid:\t4242\t7
    /// TracerPid:\t0
    /// Uid:\t1000\t1000\t1000\t1000
    /// VmHWM:\t    3456 kB
    /// VmRSS:\t    3400 kB
    /// RssAnon:\t     900 kB
    /// VmSwap:\t       0 kB
    /// Threads:\t3
    /// CapEff:\t000001ffffffffff
    /// Seccomp:\t0
    /// ```
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, ProcError> {
        let mut status = Self::default();
        let mut tgid = None;
        for (line, key, value) in keyed_lines(text) {
            let failed = |item| ProcError::parse(path, line, item, value);
            let bytes = |item| kibibytes(value).map(Some).ok_or_else(|| failed(item));
            match key {
                b"Tgid" => tgid = Some(first(value).ok_or_else(|| failed("Tgid"))?),
                b"NSpid" => {
                    let inner = value.split(u8::is_ascii_whitespace).next_back().and_then(first);
                    status.inner_pid = Some(inner.ok_or_else(|| failed("NSpid"))?);
                }
                b"TracerPid" => {
                    let tracer = first(value).ok_or_else(|| failed("TracerPid"))?;
                    status.tracer = Some(tracer).filter(|tracer| *tracer != 0);
                }
                b"Uid" => status.uid = Some(first(value).ok_or_else(|| failed("Uid"))?),
                b"VmHWM" => status.peak_rss = bytes("VmHWM")?,
                b"VmRSS" => status.rss = bytes("VmRSS")?,
                b"RssAnon" => status.rss_anonymous = bytes("RssAnon")?,
                b"RssFile" => status.rss_files = bytes("RssFile")?,
                b"RssShmem" => status.rss_shared = bytes("RssShmem")?,
                b"VmSwap" => status.swap = bytes("VmSwap")?,
                b"Threads" => {
                    status.threads = Some(first(value).ok_or_else(|| failed("Threads"))?);
                }
                b"Seccomp" => {
                    status.seccomp = Some(first(value).ok_or_else(|| failed("Seccomp"))?);
                }
                b"CapEff" => {
                    let digits = std::str::from_utf8(value.trim_ascii()).ok();
                    let bits = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                    status.capabilities = Some(bits.ok_or_else(|| failed("CapEff"))?);
                }
                _ => {}
            }
        }
        status.tgid = tgid.ok_or_else(|| ProcError::parse(path, 1, "Tgid", text))?;
        Ok(status)
    }

    /// True if it may use a capability, by its number in capabilities(7).
    #[must_use]
    pub fn has_capability(&self, number: u32) -> bool {
        self.capabilities.is_some_and(|bits| bits.checked_shr(number).unwrap_or(0) & 1 == 1)
    }
}

/// The first of some numbers.
fn first<T: TryFrom<u64>>(value: &[u8]) -> Option<T> {
    leading_decimal(value.trim_ascii())?.0.try_into().ok()
}

/// An open status. Like [`StatmFile`](super::StatmFile) it stays with its process.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
    path: PathBuf,
}

/// So long is the status of nearly every process.
const USUAL_LENGTH: usize = 4096;

impl StatusFile {
    /// Opens it.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be opened.
    pub fn open(folder: &ProcFolder) -> Result<Self, ProcError> {
        Ok(Self { file: folder.open("status")?, path: folder.file("status") })
    }

    /// Reads it anew, in one pread(2) unless it is longer than is usual.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn read(&self) -> Result<Status, ProcError> {
        // Not kept: a thousand files are open at once in a large tree.
        let mut usual = [0; USUAL_LENGTH];
        if let Some(status) = self.read_into(&mut usual)? {
            return Ok(status);
        }
        // A process may have thousands of groups, all in one line.
        let mut long = vec![0; 4 * USUAL_LENGTH];
        loop {
            if let Some(status) = self.read_into(&mut long)? {
                return Ok(status);
            }
            long.resize(long.len() * 2, 0);
        }
    }

    /// None if the buffer is too short.
    fn read_into(&self, buffer: &mut [u8]) -> Result<Option<Status>, ProcError> {
        let length = self.file.read_at(buffer, 0);
        let length = length.map_err(|error| ProcError::io(&self.path, error))?;
        let is_whole = length < buffer.len();
        is_whole.then(|| Status::parse(&buffer[..length], &self.path)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proc::ProcRoot;

    fn parse(text: &[u8]) -> Option<Status> {
        Status::parse(text, Path::new("status")).ok()
    }

    #[test]
    fn the_mark_and_the_size_are_found_and_a_name_that_looks_like_them_is_not() {
        let text = b"Name:\tx VmHWM: 1 kB\nTgid:\t7\nVmHWM:\t    3456 kB\nVmRSS:\t    3400 kB\nVmSwap:\t 8 kB\n";
        let (peak_rss, rss, swap) = (Some(3456 << 10), Some(3400 << 10), Some(8 << 10));
        let status = Status { tgid: 7, peak_rss, rss, swap, ..Status::default() };
        assert_eq!(parse(text), Some(status));
    }

    #[test]
    fn a_zombie_has_no_memory_and_that_is_not_zero() {
        let zombie = parse(b"Name:\tzombie\nState:\tZ (zombie)\nTgid:\t7\n").unwrap();
        assert_eq!((zombie.rss, zombie.peak_rss, zombie.swap), (None, None, None));
        assert_eq!(parse(b"Tgid:\t7\nVmRSS:\tmuch\n"), None);
    }

    #[test]
    fn this_processs_status_agrees_with_the_procfs_crate() {
        let folder = ProcRoot::default().own();
        let file = StatusFile::open(&folder).unwrap();
        let before = procfs::process::Process::myself().unwrap().status().unwrap();
        let status = file.read().unwrap();
        assert_eq!(status.tgid, before.tgid);
        assert_eq!(status.capabilities, Some(before.capeff));
        assert_eq!(status.inner_pid, before.nspid.and_then(|pids| pids.last().copied()));
        assert_eq!((status.uid, status.tracer), (Some(before.ruid), None));
        assert_eq!(parse(b"Tgid:\t7\nTracerPid:\t9\n").unwrap().tracer, Some(9));
        assert!(status.peak_rss.unwrap() >= before.vmhwm.unwrap() * 1024);
        assert!(status.peak_rss >= status.rss);
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
