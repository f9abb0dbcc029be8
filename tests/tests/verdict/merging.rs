//! A target whose mappings merge into one that grows: the sampler of mappings follows it, and the verdict
//! on the whole does not depend on whether it can.

use seepmeter_record::conventions::attribute;
use seepmeter_record::{CurrentValues, MappingClass, SubjectId, SubjectKind};
use seepmeter_tests::{Recording, long_or_not_run, seepmeter, test_target, words};
use serde_json::Value;

/// Watches it for so many seconds; it maps 256 KiB each so many milliseconds. Returns the recording and
/// the verdict.
fn watched(interval: &str, seconds: u64, milliseconds: u64) -> (Recording, Value) {
    let folder = tempfile::tempdir().unwrap();
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        interval,
        "-s",
        "statm",
        "-s",
        "smaps",
        "-o",
        "jsonl,path=r.jsonl",
        "-o",
        "verdict,json=yes,path=-",
        "--",
        test_target(),
        "merging",
        seconds.to_string(),
        milliseconds.to_string()
    ];
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let verdict = serde_json::from_str(&done.out()).unwrap();
    (Recording::read(&folder.path().join("r.jsonl")), verdict)
}

/// The groups of anonymous mappings.
fn anonymous(recording: &Recording) -> Vec<SubjectId> {
    let groups = recording.subjects(&SubjectKind::MappingGroup).into_iter();
    let is = |class: Option<MappingClass>| class == Some(MappingClass::Anonymous);
    groups.filter(|group| is(group.get(attribute::CLASS))).map(|group| group.id).collect()
}

/// The longest time in seconds without a value of anonymous mappings, up to this time.
fn longest_gap(recording: &Recording, until: u64) -> f64 {
    let groups = anonymous(recording);
    let points = recording.points("rss").into_iter();
    let times = points.filter(|(_, subject, _)| groups.contains(subject)).map(|(t, ..)| t);
    let times: Vec<u64> = times.chain([until]).collect();
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    gaps.max().expect("values") as f64 / 1e9
}

/// The resident anonymous mappings at this time in bytes, as far as is known then.
fn anonymous_rss(recording: &Recording, at: u64) -> i64 {
    let mut values = CurrentValues::default();
    let until_then = recording.records.iter();
    let until_then = until_then.take_while(|record| record.time().is_none_or(|t| t <= at));
    until_then.for_each(|record| values.apply(record));
    anonymous(recording).iter().filter_map(|group| values.value(*group, "rss")).sum()
}

#[test]
fn a_mapping_that_grows_is_sampled_on_however_large_it_is() {
    // A third of a GiB in 8 s, as fast as in nearly two minutes of the leak below.
    let (recording, _) = watched("20ms", 8, 6);
    let target = recording.series("rss");
    let (t, rss) = target[target.len() * 9 / 10];
    assert!(rss > 200 << 20, "{rss}");
    let gap = longest_gap(&recording, t);
    assert!(gap < 2.0, "nothing of anonymous mappings for {gap} s");
    let parts = anonymous_rss(&recording, t);
    assert!(parts * 10 > rss * 8 && parts <= rss + (32 << 20), "{parts} of {rss}");
    assert!(recording.events("sampler-failed").is_empty());
}

#[test]
fn trap_47_growth_by_mappings_that_merge_is_growing_and_is_theirs() {
    if !long_or_not_run("growth by mappings that merge, 100 s") {
        return;
    }
    let (recording, verdict) = watched("200ms", 100, 60);
    assert_eq!(verdict["classification"], "growing", "{verdict:#}");
    let rate = verdict["rate"]["estimate"].as_f64().unwrap() / f64::from(1 << 20);
    assert!((3.8..4.4).contains(&rate), "{rate} MiB/s\n{verdict:#}");
    let shares = verdict["shares"].as_array().unwrap();
    let anonymous = |share: &&Value| share["subject"].as_str().unwrap().contains("anonymous");
    let share = |share: &Value| share["share"].as_f64().unwrap();
    let theirs: f64 = shares.iter().filter(anonymous).map(share).sum();
    assert!(theirs >= 0.9, "{shares:#?}");
    let gap = longest_gap(&recording, recording.footer().t);
    assert!(gap <= 10.0, "nothing of anonymous mappings for {gap} s");
}

/// A run whose summary is written to this file; its mappings merge, of which it maps 256 KiB each 100 ms.
fn recorded(folder: &std::path::Path, name: &str, free: &str) -> seepmeter_tests::RunningProgram {
    let recording = format!("jsonl,path={name}.jsonl");
    let summary = format!("summary,path={name}.txt");
    let flags = words!["run", "-q", "-i", "200ms", "-s", "statm", "-s", "smaps", "-o", recording];
    // How often PSS is read within a budget depends on the machine, and a verdict needs 300 samples.
    let target = words![
        "-o",
        summary,
        "--budget",
        "100%",
        "--",
        test_target(),
        "merging",
        "160",
        "100",
        free
    ];
    seepmeter(flags.into_iter().chain(target)).in_folder(folder).start()
}

#[test]
fn growth_is_judged_by_pss_too_and_what_was_given_back_by_madv_free_is_named() {
    if !long_or_not_run("growth judged by PSS, and memory given back by MADV_FREE, 160 s") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let runs = [recorded(folder.path(), "kept", "-"), recorded(folder.path(), "lazy", "free")];
    runs.into_iter().for_each(|run| drop(run.finish().expect(0)));
    for metric in ["pss", "private_dirty", "anonymous"] {
        let path = folder.path().join("kept.jsonl");
        let verdict = seepmeter_tests::verdict(&path, &["--metric", metric]);
        assert_eq!(verdict["classification"], "growing", "{metric}: {verdict:#}");
        let rate = verdict["rate"]["estimate"].as_f64().unwrap() / f64::from(1 << 20);
        assert!((2.2..2.7).contains(&rate), "{metric}: {rate} MiB/s");
        // Known all the time, and never 0.
        let recording = Recording::read(&path);
        let values = recording.series(metric);
        assert!(values.iter().all(|(_, value)| *value > 0), "{metric}: {values:?}");
        // Two samplers may have it, and each is in its own order.
        let mut times: Vec<u64> = values.iter().map(|(t, _)| *t).collect();
        times.sort_unstable();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(gap < 15_000_000_000, "{metric}: not known for {gap} ns");
    }
    let lazy = std::fs::read_to_string(folder.path().join("lazy.txt")).unwrap();
    assert!(lazy.contains("mostly memory given back by MADV_FREE"), "{lazy}");
}
