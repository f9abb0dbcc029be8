//! The process whose heap is shown: a snapshot of it is taken, read and ended.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use seepmeter_heap::{Census, CensusError, Limits, Marks};
use seepmeter_process::proc::ProcRoot;
use seepmeter_snapshot::{MemoryImage, Snapshot, SnapshotError, SnapshotOptions};

use crate::flags::HeapFlags;
use crate::heap_report::Standstill;
use crate::messages;

/// A process may just have been allocating, so that its heap is in no order: then another copy is taken.
const ATTEMPTS: u32 = 10;
/// How long is waited before the second of them; longer before each that follows. A thread that waits for a processor in
/// the middle of malloc must get on meanwhile.
const BETWEEN: Duration = Duration::from_millis(10);

/// The process of which one snapshot is taken, or several.
pub(super) struct Target {
    pid: i32,
    start_time: u64,
    options: SnapshotOptions,
}

impl Target {
    /// # Errors
    /// If there is no such process.
    pub(super) fn new(pid: i32, flags: &HeapFlags) -> Result<Self> {
        let options = SnapshotOptions { huge_pages: flags.break_huge_pages, ..Default::default() };
        Ok(Self { pid, start_time: start_time(pid)?, options })
    }

    /// How a report calls it.
    pub(super) fn name(&self) -> String {
        let name = ProcRoot::default().process(self.pid).comm().unwrap_or_default();
        format!("process {} ({})", self.pid, String::from_utf8_lossy(&name))
    }

    /// Takes a copy, reads it and ends it; again if the heap in it was in no order, as `layout` says.
    ///
    /// # Errors
    /// If no copy can be taken or read, or another process has got the pid.
    pub(super) fn snapshot<T>(
        &self,
        read: impl Fn(&Snapshot) -> Result<T>,
        layout: impl Fn(&T) -> Option<&CensusError>,
    ) -> Result<(T, Standstill)> {
        // A copy that nobody ends stays a zombie of the process: signals wait until it is ended.
        let _signals = SignalsHeldBack::new();
        let mut attempt = 1;
        loop {
            let snapshot = Snapshot::take(self.pid, self.options).map_err(whole)?;
            let value = read(&snapshot);
            let (pause, age) = (snapshot.pause().pause(), snapshot.age());
            let report = |error: &SnapshotError| {
                let pid = self.pid;
                messages::notice(&format!("the copy of process {pid} was not reaped: {error}"));
            };
            let end = snapshot.end().inspect_err(report).ok().map(|pause| pause.pause());
            let value = value?;
            match layout(&value) {
                Some(CensusError::Layout { .. }) if attempt < ATTEMPTS => {
                    thread::sleep(attempt * BETWEEN);
                    attempt += 1;
                }
                _ => return Ok((value, Standstill { copy: pause, end, age })),
            }
        }
    }

    /// Waits between two snapshots.
    ///
    /// # Errors
    /// If the process is another one then.
    pub(super) fn wait(&self, time: Duration) -> Result<()> {
        thread::sleep(time);
        if start_time(self.pid)? != self.start_time {
            bail!("process {} has ended, and another one has its pid", self.pid);
        }
        Ok(())
    }
}

fn start_time(pid: i32) -> Result<u64> {
    let stat = ProcRoot::default().process(pid).stat();
    Ok(stat.with_context(|| format!("cannot take a snapshot of process {pid}"))?.start_time)
}

/// What is in the heaps of an image, if it is understood.
pub(super) type Understood<T> = std::result::Result<T, CensusError>;

/// Reads an image's heaps, with what is reachable.
///
/// # Errors
/// If the heaps are understood and it can't be said what is reachable, or what `read` says.
pub(super) fn marked<T>(
    image: &MemoryImage<'_>,
    read: impl FnOnce(Census, Marks) -> Result<T>,
) -> Result<Understood<T>> {
    let census = match Census::take(image, &Limits::default()) {
        Ok(census) => census,
        Err(error) => return Ok(Err(error)),
    };
    let marks = census.mark(image).map_err(unknown)?;
    let value = read(census, marks)?;
    image.check().map_err(whole)?;
    Ok(Ok(value))
}

/// Why nothing can be said of leaks.
pub(super) fn unknown(why: impl std::error::Error) -> Error {
    whole(why).context("which blocks are leaked is not known")
}

/// The error as one sentence, which has its causes in it.
pub(super) fn whole(error: impl std::error::Error) -> Error {
    Error::msg(error.to_string())
}

/// No signal ends this process while this lives.
struct SignalsHeldBack(Option<SigSet>);

impl SignalsHeldBack {
    fn new() -> Self {
        let mut signals = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]
            .into_iter()
            .for_each(|signal| signals.add(signal));
        // It fails for no set of signals; then they are not held back, as without it.
        Self(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for SignalsHeldBack {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}
