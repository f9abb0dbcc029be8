//! What one look takes while the target stands still. Nothing here allocates by the byte, names or tells:
//! that comes when the target runs on.

use std::io::{self, Read};
use std::time::Instant;

use seepmeter_process::proc::ProcFolder;
use seepmeter_tracer::{FollowedStop, LateThread, MemoryPiece, ProcessMemory, Registers, Stop};

use crate::groups::Text;
use crate::options::{LookAt, PtraceOptions};
use crate::threads::Threads;

/// Stacks are read so many bytes at a time; between, the clock is read. About 0.3 ms.
const BATCH: usize = 1 << 20;

/// Smaps is read so much at a time.
const PIECE: usize = 1 << 15;

/// A target that stands still, whether it is followed or not.
pub(crate) trait Halted {
    /// Hands out each thread that stands still.
    fn threads(&self, each: &mut dyn FnMut(i32, &Registers));
    /// The threads that had not stopped in time.
    fn late(&self) -> Vec<LateThread>;
    /// The target's memory.
    fn memory(&self) -> &ProcessMemory;
}

impl Halted for Stop<'_> {
    fn threads(&self, each: &mut dyn FnMut(i32, &Registers)) {
        Stop::threads(self).for_each(|thread| each(thread.tid(), thread.registers()));
    }

    fn late(&self) -> Vec<LateThread> {
        Stop::late(self)
    }

    fn memory(&self) -> &ProcessMemory {
        Stop::memory(self)
    }
}

impl Halted for FollowedStop<'_> {
    fn threads(&self, each: &mut dyn FnMut(i32, &Registers)) {
        FollowedStop::threads(self).for_each(|thread| each(thread.tid(), thread.registers()));
    }

    fn late(&self) -> Vec<LateThread> {
        FollowedStop::late(self).to_vec()
    }

    fn memory(&self) -> &ProcessMemory {
        FollowedStop::memory(self)
    }
}

/// What a look has taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The threads that stood still, and are asked for.
    pub(crate) threads: Vec<TakenThread>,
    /// All threads that stood still, with their stack pointers.
    pub(crate) all: Vec<(i32, u64)>,
    /// The stacks, one after the other.
    bytes: Vec<u8>,
    /// Pages that are resident.
    pub(crate) resident: Option<u64>,
    pub(crate) text: Option<Text>,
    /// What there was no time for.
    pub(crate) left_out: Vec<String>,
    /// The threads that did not stop in time.
    pub(crate) late: Vec<LateThread>,
}

/// One thread, as it stood.
#[derive(Debug)]
pub(crate) struct TakenThread {
    pub(crate) tid: i32,
    pub(crate) registers: Registers,
    /// Where its stack is in [`Taken::bytes`].
    from: usize,
    /// How much was asked for, and how much of that was read; none where there was no time.
    asked: usize,
    read: Option<usize>,
}

impl Taken {
    /// Takes all that the options ask for. `depth` says how much of a stack is worth reading.
    pub(crate) fn take(
        &mut self,
        stop: &dyn Halted,
        (options, deadline): (&PtraceOptions, Instant),
        threads: &mut Threads,
        depth: impl Fn(i32, u64) -> usize,
    ) {
        self.clear();
        self.late = stop.late();
        stop.threads(&mut |tid, registers| self.meet(tid, registers, threads, &depth));
        if options.takes(LookAt::Stacks) {
            self.take_stacks(stop, deadline);
        }
        let Some((tid, _)) = self.all.first() else { return };
        // By a thread that lives: the files of a leader that has ended are empty.
        let folder = threads.folder(*tid);
        self.resident = folder.statm().ok().map(|statm| statm.resident);
        self.take_text(&folder, options, deadline);
    }

    fn clear(&mut self) {
        self.threads.clear();
        self.all.clear();
        self.left_out.clear();
        self.resident = None;
        self.text = None;
    }

    fn meet(
        &mut self,
        tid: i32,
        registers: &Registers,
        threads: &mut Threads,
        depth: &impl Fn(i32, u64) -> usize,
    ) {
        let registers = *registers;
        let pointer = registers.stack_pointer();
        self.all.push((tid, pointer));
        if threads.wants(tid) {
            let from = self.threads.last().map_or(0, |last| last.from + last.asked);
            let asked = depth(tid, pointer);
            self.threads.push(TakenThread { tid, registers, from, asked, read: None });
        }
    }

    fn take_stacks(&mut self, stop: &dyn Halted, deadline: Instant) {
        let whole = self.threads.last().map_or(0, |last| last.from + last.asked);
        self.bytes.resize(whole.max(self.bytes.len()), 0);
        let mut rest = &mut self.bytes[..whole];
        let mut first = 0;
        while first < self.threads.len() {
            if Instant::now() >= deadline {
                let left = self.threads.len() - first;
                self.left_out.push(format!("the stacks of {left} threads"));
                return;
            }
            let (mut pieces, mut size) = (Vec::new(), 0);
            for thread in &self.threads[first..] {
                if size >= BATCH {
                    break;
                }
                let (own, others) = std::mem::take(&mut rest).split_at_mut(thread.asked);
                pieces.push(MemoryPiece::new(thread.registers.stack_pointer(), own));
                (rest, size) = (others, size + thread.asked);
            }
            // Where nothing can be read the process has just been killed.
            let read = stop.memory().read_many(&mut pieces).is_ok();
            for (thread, piece) in self.threads[first..].iter_mut().zip(&pieces) {
                thread.read = read.then_some(piece.read);
            }
            first += pieces.len();
        }
    }

    fn take_text(&mut self, folder: &ProcFolder, options: &PtraceOptions, deadline: Instant) {
        if options.takes(LookAt::Smaps) {
            match read_until(folder, "smaps", deadline) {
                Ok(Some(text)) => self.text = Some(Text::Smaps(text)),
                Ok(None) => self.left_out.push("smaps".to_owned()),
                Err(_) => {}
            }
        }
        // Frames are in mappings too.
        let wanted = options.takes(LookAt::Maps) || options.takes(LookAt::Stacks);
        if wanted && self.text.is_none() {
            match read_until(folder, "maps", deadline) {
                Ok(Some(text)) => self.text = Some(Text::Maps(text)),
                Ok(None) => self.left_out.push("maps".to_owned()),
                Err(_) => {}
            }
        }
    }

    /// A thread's stack from its stack pointer on, where it was read.
    pub(crate) fn stack(&self, thread: &TakenThread) -> Option<&[u8]> {
        self.bytes.get(thread.from..thread.from + thread.read?)
    }
}

/// A whole file of procfs; none where the deadline came before its end.
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
