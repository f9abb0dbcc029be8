//! `seepmeter compare`: is the new version worse than the base?

use std::path::{Path, PathBuf};

use seepmeter_record::MappingClass;
use seepmeter_record::conventions::metric;
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{FinishedRun, seepmeter, words};
use serde_json::Value;

/// Runs of ten minutes with these levels in MB and a rate in bytes a second, each with a heap.
fn runs(folder: &Path, name: &str, levels: &[i64], rate: i64) -> Vec<PathBuf> {
    let run = |(n, mb): (usize, &i64)| {
        let level = mb * 1_000_000;
        let seed = n as u64;
        Synthetic::rss(600, move |i| level + rate * i + noise(seed, i, 40_000))
            .part("heap", MappingClass::Heap, move |i| {
                level / 2 + rate * i + noise(seed, i, 20_000)
            })
            .part("libc", MappingClass::File, |_| 1_800_000)
            .write(folder, &format!("{name}-{n}.jsonl"))
    };
    levels.iter().enumerate().map(run).collect()
}

fn compare(flags: &[&str], base: &[PathBuf], new: &[PathBuf]) -> FinishedRun {
    let words = words!["compare"].into_iter().chain(flags.iter().map(Into::into));
    let base = base.iter().map(Into::into);
    let new = new.iter().map(Into::into);
    seepmeter(words.chain(base).chain(words!["--"]).chain(new)).done()
}

#[test]
fn a_version_that_holds_more_in_every_run_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let new = runs(folder.path(), "new", &[130, 128, 131], 0);
    let printed = compare(&[], &base, &new).expect(0).out();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "worse  rss of 3 new against 3 base runs", "{printed}");
    for (line, word) in lines[1..4].iter().zip(["rate", "level", "peak"]) {
        assert!(line.trim_start().starts_with(word), "{printed}");
    }
    assert!(lines[2].contains("level  worse") && lines[2].contains("95 % CI"), "{printed}");
    assert_eq!(lines[4], "  worse  heap", "{printed}");
    assert!(!printed.contains("libc"), "{printed}");
    let back = compare(&[], &new, &base).expect(0).out();
    assert!(back.starts_with("better  rss"), "{back}");
}

#[test]
fn a_version_that_leaks_is_worse_by_its_rate() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let new = runs(folder.path(), "new", &[100, 101, 100], 30_000);
    let printed = compare(&["--json"], &base, &new).expect(0).out();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&printed["schema"], &printed["change"]),
        (&"seepmeter.comparison/1".into(), &"worse".into())
    );
    let rate = &printed["whole"]["rate"];
    assert_eq!(rate["change"], "worse", "{rate}");
    assert!((rate["difference"].as_f64().unwrap() - 30_000.0).abs() < 500.0, "{rate}");
    assert!(
        rate["interval"]["low"].as_f64().unwrap() > 0.0 && rate["p_value"].as_f64() < Some(0.05)
    );
    assert_eq!(printed["subjects"]["heap"]["rate"]["change"], "worse");
    assert_eq!(printed["subjects"]["libc"]["change"], "alike");
    assert_eq!((&printed["base_runs"], &printed["new_runs"]), (&3.into(), &3.into()));
}

#[test]
fn versions_that_agree_are_alike_and_versions_that_scatter_cannot_be_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let same = runs(folder.path(), "same", &[101, 100, 100], 0);
    let wide = runs(folder.path(), "wide", &[80, 160, 110], 0);
    assert!(compare(&[], &base, &same).expect(0).out().starts_with("alike  rss"));
    assert!(compare(&[], &base, &wide).expect(0).out().starts_with("inconclusive  rss"));
}

#[test]
fn growth_that_a_part_masks_is_no_difference_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let new: Vec<PathBuf> = (0..3)
        .map(|n| {
            Synthetic::rss(600, move |i| 100_000_000 + noise(n, i, 40_000))
                .part("heap", MappingClass::Heap, |i| 50_000_000 + 30_000 * i)
                .part("libc", MappingClass::File, |i| 40_000_000 - 30_000 * i)
                .write(folder.path(), &format!("hidden-{n}.jsonl"))
        })
        .collect();
    let printed = compare(&["--json"], &base, &new).expect(0).out();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert!(printed["whole"]["rate"]["difference"].as_f64().unwrap().abs() < 500.0, "{printed}");
    assert_eq!(printed["subjects"]["heap"]["rate"]["change"], "worse", "{printed}");
}

#[test]
fn one_run_on_a_side_is_inconclusive() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100], 0);
    let new = runs(folder.path(), "new", &[200], 0);
    let printed = compare(&[], &base, &new).expect(0).out();
    assert!(printed.starts_with("inconclusive  rss of 1 new against 1 base run\n"), "{printed}");
    assert!(!printed.contains("CI") && !printed.contains("p ="), "{printed}");
    assert!(printed.contains("one run does not show how much runs of one version differ; give "));
    let printed: Value = serde_json::from_str(&compare(&["--json"], &base, &new).out()).unwrap();
    assert!(
        printed["lack"].as_str().unwrap().contains("give three or, better, five of each"),
        "{printed}"
    );
}

#[test]
fn a_part_that_the_base_lacks_is_found_and_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let new: Vec<PathBuf> = (0..3)
        .map(|n| {
            Synthetic::rss(600, move |i| 108_000_000 + noise(n, i, 40_000))
                .part("heap", MappingClass::Heap, move |i| 51_500_000 + noise(n, i, 20_000))
                .part("libc", MappingClass::File, |_| 1_800_000)
                // It comes in the middle of the run.
                .part("/memfd:shots", MappingClass::Memfd, |i| if i < 300 { 0 } else { 4_600_000 })
                .thread_stack(100 + n as i32, |_| 2_000_000)
                .write(folder.path(), &format!("new-{n}.jsonl"))
        })
        .collect();
    let printed = compare(&[], &base, &new).expect(0).out();
    let subjects: Vec<&str> =
        printed.lines().filter(|line| line.starts_with("  worse  ")).collect();
    // The heaps of the base differ by as much among themselves, so that the heap is not blamed.
    assert_eq!(subjects, ["  worse  /memfd:shots", "  worse  stacks of threads"], "{printed}");
    // And a part that is gone is better.
    let back = compare(&[], &new, &base).expect(0).out();
    assert!(back.contains("  better  /memfd:shots\n"), "{back}");
}

#[test]
fn several_metrics_are_compared_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let runs = |name: &str, fds: i64| -> Vec<PathBuf> {
        (0..3_u64)
            .map(|n| {
                Synthetic::flat(600, n)
                    .metric(metric::FDS, move |_| fds)
                    .write(folder.path(), &format!("{name}-{n}.jsonl"))
            })
            .collect()
    };
    let (base, new) = (runs("base", 20_000), runs("new", 40_000));
    let metrics = ["--metric", "rss", "--metric", "fds"];
    let printed = compare(&metrics, &base, &new).expect(0).out();
    assert!(printed.starts_with("alike  rss of 3 new"), "{printed}");
    assert!(printed.contains("\nworse  fds of 3 new"), "{printed}");
    let flags = ["--metric", "rss", "--metric", "fds", "--fail-on", "worse", "--json"];
    let objects = compare(&flags, &base, &new).expect(100).out();
    assert_eq!(objects.lines().count(), 2, "{objects}");
}

#[test]
fn a_run_that_is_given_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101], 0);
    let link = folder.path().join("link.jsonl");
    std::os::unix::fs::symlink(&base[1], &link).unwrap();
    for new in [vec![base[0].clone()], vec![link]] {
        let _ = compare(&[], &base, &new).expect_complaint(125, &["are one file", "each run once"]);
    }
    let input = vec![PathBuf::from("-"), PathBuf::from("-")];
    let _ = compare(&[], &base, &input).expect_complaint(125, &["standard input", "only once"]);
}

#[test]
fn a_comparison_fails_if_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101, 100], 0);
    let worse = runs(folder.path(), "worse", &[130, 128, 131], 0);
    let wide = runs(folder.path(), "wide", &[80, 160, 110], 0);
    let status = |flags: &[&str], new: &[PathBuf]| compare(flags, &base, new).status.code();
    assert_eq!(status(&["--fail-on", "worse"], &worse), Some(100));
    assert_eq!(status(&["--fail-on", "worse", "--fail-status", "9"], &worse), Some(9));
    assert_eq!(status(&["--fail-on", "inconclusive"], &worse), Some(100));
    assert_eq!(status(&["--fail-on", "worse"], &wide), Some(0));
    assert_eq!(status(&["--fail-on", "inconclusive"], &wide), Some(100));
    let same = runs(folder.path(), "same", &[100, 101, 100], 0);
    assert_eq!(status(&["--fail-on", "worse"], &same), Some(0));
}

#[test]
fn runs_that_cannot_be_compared_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = runs(folder.path(), "base", &[100, 101], 0);
    let few = vec![Synthetic::flat(5, 1).write(folder.path(), "few.jsonl")];
    let _ = compare(&[], &base, &few).expect_complaint(125, &["few.jsonl", "record longer runs"]);
    let missing = vec![folder.path().join("missing.jsonl")];
    let _ = compare(&[], &missing, &base).expect_complaint(125, &["missing.jsonl", "No such file"]);
    let more = runs(folder.path(), "more", &[100, 101], 0);
    let _ = compare(&["--metric", "pss"], &base, &more).expect_complaint(125, &["no metric `pss`"]);
    let done = seepmeter(words!["compare", base[0], base[1]]).done().expect(125);
    assert!(done.err().contains("-- <NEW>..."), "{}", done.output());
}
