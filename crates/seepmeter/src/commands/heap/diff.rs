//! `seepmeter heap --diff`: what has grown between two snapshots.

use std::time::Duration;

use anyhow::{Context, Result};
use seepmeter_heap::{
    BlockClass, Census, ClassGrowth, ClassHolders, KnownBlocks, Leaks, Limits, Marks,
    OtherAllocator, Paths, UnreachableBlocks,
};
use seepmeter_snapshot::MemoryImage;

use super::print;
use super::statics::RootNames;
use super::target::{Target, Understood, whole};
use crate::flags::HeapFlags;
use crate::heap_report::{GrownClass, GrowthReport};
use crate::outcome::Outcome;

/// Of so many classes it is shown who holds them.
const WITH_HOLDERS: usize = 3;

/// What the first snapshot has.
struct Before {
    classes: Vec<BlockClass>,
    known: KnownBlocks,
    /// Or why that is not known.
    unreachable: Result<UnreachableBlocks, String>,
}

/// What the second snapshot has.
struct After {
    classes: Vec<GrownClass>,
    leaks: Result<Leaks, String>,
    others: Vec<OtherAllocator>,
}

pub(super) fn diff(target: &Target, between: Duration, flags: &HeapFlags) -> Result<Outcome> {
    let name = target.name();
    let (before, first) = target.snapshot(
        |snapshot| read(&snapshot.image(), Before::of),
        |before: &Understood<_>| before.as_ref().err(),
    )?;
    let before = before.map_err(whole).context(NOT_COMPARED)?;
    target.wait(between)?;
    let (after, second) = target.snapshot(
        |snapshot| read(&snapshot.image(), |census, image| After::of(&before, &census, image)),
        |after: &Understood<_>| after.as_ref().err(),
    )?;
    let After { classes, leaks, others } = after.map_err(whole).context(NOT_COMPARED)?;
    let standstills = vec![first, second];
    let report = GrowthReport { name, between, standstills, classes, leaks, others };
    print(flags, || report.text(flags.top), || report.json())
}

const NOT_COMPARED: &str = "the heaps were not compared";

fn read<T>(
    image: &MemoryImage<'_>,
    read: impl FnOnce(Census, &MemoryImage<'_>) -> T,
) -> Result<Understood<T>> {
    let read = Census::take(image, &Limits::default()).map(|census| read(census, image));
    image.check().map_err(whole)?;
    Ok(read)
}

impl Before {
    fn of(census: Census, image: &MemoryImage<'_>) -> Self {
        let marks = census.mark(image).map_err(|error| error.to_string());
        let classes = BlockClass::all(&census, marks.as_ref().ok());
        let unreachable = marks.and_then(|marks| {
            UnreachableBlocks::of(&census, &marks, image).map_err(|missing| missing.to_string())
        });
        Self { classes, known: census.into_known(), unreachable }
    }
}

impl After {
    fn of(before: &Before, census: &Census, image: &MemoryImage<'_>) -> Self {
        let marks = census.mark(image).map_err(|error| error.to_string());
        let classes = BlockClass::all(census, marks.as_ref().ok());
        let growth = ClassGrowth::between(&before.classes, &classes);
        let leaks = marks.and_then(|marks: Marks| {
            let earlier = before.unreachable.as_ref().map_err(Clone::clone)?;
            let leaks = Leaks::confirm(earlier, census, &marks, image);
            leaks.map_err(|missing| missing.to_string())
        });
        let paths = Paths::find(census, image).ok();
        let roots = RootNames::new(image);
        let classes = growth.into_iter().enumerate().map(|(at, growth)| {
            let shown = paths.as_ref().filter(|_| at < WITH_HOLDERS && growth.bytes > 0);
            let holders = shown.map(|paths| {
                let known = Some(&before.known);
                ClassHolders::of(census, paths, &growth.name, known, &|root| roots.name(root))
            });
            GrownClass { growth, holders }
        });
        Self { classes: classes.collect(), leaks, others: census.other_allocators().to_vec() }
    }
}
