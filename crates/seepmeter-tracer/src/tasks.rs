//! The threads of a process, as /proc/PID/task lists them, and what /proc says of one.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;
use seepmeter_process::proc::{ProcFolder, ProcRoot};

/// How many links an empty folder of procfs has: itself and its parent.
const LINKS_OF_AN_EMPTY_FOLDER: u64 = 2;

/// As much of the folder is read at once, in bytes: some hundred threads.
const LIST_BUFFER: usize = 8192;

/// /proc/PID/task, kept open: neither a list nor a count needs another descriptor, of which there may be none.
#[derive(Debug)]
pub(crate) struct TaskFolder {
    folder: File,
}

impl TaskFolder {
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let folder = File::open(ProcRoot::default().process(pid).file("task"))?;
        Ok(Self { folder })
    }

    /// The tids, with those of threads that have ended and are not yet reaped. Empty if the process has
    /// gone.
    ///
    /// # Errors
    /// What getdents64(2) fails with for any other reason.
    pub(crate) fn list(&self) -> io::Result<Vec<i32>> {
        match self.read_tids() {
            // proc_task_readdir in fs/proc/base.c.
            Err(Errno::NOENT | Errno::SRCH) => Ok(Vec::new()),
            tids => Ok(tids?),
        }
    }

    fn read_tids(&self) -> rustix::io::Result<Vec<i32>> {
        seek(&self.folder, SeekFrom::Start(0))?;
        let mut buffer = [MaybeUninit::uninit(); LIST_BUFFER];
        let mut entries = RawDir::new(&self.folder, &mut buffer);
        let mut tids = Vec::new();
        while let Some(entry) = entries.next() {
            // Not `.` and `..`.
            tids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
        }
        Ok(tids)
    }

    /// How many there are. The kernel counts them as links of the folder (`proc_task_getattr` in
    /// fs/proc/base.c), which costs 1 µs; a list of them costs 10 and more.
    pub(crate) fn count(&self) -> Option<usize> {
        let links = self.folder.metadata().ok()?.nlink();
        links.checked_sub(LINKS_OF_AN_EMPTY_FOLDER)?.try_into().ok()
    }
}

/// The folder of a process or a thread. A thread has one there too, which is not listed.
pub(crate) fn folder(tid: i32) -> ProcFolder {
    ProcRoot::default().process(tid)
}

/// The letter of a thread's state (proc(5)). None if it has gone, or could not be read.
pub(crate) fn state(pid: i32, tid: i32) -> Option<char> {
    folder(pid).thread(tid).stat().ok().map(|stat| stat.state)
}

/// True if the thread runs no more: it has gone, or is a zombie. False if that can't be known.
pub(crate) fn has_ended(pid: i32, tid: i32) -> bool {
    match folder(pid).thread(tid).stat() {
        Ok(stat) => matches!(stat.state, 'Z' | 'X'),
        Err(error) => error.is_gone(),
    }
}

/// The process that a thread belongs to. None if it has gone.
pub(crate) fn process_of(tid: i32) -> Option<i32> {
    folder(tid).status().ok().map(|status| status.tgid)
}

/// The parent of a process. None if it has gone.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    folder(pid).stat().ok().map(|stat| stat.ppid)
}

/// The thread that traces a thread, if there is one.
pub(crate) fn tracer(tid: i32) -> Option<i32> {
    folder(tid).status().ok()?.tracer
}

/// True if this very thread traces the thread, also if that has ended and was not waited for; and if it can't
/// be known, since a tracee that is given up stays stopped for ever.
pub(crate) fn is_traced_by_us(tid: i32) -> bool {
    match folder(tid).status() {
        Ok(status) => status.tracer == Some(nix::unistd::gettid().as_raw()),
        Err(error) => !error.is_gone(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_count_of_threads_follows_births_and_ends() {
        let pid = std::process::id().cast_signed();
        let tasks = TaskFolder::open(pid).unwrap();
        let (end, ended) = mpsc::channel::<()>();
        let (say, born) = mpsc::channel();
        let thread = thread::spawn(move || {
            say.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = born.recv().unwrap();
        assert!(tasks.list().unwrap().contains(&tid));
        // Other tests' threads come and go, so the two are compared until no one came in between.
        while tasks.count() != Some(tasks.list().unwrap().len()) {}
        drop(end);
        thread.join().unwrap();
        while !has_ended(pid, tid) {}
    }

    #[test]
    fn a_process_that_has_gone_has_no_threads_and_is_no_error() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let tasks = TaskFolder::open(pid).unwrap();
        assert_eq!(tasks.list().unwrap(), [pid]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(tasks.list().unwrap(), [0; 0]);
        assert!(has_ended(pid, pid) && !is_traced_by_us(pid));
    }
}
