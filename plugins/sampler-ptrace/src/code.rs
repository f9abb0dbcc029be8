//! What is known of the target's code: its program, its files, and how deep its stacks are.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::SubjectId;
use seepmeter_plugin::{Stream, Target};
use seepmeter_symbols::{AddressSpace, Break, End, Frame, Images, Process, Registers, StackCopy};

use crate::program::Program;
use crate::stacks::StackBook;

/// How much of a stack is read at first; most are no deeper.
const FIRST_DEPTH: usize = 8 << 10;

/// A stack that leads nowhere is no reason to read the mappings anew more often than this.
const READ_AT_MOST_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Code {
    pid: i32,
    /// /proc/PID/maps.
    maps: PathBuf,
    images: Images,
    process: Process,
    program: Option<Program>,
    space: Option<Rc<AddressSpace>>,
    /// The mappings of code have changed since they were read.
    outdated: bool,
    read: Option<Instant>,
    /// How much of a thread's stack is worth reading, where that is not [`FIRST_DEPTH`].
    depths: HashMap<i32, usize>,
}

impl Code {
    pub(crate) fn of(target: &Target) -> Self {
        let mut images = Images::new();
        let process = Process::new(target.pid, &mut images);
        Self {
            pid: target.pid,
            maps: target.proc_file("maps"),
            images,
            process,
            program: None,
            space: None,
            outdated: false,
            read: None,
            depths: HashMap::new(),
        }
    }

    /// Takes in the mappings as they were at a look.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        let program = Program::of(text);
        if self.program != program {
            self.program = program;
            self.process = Process::new(self.pid, &mut self.images);
        }
        // Where the target has just ended, what was known of it names its last stacks.
        if let Ok(space) = self.process.space(text, &mut self.images) {
            self.space = Some(space);
            self.outdated = false;
        }
    }

    /// Another program is executed: nothing of what was known is of it.
    pub(crate) fn forget(&mut self) {
        self.space = None;
        self.depths.clear();
    }

    /// Code was mapped since the mappings were read.
    pub(crate) fn is_outdated(&mut self) {
        self.outdated = true;
    }

    /// The subject of a stack, whose thread stood there when the mappings were read.
    pub(crate) fn stack(
        &mut self,
        registers: &Registers,
        copy: StackCopy<'_>,
        book: &mut StackBook,
        stream: &mut dyn Stream,
    ) -> (SubjectId, End) {
        let mut frames = Vec::new();
        let end = self.unwind(registers, copy, &mut frames);
        let known = self.space.as_deref().map(|space| (space, &mut self.images));
        (book.subject(&frames, end, known, stream), end)
    }

    /// The same of a stack of just now: the mappings are read anew where they seem to have changed.
    pub(crate) fn stack_now(
        &mut self,
        registers: &Registers,
        copy: StackCopy<'_>,
        book: &mut StackBook,
        stream: &mut dyn Stream,
    ) -> SubjectId {
        if self.outdated || self.space.is_none() {
            self.read_now();
        }
        let strange = matches!(
            self.unwind(registers, copy, &mut Vec::new()),
            End::Broken(Break::NoCode { .. })
        );
        if strange && self.read.is_none_or(|read| read.elapsed() > READ_AT_MOST_EVERY) {
            self.read_now();
        }
        self.stack(registers, copy, book, stream).0
    }

    fn unwind(&self, registers: &Registers, copy: StackCopy<'_>, frames: &mut Vec<Frame>) -> End {
        let nowhere = End::Broken(Break::NoCode { address: registers.ip });
        self.space.as_ref().map_or(nowhere, |space| space.unwind(registers, copy, frames))
    }

    fn read_now(&mut self) {
        self.read = Some(Instant::now());
        if let Ok(text) = fs::read(&self.maps) {
            self.learn(&text);
        }
    }

    /// How much of a stack is worth reading from its pointer on: never beyond the end of its mapping,
    /// since what lies there may be pages of the target's that nobody has touched yet.
    pub(crate) fn depth(&self, tid: i32, pointer: u64, most: usize) -> usize {
        let wanted = self.depths.get(&tid).copied().unwrap_or(FIRST_DEPTH).min(most);
        let end = self.space.as_ref().and_then(|space| space.end_of_mapping(pointer));
        let there = end.and_then(|end| usize::try_from(end - pointer).ok());
        there.map_or(wanted, |there| wanted.min(there))
    }

    /// A thread's stack was deeper than what was read of it.
    pub(crate) fn deepen(&mut self, tid: i32, read: usize, missing: u64) {
        let wanted = read.saturating_add(usize::try_from(missing).unwrap_or(usize::MAX));
        self.depths.insert(tid, wanted.saturating_mul(2));
    }

    pub(crate) fn forget_depths_but_of(&mut self, threads: &[(i32, u64)]) {
        self.depths.retain(|tid, _| threads.iter().any(|(other, _)| other == tid));
    }
}
