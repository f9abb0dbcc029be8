//! What is read of a target while it is stopped. Nothing here is named or emitted: that comes when the
//! target runs on.

use std::io::{self, Read};
use std::ops::Range;
use std::time::Instant;

use glob::Pattern;
use seepmeter_plugin::record::human;
use seepmeter_process::proc::ProcFolder;
use seepmeter_stacks::TargetCode;
use seepmeter_tracer::{LateThread, MemoryPiece, ProcessMemory, Registers, StoppedThread};

use crate::groups::MappingsText;
use crate::options::{PtraceOptions, ReadItem};
use crate::threads::Threads;

/// So many bytes of stacks are read at a time; between, the clock is read. About 0.3 ms.
const BATCH: usize = 1 << 20;

/// So much of a file is read at a time.
const PIECE: usize = 1 << 15;

/// A target that is stopped, whether it is followed or not.
pub(crate) struct StoppedTarget<'s> {
    pub(crate) threads: Vec<StoppedThread<'s>>,
    /// The threads that had not stopped in time.
    pub(crate) late: Vec<LateThread>,
    pub(crate) memory: &'s ProcessMemory,
}

/// What to read.
#[derive(Clone, Copy)]
pub(crate) struct ReadPlan<'a> {
    pub(crate) options: &'a PtraceOptions,
    /// The names of the threads whose stacks and registers are read.
    pub(crate) pattern: &'a Pattern,
    /// What says how much of a stack is worth reading.
    pub(crate) code: &'a TargetCode,
    pub(crate) deadline: Instant,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct StopCopy {
    /// The threads that were stopped and whose names match.
    pub(crate) threads: Vec<ThreadCopy>,
    /// The stacks, one after the other.
    stacks: Vec<u8>,
    /// How many threads there were.
    pub(crate) thread_count: usize,
    pub(crate) resident_pages: Option<u64>,
    pub(crate) mappings: Option<MappingsText>,
    /// What there was no time for, or could not be read.
    pub(crate) left_out: Vec<String>,
    /// The threads that did not stop in time.
    pub(crate) late: Vec<LateThread>,
}

/// One stopped thread.
#[derive(Debug)]
pub(crate) struct ThreadCopy {
    pub(crate) tid: i32,
    pub(crate) registers: Registers,
    /// Where its stack is in [`StopCopy::stacks`].
    place: Range<usize>,
    /// How much of that was read; none if there was no time.
    read: Option<usize>,
}

impl StopCopy {
    /// Reads all that the plan asks for.
    pub(crate) fn read(
        &mut self,
        stopped: StoppedTarget<'_>,
        plan: ReadPlan<'_>,
        threads: &mut Threads,
    ) {
        self.clear();
        self.thread_count = stopped.threads.len() + stopped.late.len();
        self.late = stopped.late;
        for thread in &stopped.threads {
            self.add_thread(thread, plan, threads);
        }
        if plan.options.reads(ReadItem::Stacks) {
            self.read_stacks(stopped.memory, plan.deadline);
        }
        let Some(any) = stopped.threads.first() else { return };
        // By a thread that lives: the files of a leader that has ended are empty.
        let folder = threads.folder(any.tid());
        self.resident_pages = folder.statm().ok().map(|statm| statm.resident);
        self.read_mappings(&folder, plan);
    }

    /// True if nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.left_out.is_empty() && self.late.is_empty()
    }

    /// A thread's stack from its stack pointer on, if it was read.
    pub(crate) fn stack(&self, thread: &ThreadCopy) -> Option<&[u8]> {
        let start = thread.place.start;
        self.stacks.get(start..start + thread.read?)
    }

    /// Empties it, and keeps the room for stacks.
    fn clear(&mut self) {
        let stacks = std::mem::take(&mut self.stacks);
        *self = Self { stacks, ..Self::default() };
    }

    fn add_thread(&mut self, thread: &StoppedThread<'_>, plan: ReadPlan<'_>, all: &mut Threads) {
        let (tid, registers) = (thread.tid(), *thread.registers());
        let pointer = registers.stack_pointer();
        if all.set_stopped(tid, pointer, plan.pattern) {
            let most = usize::try_from(plan.options.stack.0).unwrap_or(usize::MAX);
            let start = self.threads.last().map_or(0, |last| last.place.end);
            let place = start..start + plan.code.copy_length(tid, pointer, most);
            self.threads.push(ThreadCopy { tid, registers, place, read: None });
        }
    }

    fn read_stacks(&mut self, memory: &ProcessMemory, deadline: Instant) {
        let whole = self.threads.last().map_or(0, |last| last.place.end);
        self.stacks.resize(whole.max(self.stacks.len()), 0);
        let mut rest = &mut self.stacks[..whole];
        let mut first = 0;
        while first < self.threads.len() {
            if Instant::now() >= deadline {
                let left = self.threads.len() - first;
                let threads = human::count(left as u64, "thread");
                self.left_out.push(format!("the stacks of {threads}"));
                return;
            }
            let (mut pieces, mut size) = (Vec::new(), 0);
            for thread in &self.threads[first..] {
                if size >= BATCH {
                    break;
                }
                let (own, others) = std::mem::take(&mut rest).split_at_mut(thread.place.len());
                pieces.push(MemoryPiece::new(thread.registers.stack_pointer(), own));
                (rest, size) = (others, size + thread.place.len());
            }
            // If nothing can be read the process has just been killed.
            let read = memory.read_many(&mut pieces).is_ok();
            for (thread, piece) in self.threads[first..].iter_mut().zip(&pieces) {
                thread.read = read.then_some(piece.read);
            }
            first += pieces.len();
        }
    }

    fn read_mappings(&mut self, folder: &ProcFolder, plan: ReadPlan<'_>) {
        let options = plan.options;
        if options.reads(ReadItem::Smaps) {
            self.mappings = self.read_file(folder, "smaps", plan.deadline).map(MappingsText::Smaps);
        }
        // Frames are in mappings too.
        let is_wanted = options.reads(ReadItem::Maps) || options.reads(ReadItem::Stacks);
        if is_wanted && self.mappings.is_none() {
            self.mappings = self.read_file(folder, "maps", plan.deadline).map(MappingsText::Maps);
        }
    }

    /// A whole file of procfs; none if the process was killed, or if it is left out.
    fn read_file(&mut self, folder: &ProcFolder, name: &str, deadline: Instant) -> Option<Vec<u8>> {
        match read_until(folder, name, deadline) {
            Ok(Some(text)) => return Some(text),
            Ok(None) => self.left_out.push(name.to_owned()),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => self.left_out.push(format!("{name} ({error})")),
        }
        None
    }
}

/// A whole file of procfs; none if the deadline came before its end.
fn read_until(folder: &ProcFolder, name: &str, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut file = folder.open(name)?;
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        text.resize(at + PIECE, 0);
        let read = file.read(&mut text[at..])?;
        at += read;
        if read == 0 {
            text.truncate(at);
            return Ok(Some(text));
        }
    }
}
