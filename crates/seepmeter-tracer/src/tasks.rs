//! The threads of a process, as /proc/PID/task lists them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What a folder of procfs has for links when nothing is in it: itself and its parent.
const LINKS_OF_AN_EMPTY_FOLDER: u64 = 2;

/// /proc/PID/task.
#[derive(Debug)]
pub(crate) struct Tasks {
    path: PathBuf,
    folder: File,
}

impl Tasks {
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}/task"));
        Ok(Self { folder: File::open(&path)?, path })
    }

    /// The tids, of threads that have ended and are not yet reaped too. None where the process has
    /// gone.
    pub(crate) fn list(&self) -> Vec<i32> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// How many there are. The kernel counts them as links of the folder (`proc_task_getattr` in
    /// fs/proc/base.c), which costs 1 µs where a list of them costs 10 and more.
    pub(crate) fn count(&self) -> Option<usize> {
        let links = self.folder.metadata().ok()?.nlink();
        links.checked_sub(LINKS_OF_AN_EMPTY_FOLDER)?.try_into().ok()
    }
}

/// The state of a thread: the letter behind its name in /proc/PID/task/TID/stat (proc(5)). None where
/// it has gone.
pub(crate) fn state(pid: i32, tid: i32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    let end_of_name = memchr::memrchr(b')', &stat)?;
    stat.get(end_of_name + 2).copied().map(char::from)
}

/// True where the thread runs no more: it has gone, or is a zombie.
pub(crate) fn has_ended(pid: i32, tid: i32) -> bool {
    matches!(state(pid, tid), None | Some('Z' | 'X'))
}

/// The value behind `key:` in /proc/PID/status.
pub(crate) fn status(pid: i32, key: &str) -> Option<String> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_count_of_threads_follows_births_and_ends() {
        let pid = std::process::id().cast_signed();
        let tasks = Tasks::open(pid).unwrap();
        let (end, ended) = mpsc::channel::<()>();
        let (say, born) = mpsc::channel();
        let thread = thread::spawn(move || {
            // SAFETY: asks for the caller's own tid.
            say.send(unsafe { libc::gettid() }).unwrap();
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
