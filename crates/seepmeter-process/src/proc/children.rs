//! Who is whose child.

use std::collections::HashMap;
use std::path::Path;

use super::text::decimal;
use super::{ProcError, ProcFolder, ProcRoot};

impl ProcRoot {
    /// The children of a process, of each of its threads, in the order of their pids. Zombies are among
    /// them.
    ///
    /// They are read from /proc/PID/task/TID/children, and from every process's parent if this kernel
    /// was built without CONFIG_PROC_CHILDREN. Neither is a snapshot: a child that is forked or ends
    /// meanwhile may be missing, and while children end, so may one that lives. Whoever asks again
    /// finds it then.
    ///
    /// # Errors
    /// If the process has ended, or the files can't be read.
    pub fn children(&self, pid: i32) -> Result<Vec<i32>, ProcError> {
        let mut children = match self.process(pid).children_of_threads() {
            Err(error) if error.is_unsupported() => {
                let parents = self.parents()?;
                parents
                    .into_iter()
                    .filter(|(_, parent)| *parent == pid)
                    .map(|(pid, _)| pid)
                    .collect()
            }
            children => children?,
        };
        children.sort_unstable();
        Ok(children)
    }

    /// The parent of every process that it shows: one pass over all of them, for those who need more
    /// than one process's children.
    ///
    /// # Errors
    /// If it can't be listed, or a stat can't be read.
    pub fn parents(&self) -> Result<HashMap<i32, i32>, ProcError> {
        let mut parents = HashMap::new();
        for pid in self.pids()? {
            match self.process(pid).stat() {
                Ok(stat) => {
                    parents.insert(pid, stat.ppid);
                }
                // It has ended since it was listed.
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(parents)
    }
}

impl ProcFolder {
    fn children_of_threads(&self) -> Result<Vec<i32>, ProcError> {
        let mut children = Vec::new();
        for (_, thread) in self.threads()? {
            match thread.read("children") {
                Ok(text) => parse(&text, &thread.file("children"), &mut children)?,
                // The thread has ended, and its children are another thread's now.
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(children)
    }
}

/// Reads the line of the kernel (fs/proc/array.c, `children_seq_show`), which has no newline:
///
/// ```text
/// PID PID PID
/// ```
fn parse(text: &[u8], path: &Path, children: &mut Vec<i32>) -> Result<(), ProcError> {
    for word in text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let pid = decimal(word).and_then(|pid| pid.try_into().ok());
        children.push(pid.ok_or_else(|| ProcError::parse(path, 1, "pid", text))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::*;
    use crate::testing::WaitingChild;

    #[test]
    fn children_of_any_thread_are_the_processs_children() {
        let (say, hear) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let child = WaitingChild::spawn();
            say.send(child.pid()).unwrap();
            let _ = ended.recv();
        });
        let of_a_thread = hear.recv().unwrap();
        let own = WaitingChild::spawn();
        let root = ProcRoot::default();
        let pid = std::process::id().cast_signed();
        // Tests run beside this one, whose children come and go.
        let children = root.children(pid).unwrap();
        let parents = root.parents().unwrap();
        for child in [of_a_thread, own.pid()] {
            assert!(children.contains(&child), "{child} is not among {children:?}");
            assert_eq!(parents.get(&child), Some(&pid));
        }
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn without_children_files_the_parents_of_all_processes_tell_the_same() {
        let root = tempfile::tempdir().unwrap();
        let stat = |pid: i32, parent: i32| {
            let folder = root.path().join(pid.to_string());
            fs::create_dir_all(folder.join(format!("task/{pid}"))).unwrap();
            let numbers = "0 ".repeat(30);
            fs::write(folder.join("stat"), format!("{pid} (x) S {parent} {numbers}\n")).unwrap();
        };
        stat(7, 1);
        stat(12, 7);
        stat(9, 7);
        stat(10, 9);
        fs::create_dir(root.path().join("sys")).unwrap();
        let proc_root = ProcRoot::new(root.path());
        assert_eq!(proc_root.children(7).unwrap(), [9, 12]);
        assert_eq!(proc_root.children(10).unwrap(), [0; 0]);
        assert!(proc_root.children(8).unwrap_err().is_gone());
        fs::write(root.path().join("7/task/7/children"), "12 30 ").unwrap();
        assert_eq!(proc_root.children(7).unwrap(), [12, 30]);
        fs::write(root.path().join("7/task/7/children"), "12 x").unwrap();
        assert!(matches!(proc_root.children(7), Err(ProcError::Parse { item: "pid", .. })));
    }
}
