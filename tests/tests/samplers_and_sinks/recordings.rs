//! What is recorded is what was seen, in whatever form, live and replayed.

use seepmeter_record::jsonl::Ending;
use seepmeter_record::{End, TargetOrigin};
use seepmeter_tests::{Recording, seepmeter, test_target, words};

/// A short run whose records go to all these sinks.
fn record(sinks: &[String]) {
    let options = sinks.iter().flat_map(|sink| words!["-o", sink]);
    let words = words!["run", "-i", "2ms"].into_iter().chain(options);
    let words = words.chain(words!["--", test_target(), "saw", "4", "4", "5"]);
    let _ = seepmeter(words).done().expect(0);
}

/// A path in a folder, and a sink with it.
fn sink(folder: &tempfile::TempDir, name: &str, file: &str) -> (std::path::PathBuf, String) {
    let path = folder.path().join(file);
    let sink = format!("{name},path={}", path.display());
    (path, sink)
}

#[test]
fn a_replay_writes_the_very_csv_that_the_live_run_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, to_recording) = sink(&folder, "jsonl", "r.jsonl");
    let (packed, to_packed) = sink(&folder, "jsonl", "r.jsonl.zst");
    let (wide, to_wide) = sink(&folder, "csv", "wide.csv");
    let (long, to_long) = sink(&folder, "csv", "long.csv");
    record(&[to_recording, to_packed, to_wide, format!("{to_long},layout=long")]);
    let (wide, long) =
        (std::fs::read_to_string(wide).unwrap(), std::fs::read_to_string(long).unwrap());
    assert!(wide.starts_with("elapsed_s,subject,kind,name,"), "{wide}");
    assert!(wide.lines().count() > 5 && long.lines().count() > wide.lines().count());
    for path in [&recording, &packed] {
        let replay = |layout: &str| {
            let sink = format!("csv,layout={layout}");
            seepmeter(words!["replay", "--no-summary", "-o", sink, path]).done().expect(0)
        };
        assert_eq!(replay("wide").out(), wide, "{}", path.display());
        assert_eq!(replay("long").out(), long, "{}", path.display());
        assert_eq!(replay("wide").err(), "");
    }
    let input = std::fs::read(&packed).unwrap();
    let piped = seepmeter(words!["replay", "--no-summary", "-o", "csv", "-"]).with_input(&input);
    assert_eq!(piped.expect(0).out(), wide);
}

#[test]
fn two_sinks_of_one_kind_in_one_run_get_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (one, to_one) = sink(&folder, "csv", "one.csv");
    let (two, to_two) = sink(&folder, "csv", "two.csv");
    record(&[to_one, to_two]);
    let one = std::fs::read_to_string(one).unwrap();
    assert!(one.lines().count() > 5);
    assert_eq!(one, std::fs::read_to_string(two).unwrap());
}

#[test]
fn a_recording_replayed_into_a_recording_is_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, to_first) = sink(&folder, "jsonl", "first.jsonl");
    let (second, to_second) = sink(&folder, "jsonl", "second.jsonl");
    record(&[to_first]);
    let _ = seepmeter(words!["replay", "-q", "-o", to_second, first]).done().expect(0);
    let read = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(first), read(second));
}

#[test]
fn the_header_says_what_was_run_and_the_footer_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to_path) = sink(&folder, "jsonl", "r.jsonl");
    let words = words![
        "run",
        "-i",
        "7ms",
        "-s",
        "statm,peak=off",
        "-o",
        to_path,
        "--",
        "sh",
        "-c",
        "exit 3"
    ];
    let _ = seepmeter(words).done().expect(3);
    let recording = Recording::read(&path);
    let header = recording.header();
    assert_eq!(header.format, seepmeter_record::FORMAT);
    assert_eq!(
        header.targets[0].origin,
        TargetOrigin::Command(vec!["sh".into(), "-c".into(), "exit 3".into()])
    );
    assert_eq!(header.samplers.len(), 1);
    assert_eq!(
        (header.samplers[0].name.as_str(), header.samplers[0].interval),
        ("statm", 7_000_000)
    );
    assert!(header.samplers[0].options.contains(&("peak".to_owned(), "off".to_owned())));
    assert_eq!(recording.end(), End::Exited(3));
    assert_eq!(recording.ending, Ending::Whole);
}

#[test]
fn words_that_are_not_utf8_are_recorded_byte_for_byte() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, to_path) = sink(&folder, "jsonl", "r.jsonl");
    let odd = std::ffi::OsString::from_vec(b"caf\xe9\n".to_vec());
    let words = words!["run", "-q", "-o", to_path, "--", "printf", "%s", odd];
    let done = seepmeter(words).done().expect(0);
    assert_eq!(done.stdout, b"caf\xe9\n");
    let recording = Recording::read(&path);
    let origin = &recording.header().targets[0].origin;
    let TargetOrigin::Command(words) = origin else { panic!("{origin:?}") };
    assert_eq!(words[2].as_bytes(), b"caf\xe9\n");
}

#[test]
fn the_text_style_pages_is_one_number_a_line_as_the_ancestor_printed_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to_path) = sink(&folder, "jsonl", "r.jsonl");
    let words = words![
        "run",
        "--no-summary",
        "-i",
        "2ms",
        "-o",
        to_path,
        "-o",
        "text,style=pages,path=-",
        "--",
        test_target(),
        "spike",
        "1",
        "1"
    ];
    let done = seepmeter(words).done().expect(0);
    let pages: Vec<i64> = done.out().lines().filter_map(|line| line.parse().ok()).collect();
    // The target's own lines apart, there is nothing else.
    let others: Vec<String> =
        done.out().lines().filter(|line| line.parse::<i64>().is_err()).map(str::to_owned).collect();
    assert_eq!(others, ["ready", "spiked"]);
    let recording = Recording::read(&path);
    let page = i64::try_from(recording.header().page_size).unwrap();
    // The last sample may have nothing but the peak.
    let wanted: Vec<i64> =
        recording.points("rss").into_iter().map(|(.., rss)| rss / page).collect();
    assert_eq!(pages, wanted);
}

#[test]
fn the_live_lines_go_to_standard_error_and_quiet_leaves_the_summary_alone() {
    let run = |flags: &[&str]| {
        let words = words!["run", "-i", "2ms"].into_iter().chain(flags.iter().map(Into::into));
        seepmeter(words.chain(words!["--", test_target(), "saw", "4", "2", "5"]))
            .done()
            .expect(0)
            .err()
    };
    let is_live = |line: &&str| line.contains(" s  rss ");
    let is_summary = |line: &&str| {
        ["target  ", "watched  ", "rss  ", "seepmeter  "].iter().any(|word| line.starts_with(word))
    };
    let count = |printed: &str| {
        (printed.lines().filter(is_live).count() > 0, printed.lines().filter(is_summary).count())
    };
    assert_eq!(count(&run(&[])), (true, 4));
    assert_eq!(count(&run(&["-q"])), (false, 4));
    assert_eq!(count(&run(&["--no-summary"])), (true, 0));
    assert_eq!(run(&["-q", "--no-summary"]), "");
}

#[test]
fn the_summary_says_how_long_how_much_and_at_what_cost() {
    let done =
        seepmeter(words!["run", "-q", "-i", "2ms", "--", test_target(), "saw", "16", "2", "5"])
            .done();
    let printed = done.expect(0).err();
    for part in ["exited with status 0", "late", "missed", "first", "last", "peak", "CPU time"] {
        assert!(printed.contains(part), "{part:?} is missing in:\n{printed}");
    }
}

#[test]
fn a_cut_off_last_line_is_reported_and_the_lines_before_it_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to_path) = sink(&folder, "jsonl", "r.jsonl");
    record(&[to_path]);
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines = whole.lines().count();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let done = seepmeter(words!["replay", "--no-summary", "-o", "csv", path]).done();
    let line = format!("line {lines} is cut off");
    let done = done.expect_complaint(0, &[&line]);
    assert!(done.out().lines().count() > 5);
    // And a compressed one, cut behind its first blocks; the text sink has a block end every 50 ms.
    let (packed, to_packed) = sink(&folder, "jsonl", "r.jsonl.zst");
    let words = words![
        "run",
        "-i",
        "2ms",
        "-o",
        to_packed,
        "-o",
        "text",
        "--",
        test_target(),
        "saw",
        "4",
        "8",
        "5"
    ];
    let _ = seepmeter(words).done().expect(0);
    let whole = std::fs::read(&packed).unwrap();
    std::fs::write(&packed, &whole[..whole.len() - 10]).unwrap();
    let done = seepmeter(words!["replay", "--no-summary", "-o", "csv", packed]).done().expect(0);
    assert!(done.out().lines().count() > 1, "{}", done.output());
}

#[test]
fn a_sampler_has_its_own_interval_if_every_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to_path) = sink(&folder, "jsonl", "r.jsonl");
    let words = words![
        "run",
        "-i",
        "1h",
        "-s",
        "statm,every=2ms",
        "-s",
        "statm,peak=off",
        "-o",
        to_path,
        "--",
        test_target(),
        "saw",
        "4",
        "4",
        "5"
    ];
    let _ = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    let of = |id| recording.samples().filter(|sample| sample.sampler.0 == id).count();
    assert!(of(0) > 5, "{}", of(0));
    assert!(of(1) <= 1, "{}", of(1));
}
