//! `seepmeter heap`: what the memory of a process is made of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use seepmeter_heap::{Account, Census, CensusError, Limits};
use seepmeter_process::proc::ProcRoot;
use seepmeter_snapshot::{MemoryImage, ResidentPages, Snapshot, SnapshotOptions};

use crate::flags::{Flags, HeapFlags};
use crate::heap_report::{Heap, HeapReport, Resident};
use crate::messages;
use crate::outcome::Outcome;

/// A process may just have been allocating, so that its heap is in no order: then another copy is taken.
const ATTEMPTS: u32 = 5;

/// `seepmeter heap`.
///
/// # Errors
/// A process that can't be copied, a core file that is none, and standard output that can't be written to.
pub fn heap(flags: &HeapFlags) -> Result<Outcome> {
    let report = match (flags.pid, &flags.core) {
        (Some(pid), _) => of_process(pid, flags)?,
        (None, Some(core)) => of_core(core)?,
        (None, None) => return Ok(Outcome::of_usage(&Flags::missing("heap", "PID"))),
    };
    messages::print(&report.text(flags.top))?;
    match report.heap {
        Ok(_) => Ok(Outcome::Success),
        Err(error) => Err(whole(error)).context("the heap is not shown"),
    }
}

/// The error as one sentence, which has its causes in it.
fn whole(error: impl std::error::Error) -> Error {
    Error::msg(error.to_string())
}

fn of_process(pid: i32, flags: &HeapFlags) -> Result<HeapReport> {
    let name = ProcRoot::default().process(pid).comm().unwrap_or_default();
    let name = format!("process {pid} ({})", String::from_utf8_lossy(&name));
    // A copy that nobody ends stays a zombie of the process: signals wait until it is ended.
    let _signals = SignalsHeldBack::new();
    let options = SnapshotOptions { huge_pages: flags.break_huge_pages, ..Default::default() };
    let mut attempt = 1;
    loop {
        let snapshot = Snapshot::take(pid, options).map_err(whole)?;
        let mut report = of_snapshot(&name, &snapshot)?;
        let (pause, age) = (snapshot.pause().pause(), snapshot.age());
        match snapshot.end() {
            Ok(second) => report.pauses = Some((pause, second.pause(), age)),
            Err(error) => {
                report.pauses = Some((pause, Duration::ZERO, age));
                messages::notice(&format!("the copy of process {pid} was not reaped: {error}"));
            }
        }
        match report.heap {
            Err(CensusError::Layout { .. }) if attempt < ATTEMPTS => attempt += 1,
            _ => return Ok(report),
        }
    }
}

fn of_snapshot(name: &str, snapshot: &Snapshot) -> Result<HeapReport> {
    let pages = snapshot.resident_pages().map_err(whole)?;
    let status = snapshot.status();
    let resident = Resident {
        all: status.rss,
        files: status.rss_files,
        shared: status.rss_shared,
        left_out: snapshot.left_out(),
        without_zeros: pages.without_zeros(),
    };
    report(name, &snapshot.image(), Some((&pages, resident)))
}

fn of_core(core: &Path) -> Result<HeapReport> {
    let image = MemoryImage::of_core(core).map_err(whole)?;
    report(&format!("core file {}", core.display()), &image, None)
}

fn report(
    name: &str,
    image: &MemoryImage<'_>,
    pages: Option<(&ResidentPages, Resident)>,
) -> Result<HeapReport> {
    let census = Census::take(image, &Limits::default());
    let marks = census.as_ref().ok().map(|census| census.mark(image));
    let account = pages.map(|(pages, resident)| {
        let marks = marks.as_ref().and_then(|marks| marks.as_ref().ok());
        (Account::of(image, pages, census.as_ref().ok(), marks), resident)
    });
    let heap = census.map(|census| Heap::of(&census, marks));
    image.check().map_err(whole)?;
    Ok(HeapReport { name: name.to_owned(), pauses: None, account, heap })
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
