//! `seepmeter judge`: recordings, and other people's series.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{FinishedRun, Recording, long_or_not_run, seepmeter, words};
use serde_json::Value;

fn judge(flags: &[&str], files: &[&PathBuf]) -> FinishedRun {
    let flags = flags.iter().map(Into::into);
    let files = files.iter().map(|file| file.as_os_str().to_owned());
    seepmeter(words!["judge"].into_iter().chain(flags).chain(files)).done()
}

/// A file of this name and text.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Ten minutes of a leak of 20 kB/s, as mprof and psrecord write them and as a table.
fn leak_of_others(folder: &Path) -> [PathBuf; 3] {
    let mut mprof = "CMDLINE python3 leak.py\n".to_owned();
    let mut psrecord = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n".to_owned();
    let mut table = "time, cpu,rss\n".to_owned();
    for i in 0..600 {
        let bytes = 50_000_000 + 20_000 * i + noise(1, i, 40_000);
        let mib = bytes as f64 / 1_048_576.0;
        let _ = writeln!(mprof, "MEM {mib:.6} {}.5000", 1_700_000_000 + i);
        let _ = writeln!(psrecord, "{i:12}.000        0.000     {mib:.3}      230.125");
        let _ = writeln!(table, "{i}.25,3,{bytes}");
    }
    [
        file(folder, "mprofile.dat", &mprof),
        file(folder, "activity.log", &psrecord),
        file(folder, "table.csv", &table),
    ]
}

#[test]
fn several_recordings_are_judged_each_behind_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
    let printed = judge(&[], &[&leak, &flat]).expect(0).out();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with(&format!("{}: growing  rss +", leak.display())), "{printed}");
    assert!(lines[1].starts_with(&format!("{}: steady  rss ", flat.display())), "{printed}");
    let alone = judge(&[], &[&flat]).expect(0).out();
    assert!(alone.starts_with("steady  rss "), "{alone}");
}

#[test]
fn json_is_one_object_a_line_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
    let printed = judge(&["--json"], &[&leak, &flat]).expect(0).out();
    let objects: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<_> = objects.iter().map(|o| o["classification"].as_str().unwrap()).collect();
    assert_eq!(words, ["growing", "steady"]);
    assert_eq!(objects[0]["file"], leak.display().to_string());
    assert_eq!(objects[0]["target"], "made-up");
}

#[test]
fn a_file_that_cannot_be_judged_does_not_keep_the_others_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let broken = file(folder.path(), "broken.jsonl", "this is no recording\n");
    let missing = folder.path().join("missing.jsonl");
    let done = judge(&["--fail-on", "growing"], &[&broken, &missing, &leak]).expect(125);
    assert_eq!(done.out().lines().count(), 1, "{}", done.output());
    assert!(done.out().contains("leak.jsonl: growing"), "{}", done.output());
    let complaints = done.complaints();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(
        complaints[0].contains("broken.jsonl")
            && complaints[0].contains("line 1 is not the header")
    );
    assert!(complaints[1].contains("missing.jsonl") && complaints[1].contains("No such file"));
    assert!(complaints[2].contains("gate `growing` fires"));
}

#[test]
fn gates_are_held_against_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
    let flags = ["--fail-on", "rate>1MiB/min", "--fail-status", "7"];
    let done = judge(&flags, &[&leak, &flat]).expect_complaint(7, &["gate `rate>1MiB/min` fires"]);
    assert_eq!(done.out().lines().count(), 2, "{}", done.output());
    let _ = judge(&flags, &[&flat]).expect(0);
}

#[test]
fn every_stage_explains_itself_and_a_metric_that_there_is_not_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let printed = judge(&["--explain"], &[&leak]).expect(0).out();
    assert!(printed.lines().filter(|line| line.starts_with("  - ")).count() > 6, "{printed}");
    let _ = judge(&["--metric", "pss"], &[&leak])
        .expect_complaint(125, &["cannot judge", "no metric `pss`", "there are: rss"]);
}

#[test]
fn standard_input_may_be_anything_that_a_file_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let packed = folder.path().join("packed.jsonl.zst");
    let sink = format!("jsonl,path={}", packed.display());
    let _ = seepmeter(words!["replay", "-q", "--no-summary", "-o", sink, leak]).done().expect(0);
    let [mprof, psrecord, table] = leak_of_others(folder.path());
    for (path, flags) in [
        (leak, &[][..]),
        (packed, &[]),
        (mprof, &[]),
        (psrecord, &[]),
        (table, &["--time", "time", "--value", "rss"]),
    ] {
        let words = words!["judge"].into_iter().chain(flags.iter().map(Into::into));
        let input = std::fs::read(&path).unwrap();
        let done = seepmeter(words.chain(words!["-"])).with_input(&input).expect(0);
        assert!(
            done.out().starts_with("growing  rss +19."),
            "{}\n{}",
            path.display(),
            done.output()
        );
    }
}

#[test]
fn a_recording_that_is_cut_off_is_judged_by_what_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().count();
    // Without its footer, and then in the middle of the last sample.
    let whole: String = text.split_inclusive('\n').take(lines - 1).collect();
    let no_footer = file(folder.path(), "no-footer.jsonl", &whole);
    let done = judge(&[], &[&no_footer])
        .expect_complaint(0, &["no-footer.jsonl: the recording has no end"]);
    assert!(done.out().starts_with("growing"), "{}", done.output());
    let cut = file(folder.path(), "cut.jsonl", &whole[..whole.len() - 9]);
    let line = format!("line {} is cut off and was left out", lines - 1);
    let done = judge(&[], &[&cut]).expect_complaint(0, &["cut.jsonl", &line]);
    assert!(done.out().starts_with("growing"), "{}", done.output());
    let header_only: String = text.split_inclusive('\n').take(1).collect();
    let header_only = file(folder.path(), "header.jsonl", &header_only);
    let _ = judge(&[], &[&header_only]).expect_complaint(125, &["nothing was sampled"]);
}

#[test]
fn a_broken_line_is_named_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(20, 1).write(folder.path(), "leak.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[9] = "{\"sample\":{\"t\":\"soon\"}}";
    let broken = file(folder.path(), "broken.jsonl", &(lines.join("\n") + "\n"));
    let _ = judge(&[], &[&broken]).expect_complaint(125, &["broken.jsonl", "line 10"]);
    let table = ["--time", "t", "--value", "rss"];
    let psrecord = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n";
    for (name, text, flags, parts) in [
        ("a.dat", "MEM 1.5 17.5\nMEM many 18.5\n", &[][..], ["line 2", "`many` is not a number"]),
        ("b.dat", "CMDLINE x\nMEM 1.5\n", &[], ["line 2", "lacks a number"]),
        ("a.log", &format!("{psrecord} 0.0 0.0\n"), &[], ["line 2", "it has 2 columns"]),
        ("b.log", psrecord, &[], ["b.log", "has no line with a time and a value"]),
        ("a.csv", "t,rss\n1,2\n3,x\n", &table, ["line 3", "`x` is not a number"]),
        ("b.csv", "t,rss\n1,2\n3\n", &table, ["line 3", "has 1 columns"]),
        ("c.csv", "time,rss\n1,2\n", &table, ["no column `t`", "there are: time, rss"]),
        ("d.csv", "", &table, ["d.csv", "no column `t`"]),
    ] {
        let path = file(folder.path(), name, text);
        let _ = judge(flags, &[&path]).expect_complaint(125, &parts);
    }
}

#[test]
fn a_table_needs_both_its_columns_named() {
    let folder = tempfile::tempdir().unwrap();
    let [_, _, table] = leak_of_others(folder.path());
    let done = judge(&["--time", "time"], &[&table]).expect(125);
    assert!(done.err().contains("--value <COLUMN>"), "{}", done.output());
    let wanted = ["table.csv", "looks like a table", "--value COLUMN; there are: time, cpu, rss"];
    let _ = judge(&[], &[&table]).expect_complaint(125, &wanted);
}

#[test]
fn series_of_mprof_and_psrecord_are_judged_as_recordings_are() {
    let folder = tempfile::tempdir().unwrap();
    let [mprof, psrecord, _] = leak_of_others(folder.path());
    for path in [mprof, psrecord] {
        let printed = judge(&["--json"], &[&path]).expect(0).out();
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let rate = printed["rate"]["estimate"].as_f64().unwrap();
        assert!((rate - 20_000.0).abs() < 200.0, "{}: {rate}", path.display());
        assert_eq!((&printed["shares"], &printed["limit"]), (&Value::Null, &Value::Null));
    }
    // As psrecord 1.4 and mprof of memory_profiler 0.61 have written them.
    for real in ["psrecord.log", "mprof.dat"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/others").join(real);
        let printed = judge(&[], &[&path]).expect(0).out();
        assert!(
            printed.starts_with("inconclusive  rss: not enough data yet; needs "),
            "{real}: {printed}"
        );
    }
}

#[test]
fn a_table_of_the_sink_csv_is_judged_as_its_recording_is() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let table = folder.path().join("leak.csv");
    let sink = format!("csv,path={}", table.display());
    let _ = seepmeter(words!["replay", "-q", "--no-summary", "-o", sink, leak]).done().expect(0);
    let of_table = judge(&["--time", "elapsed_s", "--value", "rss"], &[&table]).expect(0).out();
    assert_eq!(of_table, judge(&[], &[&leak]).expect(0).out());
}

#[test]
fn a_compressed_recording_that_is_cut_off_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(4000, 1).write(folder.path(), "leak.jsonl");
    let packed = folder.path().join("packed.zst");
    let sink = format!("jsonl,path={}", packed.display());
    let _ = seepmeter(words!["replay", "-q", "--no-summary", "-o", sink, leak]).done().expect(0);
    let bytes = std::fs::read(&packed).unwrap();
    let cut = folder.path().join("cut.zst");
    std::fs::write(&cut, &bytes[..bytes.len() - bytes.len() / 3]).unwrap();
    let done = judge(&[], &[&cut]).expect(0);
    assert!(
        done.err().contains("has no end") || done.err().contains("cut off"),
        "{}",
        done.output()
    );
    // What is damaged is printed once.
    let mut damaged = bytes;
    damaged[20..60].fill(0xaa);
    std::fs::write(&cut, damaged).unwrap();
    let error = judge(&[], &[&cut]).expect(125).err();
    let (_, words) = error.split_once("reading it failed ").unwrap_or_else(|| panic!("{error}"));
    let (_, why) = words.trim_end().rsplit_once(": ").unwrap();
    assert_eq!(words.matches(why).count(), 1, "{error}");
}

#[test]
fn a_file_that_is_no_recording_is_not_called_empty() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, words) in [
        ("zeros", &[0_u8; 100_000][..], "line 1 is not the header"),
        ("torn.zst", &[0x28, 0xb5, 0x2f, 0xfd], "cut off in its first line"),
        ("torn", b"{\"he", "cut off in its first line"),
        ("packed.gz", &[0x1f, 0x8b, 8, 0], "it is compressed"),
        ("empty", b"", "it is empty"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let done = judge(&[], &[&path]).expect_complaint(125, &[name, words]);
        assert_eq!(done.err().contains("empty"), name == "empty", "{}", done.output());
    }
}

#[test]
fn a_recording_whose_times_go_backwards_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\"t\":300000000000,", "\"t\":100000000000,");
    let back = file(folder.path(), "back.jsonl", &text);
    let wanted = "back.jsonl: its time goes backwards 1 time; such";
    let done = judge(&[], &[&back]).expect_complaint(0, &[wanted]);
    assert!(done.out().starts_with("growing"), "{}", done.output());
}

#[test]
fn a_series_of_others_has_one_metric_and_no_number_is_cut_to_fit() {
    let folder = tempfile::tempdir().unwrap();
    let [mprof, psrecord, table] = leak_of_others(folder.path());
    for path in [&mprof, &psrecord] {
        let _ = judge(&["--metric", "nonsense"], &[path])
            .expect_complaint(125, &["no metric `nonsense`", "leave out --metric"]);
        assert!(judge(&["--metric", "rss"], &[path]).expect(0).out().starts_with("growing  rss"));
    }
    let flags = ["--time", "time", "--value", "rss"];
    let of_table = [&flags[..], &["--metric", "cpu"]].concat();
    let _ = judge(&of_table, &[&table]).expect_complaint(125, &["no metric `cpu`"]);
    for (row, what) in [("2,1e300", "the value 1"), ("1e300,2", "the time 1")] {
        let huge = file(folder.path(), "huge.csv", &format!("time,rss\n1,1\n{row}\n"));
        let _ = judge(&flags, &[&huge])
            .expect_complaint(125, &["huge.csv", "line 3", what, "out of range"]);
    }
}

#[test]
fn millions_of_rows_are_judged_in_little_memory() {
    let rows = if cfg!(debug_assertions) { 1_000_000_u64 } else { 10_000_000 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    use std::io::Write;
    writeln!(out, "t,rss").unwrap();
    for i in 0..rows {
        let bytes = 50_000_000 + 20 * i as i64 + noise(1, i as i64, 40_000);
        writeln!(out, "{i},{bytes}").unwrap();
    }
    out.flush().unwrap();
    drop(out);
    // Seepmeter watches itself.
    let report = folder.path().join("own.jsonl");
    let sink = format!("jsonl,path={}", report.display());
    let outer = words!["run", "-q", "--no-summary", "-i", "20ms", "-o", sink, "--"];
    let inner = words!["judge", "--time", "t", "--value", "rss", path];
    let words = outer.into_iter().chain(words![seepmeter_tests::seepmeter_path()]).chain(inner);
    let done = seepmeter(words).done().expect(0);
    assert!(done.out().starts_with("growing  rss +"), "{}", done.output());
    let peak = Recording::read(&report).largest("peak");
    assert!(peak < 64 << 20, "{peak} bytes");
}

#[test]
fn a_million_samples_are_judged_in_a_second() {
    if !long_or_not_run("a million samples") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(1_000_000, 1).write(folder.path(), "million.jsonl");
    let begin = Instant::now();
    let done = judge(&[], &[&path]).expect(0);
    let took = begin.elapsed();
    assert!(done.out().starts_with("growing"), "{}", done.output());
    // A debug build takes its time to read them.
    let bound = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });
    assert!(took < bound, "{took:?}");
}
