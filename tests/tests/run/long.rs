//! What takes longer than a test should: with `SEEPMETER_LONG=1`.

use seepmeter_tests::{Recording, long_or_not_run, seepmeter, test_target, words};

#[test]
fn of_ten_thousand_samples_a_second_for_ten_seconds_none_is_lost_unreported() {
    if !long_or_not_run("10 kHz for 10 s") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let sink = format!("jsonl,path={}", path.display());
    let words = words!["run", "-i", "100us", "-o", sink, "--", test_target(), "grow", "4", "10"];
    let _ = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    let footer = recording.footer();
    let lost: u64 = footer.dropped.iter().map(|dropped| dropped.samples).sum();
    assert_eq!(footer.samples, recording.samples().count() as u64 + lost);
    let ticks = footer.samples + footer.missed;
    // Before its first tick and behind its last one a run on a busy machine takes some time too.
    assert!(ticks.abs_diff(footer.t / 100_000) < 5000, "{ticks} ticks in {} ns", footer.t);
}

#[test]
fn a_run_of_a_minute_at_one_kilohertz_does_not_let_seepmeter_grow() {
    if !long_or_not_run("a minute at 1 kHz") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (inner, outer) = (folder.path().join("inner.csv"), folder.path().join("outer.jsonl"));
    let (to_inner, to_outer) =
        (format!("csv,path={}", inner.display()), format!("jsonl,path={}", outer.display()));
    // Seepmeter judged by seepmeter.
    let words = words![
        "run",
        "-q",
        "-i",
        "100ms",
        "-o",
        to_outer,
        "--",
        seepmeter_tests::seepmeter_path(),
        "run",
        "-q",
        "-i",
        "1ms",
        "-d",
        "1m",
        "--on-stop",
        "end",
        "-o",
        to_inner,
        "--",
        test_target(),
        "grow",
        "1",
        "70"
    ];
    let _ = seepmeter(words).env("RUST_BACKTRACE", "1").done().expect(0);
    let rss: Vec<i64> =
        Recording::read(&outer).series("rss").into_iter().map(|(_, rss)| rss).collect();
    let quarter = rss.len() / 4;
    let mean = |part: &[i64]| part.iter().sum::<i64>() / i64::try_from(part.len()).unwrap();
    let (second, last) = (mean(&rss[quarter..2 * quarter]), mean(&rss[3 * quarter..]));
    assert!((last - second) * 100 < second, "{second} bytes grew to {last}");
}
