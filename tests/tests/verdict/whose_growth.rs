//! Whose growth it is: parts, their sum, and a part that another masks.

use std::path::{Path, PathBuf};

use seepmeter_record::MappingClass;
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{Recording, replay, seepmeter, verdict, words};
use serde_json::Value;

#[test]
fn a_metric_that_only_parts_have_is_judged_by_their_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 21)
        .part("[heap]", MappingClass::Heap, |_| 20_000_000)
        .of_part(metric::PSS, |i| 30_000_000 + 20_000 * i)
        .part("cache", MappingClass::File, |_| 9_000_000)
        .of_part(metric::PSS, |i| 9_000_000 - 5_000 * i)
        .write(folder.path(), "parts.jsonl");
    let printed = verdict(&path, &["--metric", "pss"]);
    assert_eq!(printed["classification"], "growing", "{printed}");
    let rate = printed["rate"]["estimate"].as_f64().unwrap();
    assert!((rate - 15_000.0).abs() < 100.0, "{printed}");
    assert_eq!(printed["shares"][0]["subject"], "[heap]", "{printed}");
    assert_eq!(printed["summed_parts"], 2);
    let explained =
        replay(&path, &["-o", "verdict,explain=yes", "--metric", "pss"]).expect(0).err();
    assert!(explained.contains("\n  - pss is the sum of 2 parts\n"), "{explained}");
    assert_eq!(verdict(&path, &[])["classification"], "steady");
}

#[test]
fn parts_of_one_name_are_one_part_and_processes_of_one_name_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 8)
        .part("anonymous", MappingClass::Anonymous, |i| 9_000 * i)
        .part("anonymous", MappingClass::Anonymous, |i| 1_000_000 + 9_000 * i)
        .child("worker", 11, |i| 2_000 * i)
        .child("worker", 12, |_| 500_000)
        .write(folder.path(), "twice.jsonl");
    let printed = verdict(&path, &[]);
    let shares: Vec<(&str, f64)> = printed["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| (share["subject"].as_str().unwrap(), share["share"].as_f64().unwrap()))
        .collect();
    let names: Vec<&str> = shares.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["anonymous", "worker (pid 11)", "worker (pid 12)"]);
    assert!((shares[0].1 - 0.9).abs() < 0.02, "{shares:?}");
    let gate = "subject(anonymous).rate>17KB/s";
    let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate]);
}

/// A heap that leaks 20 kB a second while a file of 90 MB loses as much, and a limit.
fn masked_leak(folder: &Path) -> PathBuf {
    Synthetic::rss(800, |i| 140_000_000 + noise(9, i, 9_000))
        .with(attribute::CGROUP_LIMIT, 256 << 20)
        .part("[heap]", MappingClass::Heap, |i| 50_000_000 + 20_000 * i + i % 7 * 900)
        .part("/data r--s", MappingClass::File, |i| 90_000_000 - 20_000 * i + i % 5 * 900)
        .write(folder, "masked.jsonl")
}

#[test]
fn a_part_that_grows_behind_one_that_shrinks_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = masked_leak(folder.path());
    let printed = verdict(&path, &[]);
    assert_eq!(
        (&printed["classification"], &printed["masked"]["subject"]),
        (&"growing".into(), &"[heap]".into()),
        "{printed}"
    );
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let printed = done.err();
    assert!(printed.starts_with("growing  [heap] +19.5 KiB/s ("), "{printed}");
    assert!(printed.contains(" s; masked: total RSS does not show it\n"), "{printed}");
    assert!(printed.contains("\n  masked by /data r--s, which lost 15"), "{printed}");
}

#[test]
fn the_rate_of_a_masked_part_is_not_shown_as_the_wholes() {
    let folder = tempfile::tempdir().unwrap();
    let path = masked_leak(folder.path());
    let printed = verdict(&path, &[]);
    let rate = |of: &Value| of["rate"]["estimate"].as_f64().unwrap();
    assert!(rate(&printed).abs() < 100.0, "{printed}");
    assert!((rate(&printed["masked"]) - 20_000.0).abs() < 200.0, "{printed}");
    // What the heap gains the file loses, so no limit is ever reached.
    assert_eq!(printed["limit"], Value::Null);
    for gate in ["rate>1KiB/s", "time-to-limit<900h", "subject(/data r--s).rate>0"] {
        assert_eq!(replay(&path, &["--fail-on", gate]).expect(0).err(), "", "{gate}");
    }
    for gate in ["growing", "subject([heap]).rate>1MiB/min"] {
        let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate]);
    }
    // An explanation has one answer.
    let explained = replay(&path, &["-o", "verdict,explain=yes"]).expect(0).err();
    let answers = explained.lines().filter(|line| line.contains("- so: "));
    assert_eq!(answers.collect::<Vec<_>>(), ["  - so: growing, because of this part"]);
    assert!(explained.contains("- the whole alone: steady "), "{explained}");
}

#[test]
fn growth_that_is_usually_no_leak_is_named_and_long_names_fit_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("/srv/{}data.bin r--s", "a/".repeat(300));
    let path = Synthetic::leak(600, 10)
        .part(&long, MappingClass::File, |i| 15_000 * i)
        .part("glibc arenas", MappingClass::Arena, |i| 5_000 * i)
        .write(folder.path(), "no-leak.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let printed = done.err();
    assert!(
        printed.contains("data.bin r--s, +14.6 KiB/s; pages of a file, which the kernel can take"),
        "{printed}"
    );
    assert!(
        printed.contains("in glibc arenas, +4.88 KiB/s; arenas of malloc, which keep freed memory")
    );
    assert!(printed.lines().all(|line| line.chars().count() < 140), "{printed}");
    assert_eq!(verdict(&path, &[])["shares"][0]["subject"], *long);
}

#[test]
fn a_leak_of_threads_is_shown_by_their_stacks_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut threads = Synthetic::rss(800, |i| 20_000_000 + 2_000 * i + 70_000 * (i / 2))
        .part("[heap]", MappingClass::Heap, |i| 9_000_000 + 2_000 * i)
        .part("stack of the main thread", MappingClass::MainStack, |_| 130_000);
    for n in 0..400_i32 {
        threads =
            threads.thread_stack(1_000 + n, move |i| if i / 2 > n.into() { 70_000 } else { 0 });
    }
    let path = threads.write(folder.path(), "threads.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let lines: Vec<String> = done.err().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("growing  rss +36."), "{lines:?}");
    assert!(lines[1].starts_with("  95 % of it in stacks of 39"), "{lines:?}");
    assert!(lines[1].contains(" new threads, +34."), "{lines:?}");
    assert!(lines[2].starts_with("  5 % of it in [heap], +1.9"), "{lines:?}");
    assert!(lines[3].starts_with("  next: see where the threads stand"), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    // A class is one thing to a gate, and so is a tree.
    for (gate, fires) in [
        ("subject(stack).share>90%", true),
        ("subject(stacks of threads).rate>1MiB/min", true),
        ("subject(stack).peak>25MB", true),
        ("subject(stack of the main thread).rate>0", false),
    ] {
        let done = replay(&path, &["--fail-on", gate]).expect(if fires { 100 } else { 0 });
        assert_eq!(done.complaints().len(), usize::from(fires), "{}", done.output());
    }
}

#[test]
fn small_shares_are_shown_together_with_the_number_of_new_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = Synthetic::rss(800, |i| 50_000_000 + 20_000 * i)
        .part("[heap]", MappingClass::Heap, |i| 9_000_000 + 19_000 * i)
        .part("stack of the main thread", MappingClass::MainStack, |_| 130_000);
    for n in 0..10 {
        many = many.part(&format!("/lib/{n}.so r-xp"), MappingClass::File, |i| 500_000 + 100 * i);
    }
    let path = many.write(folder.path(), "many.jsonl");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    let lines: Vec<&str> = printed.lines().skip(1).collect();
    assert!(lines[0].starts_with("  95 % of it in [heap], +18."), "{lines:?}");
    assert!(lines[1].starts_with("  5 % of it in 10 mappings of files, +"), "{lines:?}");
    assert!(lines[1].ends_with("; pages of a file, which the kernel can take back; 0 new threads"));
    assert!(lines[2].starts_with("  next: see which code takes it"), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn growth_that_is_mostly_huge_pages_or_given_back_is_named_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 31)
        .part("anonymous mappings of 16 MiB or more", MappingClass::Anonymous, |i| 12_000 * i)
        .of_part(metric::THP, |i| 11_000 * i)
        .part("[heap]", MappingClass::Heap, |i| 5_000 * i)
        .of_part(metric::LAZYFREE, |i| 4_000 * i)
        .part("glibc arenas", MappingClass::Arena, |i| 3_000 * i)
        .of_part(metric::THP, |i| 500 * i)
        .write(folder.path(), "causes.jsonl");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    for (part, why) in [
        ("mappings of 16 MiB or more, +", "; mostly transparent huge pages"),
        ("[heap], +", "; mostly memory given back by MADV_FREE"),
        ("glibc arenas, +", "; arenas of malloc"),
    ] {
        let line = printed.lines().find(|line| line.contains(part));
        assert!(line.is_some_and(|line| line.contains(why)), "{part}: {printed}");
    }
    let shares = verdict(&path, &[])["shares"].clone();
    let causes: Vec<&str> = (0..3).map(|n| shares[n]["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["huge-pages", "lazy-free", "allocator-arenas"]);
}

#[test]
fn files_of_a_name_of_their_own_each_are_one_line_and_one_to_a_gate() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = Synthetic::rss(800, |i| 50_000_000 + 2_000 * i + 20_000 * (i / 2)).part(
        "[heap]",
        MappingClass::Heap,
        |i| 9_000_000 + 2_000 * i,
    );
    for n in 0..400 {
        let name = format!("/tmp/tmp{n:06x} (deleted) rw-s");
        let size = move |i| if i / 2 > n { 20_000 } else { 0 };
        many = many.part(&name, MappingClass::DeletedFile, size);
    }
    let path = many.write(folder.path(), "deleted.jsonl");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[1].starts_with("  83 % of it in 39"), "{printed}");
    assert!(lines[1].contains(" deleted files, +9."), "{printed}");
    assert!(lines[2].starts_with("  17 % of it in [heap], +1.9"), "{printed}");
    assert!(lines[3].starts_with("  next: see which files are kept: "), "{printed}");
    assert_eq!(lines.len(), 4, "{printed}");
    let gate = "subject(deleted-file).share>80%";
    let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate]);
    let done = replay(&path, &["--fail-on", "subject(shm).share>50%"]).expect(0);
    assert!(done.err().contains("there was no subject `shm`; classes: deleted-file, heap; there"));
}

#[test]
fn growth_that_is_swapped_out_is_growth_of_the_whole_and_of_its_part_whatever_metric_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let swapped = |i: i64| 20_000 * i;
    let path = Synthetic::flat(600, 61)
        .metric(metric::SWAP, swapped)
        .metric(metric::PSS, |i| 50_000_000 + noise(62, i, 40_000))
        .metric(metric::SWAP_PSS, swapped)
        .metric(metric::ANONYMOUS, |i| 50_000_000 + noise(63, i, 40_000))
        .part("[heap]", MappingClass::Heap, |i| 40_000_000 + noise(64, i, 40_000))
        .of_part(metric::SWAP, swapped)
        .of_part(metric::PSS, |i| 40_000_000 + noise(65, i, 40_000))
        .of_part(metric::SWAP_PSS, swapped)
        .part("/lib/a.so r-xp", MappingClass::File, |_| 9_000_000)
        .write(folder.path(), "swap.jsonl");
    for metric in ["rss", "pss", "anonymous"] {
        let printed = verdict(&path, &["--metric", metric]);
        assert_eq!(printed["classification"], "growing", "{metric}: {printed}");
        assert_eq!(printed["plus_swap"], true, "{metric}");
        let line = replay(&path, &["-o", "verdict", "--metric", metric]).expect(0).err();
        assert!(line.starts_with(&format!("growing  {metric} + swap +19.")), "{line}");
        if metric != "anonymous" {
            assert_eq!(printed["shares"][0]["subject"], "[heap]", "{metric}: {printed}");
            assert!(printed["shares"][0]["share"].as_f64().unwrap() > 0.95, "{metric}: {printed}");
        }
    }
    // What was never swapped out is called by its own name.
    let path =
        Synthetic::leak(600, 66).metric(metric::SWAP, |_| 0).write(folder.path(), "no.jsonl");
    assert!(replay(&path, &["-o", "verdict"]).expect(0).err().starts_with("growing  rss +19."));
}

#[test]
fn what_the_whole_was_given_back_by_madv_free_is_named_also_if_it_is_not_known_of_parts() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 67)
        .metric(metric::LAZYFREE, |i| 19_000 * i)
        .part("anonymous mappings of 16 MiB or more", MappingClass::Anonymous, |i| 20_000 * i)
        .write(folder.path(), "lazy.jsonl");
    let printed = replay(&path, &["-o", "verdict"]).expect(0).err();
    assert!(printed.contains("\n  mostly memory given back by MADV_FREE: the kernel"), "{printed}");
    assert_eq!(verdict(&path, &[])["cause"], "lazy-free");
}

#[test]
fn ten_thousand_parts_are_judged_in_little_time_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = Synthetic::leak(400, 13);
    for n in 0..10_000_i64 {
        // Each changes at every fortieth sample, so that the file stays small; one of them leaks.
        let leaks = if n == 7_777 { 20_000 } else { 0 };
        many = many.part(&format!("mapping {n}"), MappingClass::Anonymous, move |i| {
            8_192 + 4_096 * ((i + n) / 40 % 2) + leaks * i
        });
    }
    let path = many.write(folder.path(), "many.jsonl");
    let report = folder.path().join("own.jsonl");
    let sink = format!("jsonl,path={}", report.display());
    // Seepmeter watches itself.
    let outer = words!["run", "-q", "--no-summary", "-i", "5ms", "-o", sink, "--"];
    let inner = words!["judge", "--json", "--fail-on", "subject(mapping 7777).rate>0", path];
    let words = outer.into_iter().chain(words![seepmeter_tests::seepmeter_path()]).chain(inner);
    let begin = std::time::Instant::now();
    let done = seepmeter(words).done().expect(100);
    let took = begin.elapsed();
    let printed: Value = serde_json::from_str(&done.out()).unwrap();
    assert_eq!(printed["shares"][0]["subject"], "mapping 7777", "{}", printed["classification"]);
    let peak = Recording::read(&report).largest("peak");
    assert!(peak < 128 << 20, "{peak} bytes");
    assert!(took.as_secs() < 40, "{took:?}");
}
