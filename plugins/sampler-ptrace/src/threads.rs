//! The subjects of threads, and where each stands.

use glob::Pattern;
use seepmeter_maps::class::{ThreadStack, ThreadStacks};
use seepmeter_plugin::record::{Attr, Event, EventKind, SubjectId, subject_kind};
use seepmeter_plugin::{Error, NewSubject, Stream};
use seepmeter_process::proc::ProcFolder;
use seepmeter_process::threads::{Thread, ThreadTable};

/// The threads that there are.
#[derive(Debug)]
pub(crate) struct Threads {
    process: SubjectId,
    pid: i32,
    pattern: Pattern,
    table: ThreadTable<Standing>,
    look: u64,
    /// Subjects whose end is yet to be told, of threads that live on under another name.
    renamed: Vec<SubjectId>,
}

/// Where a thread stands, and what was told of that.
#[derive(Debug, Default)]
struct Standing {
    subject: Option<SubjectId>,
    /// The name of the subject.
    subject_name: Vec<u8>,
    stack_pointer: u64,
    /// The stack that it was last told to stand at.
    stood: Option<SubjectId>,
    /// The last look in which it was there.
    seen: u64,
}

impl Threads {
    pub(crate) fn new(process: SubjectId, pid: i32, folder: ProcFolder, pattern: Pattern) -> Self {
        let table = ThreadTable::new(folder);
        Self { process, pid, pattern, table, look: 0, renamed: Vec::new() }
    }

    /// A thread's folder in procfs.
    pub(crate) fn folder(&self, tid: i32) -> ProcFolder {
        self.table.process().thread(tid)
    }

    /// Another look begins, and the target still runs: names are read again, which may have changed.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.look += 1;
        match self.table.refresh() {
            Ok(()) => {}
            // Whoever stops it next learns that too.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(Error::failed(error)),
        }
        for Thread { name, data, .. } in self.table.iter_mut() {
            // Another name is another subject: the old one's time is over.
            if *name != data.subject_name && data.subject.is_some() {
                self.renamed.extend(data.subject.take());
                data.stood = None;
            }
        }
        Ok(())
    }

    /// True for a thread whose stack and registers are asked for.
    pub(crate) fn wants(&mut self, tid: i32) -> bool {
        // One that can't be read any more has just been killed.
        let thread = self.table.find(tid).ok().flatten();
        thread.is_some_and(|thread| self.pattern.matches(&String::from_utf8_lossy(&thread.name)))
    }

    /// A thread was there in this look, with its stack pointer here.
    pub(crate) fn saw(&mut self, tid: i32, stack_pointer: u64) {
        if let Ok(Some(thread)) = self.table.find(tid) {
            thread.data.seen = self.look;
            thread.data.stack_pointer = stack_pointer;
        }
    }

    /// The subject of a thread; none if it is not known.
    pub(crate) fn subject(&mut self, tid: i32, stream: &mut dyn Stream) -> Option<SubjectId> {
        let process = self.process;
        let Thread { name, data, .. } = self.table.get_mut(tid)?;
        Some(*data.subject.get_or_insert_with(|| {
            data.subject_name.clone_from(name);
            stream.subject(NewSubject {
                parent: Some(process),
                kind: subject_kind::THREAD.into(),
                name: name.as_slice().into(),
                attrs: vec![("tid".to_owned(), Attr::Int(tid.into()))],
            })
        }))
    }

    /// A thread stands at this stack now; true where it stood elsewhere when that was last told.
    pub(crate) fn moves(&mut self, tid: i32, stack: SubjectId) -> bool {
        let thread = self.table.get_mut(tid);
        thread.is_some_and(|thread| thread.data.stood.replace(stack) != Some(stack))
    }

    /// Ends the subjects of threads that were not there in this look.
    pub(crate) fn bury(&mut self, stream: &mut dyn Stream) {
        let look = self.look;
        self.table.end_unless(|thread| thread.data.seen == look);
        let ended = self.table.take_ended().filter_map(|thread| thread.data.subject);
        let now = stream.now();
        for subject in self.renamed.drain(..).chain(ended) {
            stream.event(Event::new(now, EventKind::Gone).of(subject));
        }
    }

    /// Where the threads' stacks are. The main thread's has a name of its own in maps.
    pub(crate) fn stacks(&self) -> ThreadStacks<'_> {
        let others = self.table.iter().filter(|thread| thread.tid != self.pid);
        let stacks = others.map(|thread| ThreadStack {
            pointer: thread.data.stack_pointer,
            tid: thread.tid,
            name: &thread.name,
        });
        stacks.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use seepmeter_process::proc::ProcRoot;

    use super::*;

    #[test]
    fn a_thread_with_an_empty_name_is_wanted_like_any_other() {
        let (say, hear) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            nix::sys::prctl::set_name(c"").unwrap();
            say.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = hear.recv().unwrap();
        let wants = |pattern: &str| {
            let pattern = Pattern::new(pattern).unwrap();
            let pid = std::process::id().cast_signed();
            let mut threads = Threads::new(SubjectId(0), pid, ProcRoot::default().own(), pattern);
            let before = threads.wants(tid);
            threads.begin().unwrap();
            (before, threads.wants(tid))
        };
        assert_eq!(wants("*"), (true, true));
        assert_eq!(wants("w*"), (false, false));
        drop(end);
        thread.join().unwrap();
    }
}
