//! Censuses of real processes whose blocks are known, and of images that were damaged.

mod accounts;
mod support;
mod types;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use seepmeter_heap::{
    Block, BlockOrigin, Census, CensusError, Leaks, Limits, Paths, Reachability, Retained,
    UnreachableBlocks,
};
use seepmeter_snapshot::{KernelWords, MemoryImage, SnapshotError};
use seepmeter_tracer::{Tracee, TraceeOptions};
use support::{Copy, Outcome, State, Target};

fn with_image<T>(
    target: &Target,
    read: impl FnOnce(&MemoryImage<'_>) -> T,
) -> Result<T, Box<dyn std::error::Error>> {
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let stop = tracee.stop(Instant::now() + Duration::from_secs(10))?;
    let image = MemoryImage::of_stop(&stop)?;
    Ok(read(&image))
}

/// All known blocks are there, with their sizes, and few others.
fn expect_truth(census: &Census, image: &MemoryImage<'_>, target: &Target) {
    let blocks: HashMap<u64, _> = census.blocks().map(|block| (block.address, block)).collect();
    assert_eq!(blocks.len() as u64, census.block_count());
    let marks = census.mark(image).expect("nothing hides pointers");
    assert_eq!(marks.unread_roots(), 0);
    let free: HashSet<u64> = census.free_blocks().map(|(address, _)| address).collect();
    let kept = target.notes.iter().filter(|note| note.state != State::Freed);
    let kept: HashSet<u64> = kept.map(|note| note.address).collect();
    let (mut known, mut leaked, mut unreachable) = (0, 0, 0);
    for note in &target.notes {
        let found = blocks.get(&note.address);
        if note.state == State::Freed {
            // Another thread may have been given the memory of a mapping that is gone.
            assert!(found.is_none() || kept.contains(&note.address), "{note:?} is in use");
            continue;
        }
        let block = found.unwrap_or_else(|| {
            panic!("{note:?} is missing; free: {}", free.contains(&note.address))
        });
        known += 1;
        assert_eq!(block.size, note.size, "{note:?} {block:?}");
        let reachability = marks.of(block);
        if note.state == State::Live {
            assert_eq!(reachability, Reachability::Reachable, "{note:?}");
        } else {
            leaked += 1;
            unreachable += u32::from(reachability == Reachability::Unreachable);
        }
    }
    assert_eq!(known, 5 * 2000);
    let others = blocks.len() - known;
    assert!(others < 40, "{others} blocks are not the program's");
    // A stale word may hide one leak, and with it those of its chain that come after.
    assert!(unreachable * 100 >= leaked * 75, "{unreachable} of {leaked} leaked blocks");
}

#[test]
fn every_block_of_a_program_with_threads_is_found_and_its_leaks_are_unreachable() -> Outcome {
    let target = Target::start(&[])?;
    with_image(&target, |image| {
        let census = Census::take(image, &Limits::default()).expect("the layout is known");
        expect_truth(&census, image, &target);
        for block in census.blocks() {
            let inside = [block.address, block.address + block.size - 1];
            assert!(inside.iter().all(|&it| census.block_at(it) == Some(block)), "{block:?}");
        }
        assert_eq!(census.block_at(0x1000), None);
        let again = Census::take(image, &Limits::default()).expect("it is the same");
        let known = again.into_known();
        let is_other = |mut block: Block| {
            block.size += 16;
            !known.has(&block)
        };
        assert!(census.blocks().all(|block| known.has(&block) && is_other(block)));
        let origins: HashSet<_> = census.blocks().map(|block| block.origin).collect();
        assert_eq!(origins, HashSet::from([BlockOrigin::Arena, BlockOrigin::Mapped]));
        let free = census.free_bytes();
        assert!(free.bins > 0 && free.cached > 0 && free.top > 0 && free.pools == 0, "{free:?}");
    })
}

#[test]
fn a_core_file_of_the_same_process_has_the_same_blocks() -> Outcome {
    let target = Target::start(&[])?;
    let core = target.core()?;
    let image = MemoryImage::of_core(core)?;
    let census = Census::take(&image, &Limits::default())?;
    expect_truth(&census, &image, &target);
    let live: Vec<_> = with_image(&target, |image| {
        Census::take(image, &Limits::default()).map(|census| census.blocks().collect())
    })??;
    assert_eq!(census.blocks().collect::<Vec<_>>(), live);
    Ok(())
}

#[test]
fn a_static_program_is_walked_as_well() -> Outcome {
    let target = Target::start(&["-static"])?;
    with_image(&target, |image| {
        let census = Census::take(image, &Limits::default()).expect("the layout is known");
        expect_truth(&census, image, &target);
    })
}

#[test]
fn the_small_objects_of_python_are_blocks_and_none_of_a_healthy_program_is_unreachable() -> Outcome
{
    let target = Target::python()?;
    with_image(&target, |image| {
        let census = Census::take(image, &Limits::default()).expect("the layout is known");
        let blocks: HashMap<u64, _> = census.blocks().map(|block| (block.address, block)).collect();
        let marks = census.mark(image).expect("nothing hides pointers");
        let of_python = blocks.values().filter(|block| block.origin == BlockOrigin::Pymalloc);
        let (mut count, mut unreachable) = (0u64, 0u64);
        for block in of_python {
            count += 1;
            unreachable += u64::from(marks.of(block) == Reachability::Unreachable);
        }
        let (said, objects) = target.notes.split_last().expect("a line of all blocks");
        assert!(objects.len() == 2000, "{}", objects.len());
        for note in objects {
            let block = blocks.get(&note.address);
            let right =
                block.is_some_and(|it| it.origin == BlockOrigin::Pymalloc && it.size >= note.size);
            assert_eq!(right, note.state == State::Live, "{note:?}: {block:?}");
        }
        // It counts those of malloc too that were too large for a pool; the line itself was made later.
        let possible = count - 200..blocks.len() as u64 + 200;
        assert!(possible.contains(&said.size), "{possible:?} blocks; Python counts {}", said.size);
        assert!(unreachable * 1000 <= count, "{unreachable} of {count} blocks are unreachable");
    })
}

#[test]
fn a_program_that_has_never_allocated_has_no_heap_and_the_error_says_so() -> Outcome {
    let target = Target::start(&["-DSMALL"])?;
    let mut copy = with_image(&target, Copy::of)?;
    copy.forget_image_data();
    let error = Census::take(&copy.image(), &Limits::default()).expect_err("no arena is left");
    assert!(matches!(error, CensusError::NoHeap { .. }), "{error}");
    assert!(error.to_string().contains("neither glibc's malloc nor"), "{error}");
    copy.map_file(b"/usr/lib/libjemalloc.so.2");
    let error = Census::take(&copy.image(), &Limits::default()).expect_err("no arena is left");
    assert!(error.to_string().contains("jemalloc"), "{error}");
    Ok(())
}

#[test]
fn a_runtime_that_hides_pointers_has_blocks_and_no_reachability() -> Outcome {
    let target = Target::start(&["-DSMALL"])?;
    let mut copy = with_image(&target, Copy::of)?;
    copy.map_file(b"/opt/jdk/lib/server/libjvm.so");
    let census = Census::take(&copy.image(), &Limits::default())?;
    assert!(census.block_count() > 300);
    let error = census.mark(&copy.image()).expect_err("a JVM compresses pointers");
    assert!(error.to_string().contains("the JVM hides pointers"), "{error}");
    Ok(())
}

#[test]
fn memory_beyond_the_limits_is_refused() -> Outcome {
    let target = Target::start(&[])?;
    with_image(&target, |image| {
        for limits in [
            Limits { memory: 1 << 20, ..Limits::default() },
            Limits { edges: 16, ..Limits::default() },
        ] {
            let error = Census::take(image, &limits).expect_err("it is too large");
            assert!(matches!(error, CensusError::TooLarge { .. }), "{error}");
        }
    })
}

#[test]
fn an_image_without_its_source_is_an_error_and_no_census() -> Outcome {
    let target = Target::start(&[])?;
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let stop = tracee.stop(Instant::now() + Duration::from_secs(10))?;
    let image = MemoryImage::of_stop(&stop)?;
    target.kill();
    let error = Census::take(&image, &Limits::default()).expect_err("it was killed");
    assert!(
        matches!(error, CensusError::Image(SnapshotError::Memory(_)) | CensusError::NoHeap { .. }),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_wrong_size_of_a_chunk_is_noticed() -> Outcome {
    let target = Target::start(&["-DSMALL"])?;
    let copy = with_image(&target, Copy::of)?;
    let census = Census::take(&copy.image(), &Limits::default())?;
    // Where the next chunk would begin, there must be nothing that looks like one.
    let sound = |&address: &u64| copy.word(address + 0x38) == 0;
    let large = census.blocks().filter(|it| it.origin == BlockOrigin::Arena && it.size > 0x100);
    let addresses: Vec<u64> = large.map(|block| block.address).filter(sound).collect();
    assert!(addresses.len() > 100, "{}", addresses.len());
    for address in addresses.iter().step_by(20) {
        let mut damaged = copy.clone();
        damaged.set_word(address - 8, 0x41);
        let error = Census::take(&damaged.image(), &Limits::default()).expect_err("a size");
        assert!(matches!(error, CensusError::Layout { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn no_damaged_image_makes_it_panic_or_run_for_ever() -> Outcome {
    let target = Target::start(&["-DSMALL"])?;
    let copy = with_image(&target, Copy::of)?;
    let whole = Census::take(&copy.image(), &Limits::default())?;
    assert!(whole.block_count() > 300, "the images are damaged ones of a good one");
    let tables = copy.interesting_words();
    let change = (0..tables.len(), 0..8u8, any::<u64>(), 0..tables.len());
    let changes = prop::collection::vec(change, 1..20);
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() };
    proptest!(config, |(changes in changes)| {
        let mut damaged = copy.clone();
        for (at, kind, random, other) in changes {
            let word = damaged.word(tables[at]);
            damaged.set_word(tables[at], match kind {
                0 => random,
                1 => 0,
                2 => u64::MAX,
                3 => word ^ 1 << (random % 64),
                4 => tables[other],
                5 => tables[other] & !0xf,
                6 => damaged.word(tables[other]),
                _ => word.wrapping_add(random % 4096),
            });
        }
        let began = Instant::now();
        let image = damaged.image().with_kernel_words(KernelWords::default());
        if let Ok(census) = Census::take(&image, &Limits::default()) {
            let count = census.blocks().count() as u64;
            prop_assert_eq!(count, census.block_count());
            let marks = census.mark(&image);
            let lost = marks.map(|marks| UnreachableBlocks::of(&census, &marks, &image).map(|lost| {
                Leaks::confirm(&lost, &census, &marks, &image)
            }));
            prop_assert!(matches!(lost, Ok(Ok(Ok(_)))), "{lost:?}");
            let paths = Paths::find(&census, &image);
            let paths = paths.map(|paths| census.blocks().filter_map(|it| paths.to(&it)).count());
            prop_assert!(paths.is_ok_and(|held| held as u64 <= count));
            for block in census.blocks().step_by(100) {
                let retained = Retained::by(&block, &census, &image).map(|it| it.sum.count);
                prop_assert!(retained.is_ok_and(|it| (1..=count).contains(&it)));
            }
        }
        prop_assert!(began.elapsed() < Duration::from_secs(30));
    });
    Ok(())
}
