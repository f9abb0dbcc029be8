//! The threads of a process, and what is known of each from one pass over them to the next.

use std::collections::HashMap;

use crate::proc::{ProcError, ProcFolder};

/// All threads are read again at each pass only if there are no more than this: of very many, only
/// new ones are.
const READ_AGAIN: usize = 256;

/// A thread, with what its reader keeps of it.
#[derive(Clone, Debug)]
pub struct Thread<T> {
    /// Its id.
    pub tid: i32,
    /// Its name as it was last read, at most 15 bytes. It may be empty, and it may change.
    pub name: Vec<u8>,
    /// When it started, in clock ticks since boot: with the id, this is its identity.
    pub start_time: u64,
    /// True of a leader that has ended while other threads run on.
    pub has_ended: bool,
    /// What its reader keeps of it.
    pub data: T,
    seen: u64,
}

/// The threads of a process.
#[derive(Debug)]
pub struct ThreadTable<T> {
    process: ProcFolder,
    threads: HashMap<i32, Thread<T>>,
    /// Those that have ended and were not taken yet.
    ended: Vec<Thread<T>>,
    pass: u64,
}

impl<T: Default> ThreadTable<T> {
    /// The threads of the process of this folder, of which none is known yet.
    #[must_use]
    pub fn new(process: ProcFolder) -> Self {
        Self { process, threads: HashMap::new(), ended: Vec::new(), pass: 0 }
    }

    /// The process's folder.
    #[must_use]
    pub fn process(&self) -> &ProcFolder {
        &self.process
    }

    /// Lists the threads anew. Those that are there no more have ended, and so has one whose id another
    /// thread has got.
    ///
    /// # Errors
    /// If the process has ended, or its threads can't be read.
    pub fn refresh(&mut self) -> Result<(), ProcError> {
        self.pass += 1;
        let folders: Vec<(i32, ProcFolder)> = self.process.threads()?.collect();
        let read_again = folders.len() <= READ_AGAIN;
        for (tid, folder) in folders {
            match self.threads.get_mut(&tid).filter(|_| !read_again) {
                Some(known) => known.seen = self.pass,
                None => self.read(tid, &folder)?,
            }
        }
        let pass = self.pass;
        self.end_unless(|thread| thread.seen == pass);
        Ok(())
    }

    /// A thread, which is read now if it came after the last pass. None if there is no such thread, or
    /// it has just ended.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn find(&mut self, tid: i32) -> Result<Option<&mut Thread<T>>, ProcError> {
        if !self.threads.contains_key(&tid) {
            self.read(tid, &self.process.thread(tid))?;
        }
        Ok(self.threads.get_mut(&tid))
    }

    /// A thread that is known.
    #[must_use]
    pub fn get_mut(&mut self, tid: i32) -> Option<&mut Thread<T>> {
        self.threads.get_mut(&tid)
    }

    /// The threads that are known, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Thread<T>> {
        self.threads.values()
    }

    /// The threads that are known, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Thread<T>> {
        self.threads.values_mut()
    }

    /// Those of which `lives` is false have ended, as their reader knows.
    pub fn end_unless(&mut self, lives: impl Fn(&Thread<T>) -> bool) {
        self.ended.extend(self.threads.extract_if(|_, thread| !lives(thread)).map(|(_, t)| t));
    }

    /// The threads that have ended since this was last asked.
    pub fn take_ended(&mut self) -> impl Iterator<Item = Thread<T>> {
        self.ended.drain(..)
    }

    fn read(&mut self, tid: i32, folder: &ProcFolder) -> Result<(), ProcError> {
        let stat = match folder.stat() {
            Ok(stat) => stat,
            // It has ended since it was listed.
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error),
        };
        let (start_time, has_ended) = (stat.start_time, stat.has_ended());
        let new = |data| Thread { tid, name: Vec::new(), start_time, has_ended, data, seen: 0 };
        let thread = self.threads.entry(tid).or_insert_with(|| new(T::default()));
        if thread.start_time != start_time {
            self.ended.push(std::mem::replace(thread, new(T::default())));
        }
        thread.name = stat.comm;
        thread.has_ended = has_ended;
        thread.seen = self.pass;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc;

    use super::*;
    use crate::proc::ProcRoot;

    fn own() -> ThreadTable<u32> {
        ThreadTable::new(ProcRoot::default().own())
    }

    #[test]
    fn a_thread_is_known_while_it_lives_with_what_is_kept_of_it() {
        let (end, ended) = mpsc::channel::<()>();
        let (say, born) = mpsc::channel();
        let thread = std::thread::Builder::new().name("kept".to_owned()).spawn(move || {
            say.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = born.recv().unwrap();
        let mut table = own();
        table.refresh().unwrap();
        table.get_mut(tid).unwrap().data = 7;
        table.refresh().unwrap();
        let known = table.find(tid).unwrap().unwrap();
        assert_eq!((known.data, known.name.as_slice(), known.has_ended), (7, &b"kept"[..], false));
        drop(end);
        thread.unwrap().join().unwrap();
        // Joined is the memory of a thread; the kernel's end of it may come a moment later.
        while table.get_mut(tid).is_some() {
            table.refresh().unwrap();
        }
        assert!(table.take_ended().any(|thread| thread.tid == tid && thread.data == 7));
        assert!(table.find(tid).unwrap().is_none());
    }

    #[test]
    fn a_thread_with_an_empty_name_is_a_thread_and_a_new_name_does_not_end_one() {
        let (say, hear) = mpsc::channel();
        let (next, asked) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            for name in [c"", c"other"] {
                nix::sys::prctl::set_name(name).unwrap();
                say.send(nix::unistd::gettid().as_raw()).unwrap();
                let _ = asked.recv();
            }
        });
        let mut table = own();
        let tid = hear.recv().unwrap();
        table.refresh().unwrap();
        let known = table.get_mut(tid).expect("it is there, without a name");
        assert!(known.name.is_empty());
        known.data = 7;
        next.send(()).unwrap();
        hear.recv().unwrap();
        table.refresh().unwrap();
        let known = table.get_mut(tid).unwrap();
        assert_eq!((known.name.as_slice(), known.data), (&b"other"[..], 7));
        drop(next);
        thread.join().unwrap();
    }

    #[test]
    fn another_thread_of_the_same_id_is_another_thread() {
        let root = tempfile::tempdir().unwrap();
        let stat = |start: u64| {
            let folder = root.path().join("7/task/9");
            fs::create_dir_all(&folder).unwrap();
            let text = format!("9 (x) S 1 7 7 0 -1 64 {}{start} 0\n", "0 ".repeat(12));
            fs::write(folder.join("stat"), text).unwrap();
        };
        let folder = |root: &Path| ProcRoot::new(root).process(7);
        stat(100);
        let mut table: ThreadTable<u32> = ThreadTable::new(folder(root.path()));
        table.refresh().unwrap();
        table.get_mut(9).unwrap().data = 1;
        stat(200);
        table.refresh().unwrap();
        let ended: Vec<_> =
            table.take_ended().map(|thread| (thread.start_time, thread.data)).collect();
        assert_eq!(ended, [(100, 1)]);
        assert_eq!(
            table.iter().map(|thread| (thread.start_time, thread.data)).next(),
            Some((200, 0))
        );
    }
}
