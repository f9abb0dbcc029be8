//! The threads of a target, and their subjects.

use glob::Pattern;
use seepmeter_maps::class::{ThreadStack, ThreadStacks};
use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{Attributes, MetricId, SubjectId, SubjectKind};
use seepmeter_plugin::{Error, NewSubject, SampleBuilder, Stream, SubjectTable};
use seepmeter_process::proc::ProcFolder;
use seepmeter_process::stack_size;
use seepmeter_process::threads::{Thread, ThreadTable};

/// The threads that there are.
#[derive(Debug)]
pub(crate) struct Threads {
    process: SubjectId,
    pid: i32,
    stack_size: Option<u64>,
    /// With each thread, its stack pointer if it is stopped in this sample.
    known: ThreadTable<Option<u64>>,
    subjects: SubjectTable<ThreadKey>,
}

/// A thread under its name: under another name it is another subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ThreadKey {
    tid: i32,
    start_time: u64,
    name: Vec<u8>,
}

impl ThreadKey {
    fn of(thread: &Thread<Option<u64>>) -> Self {
        let Thread { tid, start_time, ref name, .. } = *thread;
        Self { tid, start_time, name: name.clone() }
    }
}

impl Threads {
    /// The threads of process `pid`, of which none is known yet. `metrics` are those of a thread.
    pub(crate) fn new(
        process: SubjectId,
        pid: i32,
        folder: ProcFolder,
        metrics: Vec<MetricId>,
    ) -> Self {
        Self {
            process,
            pid,
            stack_size: stack_size(&folder),
            known: ThreadTable::new(folder),
            subjects: SubjectTable::new(metrics),
        }
    }

    /// A thread's folder in procfs.
    pub(crate) fn folder(&self, tid: i32) -> ProcFolder {
        self.known.process().thread(tid)
    }

    /// Reads anew which threads there are, and their names, before the target is stopped.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        let refreshed = self.known.refresh();
        self.known.take_ended().for_each(drop);
        self.known.iter_mut().for_each(|thread| thread.data = None);
        match refreshed {
            Err(error) if !error.is_gone() => Err(Error::of(&error)),
            // That it has ended is found out by whoever stops it next.
            _ => Ok(()),
        }
    }

    /// A thread is stopped. True if its name matches the pattern.
    pub(crate) fn set_stopped(&mut self, tid: i32, pointer: u64, pattern: &Pattern) -> bool {
        // One that can't be read any more has just been killed.
        let Ok(Some(thread)) = self.known.find(tid) else { return false };
        thread.data = Some(pointer);
        pattern.matches(&String::from_utf8_lossy(&thread.name))
    }

    /// True for a thread that is known.
    pub(crate) fn is_known(&mut self, tid: i32) -> bool {
        self.known.get_mut(tid).is_some()
    }

    /// Where the stacks of the stopped threads are. The main thread's has a name of its own in maps.
    pub(crate) fn stacks(&self) -> ThreadStacks<'_> {
        let others = self.known.iter().filter(|thread| thread.tid != self.pid);
        let stacks = others.filter_map(|thread| {
            Some(ThreadStack { pointer: thread.data?, tid: thread.tid, name: &thread.name })
        });
        stacks.collect::<ThreadStacks<'_>>().with_usual_size(self.stack_size)
    }

    /// Begins an observation of all threads.
    pub(crate) fn begin(&mut self) {
        self.subjects.begin();
    }

    /// A thread was observed.
    pub(crate) fn observe(
        &mut self,
        tid: i32,
        values: &[Option<i64>],
        sample: &mut SampleBuilder<'_>,
    ) {
        let Some(thread) = self.known.get_mut(tid) else { return };
        let parent = Some(self.process);
        self.subjects.observe(&ThreadKey::of(thread), values, sample, |key| NewSubject {
            parent,
            kind: SubjectKind::Thread,
            name: key.name.as_slice().into(),
            attributes: Attributes::new().with(attribute::TID, key.tid),
        });
    }

    /// A thread lives, though nothing was observed of it: its subject stays, if it has one.
    pub(crate) fn keep(&mut self, tid: i32, sample: &mut SampleBuilder<'_>) {
        let key = self.known.get_mut(tid).map(|thread| ThreadKey::of(thread));
        if key.is_some_and(|key| self.subjects.subject(&key).is_some()) {
            self.observe(tid, &[], sample);
        }
    }

    /// Ends the subjects of threads that were not observed.
    pub(crate) fn end_unobserved(&mut self, stream: &mut dyn Stream) {
        self.subjects.end_unobserved(stream);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use seepmeter_plugin::StreamBuffer;
    use seepmeter_plugin::record::{EventKind, Record};
    use seepmeter_process::proc::ProcRoot;

    use super::*;

    fn own_threads() -> Threads {
        let pid = std::process::id().cast_signed();
        Threads::new(SubjectId(0), pid, ProcRoot::default().own(), Vec::new())
    }

    #[test]
    fn a_thread_with_an_empty_name_matches_like_any_other() {
        let (say, hear) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            nix::sys::prctl::set_name(c"").unwrap();
            say.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = hear.recv().unwrap();
        let matches = |pattern: &str| {
            let pattern = Pattern::new(pattern).unwrap();
            let mut threads = own_threads();
            let before = threads.set_stopped(tid, 0, &pattern);
            threads.refresh().unwrap();
            (before, threads.set_stopped(tid, 0, &pattern))
        };
        assert_eq!(matches("*"), (true, true));
        assert_eq!(matches("w*"), (false, false));
        drop(end);
        thread.join().unwrap();
    }

    /// A subject of each thread in turn, as a target has that serves each request on a new thread.
    #[test]
    fn nothing_is_kept_of_threads_that_have_ended() {
        let mut threads = own_threads();
        let mut stream = StreamBuffer::new();
        for _ in 0..300 {
            let (say, hear) = mpsc::channel();
            let (end, ended) = mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                say.send(nix::unistd::gettid().as_raw()).unwrap();
                let _ = ended.recv();
            });
            let tid = hear.recv().unwrap();
            threads.refresh().unwrap();
            let sampled = stream.sample(|sample| {
                threads.begin();
                assert!(threads.set_stopped(tid, 0, &Pattern::new("*").unwrap()));
                threads.observe(tid, &[], sample);
                threads.end_unobserved(sample.stream());
                Ok(())
            });
            sampled.unwrap();
            drop(end);
            thread.join().unwrap();
        }
        assert_eq!(threads.subjects.len(), 1);
        // Other tests have threads too.
        assert!(threads.known.iter().count() < 100 && threads.known.take_ended().count() == 0);
        let gone = |record: &&Record| matches!(record, Record::Event(event) if event.kind == EventKind::Gone {});
        assert_eq!(stream.records().iter().filter(gone).count(), 299);
    }
}
