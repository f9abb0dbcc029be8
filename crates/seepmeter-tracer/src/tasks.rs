//! The threads of a process, as /proc/PID/task lists them, and what /proc says of one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use seepmeter_process::proc::{ProcFolder, ProcRoot};

/// How many links an empty folder of procfs has: itself and its parent.
const LINKS_OF_AN_EMPTY_FOLDER: u64 = 2;

/// /proc/PID/task.
#[derive(Debug)]
pub(crate) struct TaskFolder {
    path: PathBuf,
    folder: File,
}

impl TaskFolder {
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}/task"));
        Ok(Self { folder: File::open(&path)?, path })
    }

    /// The tids, with those of threads that have ended and are not yet reaped. Empty if the process has
    /// gone.
    pub(crate) fn list(&self) -> Vec<i32> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
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

/// The letter of a thread's state (proc(5)). None if it has gone.
pub(crate) fn state(pid: i32, tid: i32) -> Option<char> {
    folder(pid).thread(tid).stat().ok().map(|stat| stat.state)
}

/// True if the thread runs no more: it has gone, or is a zombie.
pub(crate) fn has_ended(pid: i32, tid: i32) -> bool {
    matches!(state(pid, tid), None | Some('Z' | 'X'))
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

/// True if this very thread traces the thread, also if that has ended and was not waited for.
pub(crate) fn is_traced_by_us(tid: i32) -> bool {
    tracer(tid) == Some(nix::unistd::gettid().as_raw())
}

#[cfg(test)]
mod tests {
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
        assert!(tasks.list().contains(&tid));
        // Other tests' threads come and go, so the two are compared until no one came in between.
        while tasks.count() != Some(tasks.list().len()) {}
        drop(end);
        thread.join().unwrap();
        while !has_ended(pid, tid) {}
    }
}
