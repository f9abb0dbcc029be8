//! When a limit will be reached, and which.

use seepmeter_record::MappingClass;
use seepmeter_record::conventions::{DescriptorKind, attribute, metric};
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{
    Recording, TestCgroup, long_or_not_run, not_run, recorded, replay, run, run_target, seepmeter,
    verdict, words,
};
use serde_json::Value;

#[test]
fn the_limit_that_is_reached_first_is_shown_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    // From 62 MB at 20 kB/s: a cgroup's 512 MB in 22,500 s, the machine's 8 GB in days.
    let with_cgroup = || Synthetic::leak(600, 11).with(attribute::CGROUP_LIMIT, 512_000_000);
    let path = with_cgroup()
        .with(attribute::MACHINE_LIMIT, 8_000_000_000)
        .write(folder.path(), "cgroup.jsonl");
    let printed = verdict(&path, &[]);
    assert_eq!(printed["limit"]["name"], "cgroup");
    let likely = printed["limit"]["likely"].as_f64().unwrap();
    assert!((likely - 22_500.0).abs() < 30.0, "{likely}");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let wanted = "\n  at this rate the limit of 488 MiB (cgroup) is reached in 6 h 1";
    assert!(done.err().contains(wanted), "{}", done.output());
    let gate = "time-to-limit<7h";
    let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate, "it is 6 h 1"]);
    assert_eq!(replay(&path, &["--fail-on", "time-to-limit<6h"]).expect(0).err(), "");
    // The address space grows ten times as fast, and so meets its limit first.
    let path = with_cgroup()
        .metric(metric::VSIZE, |i| 300_000_000 + 200_000 * i)
        .with(attribute::ADDRESS_SPACE_LIMIT, 1_000_000_000)
        .write(folder.path(), "space.jsonl");
    let printed = verdict(&path, &[]);
    assert_eq!(printed["limit"]["name"], "address space");
    let likely = printed["limit"]["likely"].as_f64().unwrap();
    assert!((likely - 2_901.0).abs() < 30.0, "{likely}");
    // What does not grow reaches none.
    let path = Synthetic::flat(600, 12).with(attribute::CGROUP_LIMIT, 60_000_000);
    let path = path.write(folder.path(), "flat.jsonl");
    assert_eq!(verdict(&path, &[])["limit"], Value::Null);
}

#[test]
fn an_address_space_that_grows_beside_a_steady_rss_is_shown_with_its_own_rate() {
    let folder = tempfile::tempdir().unwrap();
    let space = |limit: u64| {
        Synthetic::flat(600, 14)
            .metric(metric::VSIZE, |i| 300_000_000 + 200_000 * i)
            .metric(metric::FDS, |i| 20 + i / 3)
            .with(attribute::ADDRESS_SPACE_LIMIT, limit)
    };
    let path = space(1_000_000_000).write(folder.path(), "space.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let printed = done.err();
    assert!(printed.starts_with("steady  rss "), "{printed}");
    assert!(printed.contains("\n  the address space grows by +195 KiB/s (95 % CI "), "{printed}");
    assert!(
        printed.contains("and its limit of 954 MiB (address space) is reached in 48 m 2"),
        "{printed}"
    );
    assert!(!printed.contains("at this rate"), "{printed}");
    let limit = verdict(&path, &[])["limit"].clone();
    assert!((limit["rate"]["estimate"].as_f64().unwrap() - 200_000.0).abs() < 500.0, "{limit}");
    // A gate on the time fires for it, and one on the rate does not.
    let _ = replay(&path, &["--fail-on", "time-to-limit<1h"]).expect_complaint(100, &["48 m 2"]);
    assert_eq!(replay(&path, &["--fail-on", "rate>1KiB/s"]).expect(0).err(), "");
    // If the address space is judged, it is its rate that stands in the first line.
    let printed = replay(&path, &["-o", "verdict", "--metric", "vsize"]).expect(0).err();
    assert!(printed.starts_with("growing  vsize +19"), "{printed}");
    assert!(
        printed.contains("at this rate the limit of 954 MiB (address space) is reached in 48 m")
    );
    // With other metrics it has nothing to do.
    let printed = replay(&path, &["-o", "verdict", "--metric", "fds"]).expect(0).err();
    assert!(
        printed.starts_with("growing  fds ") && !printed.contains("address space"),
        "{printed}"
    );
}

#[test]
fn what_others_use_of_a_limit_is_left_out_of_the_room() {
    let folder = tempfile::tempdir().unwrap();
    // 50 MB of its own and 100 MB of others at the start; 20 kB a second from 62 MB on.
    let leak = || Synthetic::leak(600, 11).with(attribute::CGROUP_LIMIT, 200_000_000);
    let alone = verdict(&leak().write(folder.path(), "old.jsonl"), &[]);
    assert_eq!(alone["limit"]["others"], Value::Null);
    assert!((alone["limit"]["likely"].as_f64().unwrap() - 6_900.0).abs() < 30.0, "{alone}");
    let path =
        leak().with(attribute::CGROUP_USED, 150_000_000).write(folder.path(), "shared.jsonl");
    let shared = verdict(&path, &[]);
    assert!((shared["limit"]["likely"].as_f64().unwrap() - 1_900.0).abs() < 30.0, "{shared}");
    assert!((shared["limit"]["others"].as_f64().unwrap() - 1e8).abs() < 1e5, "{shared}");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    assert!(printed.contains("the limit of 191 MiB (cgroup) is reached in "), "{printed}");
    // Of the machine, what is not available is used.
    let path = Synthetic::leak(600, 11)
        .with(attribute::MACHINE_LIMIT, 8_000_000_000)
        .with(attribute::MACHINE_AVAILABLE, 100_000_000)
        .write(folder.path(), "machine.jsonl");
    let machine = verdict(&path, &[]);
    // 150 MB of the machine are the target's, of which it has 62.
    assert!((machine["limit"]["likely"].as_f64().unwrap() - 4_400.0).abs() < 30.0, "{machine}");
}

#[test]
fn a_leak_of_descriptors_has_its_rate_its_kind_and_the_time_to_the_limit_of_open_files() {
    let folder = tempfile::tempdir().unwrap();
    // Three sockets in ten seconds, and as many files as there were, of which ever more are one.
    let sockets = |i: i64| 8 + 3 * i / 10;
    let log = |i: i64| if i < 300 { 10 } else { 30 };
    let leak = || {
        Synthetic::flat(600, 4)
            .metric(metric::FDS, move |i| 40 + 3 * i / 10)
            .descriptors(DescriptorKind::Socket, "", sockets)
            .descriptors(DescriptorKind::File, "", move |i| 32 - log(i))
            .descriptors(DescriptorKind::File, "/var/log/shop.log", log)
    };
    let path = leak().with(attribute::DESCRIPTOR_LIMIT, 1_024).write(folder.path(), "fds.jsonl");
    let done = replay(&path, &["-o", "verdict", "--metric", "fds"]).expect(0);
    let lines: Vec<String> = done.err().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("growing  fds +18/min (95 % CI 1"), "{lines:#?}");
    assert_eq!(lines[1], "  100 % of it in sockets");
    let wanted = "  at this rate the limit of 1024 (RLIMIT_NOFILE) is reached in 44 m ";
    assert!(lines[2].starts_with(wanted), "{lines:#?}");
    assert!(lines[3].starts_with("  next: see which code opens them: strace "), "{lines:#?}");
    let printed = verdict(&path, &["--metric", "fds"]);
    assert_eq!((&printed["limit"]["amount"], &printed["unit"]), (&1_024.into(), &"count".into()));
    // A gate on a kind is one on all groups of it.
    for (gate, status) in [
        ("subject(files).peak>31", 100),
        ("subject(files).peak>32", 0),
        ("subject(sockets).rate>0", 100),
    ] {
        let _ = replay(&path, &["--metric", "fds", "--fail-on", gate]).expect(status);
    }
    // The live lines and the rows of the summary are of it too.
    let shown = replay(&path, &["-o", "text", "-o", "summary", "--metric", "fds"]).expect(0).err();
    assert!(shown.contains(" s  fds         43            0/s\n"), "{shown}");
    assert!(
        shown.contains("\nfds        first 40, last 219, peak 219; average +17.9/min\n"),
        "{shown}"
    );
    assert!(shown.contains("\nrss        first "), "{shown}");
}

#[test]
fn of_a_kind_of_descriptors_the_name_that_grows_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 40 + i)
        .descriptors(DescriptorKind::File, "", |_| 20)
        .descriptors(DescriptorKind::File, "/var/log/shop.log", |i| 20 + i)
        .write(folder.path(), "fds.jsonl");
    let printed = replay(&path, &["-o", "verdict", "--metric", "fds"]).expect(0).err();
    assert!(printed.contains("\n  100 % of it in files, mostly /var/log/shop.log\n"), "{printed}");
}

#[test]
fn each_cgroup_has_a_verdict_and_its_limit_and_a_gate_fires_for_any_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .cgroup("/quiet", 1 << 30, |i| 9_000_000 + i % 3 * 4096)
        .cgroup("/leaky", 100_000_000, |i| 50_000_000 + 20_000 * i)
        .write(folder.path(), "cgroups.jsonl");
    let flags = ["-o", "verdict", "--metric", "cgroup_anon"];
    let printed = replay(&path, &flags).expect(0).err();
    assert!(printed.contains("steady  cgroup_anon of /quiet "), "{printed}");
    assert!(printed.contains("growing  cgroup_anon of /leaky +19."), "{printed}");
    assert!(printed.contains("the limit of 95.4 MiB (cgroup) is reached in 3"), "{printed}");
    let gates = ["--metric", "cgroup_anon", "--fail-on", "growing"];
    let _ = replay(&path, &gates).expect_complaint(100, &["/leaky"]);
    // The resident set is that of the process.
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    assert!(printed.starts_with("steady  rss ") && !printed.contains("/quiet"), "{printed}");
    let shown = replay(&path, &["-o", "summary", "--metric", "cgroup_anon"]).expect(0).err();
    assert!(shown.contains("\ncgroup     /leaky\nanon       first 47.7 MiB, last "), "{shown}");
}

#[test]
fn what_is_swapped_out_of_a_cgroup_counts_and_then_no_time_to_its_limit_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .cgroup("/shop", 1 << 30, |i| 50_000_000 + i % 3 * 4096)
        .of_part(metric::CGROUP_SWAP, |i| 20_000 * i)
        .write(folder.path(), "swapped.jsonl");
    let flags = ["-o", "verdict", "--metric", "cgroup_anon", "--fail-on", "time-to-limit<1h"];
    let printed = replay(&path, &flags).expect(0).err();
    assert!(printed.contains("growing  cgroup_anon + swap +19."), "{printed}");
    assert!(!printed.contains("the limit of"), "{printed}");
    assert!(printed.contains("was not evaluated: a part of it was swapped out"), "{printed}");
}

#[test]
fn threads_have_the_limits_of_the_cgroup_and_of_the_user_and_a_cycle_has_its_peaks() {
    let folder = tempfile::tempdir().unwrap();
    let threads = || Synthetic::flat(600, 4).metric(metric::THREADS, |i| 10 + i);
    let of_cgroup = threads()
        .with(attribute::TASK_LIMIT, 2_000)
        .with(attribute::TASKS_USED, 510)
        .write(folder.path(), "tasks.jsonl");
    let limit = &verdict(&of_cgroup, &["--metric", "threads"])["limit"];
    assert_eq!((&limit["name"], &limit["others"]), (&"threads of the cgroup".into(), &500.into()));
    // 1500 of them are free, of which the target has 610.
    assert!((limit["likely"].as_f64().unwrap() - 890.0).abs() < 45.0, "{limit}");
    let of_user = threads().with(attribute::USER_TASK_LIMIT, 1_610);
    let of_user = of_user.write(folder.path(), "user.jsonl");
    let printed = replay(&of_user, &["-o", "verdict", "--metric", "threads"]).expect(0).err();
    assert!(
        printed.contains("limit of 1610 (RLIMIT_NPROC, of all threads of the user)"),
        "{printed}"
    );
    assert!(printed.contains("\n  next: see where the threads stand"), "{printed}");
    let sawtooth = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 100 + i + i % 40 * 10)
        .with(attribute::DESCRIPTOR_LIMIT, 1_500);
    let sawtooth = sawtooth.write(folder.path(), "cycles.jsonl");
    let printed = verdict(&sawtooth, &["--metric", "fds"]);
    let likely = printed["limit"]["likely"].as_f64().unwrap();
    assert!((likely - 400.0).abs() < 100.0, "{printed}");
}

#[test]
fn limits_of_other_kinds_are_reached_at_the_rate_of_what_they_apply_to() {
    let folder = tempfile::tempdir().unwrap();
    let mappings = || {
        Synthetic::flat(600, 71)
            .metric(metric::MAPPINGS, |i| 100 + 2 * i)
            .with(attribute::MAPPINGS_LIMIT, 65_530)
    };
    let data = || {
        Synthetic::flat(600, 72)
            .metric(metric::DATA, |i| 300_000_000 + 200_000 * i)
            .with(attribute::DATA_LIMIT, 1_000_000_000)
    };
    let high = || {
        Synthetic::leak(600, 73)
            .with(attribute::CGROUP_HIGH, 200_000_000)
            .with(attribute::CGROUP_LIMIT, 400_000_000)
    };
    for (recording, name, seconds, words) in [
        (mappings(), "mappings", 32_115.0, "the number of mappings grows by +2/s"),
        (
            data(),
            "data",
            2_901.0,
            "the data segment (private writable address space) grows by +195",
        ),
        (high(), "memory.high", 6_900.0, "(memory.high of the cgroup, above which it is slowed"),
    ] {
        let path = recording.write(folder.path(), "limited.jsonl");
        let printed = verdict(&path, &[]);
        assert_eq!(printed["limit"]["name"], name, "{printed}");
        let likely = printed["limit"]["likely"].as_f64().unwrap();
        assert!((likely - seconds).abs() < seconds / 100.0, "{name}: {likely}");
        let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
        assert!(printed.contains(words), "{printed}");
    }
}

/// A program whose shared memory grows by 20 kB a second from 10 MB on, and a tmpfs of 100 MB, of which others use
/// 30 MB.
fn shared_memory(file: &str) -> Synthetic {
    Synthetic::leak(600, 86)
        .metric(metric::SHARED, |i| 10_000_000 + 20_000 * i)
        .part(file, MappingClass::SharedMemory, |i| 10_000_000 + 20_000 * i)
        .with_of_part(attribute::FILE, file.into())
        .with(attribute::SHM_LIMIT, 100_000_000)
        .with(attribute::SHM_USED, 40_000_000)
        .with(attribute::CGROUP_LIMIT, 100_000_000)
}

#[test]
fn files_in_dev_shm_that_grow_reach_the_size_of_that_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = shared_memory("/dev/shm/queue").write(folder.path(), "shm.jsonl");
    let limit = verdict(&path, &[])["limit"].clone();
    assert_eq!((&limit["name"], &limit["others"]), (&"/dev/shm".into(), &30_000_000.into()));
    // 48 MB are left in the end.
    let likely = limit["likely"].as_f64().unwrap();
    assert!((likely - 2_400.0).abs() < 30.0, "{likely}");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    assert!(printed.contains("\n  shared memory in /dev/shm grows by +19.5 KiB/s ("), "{printed}");
    assert!(printed.contains("its limit of 95.4 MiB (/dev/shm) is reached in "), "{printed}");
    let _ = replay(&path, &["--fail-on", "time-to-limit<1h"]).expect_complaint(100, &["40 m"]);
    // Other shared memory is not in that file system.
    let path = shared_memory("SYSV0000002a").write(folder.path(), "sysv.jsonl");
    assert_eq!(verdict(&path, &[])["limit"], Value::Null);
}

#[test]
fn the_size_of_dev_shm_is_that_of_the_target_and_what_fills_it_is_forecast() {
    const NAME: &str =
        "the_size_of_dev_shm_is_that_of_the_target_and_what_fills_it_is_forecast (the forecast)";
    // Without the long tests, a moment is enough to see which file system it is.
    let long = long_or_not_run(NAME);
    let seconds = if long { 110 } else { 1 };
    let target = run_target("shm", words!["512", "100", seconds.to_string()]).start();
    let pid = match target.line("") {
        line if line == "not allowed" => return not_run(NAME, "no file system may be mounted"),
        _ => target.pid().to_string(),
    };
    let (_folder, path, sink) = recorded();
    let duration = format!("{seconds}s");
    let words = words![
        "attach", "-q", "-i", "250ms", "-s", "statm", "-s", "smaps", "-o", sink, "-d", duration,
        pid
    ];
    let done = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    let attributes = recording.subject(recording.target());
    assert_eq!(attributes.get(attribute::SHM_LIMIT), Some(512 << 20));
    let used = attributes.get(attribute::SHM_USED).expect("what is used");
    assert!(used < 64 << 20, "{used}");
    if long {
        assert!(done.err().contains("shared memory in /dev/shm grows by +"), "{}", done.output());
        assert!(done.err().contains("512 MiB (/dev/shm) is reached in "), "{}", done.output());
    }
    drop(target);
}

#[test]
fn a_gate_on_the_time_to_a_limit_is_never_silent_if_no_time_can_be_known() {
    let folder = tempfile::tempdir().unwrap();
    let gate = ["--fail-on", "time-to-limit<2h"];
    let not_evaluated = |path: &std::path::Path, why: &str| {
        let done = replay(path, &gate).expect(0);
        let message = format!("gate `time-to-limit<2h` was not evaluated: {why}");
        assert!(done.err().contains(&message), "{}", done.output());
        let strict = replay(path, &[&gate[..], &["--strict"]].concat());
        let _ = strict.expect_complaint(100, &["time-to-limit<2h", "--strict"]);
    };
    let path = Synthetic::leak(600, 81).write(folder.path(), "unlimited.jsonl");
    not_evaluated(&path, "no limit is known of what was judged");
    // What grows are pages that somebody else has already.
    let shared = Synthetic::leak(600, 82)
        .metric(metric::SHARED, |i| 9_000_000 + 19_000 * i)
        .with(attribute::CGROUP_LIMIT, 200_000_000)
        .write(folder.path(), "shared.jsonl");
    assert_eq!(verdict(&shared, &[])["limit"], Value::Null);
    not_evaluated(&shared, "most of the growth is pages of files or shared memory");
    // The limit does not count what is swapped out, which would be above it already.
    let swapped = Synthetic::leak(600, 85)
        .metric(metric::SWAP, |_| 500_000_000)
        .with(attribute::CGROUP_LIMIT, 200_000_000)
        .write(folder.path(), "swapped.jsonl");
    assert_eq!(verdict(&swapped, &[])["limit"], Value::Null);
    not_evaluated(&swapped, "a part of it was swapped out");
    let own = Synthetic::leak(600, 83)
        .metric(metric::SHARED, |i| 9_000_000 + 5_000 * i)
        .with(attribute::CGROUP_LIMIT, 200_000_000)
        .write(folder.path(), "own.jsonl");
    assert_eq!(verdict(&own, &[])["limit"]["name"], "cgroup");
    // There is a limit, and nothing grows towards it: that is an answer.
    let flat = Synthetic::flat(600, 84).with(attribute::CGROUP_LIMIT, 200_000_000);
    assert_eq!(replay(&flat.write(folder.path(), "flat.jsonl"), &gate).expect(0).err(), "");
}

#[test]
fn the_limit_of_a_real_cgroup_stands_in_the_recording() {
    const LIMIT: u64 = 256 << 20;
    for version in [2, 1] {
        let cgroup = match TestCgroup::new(version, LIMIT) {
            Ok(cgroup) => cgroup,
            Err(why) => {
                not_run(&format!("the limit of a real cgroup, version {version}"), &why);
                continue;
            }
        };
        let (_folder, path, sink) = recorded();
        let procs = cgroup.folder.join("cgroup.procs");
        let script = format!("echo $$ >{} && exec \"$@\"", procs.display());
        let words = words!["-c", script, "sh", seepmeter_tests::seepmeter_path(), "run", "-q"];
        let words =
            words.into_iter().chain(words!["--no-summary", "-o", sink, "--", "sleep", "0.1"]);
        let _ = run("/bin/sh", words).done().expect(0);
        let recording = Recording::read(&path);
        let target = recording.subject(recording.target());
        assert_eq!(target.get(attribute::CGROUP_LIMIT), Some(LIMIT), "version {version}");
        // The shell, seepmeter and its child are in it.
        let used = target.get(attribute::CGROUP_USED).expect("what is used");
        assert!(used > 0 && used < LIMIT, "version {version}: {used}");
        assert!(target.get(attribute::MACHINE_AVAILABLE) > Some(0), "version {version}");
    }
}
