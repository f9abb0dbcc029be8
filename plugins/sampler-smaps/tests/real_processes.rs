//! The sampler on real processes: what it calls their mappings, what it observes of growth, and which
//! mapping it takes for which.

mod support;

use std::time::Duration;

use seepmeter_plugin::ErrorKind;
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
    let tid = program.ask("thread bee");
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
    let stack = format!("stack of thread {tid} (bee)");
    watcher.until("the thread's stack known", |memory| memory.find(&stack).is_some());
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
    watcher.sample().unwrap();
    assert_eq!((watcher.points.len(), watcher.partial), (0, false));
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
    watcher.wait(support::PATIENCE * 100);
    assert!(begin.elapsed() < support::PATIENCE, "{:?}", begin.elapsed());
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
