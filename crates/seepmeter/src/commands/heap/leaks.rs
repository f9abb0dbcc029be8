//! `seepmeter heap --leaks`: what is unreachable in two snapshots.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use seepmeter_heap::{Leaks, UnreachableBlocks};

use super::print;
use super::target::{Target, Understood, marked, unknown, whole};
use crate::flags::HeapFlags;
use crate::heap_report::LeakReport;
use crate::outcome::Outcome;

/// Blocks are leaked: the exit status that macOS's leaks(1) has.
const LEAKED: u8 = 1;

pub(super) fn leaks(target: &Target, between: Duration, flags: &HeapFlags) -> Result<Outcome> {
    let name = target.name();
    let (first, before) = target.snapshot(
        |snapshot| {
            let image = snapshot.image();
            marked(&image, |census, marks| {
                UnreachableBlocks::of(&census, &marks, &image).map_err(unknown)
            })
        },
        |first: &Understood<_>| first.as_ref().err(),
    )?;
    let first = first.map_err(whole).context(NOT_SEARCHED)?;
    target.wait(between)?;
    let (second, after) = target.snapshot(
        |snapshot| {
            let image = snapshot.image();
            marked(&image, |census, marks| {
                let leaks = Leaks::confirm(&first, &census, &marks, &image).map_err(unknown)?;
                Ok((leaks, census.other_allocators().to_vec()))
            })
        },
        |second: &Understood<_>| second.as_ref().err(),
    )?;
    let (leaks, others) = second.map_err(whole).context(NOT_SEARCHED)?;
    let (has_leaks, is_read) = (!leaks.groups.is_empty(), others.is_empty());
    let report = LeakReport { name, between, standstills: vec![before, after], leaks, others };
    print(flags, || report.text(flags.top), || report.json())?;
    match (has_leaks, is_read) {
        (true, _) => Ok(Outcome::Gate(LEAKED)),
        (false, true) => Ok(Outcome::Success),
        (false, false) => bail!("which blocks are leaked is not known: not all were read"),
    }
}

const NOT_SEARCHED: &str = "leaks were not searched for";
