//! Series that other tools have written, and tables: units, gaps, several processes, cut last lines.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{FinishedRun, seepmeter, words};

fn judge(flags: &[&str], file: &Path) -> FinishedRun {
    seepmeter(words!["judge"].into_iter().chain(flags.iter().map(Into::into)).chain(words![file]))
        .done()
}

/// A table of ten minutes: headings, and the cells of each second.
fn table(folder: &Path, name: &str, headings: &str, row: impl Fn(i64) -> String) -> PathBuf {
    let mut text = format!("{headings}\n");
    for i in 0..600 {
        let _ = writeln!(text, "{}", row(i));
    }
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Bytes of a leak of 20 kB/s.
fn leak(i: i64) -> i64 {
    50_000_000 + 20_000 * i + noise(1, i, 40_000)
}

/// A verdict on a leak of 20 kB/s, with nothing odd about it.
fn assert_leak(done: &FinishedRun, metric: &str) {
    let begin = format!("growing  {metric} +19.");
    assert!(done.out().starts_with(&begin) && done.err().is_empty(), "{}", done.output());
}

/// What a tool has really written: a program with a leak, and perhaps its parent.
fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/others").join(name)
}

#[test]
fn what_other_tools_have_written_is_judged_without_a_flag() {
    for (name, begins) in [
        (
            "mprof-children.dat",
            &[
                "inconclusive  rss of child 21887: not enough data yet: +525 KiB/s over 1 m 15 s",
                "inconclusive  rss of child ",
                "inconclusive  rss of main: not enough data yet: 0 B/s over",
            ][..],
        ),
        ("psrecord.csv", &["inconclusive  rss: not enough data yet: +264 KiB/s over 1 m 15 s"]),
        ("pidstat.txt", &["inconclusive  rss: not enough data yet: +198 KiB/s over 1 m 21 s"]),
        ("duct.jsonl", &["inconclusive  rss: not enough data yet: +283 KiB/s over 1 m 10 s"]),
        (
            "procpath.csv",
            &[
                "inconclusive  rss of python3 (pid 31940): not enough data yet: 0 B/s",
                "inconclusive  rss of python3 (pid 32164): not enough data yet: +550 KiB/s",
                "inconclusive  rss of python3 (pid 32167): not enough data yet: +540 KiB/s",
            ],
        ),
    ] {
        let done = judge(&[], &real(name)).expect(0);
        assert!(done.err().is_empty(), "{name}: {}", done.output());
        assert_eq!(done.out().lines().count(), begins.len(), "{name}: {}", done.output());
        for (line, begin) in done.out().lines().zip(begins) {
            assert!(line.starts_with(begin), "{name}: {line}");
        }
    }
}

#[test]
fn kilobytes_of_prmon_are_kilobytes_named_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let row =
        |i: i64| format!("{}\t2\t{i}\t{}\t{}\t3200000", 1_576_523_936 + i, 30_000, leak(i) / 1024);
    let prmon = table(folder.path(), "prmon.txt", "Time\tnprocs\twtime\tpss\trss\tvmem", row);
    for flags in [&[][..], &["--time", "Time", "--value", "rss"]] {
        assert_leak(&judge(flags, &prmon).expect(0), "rss");
        for gate in ["rate>10KiB/s", "peak>40MB"] {
            let _ = judge(&[flags, &["--fail-on", gate]].concat(), &prmon)
                .expect_complaint(100, &[&format!("gate `{gate}` fires")]);
        }
    }
    let pss = judge(&["--metric", "pss"], &prmon).expect(0).out();
    assert!(pss.starts_with("steady  pss "), "{pss}");
    let _ = judge(&["--metric", "fds"], &prmon)
        .expect_complaint(125, &["no metric `fds`, but rss, pss, vsize", "leave out --metric"]);
}

#[test]
fn a_unit_is_that_of_the_heading_or_the_flag_and_otherwise_doubted_or_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let of = |heading: &str, unit: f64| {
        let row = |i: i64| format!("{i},{:.6}", leak(i) as f64 / unit);
        table(folder.path(), "table.csv", &format!("t,{heading}"), row)
    };
    let named = |heading| ["--time", "t", "--value", heading];
    let gb = judge(&named("mem_gb"), &of("mem_gb", 1e9))
        .expect_complaint(0, &["`mem_gb` are taken for decimal GB", "--unit GB confirms it"]);
    assert!(gb.out().starts_with("growing  mem_gb +19."), "{}", gb.output());
    let asked = &named("mem")[..];
    let gib = of("mem", 1024.0 * 1024.0 * 1024.0);
    let _ =
        judge(asked, &gib).expect_complaint(125, &["no value of `mem` is above 0.0", "--unit MiB"]);
    assert_leak(&judge(&[asked, &["--unit", "GiB"]].concat(), &gib).expect(0), "mem");
    let gated = [asked, &["--unit", "GiB", "--fail-on", "peak>60MB"]].concat();
    let _ = judge(&gated, &gib).expect_complaint(100, &["gate `peak>60MB` fires"]);
    assert_leak(&judge(&named("rss_kb"), &of("rss_kb", 1024.0)).expect(0), "rss_kb");
    let bytes = of("mem", 1.0);
    let doubt = "no unit is known of `mem`, so its values are taken for bytes";
    let _ = judge(asked, &bytes).expect_complaint(0, &[doubt]);
    assert_leak(&judge(&[asked, &["--unit", "B"]].concat(), &bytes).expect(0), "mem");
    let _ = judge(&[asked, &["--unit", "parsec"]].concat(), &bytes)
        .expect_complaint(125, &["`parsec` is no unit; there are: B, kB"]);
    let counts = table(folder.path(), "fds.csv", "t,fds", |i| format!("{i},{}", 17 + i));
    let counts = judge(&["--time", "t", "--value", "fds", "--unit", "count"], &counts).expect(0);
    assert!(counts.out().starts_with("growing  fds +1/s"), "{}", counts.output());
}

#[test]
fn rows_of_several_processes_are_judged_apart_and_a_gate_fires_for_any() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |key: &str| {
        let row = |i: i64| format!("{i},10,50000000\n{i},11,{}\n{i},12,190000000", leak(i));
        table(folder.path(), &format!("{key}.csv"), &format!("t,{key},rss"), row)
    };
    let flags = ["--time", "t", "--value", "rss", "--unit", "B"];
    let gated = [&flags[..], &["--fail-on", "growing"]].concat();
    let all =
        judge(&gated, &rows("pid")).expect_complaint(100, &["pid 11: the verdict is growing"]);
    let begins =
        ["steady  rss of pid 10 ", "growing  rss of pid 11 +19.", "steady  rss of pid 12 "];
    for (line, begin) in all.out().lines().zip(begins) {
        assert!(line.starts_with(begin), "{}", all.output());
    }
    let of = |chosen: &str, file: &Path| judge(&[&gated[..], &["--where", chosen]].concat(), file);
    assert!(of("pid=11", &rows("pid")).expect(100).out().starts_with("growing  rss +19."));
    assert!(of("pid=12", &rows("pid")).expect(0).out().starts_with("steady  rss "));
    let _ = of("pid=13", &rows("pid")).expect_complaint(125, &["no line with a time and a value"]);
    let _ = of("tid=1", &rows("pid"))
        .expect_complaint(125, &["no column `tid`; there are: t, pid, rss"]);
    let _ = judge(&flags, &rows("shard")).expect_complaint(
        125,
        &["several rows of one time", "--where COLUMN=VALUE", "t, shard, rss"],
    );
    assert!(of("shard=11", &rows("shard")).expect(100).out().starts_with("growing"));
    let pid = rows("pid");
    let words = words!["compare"].into_iter().chain(flags.iter().map(Into::into));
    let done = seepmeter(words.chain(words![pid, "--", rows("name")])).done();
    let _ = done.expect_complaint(125, &["several series: pid 10, pid 11, pid 12; choose one"]);
}

#[test]
fn tables_as_dashboards_export_them_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let start = 1_466_074_180;
    let flags = |value| ["--unit", "B", "--time", "Time", "--value", value];
    let ms = |i: i64| format!("{}000;{};", start + i, leak(i));
    let semicolons = table(folder.path(), "a.csv", "Time;a.b;", ms);
    assert_leak(&judge(&flags("a.b"), &semicolons).expect(0), "a.b");
    let label = "{instance=\"a:9100\", job=\"web\"}";
    let quoted = format!("\"Time\",\"{}\"", label.replace('"', "\"\""));
    let iso = |i: i64| format!("\"2016-06-16T10:{:02}:{:02}Z\",{}", i / 60, i % 60, leak(i));
    assert_leak(
        &judge(&flags(label), &table(folder.path(), "b.csv", &quoted, iso)).expect(0),
        label,
    );
    let comma = |i: i64| format!("{},5;{},0", start + i, leak(i));
    assert_leak(
        &judge(&flags("web"), &table(folder.path(), "c.csv", "Time;web", comma)).expect(0),
        "web",
    );
    let size = |i: i64| {
        format!(
            "2016-06-16 10:{:02}:{:02},web,{:.3}MiB / 7.76GiB",
            i / 60,
            i % 60,
            leak(i) as f64 / 1_048_576.0
        )
    };
    let docker = table(folder.path(), "d.csv", "Time,name,mem", size);
    assert_leak(&judge(&flags("mem")[2..], &docker).expect(0), "mem");
    let gaps = |i: i64| {
        format!("{i},{}", if i % 50 == 49 { "NaN".to_owned() } else { leak(i).to_string() })
    };
    let gaps = judge(&flags("web"), &table(folder.path(), "e.csv", "Time,web", gaps))
        .expect_complaint(0, &["e.csv: 12 rows without a time or a value"]);
    assert!(gaps.out().starts_with("growing  web +19."), "{}", gaps.output());
}

#[test]
fn a_last_line_without_its_end_is_left_out_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mprof =
        |i: i64| format!("MEM {:.6} {}.1000", leak(i) as f64 / 1_048_576.0, 1_795_691_640 + i);
    let path = table(folder.path(), "a.dat", "CMDLINE python3 app.py", mprof);
    let whole = std::fs::read(&path).unwrap();
    let verdict = judge(&[], &path).expect(0);
    assert_leak(&verdict, "rss");
    for cut in [1, 3, 6, 9, 12, 15, 17, 20, 24] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let done =
            judge(&[], &path).expect_complaint(0, &["a.dat: line 601 is cut off and was left out"]);
        assert!(done.out().starts_with("growing  rss +19."), "{cut}: {}", done.output());
    }
}

#[test]
fn tables_of_the_sink_csv_are_judged_without_naming_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(600, 1)
        .metric(seepmeter_record::conventions::metric::FDS, |i| 17 + i)
        .write(folder.path(), "leak.jsonl");
    for layout in ["wide", "long"] {
        let table = folder.path().join(format!("{layout}.csv"));
        let sink = format!("csv,path={},layout={layout}", table.display());
        let words = words!["replay", "-q", "--no-summary", "-o", sink, &recording];
        let _ = seepmeter(words).done().expect(0);
        let done = judge(&[], &table).expect(0);
        assert_eq!(done.out(), judge(&[], &recording).expect(0).out(), "{}", done.output());
        assert!(done.err().is_empty(), "{}", done.output());
        let _ = judge(&["--metric", "nonsense"], &table).expect(125);
    }
    let fds = judge(&["--metric", "fds"], &folder.path().join("long.csv")).expect(0).out();
    assert!(fds.starts_with("growing  fds +1/s"), "{fds}");
}

#[test]
fn what_cannot_be_judged_is_answered_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let known = "mprof, psrecord, prmon, pidstat, Procpath, duct, seepmeter";
    let _ = judge(&[], &file("cron.log", "61.0MiB \n61.3MiB \n"))
        .expect_complaint(125, &[known, "--time COLUMN --value COLUMN"]);
    let _ = judge(&[], &file("loop.csv", "time,name,mem\n1,web,700.0MiB / 7.76GiB\n"))
        .expect_complaint(125, &[known, "there are: time, name, mem"]);
    let _ = judge(&[], &file("bare.csv", "1,50000000\n2,50000000\n"))
        .expect_complaint(125, &["its first line has no headings", "echo time,rss"]);
    let _ = judge(&[], &file("out.sqlite", "SQLite format 3\0\u{10}"))
        .expect_complaint(125, &["SQLite database", "sqlite3 -header -csv"]);
    let recording = Synthetic::leak(60, 1).write(folder.path(), "leak.jsonl");
    let _ = judge(&["--unit", "MiB"], &recording).expect_complaint(125, &["it is no table"]);
}
