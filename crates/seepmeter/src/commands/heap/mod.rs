//! `seepmeter heap`: what the memory of a process is made of.

mod diff;
mod leaks;
mod statics;
mod target;
mod why;

use std::path::Path;

use anyhow::{Context, Result};
use seepmeter_heap::{Account, Census, Limits};
use seepmeter_snapshot::{MemoryImage, ResidentPages, Snapshot};

use self::target::{Target, whole};
use self::why::Question;
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
    if let (Some(target), Some(between)) = (&target, flags.leaks) {
        return leaks::leaks(target, between, flags);
    }
    if let (Some(target), Some(between)) = (&target, flags.diff) {
        return diff::diff(target, between, flags);
    }
    let question = flags.why.clone().map(Question::Why).or(flags.holds.map(Question::Holds));
    if let Some(question) = question {
        return answer(&question, target.as_ref(), flags);
    }
    let report = match (&target, &flags.core) {
        (Some(target), _) => of_process(target)?,
        (None, Some(core)) => of_core(core)?,
        (None, None) => return Ok(Outcome::of_usage(&Flags::missing("heap", "PID"))),
    };
    print(flags, || report.text(flags.top), || report.json())?;
    match report.heap {
        Ok(_) => Ok(Outcome::Success),
        Err(error) => Err(whole(error)).context("the heap is not shown"),
    }
}

/// Prints a report in the form that was asked for.
fn print(
    flags: &HeapFlags,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> String,
) -> Result<Outcome> {
    match flags.json {
        true => messages::print_json(&json()),
        false => messages::print(&text()),
    }
}

/// Answers a question about a process or a core file.
fn answer(question: &Question, target: Option<&Target>, flags: &HeapFlags) -> Result<Outcome> {
    let (name, answer) = match (target, &flags.core) {
        (Some(target), _) => {
            let read = |snapshot: &Snapshot| question.answer(&snapshot.image());
            let (answer, _) = target.snapshot(read, |answer| answer.as_ref().err())?;
            (target.name(), answer)
        }
        (None, Some(core)) => {
            let image = MemoryImage::of_core(core).map_err(whole)?;
            (core_name(core), question.answer(&image)?)
        }
        (None, None) => return Ok(Outcome::of_usage(&Flags::missing("heap", "PID"))),
    };
    let answer = answer.map_err(whole).context("who holds what is not known")?;
    print(flags, || answer.text(&name), || answer.json(&name))
}

fn core_name(core: &Path) -> String {
    format!("core file {}", core.display())
}

fn of_process(target: &Target) -> Result<HeapReport> {
    let name = target.name();
    let read = |snapshot: &Snapshot| of_snapshot(&name, snapshot);
    let (mut report, standstill) = target.snapshot(read, |report| report.heap.as_ref().err())?;
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
    report(&core_name(core), &image, None)
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
