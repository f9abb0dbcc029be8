//! The subjects of threads, and where each stands.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use glob::Pattern;
use seepmeter_maps::threads::Stack;
use seepmeter_plugin::record::{Attr, Event, EventKind, SubjectId, subject_kind};
use seepmeter_plugin::{NewSubject, Stream};

/// Names are read again at each look only where there are no more threads than this.
const FEW: usize = 256;

/// The threads that there are.
#[derive(Debug)]
pub(crate) struct Threads {
    process: SubjectId,
    pid: i32,
    /// /proc/PID/task.
    tasks: PathBuf,
    pattern: Pattern,
    known: HashMap<i32, Thread>,
    look: u64,
    /// Subjects whose end is yet to be told.
    ended: Vec<SubjectId>,
}

#[derive(Debug)]
struct Thread {
    name: Vec<u8>,
    wanted: bool,
    subject: Option<SubjectId>,
    stack_pointer: u64,
    /// The stack that it was last told to stand at.
    stood: Option<SubjectId>,
    seen: u64,
}

impl Threads {
    pub(crate) fn new(process: SubjectId, pid: i32, tasks: PathBuf, pattern: Pattern) -> Self {
        Self { process, pid, tasks, pattern, known: HashMap::new(), look: 0, ended: Vec::new() }
    }

    /// A thread's folder in procfs.
    pub(crate) fn folder(&self, tid: i32) -> PathBuf {
        self.tasks.join(tid.to_string())
    }

    /// Another look begins, and the target still runs: names are read again, which may have changed. Of
    /// very many threads only those of new ones are.
    pub(crate) fn begin(&mut self) {
        self.look += 1;
        let Ok(folders) = fs::read_dir(&self.tasks) else { return };
        let tids = folders.flatten().filter_map(|folder| folder.file_name().to_str()?.parse().ok());
        let tids: Vec<i32> = tids.collect();
        let few = tids.len() <= FEW;
        let unknown = |tid: &i32| few || !self.known.contains_key(tid);
        let tids: Vec<i32> = tids.into_iter().filter(unknown).collect();
        self.learn_names(tids);
    }

    fn learn_names(&mut self, tids: impl IntoIterator<Item = i32>) {
        for tid in tids {
            let name = read_name(&self.folder(tid));
            let wanted = meets(&self.pattern, &name);
            let thread = self.known.entry(tid).or_insert_with(Thread::new);
            if thread.name != name {
                // Another name is another subject: the old one's time is over.
                self.ended.extend(thread.subject.take());
                *thread = Thread { name, wanted, seen: thread.seen, ..Thread::new() };
            }
        }
    }

    /// True for a thread whose stack and registers are asked for.
    pub(crate) fn wants(&mut self, tid: i32) -> bool {
        if !self.known.contains_key(&tid) {
            self.learn_names([tid]);
        }
        self.known.get(&tid).is_some_and(|thread| thread.wanted)
    }

    /// A thread was there in this look, with its stack pointer here.
    pub(crate) fn saw(&mut self, tid: i32, stack_pointer: u64) {
        let thread = self.known.entry(tid).or_insert_with(Thread::new);
        thread.seen = self.look;
        thread.stack_pointer = stack_pointer;
    }

    /// The subject of a thread.
    pub(crate) fn subject(&mut self, tid: i32, stream: &mut dyn Stream) -> SubjectId {
        let process = self.process;
        let thread = self.known.entry(tid).or_insert_with(Thread::new);
        let name = &thread.name;
        *thread.subject.get_or_insert_with(|| {
            stream.subject(NewSubject {
                parent: Some(process),
                kind: subject_kind::THREAD.into(),
                name: name.as_slice().into(),
                attrs: vec![("tid".to_owned(), Attr::Int(tid.into()))],
            })
        })
    }

    /// A thread stands at this stack now; true where it stood elsewhere when that was last told.
    pub(crate) fn moves(&mut self, tid: i32, stack: SubjectId) -> bool {
        let thread = self.known.get_mut(&tid);
        thread.is_some_and(|thread| thread.stood.replace(stack) != Some(stack))
    }

    /// Ends the subjects of threads that were not there in this look.
    pub(crate) fn bury(&mut self, stream: &mut dyn Stream) {
        self.known.retain(|_, thread| {
            let there = thread.seen == self.look;
            self.ended.extend(thread.subject.filter(|_| !there));
            there
        });
        let now = stream.now();
        for subject in self.ended.drain(..) {
            stream.event(Event::new(now, EventKind::Gone).of(subject));
        }
    }

    /// Where the threads' stacks are, in the order of their addresses. The main thread's has a name of
    /// its own in maps.
    pub(crate) fn stacks(&self) -> Vec<Stack<'_>> {
        let here = self.known.iter().filter(|(tid, _)| **tid != self.pid);
        let mut stacks: Vec<Stack<'_>> = here
            .map(|(&tid, thread)| Stack { pointer: thread.stack_pointer, tid, name: &thread.name })
            .collect();
        stacks.sort_unstable_by_key(|stack| (stack.pointer, stack.tid));
        stacks
    }
}

impl Thread {
    fn new() -> Self {
        Self {
            name: Vec::new(),
            wanted: false,
            subject: None,
            stack_pointer: 0,
            stood: None,
            seen: 0,
        }
    }
}

fn read_name(folder: &Path) -> Vec<u8> {
    let mut name = fs::read(folder.join("comm")).unwrap_or_default();
    name.pop_if(|last| *last == b'\n');
    name
}

fn meets(pattern: &Pattern, name: &[u8]) -> bool {
    pattern.matches(&String::from_utf8_lossy(name))
}
