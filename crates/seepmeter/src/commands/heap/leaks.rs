//! `seepmeter heap --leaks`: what is unreachable in two looks.

use std::time::Duration;

use anyhow::{Context, Result};
use seepmeter_heap::{Leaks, UnreachableBlocks};

use super::look::{Target, Understood, marked, unknown, whole};
use super::print;
use crate::flags::HeapFlags;
use crate::heap_report::LeakReport;
use crate::outcome::Outcome;

/// Blocks are leaked: the exit status that macOS's leaks(1) has.
const LEAKED: u8 = 1;

pub(super) fn leaks(target: &Target, between: Duration, flags: &HeapFlags) -> Result<Outcome> {
    let name = target.name();
    let (first, before) = target.look(
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
    let (second, after) = target.look(
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
    let is_clean = leaks.groups.is_empty();
    let report = LeakReport { name, between, standstills: vec![before, after], leaks, others };
    print(flags, || report.text(flags.top), || report.json())?;
    Ok(if is_clean { Outcome::Success } else { Outcome::Gate(LEAKED) })
}

const NOT_SEARCHED: &str = "leaks were not searched for";
