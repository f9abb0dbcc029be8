//! The image of a running process: of a copy of it, which is made by fork and never runs.

mod kernel_words;
mod memory;
mod pages;
mod refusal;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use seepmeter_maps::DeletedFiles;
use seepmeter_maps::maps::{self, MappingHeader};
use seepmeter_process::proc::{ProcRoot, Status};
use seepmeter_tracer::{
    FORK_ROOM, ForkCode, ForkError, ForkedCopy, LatePolicy, PauseTiming, PtraceStop, Stop,
    TraceError, Tracee, TraceeOptions,
};

use crate::error::SnapshotError;
use crate::image::{ImageThread, Machine, MemoryImage};
use crate::live::{image_thread, regions};
pub use kernel_words::KernelWords;
use memory::{CopiedMemory, KeptRange};
pub use pages::ResidentPages;
pub use refusal::Refusal;
use refusal::{Survey, survey};

/// How often a process that can't be copied just now is stopped again, and how long is waited between.
const ATTEMPTS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(20);
/// Of memory that a copy does not have, no more is read while the process stands still.
const MAX_KEPT: u64 = 64 << 20;
/// Nothing was stopped.
const NO_PAUSE: PauseTiming =
    PauseTiming { stop: Duration::ZERO, sample: Duration::ZERO, resume: Duration::ZERO };
/// The score that makes the kernel kill the copy first if memory runs out (proc(5)).
const FIRST_TO_KILL: &str = "1000";

/// How a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// How long the threads may take to stop. If one has not stopped by then, all are let go, and it is tried
    /// again some times.
    pub stop_limit: Duration,
    /// Also copy a process that has much of its memory in huge pages, which the copy breaks for good.
    pub huge_pages: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { stop_limit: Duration::from_millis(50), huge_pages: false }
    }
}

/// A process as it was at one moment. The process runs on meanwhile.
///
/// What is read is a copy of it, a child by fork that never runs. While it lives, each page that the process
/// writes for the first time costs it some microseconds, so it should not live for longer than it is read.
/// [`Snapshot::end`] ends it; so does dropping it. For that the process is stopped for a moment again.
///
/// All is bound to the thread that it is taken on.
pub struct Snapshot {
    tracee: Tracee,
    code: ForkCode,
    copy: ForkedCopy,
    is_reaped: bool,
    options: SnapshotOptions,
    maps: Vec<u8>,
    threads: Vec<ImageThread>,
    status: Status,
    kept: Vec<KeptRange>,
    kernel_words: KernelWords,
    pause: PauseTiming,
    taken: Instant,
}

/// What is read and made while the process stands still.
struct Stopped {
    copy: ForkedCopy,
    maps: Vec<u8>,
    threads: Vec<ImageThread>,
    status: Status,
    kept: Vec<KeptRange>,
}

impl Snapshot {
    /// Takes a snapshot of a process.
    ///
    /// # Errors
    /// If the process may not be traced, can't be stopped, or should not be copied
    /// ([`SnapshotError::Refused`]). It runs on as if nothing had been.
    pub fn take(pid: i32, options: SnapshotOptions) -> Result<Self, SnapshotError> {
        let Survey { unlike } = survey(pid, options)?;
        let code = ForkCode::find(pid)?;
        let mut tracee = Tracee::new(pid, TraceeOptions { urgent: true, late: LatePolicy::Fail })?;
        let mut attempt = 1;
        let (stopped, pause) = loop {
            match in_stop(&mut tracee, options, |stop| Stopped::of(stop, &code, &unlike)) {
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    attempt += 1;
                    thread::sleep(BETWEEN);
                }
                result => break result?,
            }
        };
        let Stopped { copy, maps, threads, status, kept } = stopped;
        let (taken, is_reaped) = (Instant::now(), false);
        let kernel_words = KernelWords::read(copy.pid(), pid, &maps);
        let snapshot = Self {
            tracee,
            code,
            copy,
            is_reaped,
            options,
            maps,
            threads,
            status,
            kept,
            kernel_words,
            pause,
            taken,
        };
        Ok(snapshot)
    }

    /// Its memory.
    #[must_use]
    pub fn image(&self) -> MemoryImage<'_> {
        let pid = self.tracee.pid();
        let folder = ProcRoot::default().process(pid);
        let mut files = DeletedFiles::seen_from(folder.file("root"));
        let regions = regions(&maps::parse(&self.maps), pid, &self.threads, &mut files);
        let source = CopiedMemory { memory: self.copy.memory(), kept: &self.kept };
        let threads = self.threads.clone();
        MemoryImage::of_parts(pid, Machine::own(), regions, threads, Box::new(source))
            .with_kernel_words(self.kernel_words.clone())
    }

    /// Which pages of private memory were resident.
    ///
    /// # Errors
    /// If the page tables of the copy can't be read.
    pub fn resident_pages(&self) -> Result<ResidentPages, SnapshotError> {
        let image = self.image();
        ResidentPages::read(self.copy.pid(), &image).map_err(SnapshotError::PageTables)
    }

    /// How many bytes were resident in memory that a fork does not copy (madvise(2)), and that is in no
    /// [`ResidentPages`] therefore.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.kept.iter().map(|range| range.left_out).sum()
    }

    /// The process of the copy.
    #[must_use]
    pub fn copy_pid(&self) -> i32 {
        self.copy.pid()
    }

    /// What /proc/PID/status had in the moment of the copy.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// For how long the process stood still.
    #[must_use]
    pub fn pause(&self) -> PauseTiming {
        self.pause
    }

    /// For how long the copy has lived.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// Ends the copy, and has the process reap it. Returns for how long the process stood still for that.
    ///
    /// # Errors
    /// If that can't be done. Then a zombie that the process does not see is left, until the process ends.
    pub fn end(mut self) -> Result<PauseTiming, SnapshotError> {
        self.reap()
    }

    fn reap(&mut self) -> Result<PauseTiming, SnapshotError> {
        self.is_reaped = true;
        self.copy.kill();
        let Self { tracee, code, copy, options, .. } = self;
        let mut attempt = 1;
        loop {
            let reaped = in_stop(tracee, *options, |stop| {
                let maps = ProcRoot::default().process(stop.memory().pid()).read("maps")?;
                let tid = thread_that_forks(stop, &maps::parse(&maps))?;
                Ok(stop.reap(code, tid, copy)?)
            });
            match reaped {
                // With the process, its children are somebody else's.
                Err(SnapshotError::Trace(TraceError::Gone { .. })) => return Ok(NO_PAUSE),
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    attempt += 1;
                    thread::sleep(BETWEEN);
                }
                result => return result.map(|((), pause)| pause),
            }
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut snapshot = f.debug_struct("Snapshot");
        snapshot.field("pid", &self.tracee.pid()).field("copy", &self.copy.pid());
        snapshot.field("pause", &self.pause).field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.is_reaped {
            // Whoever wants to know calls `end`.
            let _ = self.reap();
        }
    }
}

/// Stops the process, and lets it go whatever comes of it.
fn in_stop<T>(
    tracee: &mut Tracee,
    options: SnapshotOptions,
    act: impl FnOnce(&mut Stop<'_>) -> Result<T, SnapshotError>,
) -> Result<(T, PauseTiming), SnapshotError> {
    let mut stop = tracee.stop(Instant::now() + options.stop_limit)?;
    let result = act(&mut stop);
    let pause = stop.detach();
    tracee.settle(Instant::now() + options.stop_limit);
    Ok((result?, pause))
}

impl Stopped {
    fn of(
        stop: &mut Stop<'_>,
        code: &ForkCode,
        unlike: &[KeptRange],
    ) -> Result<Self, SnapshotError> {
        let pid = stop.memory().pid();
        let folder = ProcRoot::default().process(pid);
        let maps = folder.read("maps")?;
        let threads =
            stop.threads().map(|thread| image_thread(thread.tid(), thread.registers())).collect();
        let tid = thread_that_forks(stop, &maps::parse(&maps))?;
        let copy = stop.fork(code, tid)?;
        // A page of the stack may have become resident for the fork.
        let status = folder.status()?;
        // Not allowed, it may be killed later than the process: that is no reason to go without it.
        let score = ProcRoot::default().process(copy.pid()).file("oom_score_adj");
        let _ = std::fs::write(score, FIRST_TO_KILL);
        let mut left = MAX_KEPT;
        let kept = unlike.iter().map(|range| range.read(stop.memory(), &mut left)).collect();
        Ok(Self { copy, maps, threads, status, kept })
    }
}

/// A thread that can be made to fork: it has a stack that is nobody else's, with room below.
fn thread_that_forks(stop: &Stop<'_>, maps: &[MappingHeader<'_>]) -> Result<i32, SnapshotError> {
    let pid = stop.memory().pid();
    let mut best = None;
    for thread in stop.threads() {
        let can = matches!(thread.ptrace_stop(), PtraceStop::Interrupt | PtraceStop::Group(_));
        let room = has_room(maps, thread.registers().stack_pointer());
        if can && room {
            // In a system call a thread is in no code that nothing may come between.
            let order = (thread.registers().system_call().is_none(), thread.tid() != pid);
            best = best.min(Some((order, thread.tid()))).or(Some((order, thread.tid())));
        }
    }
    best.map(|(_, tid)| tid).ok_or(SnapshotError::Refused { pid, why: Refusal::NoStack })
}

/// True if the stack that this pointer is in is the main one, or has a guard below it, and has room.
fn has_room(maps: &[MappingHeader<'_>], pointer: u64) -> bool {
    let next = maps.partition_point(|it| it.start <= pointer);
    let (before, Some(stack)) = (next.checked_sub(2).map(|at| &maps[at]), maps[..next].last())
    else {
        return false;
    };
    let guarded = before.is_some_and(|it| it.perms.none() && it.end == stack.start);
    let own = stack.path == b"[stack]" || guarded && stack.inode == 0;
    let room = pointer.checked_sub(FORK_ROOM).is_some_and(|end| stack.start <= end);
    own && room && pointer < stack.end && stack.perms.write && !stack.perms.shared
}

impl SnapshotError {
    /// True if it may work the next moment.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Trace(TraceError::Late { .. })
                | Self::Fork(ForkError::Busy { .. })
                | Self::Refused { why: Refusal::NoStack, .. }
        )
    }
}
