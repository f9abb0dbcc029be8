//! `seepmeter heap`: what the memory of a process is made of.

mod leaks;
mod look;

use std::path::Path;

use anyhow::{Context, Result};
use seepmeter_heap::{Account, Census, Limits};
use seepmeter_snapshot::{MemoryImage, ResidentPages, Snapshot};

use self::look::{Target, whole};
use crate::flags::{Flags, HeapFlags};
use crate::heap_report::{Heap, HeapReport, Resident};
use crate::messages;
use crate::outcome::Outcome;

/// `seepmeter heap`.
///
/// # Errors
/// A process that can't be copied, a core file that is none, and standard output that can't be written to.
pub fn heap(flags: &HeapFlags) -> Result<Outcome> {
    let target = flags.pid.map(|pid| Target::new(pid, flags)).transpose()?;
    let report = match (&target, &flags.core) {
        (Some(target), _) => match flags.leaks {
            Some(between) => return leaks::leaks(target, between, flags.top),
            None => of_process(target)?,
        },
        (None, Some(core)) => of_core(core)?,
        (None, None) => return Ok(Outcome::of_usage(&Flags::missing("heap", "PID"))),
    };
    messages::print(&report.text(flags.top))?;
    match report.heap {
        Ok(_) => Ok(Outcome::Success),
        Err(error) => Err(whole(error)).context("the heap is not shown"),
    }
}

fn of_process(target: &Target) -> Result<HeapReport> {
    let name = target.name();
    let read = |snapshot: &Snapshot| of_snapshot(&name, snapshot);
    let (mut report, standstill) = target.look(read, |report| report.heap.as_ref().err())?;
    report.standstill = Some(standstill);
    Ok(report)
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
    Ok(HeapReport { name: name.to_owned(), standstill: None, account, heap })
}
