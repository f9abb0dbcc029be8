//! The sampler on real processes: what it calls their mappings, what it observes of growth, and which
//! mapping it takes for which.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use seepmeter_plugin::ErrorKind;
use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{MappingClass, Point, SubjectId};
use seepmeter_tests::not_run;
use support::{MIB, Memory, Program, Watcher};

fn rss_is(memory: &Memory, subject: u32, bytes: usize) -> bool {
    memory.value(subject, "rss") == Some(i64::try_from(bytes).unwrap())
}

/// The mapping that was first seen at this address.
fn at(memory: &Memory, address: usize) -> Option<u32> {
    let place = format!(" at {address:x}");
    memory
        .living()
        .find(|(_, subject)| subject.name.to_string().ends_with(&place))
        .map(|(id, _)| id)
}

#[test]
fn each_class_is_named_right() {
    let mut program = Program::start();
    program.ask("thread bee");
    let folder = std::env::temp_dir();
    let path = folder.join(format!("smaps-{}", program.pid()));
    let path = path.to_str().unwrap();
    program.ask(&format!("file {path} {MIB}"));
    program.ask(&format!("file {path}-deleted {MIB}"));
    program.ask(&format!("unlink {path}-deleted"));
    program.ask(&format!("memfd hive {MIB}"));
    program.map("jit", MIB);
    program.map("shared", MIB);
    program.map("anonymous", 20 * MIB);
    program.map("reserve", MIB);
    program.ask("brk 65536");
    let mut watcher = Watcher::eager(program.pid(), "group");
    // One group for all of them, by however many threads.
    watcher.until("the thread's stack known", |memory| memory.find("stacks of threads").is_some());
    program.ask(&format!("unlink {path}"));
    for name in [
        "[heap]",
        "stack of the main thread",
        "JIT code",
        "shared anonymous memory rw-s",
        "memfd:hive rw-s",
        "glibc arenas",
        "anonymous mappings of 16 MiB–256 MiB",
        "reserved, without access",
        "[vdso]",
        &format!("{path} r--p"),
        &format!("{path}-deleted (deleted) r--p"),
    ] {
        let names = watcher.memory.names();
        assert!(names.iter().any(|found| found.starts_with(name)), "no {name} in {names:#?}");
    }
    let parents = watcher.memory.subjects.iter().map(|subject| subject.parent);
    assert!(parents.into_iter().all(|parent| parent.is_some_and(|parent| parent.0 == 0)));
}

#[test]
fn huge_pages_are_set_apart() {
    let mut program = Program::start();
    if program.ask(&format!("hugetlb {}", 2 * MIB)) == "refused" {
        not_run("huge pages", "this machine has no huge pages to spare (vm.nr_hugepages)");
        return;
    }
    let mut watcher = Watcher::eager(program.pid(), "group");
    watcher.until("huge pages named", |memory| memory.find("huge pages").is_some());
}

#[test]
fn a_mebibyte_more_is_seen_at_the_defaults_within_ten_seconds() {
    let mut program = Program::start();
    program.map("anonymous", 300 * MIB);
    let growing = program.map("jit", 40 * MIB);
    let reserved = program.map("reserve", 40 * MIB);
    program.ask(&format!("protect {reserved} {} rw", 40 * MIB));
    let mut watcher = Watcher::new(program.pid(), &[("detail", "mapping")]).unwrap();
    watcher.until("the mapping known", |memory| at(memory, growing).is_some());
    watcher.until("all swept", |memory| at(memory, reserved).is_some());
    let subject = at(&watcher.memory, reserved).unwrap();
    program.ask(&format!("touch {} {MIB}", reserved + 7 * MIB));
    let took = watcher.until("growth seen", |memory| rss_is(memory, subject, MIB));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_sweep_and_a_whole_read_agree() {
    let mut program = Program::start();
    program.map("anonymous", 30 * MIB);
    program.map("shared", 3 * MIB);
    program.map("jit", MIB);
    program.ask(&format!("memfd hive {MIB}"));
    let mut full = Watcher::new(program.pid(), &[("mode", "full"), ("detail", "mapping")]).unwrap();
    full.sample().unwrap();
    let mut sweep =
        Watcher::new(program.pid(), &[("budget", "100"), ("detail", "mapping")]).unwrap();
    sweep.until("swept", |memory| memory.sum("rss") > 0);
    for (id, subject) in full.memory.living() {
        let Some(same) = sweep.memory.find(&subject.name.to_string()) else {
            assert_eq!(subject.name.to_string(), "[vsyscall] --xp at ffffffffff600000");
            continue;
        };
        for metric in ["rss", "anonymous", "swap", "thp"] {
            let values = (full.memory.value(id, metric), sweep.memory.value(same, metric));
            assert_eq!(values.0, values.1, "{metric} of {}", subject.name);
        }
    }
    sweep.until("smaps read", |memory| memory.sum("pss") > 0);
    assert_eq!(sweep.memory.sum("private_dirty"), full.memory.sum("private_dirty"));
    sweep.until("rolled up", |memory| memory.value(0, "pss").is_some());
    for metric in ["private_dirty", "anonymous", "swap", "locked", "lazyfree"] {
        let values = (full.memory.value(0, metric), sweep.memory.value(0, metric));
        assert!(values.0.is_some() && values.0 == values.1, "{metric} of the process: {values:?}");
    }
}

#[test]
fn only_what_has_changed_is_emitted() {
    let mut program = Program::start();
    program.map("anonymous", MIB);
    let mut watcher = Watcher::eager(program.pid(), "group");
    watcher.until("smaps read", |memory| memory.sum("pss") > 0);
    for _ in 0..5 {
        watcher.sample().unwrap();
        // The pss of libraries changes with other processes.
        assert_eq!((watcher.repeated, watcher.partial), (0, false));
        watcher.wait(Duration::from_millis(20));
    }
}

#[test]
fn a_mapping_that_mremap_moves_or_brk_grows_stays_itself() {
    let mut program = Program::start();
    // The room's rest lies above it, so that it can't grow where it is.
    let room = program.map("reserve", 64 * MIB);
    let place = room + 16 * MIB;
    program.ask(&format!("map-at {place} {}", 2 * MIB));
    program.ask("brk 1048576");
    let mut watcher = Watcher::eager(program.pid(), "mapping");
    watcher.until("known", |memory| at(memory, place).is_some() && memory.find("[heap]").is_some());
    let vector = at(&watcher.memory, place).unwrap();
    let heap = watcher.memory.find("[heap]").unwrap();
    let before = watcher.memory.value(heap, "rss").unwrap();
    let moved: usize =
        program.ask(&format!("remap {place} {} {}", 2 * MIB, 5 * MIB)).parse().unwrap();
    assert_ne!(moved, place);
    watcher.sample().unwrap();
    program.ask(&format!("touch {moved} {}", 5 * MIB));
    program.ask("brk 1048576");
    let after = before + i64::try_from(MIB).unwrap();
    watcher.until("the heap grown", |memory| memory.value(heap, "rss") == Some(after));
    watcher.until("the vector grown", |memory| memory.value(vector, "rss") >= Some(5 << 20));
    assert!(watcher.memory.living().any(|(id, _)| id == vector));
}

#[test]
fn a_split_and_a_merge_leave_a_mapping_what_it_was() {
    let mut program = Program::start();
    // A room of its own, so that no neighbour merges with it.
    let room = program.map("reserve", 64 * MIB);
    let place = room + 16 * MIB;
    program.ask(&format!("map-at {place} {}", 8 * MIB));
    program.ask(&format!("touch {place} {}", 8 * MIB));
    let mut watcher = Watcher::eager(program.pid(), "mapping");
    watcher.until("known", |memory| at(memory, place).is_some());
    let subject = at(&watcher.memory, place).unwrap();
    watcher.until("counted", |memory| rss_is(memory, subject, 8 * MIB));
    program.ask(&format!("protect {} {} none", place + 2 * MIB, 2 * MIB));
    let room_above = place + 8 * MIB;
    program.ask(&format!("map-at {room_above} {MIB}"));
    program.ask(&format!("touch {room_above} {MIB}"));
    watcher.until("the split mapping grown", |memory| rss_is(memory, subject, 9 * MIB));
    program.ask(&format!("protect {} {} rw", place + 2 * MIB, 2 * MIB));
    program.ask(&format!("touch {} {MIB}", place + 2 * MIB));
    program.ask(&format!("map-at {} {MIB}", place + 9 * MIB));
    program.ask(&format!("touch {} {MIB}", place + 9 * MIB));
    watcher.until("the merged mapping grown", |memory| rss_is(memory, subject, 10 * MIB));
}

/// The value of a metric of a group, by what its name begins with.
fn value_of(memory: &Memory, name: &str, metric: &str) -> Option<i64> {
    memory.value(memory.find(name)?, metric)
}

#[test]
fn a_mapping_that_grows_goes_to_the_class_of_its_size_and_the_sums_go_with_it() {
    const LARGE: &str = "anonymous mappings of 16 MiB";
    const HUGE: &str = "anonymous mappings of 256 MiB";
    let mut program = Program::start();
    let room = program.map("reserve", 512 * MIB);
    let end = room + 480 * MIB;
    // Another one, of the same class at first.
    program.map("jit", MIB);
    let other = program.map("reserve", 64 * MIB) + MIB;
    program.ask(&format!("map-at {other} {}", 20 * MIB));
    program.ask(&format!("touch {other} {MIB}"));
    program.ask(&format!("map-at {} {}", end - 250 * MIB, 250 * MIB));
    program.ask(&format!("touch {} {}", end - 250 * MIB, 10 * MIB));
    let mut watcher = Watcher::eager(program.pid(), "group");
    let mib = |mib: usize| i64::try_from(mib * MIB).unwrap();
    watcher.until("known", |memory| value_of(memory, LARGE, "pss") == Some(mib(11)));
    assert_eq!(watcher.memory.find(HUGE), None);
    let subject = &watcher.memory.living().find(|(_, s)| s.name.to_string().starts_with(LARGE));
    let attributes = &subject.unwrap().1.attributes;
    assert_eq!(attributes.get(attribute::CLASS), Some(MappingClass::Anonymous));
    assert_eq!(attributes.get(attribute::LEAST_SIZE), Some(16 << 20));
    assert_eq!(attributes.get(attribute::SIZE_BOUND), Some(256 << 20));
    program.ask(&format!("map-at {} {}", end - 260 * MIB, 10 * MIB));
    program.ask(&format!("touch {} {}", end - 260 * MIB, 2 * MIB));
    watcher.until("moved", |memory| value_of(memory, HUGE, "rss") == Some(mib(12)));
    assert_eq!(value_of(&watcher.memory, LARGE, "rss"), Some(mib(1)));
    watcher.until("read", |memory| {
        let pss = [HUGE, LARGE].map(|group| value_of(memory, group, "pss"));
        pss == [12, 1].map(|size| Some(mib(size)))
    });
}

#[test]
fn a_large_mapping_that_changes_at_every_sample_is_followed_within_the_budget() {
    let mut program = Program::start();
    let room = program.map("reserve", 512 * MIB);
    let mut place = room + 200 * MIB;
    let mut size = 300 * MIB;
    program.ask(&format!("map-at {place} {size}"));
    program.ask(&format!("touch {place} {size}"));
    let mut watcher = Watcher::new(program.pid(), &[]).unwrap();
    let group = "anonymous mappings of 256 MiB";
    watcher.until("known", |memory| memory.find(group).is_some());
    // Downwards, as the kernel places mappings, so that its start is another one each time.
    for _ in 0..100 {
        place -= 256 << 10;
        size += 256 << 10;
        program.ask(&format!("map-at {place} {}", 256 << 10));
        program.ask(&format!("touch {place} {}", 256 << 10));
        watcher.sample().unwrap();
        watcher.wait(Duration::from_millis(50));
    }
    let value = value_of(&watcher.memory, group, "rss").unwrap();
    let late = i64::try_from(size).unwrap() - value;
    assert!(late < 5 << 20, "{late} bytes of {size} were not seen");
    // It is too large for smaps to be read, so what only that knows is not known, unless this machine is so
    // fast that it was read once; smaps_rollup is.
    match value_of(&watcher.memory, group, "pss") {
        Some(pss) => assert!(pss >= 300 << 20 && pss <= value, "{pss} bytes of {value}"),
        None => {
            let reported = watcher.memory.shortcomings();
            assert!(reported.iter().any(|text| text.contains("max-hold")), "{reported:?}");
        }
    }
    assert!(watcher.memory.value(0, "pss") > Some(300 << 20));
}

#[test]
fn a_process_too_large_for_one_read_of_smaps_rollup_has_the_sums_of_smaps_in_pieces() {
    let mut program = Program::start();
    for kind in ["anonymous", "memfd hive", "anonymous", "memfd swarm"] {
        program.map(kind, 80 * MIB);
    }
    let mut watcher =
        Watcher::new(program.pid(), &[("budget", "20"), ("rollup-hold", "2ms")]).unwrap();
    watcher.until("known", |memory| memory.value(0, "pss") >= Some(320 << 20));
    let reported = watcher.memory.shortcomings();
    assert!(reported[0].starts_with("smaps_rollup is not read"), "{reported:?}");
    assert_eq!(reported.len(), 1, "{reported:?}");
}

#[test]
fn trap_48_what_only_smaps_knows_is_unknown_until_it_was_read_and_never_zero() {
    let mut program = Program::start();
    program.map("anonymous", 20 * MIB);
    // No read of smaps or of smaps_rollup is short enough.
    let options = [("max-hold", "1ns"), ("rollup-hold", "1ns"), ("budget", "100")];
    let mut watcher = Watcher::new(program.pid(), &options).unwrap();
    watcher.until("swept", |memory| memory.sum("rss") > 20 << 20);
    for _ in 0..5 {
        watcher.sample().unwrap();
        watcher.wait(Duration::from_millis(20));
    }
    for metric in ["pss", "private_dirty", "swap_pss", "lazyfree", "locked"] {
        let subjects = watcher.memory.living().map(|(id, _)| id).chain([0]);
        let known: Vec<u32> =
            subjects.filter(|id| watcher.memory.value(*id, metric).is_some()).collect();
        assert!(known.is_empty(), "{metric} of {known:?}");
    }
    let reported = watcher.memory.shortcomings();
    assert_eq!(reported.len(), 2, "{reported:?}");
}

#[test]
fn a_target_too_large_for_the_budget_has_points_every_ten_seconds_in_partial_samples() {
    let mut program = Program::start();
    let place = program.map("anonymous", 250 * MIB);
    // A sweep of 250 MiB takes some 30 s at this budget.
    let options = [("budget", "0.005"), ("detail", "mapping"), ("sweep-every", "1ms")];
    let mut watcher = Watcher::new(program.pid(), &options).unwrap();
    let (begin, mut last) = (Instant::now(), Instant::now());
    while begin.elapsed() < Duration::from_secs(15) {
        // It changes all the time, and little.
        program.ask(&format!("brk {}", 1 << 16));
        watcher.sample().unwrap();
        assert!(watcher.partial);
        let of_target = |point: &&Point| point.subject == SubjectId(0);
        assert!(watcher.points.iter().any(|point| of_target(&point)), "it has a size at all times");
        if !watcher.points.iter().all(|point| of_target(&point)) {
            last = Instant::now();
        }
        assert!(last.elapsed() < Duration::from_secs(10), "{:?}", watcher.memory.names());
        // All of it, or not known.
        if let Some(subject) = at(&watcher.memory, place) {
            assert!(rss_is(&watcher.memory, subject, 250 * MIB));
        }
        watcher.wait(Duration::from_millis(500));
    }
    let reported = watcher.memory.shortcomings();
    assert!(reported.iter().any(|text| text.contains("partial")), "{reported:?}");
}

#[test]
fn two_targets_share_a_sampler_and_the_end_of_one_costs_the_other_nothing() {
    let mut programs = [Program::start(), Program::start()];
    let places = programs.each_mut().map(|program| program.map("memfd hive", 2 * MIB));
    assert!(places.iter().all(|place| *place > 0));
    let mut watcher = Watcher::eager(programs[0].pid(), "group");
    watcher.add(Path::new("/proc"), programs[1].pid(), 1).unwrap();
    let hives = |memory: &Memory| -> Vec<(u32, i64)> {
        let hives = memory.living().filter(|(_, s)| s.name.to_string().starts_with("memfd:hive"));
        hives.filter_map(|(id, s)| Some((s.parent?.0, memory.value(id, "rss")?))).collect()
    };
    watcher.until("both known", |memory| hives(memory).len() == 2);
    let mut both = hives(&watcher.memory);
    both.sort_unstable();
    assert_eq!(both, [(0, 2 << 20), (1, 2 << 20)]);
    assert!(watcher.memory.value(0, "rss").is_some() && watcher.memory.value(1, "rss").is_some());
    watcher.until("rolled up", |memory| {
        memory.value(0, "pss").is_some() && memory.value(1, "pss").is_some()
    });
    programs[0].child.kill().unwrap();
    programs[0].child.wait().unwrap();
    let place = programs[1].map("memfd swarm", MIB);
    watcher.until("the other goes on", |memory| memory.find("memfd:swarm").is_some());
    watcher.remove(0);
    programs[1].ask(&format!("unmap {place} {MIB}"));
    watcher.until("it ended", |memory| memory.find("memfd:swarm").is_none());
    watcher.remove(1);
    assert_eq!(watcher.sample().map_err(|error| error.kind()), Err(ErrorKind::Gone));
}

#[test]
fn the_stacks_of_threads_that_have_ended_and_were_not_joined_are_stacks() {
    let mut program = Program::start();
    let mut watcher = Watcher::new(program.pid(), &[("budget", "20")]).unwrap();
    watcher.until("known", |memory| memory.sum("rss") > 0);
    assert_eq!(program.ask("unjoined 40"), "40");
    watcher.until("known", |memory| {
        let stacks = memory.find("stacks of threads");
        stacks.is_some_and(|id| memory.value(id, "rss") >= Some(40 * 4096))
    });
    // They are mappings too: at least a guard and a stack each.
    assert!(watcher.memory.value(0, "mappings") >= Some(80));
}

#[test]
fn what_is_unmapped_is_gone() {
    let mut program = Program::start();
    let place: usize = program.ask(&format!("memfd hive {MIB}")).parse().unwrap();
    let mut watcher = Watcher::eager(program.pid(), "group");
    watcher.until("there", |memory| memory.find("memfd:hive").is_some());
    program.ask(&format!("unmap {place} {MIB}"));
    watcher.until("gone", |memory| memory.find("memfd:hive").is_none());
    program.ask(&format!("memfd hive {MIB}"));
    watcher.until("there again", |memory| memory.find("memfd:hive").is_some());
}

#[test]
fn a_target_that_dies_in_the_middle_of_samples_is_gone_and_no_failure() {
    for mode in ["sweep", "full"] {
        for round in 0..10 {
            let mut program = Program::start();
            program.map("anonymous", 64 * MIB);
            let options = [("mode", mode), ("budget", "100"), ("sweep-every", "1ms")];
            let mut watcher = Watcher::new(program.pid(), &options).unwrap();
            for _ in 0..round {
                watcher.sample().unwrap();
            }
            program.child.kill().unwrap();
            if round % 2 == 0 {
                program.child.wait().unwrap();
            }
            let error = loop {
                watcher.wait(Duration::from_micros(100));
                if let Err(error) = watcher.sample() {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::Gone, "{mode}: {error}");
        }
    }
}

#[test]
fn a_wait_with_work_to_do_ends_when_it_is_woken() {
    let mut program = Program::start();
    program.map("anonymous", 64 * MIB);
    // At this budget a slice is followed by a pause of minutes.
    let options = [("budget", "0.0001"), ("detail", "mapping")];
    let mut watcher = Watcher::new(program.pid(), &options).unwrap();
    watcher.sample().unwrap();
    watcher.wake_up();
    let begin = std::time::Instant::now();
    watcher.wait(support::TIME_LIMIT * 100);
    assert!(begin.elapsed() < support::TIME_LIMIT, "{:?}", begin.elapsed());
}

#[test]
fn a_target_whose_leader_has_ended_is_seen_through_its_other_threads() {
    let mut program = Program::start();
    let place = program.map("anonymous", 3 * MIB);
    program.tell("leader-exit");
    // It answers, by another thread.
    assert_eq!(program.ask("hello"), "what?");
    let mut watcher = Watcher::eager(program.pid(), "mapping");
    watcher.until("seen", |memory| at(memory, place).is_some());
}
