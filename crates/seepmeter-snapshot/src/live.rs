//! The image of a process that stands still.

use std::io;

use seepmeter_maps::DeletedFiles;
use seepmeter_maps::class::{ThreadStack, ThreadStacks, classify};
use seepmeter_maps::maps::{self, MappingHeader};
use seepmeter_process::proc::ProcRoot;
use seepmeter_tracer::{MemoryPiece, ProcessMemory, Registers, Stop};

use crate::error::SnapshotError;
use crate::image::{ImageThread, Machine, MemoryImage, MemorySource, Region};

/// The memory of a stopped process, for as long as its stop.
#[derive(Debug)]
struct StoppedMemory<'s>(&'s ProcessMemory);

impl MemorySource for StoppedMemory<'_> {
    fn read_many(&self, pieces: &mut [MemoryPiece<'_>]) -> io::Result<()> {
        self.0.read_many(pieces)
    }
}

impl<'s> MemoryImage<'s> {
    /// The image of a stopped process. It is read from the process itself, so it holds as long as the
    /// stop does, and each read makes that longer.
    ///
    /// A thread that is late to stop may change what is read.
    ///
    /// # Errors
    /// If /proc/PID/maps can't be read.
    pub fn of_stop(stop: &'s Stop<'_>) -> Result<Self, SnapshotError> {
        let pid = stop.memory().pid();
        let folder = ProcRoot::default().process(pid).with_memory()?;
        let text = folder.read("maps")?;
        let threads: Vec<ImageThread> =
            stop.threads().map(|thread| image_thread(thread.tid(), thread.registers())).collect();
        let mut files = DeletedFiles::seen_from(folder.file("root"));
        let regions = regions(&maps::parse(&text), pid, &threads, &mut files);
        let source = Box::new(StoppedMemory(stop.memory()));
        Ok(Self::of_parts(pid, Machine::own(), regions, threads, source))
    }
}

pub(crate) fn image_thread(tid: i32, registers: &Registers) -> ImageThread {
    let words = words(registers);
    ImageThread {
        tid,
        stack_pointer: registers.stack_pointer(),
        thread_pointer: thread_pointer(registers),
        registers: words,
    }
}

#[cfg(target_arch = "x86_64")]
fn thread_pointer(registers: &Registers) -> Option<u64> {
    Some(registers.raw().fs_base)
}

/// It is in a set of registers of its own (NT_ARM_TLS), which a stop does not read.
#[cfg(target_arch = "aarch64")]
fn thread_pointer(_registers: &Registers) -> Option<u64> {
    None
}

#[cfg(target_arch = "x86_64")]
fn words(registers: &Registers) -> Vec<u64> {
    let it = registers.raw();
    vec![
        it.r15,
        it.r14,
        it.r13,
        it.r12,
        it.rbp,
        it.rbx,
        it.r11,
        it.r10,
        it.r9,
        it.r8,
        it.rax,
        it.rcx,
        it.rdx,
        it.rsi,
        it.rdi,
        it.orig_rax,
        it.rip,
        it.cs,
        it.eflags,
        it.rsp,
        it.ss,
        it.fs_base,
        it.gs_base,
        it.ds,
        it.es,
        it.fs,
        it.gs,
    ]
}

#[cfg(target_arch = "aarch64")]
fn words(registers: &Registers) -> Vec<u64> {
    let it = registers.raw();
    it.regs.iter().copied().chain([it.sp, it.pc, it.pstate]).collect()
}

/// What each mapping is.
pub(crate) fn regions(
    headers: &[MappingHeader<'_>],
    pid: i32,
    threads: &[ImageThread],
    files: &mut DeletedFiles,
) -> Vec<Region> {
    let other = threads.iter().filter(|thread| thread.tid != pid);
    let stacks: ThreadStacks<'_> = other
        .map(|thread| ThreadStack { pointer: thread.stack_pointer, tid: thread.tid, name: b"" })
        .collect();
    let groups = classify(headers, &stacks, files);
    let region = |(header, class): (&MappingHeader<'_>, _)| Region {
        start: header.start,
        end: header.end,
        perms: header.perms,
        class,
        offset: header.offset,
        path: header.path.into(),
    };
    headers.iter().zip(groups.iter().map(|group| group.class())).map(region).collect()
}
