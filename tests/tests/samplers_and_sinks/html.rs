//! The sink `html` and `seepmeter report`: one file that has all that it shows, and runs nothing of a target's.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use seepmeter_record::conventions::{DescriptorKind, MappingClass, attribute};
use seepmeter_tests::plugin::cdylib;
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{long_or_not_run, seepmeter, test_target, verdict, words};
use serde_json::Value;

const MIB: i64 = 1 << 20;

/// A target that would run a script if its name were markup, and would reach a terminal or turn a line round.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}{{body}}\u{2028}";

/// The report of a recording.
fn report(recording: &Path) -> String {
    let words = words!["report", "-o", "-", recording];
    let page = seepmeter(words).done().expect(0).out();
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"), "{page}");
    page
}

/// What a script element of the page has that is data.
fn data(page: &str, id: &str) -> Value {
    let begin = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&begin).expect("the element");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

/// The page without its scripts, its style and its data: what a reader without scripts has.
fn text(page: &str) -> String {
    let (_, body) = page.split_once("<body>").unwrap();
    let (text, _) = body.split_once("<script").unwrap();
    text.to_owned()
}

fn leak() -> Synthetic {
    let growing = |i| 30_000_000 + 20_000 * i + noise(2, i, 40_000);
    Synthetic::leak(600, 1)
        .with(attribute::CGROUP_LIMIT, 64 << 30)
        .part("[heap]", MappingClass::Heap, growing)
        .part("/usr/lib/libc.so.6 r-xp", MappingClass::File, |_| 1_200_000)
}

#[test]
fn a_live_run_its_replay_and_its_report_are_the_same_page() {
    let folder = tempfile::tempdir().unwrap();
    let target = words![test_target(), "saw", "4", "4", "5"];
    let sinks =
        words!["run", "-q", "-i", "2ms", "-o", "html,path=x.html", "-o", "jsonl,path=r", "--"];
    let _ = seepmeter(sinks.into_iter().chain(target)).in_folder(folder.path()).done().expect(0);
    let live = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
    let replay = words!["replay", "-q", "--no-summary", "-o", "html,path=-", "r"];
    let replayed = seepmeter(replay).in_folder(folder.path()).done().expect(0).out();
    assert!(replayed == live, "the replay has another page");
    assert!(report(&folder.path().join("r")) == live, "the report has another page");
}

#[test]
fn the_library_of_the_plugin_writes_the_page_that_the_command_writes() {
    let folder = tempfile::tempdir().unwrap();
    let recording = leak().write(folder.path(), "leak.jsonl");
    let sink = format!("{},path=x.html", cdylib("seepmeter-sink-html").display());
    let words = words!["replay", "-q", "--no-summary", "-o", sink, recording];
    let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let page = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
    assert!(page == report(&recording), "the library has another page");
}

#[test]
fn the_page_of_a_leak_has_the_data_that_was_judged_and_the_verdict_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let recording = leak().write(folder.path(), "leak.jsonl");
    let page = report(&recording);
    let shown = data(&page, "data");
    assert_eq!(shown["classification"], "growing");
    let means = shown["curve"]["mean"].as_array().unwrap();
    assert_eq!(means.len(), 600, "a bin for each sample");
    for (i, mean) in means.iter().enumerate() {
        let sampled = 50_000_000 + 20_000 * i as i64 + noise(1, i as i64, 40_000);
        let off = mean.as_f64().unwrap() - sampled as f64;
        assert!(off.abs() < 61_000.0, "bin {i} is {mean}, the sample {sampled}");
    }
    assert!(shown["floors"].as_array().unwrap().len() > 10, "{}", shown["floors"]);
    let rate = shown["fit"]["rate"][1].as_f64().unwrap();
    assert!((rate - 20_000.0).abs() < 500.0, "{rate}");
    assert!(shown["limit"]["label"].as_str().unwrap().starts_with("limit 64 GiB (cgroup) in "));
    // The verdict in it is the one that `judge` gives.
    assert_eq!(data(&page, "verdict-json")["rate"], verdict(&recording, &[])["rate"]);
    let text = text(&page);
    assert!(
        text.contains("<span class=\"word\">growing</span> rss of made-up (pid 7) +"),
        "{text}"
    );
    assert!(text.contains("<b>Next:</b> see which code takes it from the kernel"), "{text}");
    assert!(text.contains("<dt>Machine</dt><dd>made-up, Linux 6.1, pages of 4 KiB</dd>"), "{text}");
}

#[test]
fn the_table_has_each_part_with_what_it_holds_and_its_share_of_the_growth() {
    let folder = tempfile::tempdir().unwrap();
    let recording = leak().write(folder.path(), "leak.jsonl");
    let growth = &data(&report(&recording), "data")["growth"];
    let rows = growth["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{growth}");
    let [heap, libc] = [&rows[0], &rows[1]];
    assert_eq!((heap[0].as_str(), heap[1].as_str()), (Some("[heap]"), Some("heap")));
    assert_eq!((libc[1].as_str(), libc[3].as_i64()), (Some("file"), Some(1_200_000)));
    let judged = verdict(&recording, &[]);
    let share = judged["shares"].as_array().unwrap().iter().find(|it| it["subject"] == "[heap]");
    let [shown, judged] = [&heap[7], &share.unwrap()["share"]].map(|it| it.as_f64().unwrap());
    assert!((shown - judged).abs() < 1e-4 && (0.9..1.1).contains(&shown), "{shown} {judged}");
    let layers = growth["area"]["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["name"], "[heap]", "what grew most lies on top");
}

#[test]
fn a_part_that_was_not_sampled_up_to_the_end_has_a_note_of_that_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let recording = leak().write(folder.path(), "leak.jsonl");
    // From then on each sample is of some subjects only: libc, which has no points in them, was not observed.
    let text = std::fs::read_to_string(&recording).unwrap();
    let (begin, end) = text.split_once("{\"sample\":{\"t\":200000000000,").unwrap();
    let end = end.replace("\"duration\":1000", "\"duration\":1000,\"partial\":true");
    std::fs::write(&recording, format!("{begin}{{\"sample\":{{\"t\":200000000000,{end}")).unwrap();
    let growth = &data(&report(&recording), "data")["growth"];
    let note = |kind: &str| {
        let rows = growth["rows"].as_array().unwrap();
        rows.iter().find(|row| row[1] == kind).unwrap()[9].as_str().unwrap()
    };
    assert!(note("file").starts_with("not sampled during the last "), "{growth}");
    assert_eq!(note("heap"), "");
}

#[test]
fn a_run_without_parts_says_what_would_have_them_and_a_report_on_counts_has_their_parts() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Synthetic::leak(300, 1).write(folder.path(), "plain.jsonl");
    let missing = &data(&report(&plain), "data")["growth"]["missing"];
    assert!(missing.as_str().unwrap().contains("-s smaps"), "{missing}");
    let sockets = Synthetic::flat(300, 1)
        .metric(seepmeter_record::conventions::metric::FDS, |i| 20 + i)
        .descriptors(DescriptorKind::Socket, "", |i| 10 + i)
        .write(folder.path(), "fds.jsonl");
    for words in [
        words!["report", "-o", "x.html", "--metric", "fds", sockets],
        words![
            "replay",
            "-q",
            "--no-summary",
            "--metric",
            "fds",
            "-o",
            "html,path=x.html",
            sockets
        ],
    ] {
        let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
        let page = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
        let shown = data(&page, "data");
        assert_eq!((&shown["metric"], &shown["unit"]), (&"fds".into(), &"count".into()));
        assert_eq!(shown["growth"]["rows"][0][0], "sockets", "{}", shown["growth"]);
    }
}

#[test]
fn the_page_of_a_tree_has_each_process_and_whose_part_a_mapping_is() {
    let folder = tempfile::tempdir().unwrap();
    let script = "\"$0\" saw 4 4 2 & \"$0\" saw 4 4 2; wait";
    let words = words![
        "run",
        "-q",
        "-i",
        "20ms",
        "-s",
        "statm",
        "-s",
        "smaps",
        "-o",
        "html,path=x.html",
        "--",
        "sh",
        "-c",
        script,
        test_target()
    ];
    let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let page = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
    let shown = data(&page, "data");
    assert_eq!(shown["name"], "3 processes");
    assert_eq!(shown["processes"].as_array().unwrap().len(), 3, "{}", shown["processes"]);
    let rows = shown["growth"]["rows"].as_array().unwrap();
    let is = |row: &&Value, kind: &str| row[1] == kind;
    assert_eq!(rows.iter().filter(|row| is(row, "process")).count(), 3, "{rows:?}");
    let heap = rows.iter().find(|row| is(row, "heap")).expect("a heap");
    assert!(heap[2].as_str().unwrap().contains("(pid "), "{heap}");
}

#[test]
fn the_flame_graph_of_a_live_run_has_the_stacks_that_the_sink_stacks_writes() {
    let folder = tempfile::tempdir().unwrap();
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "--budget",
        "100%",
        "-s",
        "statm",
        "-s",
        "ptrace,calls=memory,unsafe=yes",
        "-o",
        "html,path=x.html",
        "-o",
        "jsonl,path=r",
        "-o",
        "stacks,weight=mapped,path=folded",
        "--",
        test_target(),
        "map",
        "3"
    ];
    let mut running = seepmeter(words).in_folder(folder.path()).start();
    for turn in 1..=2 {
        running.say("");
        let _ = running.nth_line("mapped", turn);
    }
    let _ = running.finish().expect(0);
    let page = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
    assert!(report(&folder.path().join("r")) == page, "the report has another page");
    let shown = data(&page, "data");
    let weights: Vec<&Value> =
        shown["stacks"]["graphs"].as_array().unwrap().iter().map(|it| &it["weight"]).collect();
    assert_eq!(weights, ["mapped", "samples"]);
    let mut lines: Vec<String> = stack_weights(&shown)
        .into_iter()
        .filter(|(_, held)| *held > 0)
        .map(|(names, held)| format!("{} {held}", names.join(";").replace("; ", ": ")))
        .collect();
    lines.sort();
    let folded = std::fs::read_to_string(folder.path().join("folded")).unwrap();
    let mut expected: Vec<&str> = folded.lines().collect();
    expected.sort_unstable();
    assert!(folded.contains("test_target::map::keeps"), "{folded}");
    assert_eq!(lines, expected);
}

#[test]
fn a_run_without_stacks_has_no_flame_graph_and_a_base_without_them_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Synthetic::flat(300, 1).write(folder.path(), "plain.jsonl");
    assert!(data(&report(&plain), "data")["stacks"].is_null());
    let mapping = |seed, bytes| {
        let run = Synthetic::leak(400, seed).stack(&["main", "keep"]).maps(move |i| bytes * i);
        run.write(folder.path(), &format!("{seed}.jsonl"))
    };
    let (base, other, new) = (mapping(2, 100), mapping(3, 300), mapping(4, 1000));
    let compared = |words| data(&seepmeter(words).done().expect(0).out(), "data");
    let shown = compared(words!["report", "-o", "-", plain, new]);
    assert!(shown["stacks"]["graphs"][0]["base"].is_null(), "{}", shown["stacks"]);
    // The mean of what each has mapped at its end.
    let shown = compared(words!["report", "-o", "-", base, other, "--", new]);
    let graph = &shown["stacks"]["graphs"][0];
    assert_eq!((&graph["base"]["runs"], &graph["stacks"][0][2]), (&2.into(), &(200 * 399).into()));
}

#[test]
fn what_comes_from_the_target_is_data_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = Synthetic::leak(300, 1)
        .named(HOSTILE)
        .part(HOSTILE, MappingClass::Heap, |i| 30_000_000 + 20_000 * i)
        .stack(&["main", HOSTILE])
        .maps(|i| 4096 * i)
        .thread(HOSTILE, |_| 0)
        .write(folder.path(), "r.jsonl");
    let recording = std::fs::read_to_string(&hostile).unwrap();
    let name = serde_json::to_string(HOSTILE).unwrap();
    // Everything that can have a name: the host, the command, the sampler, a mark.
    let recording = recording.replace("\"host\":\"made-up\"", &format!("\"host\":{name}"));
    let recording = recording.replace("[\"made-up\"]", &format!("[{name}]"));
    let recording = recording.replace("\"name\":\"statm\"", &format!("\"name\":{name}"));
    let mark = format!("{{\"event\":{{\"t\":5000000000,\"kind\":\"marker\",\"text\":{name}}}}}\n");
    let (lines, footer) = recording.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(&hostile, format!("{lines}\n{mark}{footer}\n")).unwrap();
    let page = report(&hostile);
    assert!(!page.contains("<img"), "markup of the target");
    assert!(!page.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "what acts on a reader's line");
    let own = page.matches("</script").count();
    assert_eq!(own, 11, "the page's own nine scripts and two elements of data");
    let begin = "&lt;/script&gt;&lt;img src=x ";
    let whole =
        format!("{begin}onerror=alert(1)&gt;\\u{{1b}}[2J\\u{{202e}}{{{{body}}}}\\u{{2028}}");
    let text = text(&page);
    // The sentence has the begin and the end of a long name.
    for (place, name) in [
        ("</span> rss of ", begin),
        ("<dt>Command</dt><dd>&#39;", &whole),
        ("<dt>Machine</dt><dd>", &whole),
        ("<dt>Sampler</dt><dd>", &whole),
    ] {
        assert!(text.contains(&format!("{place}{name}")), "{place}{name}: {text}");
    }
    let data = data(&page, "data");
    let named = "</script><img src=x onerror=alert(1)>\\u{1b}[2J\\u{202e}{{body}}\\u{2028}";
    assert_eq!(data["growth"]["rows"][0][0], named);
    assert_eq!(data["marks"][0][1], named);
    let names = data["stacks"]["names"].as_array().unwrap();
    assert_eq!(names.iter().filter(|name| *name == named).count(), 1, "of a thread and a function");
}

#[test]
fn the_policy_of_the_page_allows_its_own_scripts_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let page = report(&Synthetic::flat(300, 1).write(folder.path(), "r.jsonl"));
    let (_, policy) = page.split_once("http-equiv=\"Content-Security-Policy\" content=\"").unwrap();
    let (policy, _) = policy.split_once('"').unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(policy.matches("'sha256-").count(), 10, "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    // Nothing that a browser would load.
    for loads in
        [" src=", "@import", "url(", "<link", "<iframe", "<object", "fetch(", "XMLHttpRequest"]
    {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains("Copyright (c) 2022 Leon Sorokin"), "each page is a copy of uPlot");
}

#[test]
fn a_page_without_data_is_small_and_says_why_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let page = report(&Synthetic::rss(0, |_| 0).write(folder.path(), "r.jsonl"));
    assert!(page.len() <= 150_000, "{} bytes", page.len());
    let shown = data(&page, "data");
    assert_eq!(shown["growth"]["missing"], "nothing was sampled");
    assert!(text(&page).contains("Nothing was sampled."));
}

#[test]
fn many_samples_and_parts_make_a_page_that_is_bounded_and_says_what_is_left_out() {
    bounded(20_000, 1_500, 1_000_000);
}

#[test]
fn a_million_samples_of_five_thousand_parts_make_a_page_of_two_megabytes_at_most() {
    if long_or_not_run("a page of a million samples and five thousand parts") {
        bounded(1_000_000, 5_000, 2_000_000);
    }
}

/// A recording of so many samples, in each of which one part in its turn has a new value. Of the whole one sample is
/// a spike.
fn large(folder: &Path, samples: i64, parts: i64) -> PathBuf {
    let mut run = Synthetic::rss(1, |_| 5_000 * MIB);
    for part in 0..parts {
        let name = format!("/srv/application/releases/{part:05}/lib/libmodule-{part:05}.so r--p");
        run = run.part(&name, MappingClass::File, |_| MIB);
    }
    for stack in 0..parts {
        let name = format!("application::module_{stack:05}::handle<alloc::vec::Vec<u8>>");
        run = run.stack(&["main", "serve", &name, "mmap"]).maps(|_| MIB);
    }
    let path = run.write(folder, "large.jsonl");
    let recording = std::fs::read_to_string(&path).unwrap();
    let mut out = BufWriter::new(File::create(&path).unwrap());
    for line in recording.lines().filter(|line| !line.starts_with("{\"footer\"")) {
        writeln!(out, "{line}").unwrap();
    }
    for i in 1..samples {
        let whole = match i {
            _ if i == samples * 3 / 4 => 9_000 * MIB,
            i => 5_000 * MIB + 1_000 * i + noise(3, i, 50_000),
        };
        let (t, part) = (i * 1_000_000_000, i % parts);
        let (subject, value) = (part + 1, MIB + i / parts * part);
        let points =
            format!("[[0,0,{whole}],[{subject},1,{value}],[{},2,{value}]]", subject + parts);
        let sample = format!("\"t\":{t},\"sampler\":0,\"duration\":1000,\"points\":{points}");
        writeln!(out, "{{\"sample\":{{{sample}}}}}").unwrap();
    }
    out.flush().unwrap();
    path
}

/// The stacks of a page by their names, with the bytes that are mapped at the end.
fn stack_weights(shown: &Value) -> Vec<(Vec<String>, i64)> {
    let stacks = &shown["stacks"];
    let names = |leaf: &Value| {
        let mut at = leaf[0].as_u64().unwrap() as usize;
        let mut names = Vec::new();
        while at > 0 {
            let [parent, name] = [0, 1].map(|i| stacks["nodes"][at][i].as_u64().unwrap() as usize);
            names.insert(0, stacks["names"][name].as_str().unwrap().to_owned());
            at = parent;
        }
        names
    };
    let last =
        |leaf: &Value| leaf[1].as_array().unwrap().last().map_or(0, |it| it.as_i64().unwrap());
    let all = stacks["graphs"][0]["stacks"].as_array().unwrap();
    all.iter().map(|leaf| (names(leaf), last(leaf))).collect()
}

/// A spike of one sample is in the page, and so is each part.
fn bounded(samples: i64, parts: i64, most: usize) {
    let folder = tempfile::tempdir().unwrap();
    let recording = large(folder.path(), samples, parts);
    let page = report(&recording);
    assert!(page.len() <= most, "{} bytes", page.len());
    let shown = data(&page, "data");
    let largest = shown["curve"]["max"].as_array().unwrap().iter().filter_map(Value::as_i64).max();
    assert_eq!(largest, Some(9_000 * MIB));
    assert!(shown["curve"]["max"].as_array().unwrap().len() <= 1024);
    let growth = &shown["growth"];
    let rows = growth["rows"].as_array().unwrap().len();
    let left_out = growth["rowsLeftOut"].as_u64().unwrap();
    assert_eq!(rows as u64 + left_out, parts as u64);
    let graph = &shown["stacks"]["graphs"][0];
    let stacks = graph["stacks"].as_array().unwrap().len() as u64;
    let left_out = graph["leftOut"].as_u64().unwrap();
    assert!(left_out > 0 && stacks - 1 + left_out == parts as u64, "{stacks} and {left_out}");
    let sum: i64 = stack_weights(&shown).into_iter().map(|(_, held)| held).sum();
    let mapped = (0..parts).map(|part| {
        // The last sample in which it has a new value.
        let last = samples - 1 - (samples - 1 - part).rem_euclid(parts);
        if last > 0 { MIB + last / parts * part } else { MIB }
    });
    assert_eq!(sum, mapped.sum::<i64>(), "what was left out is not in the sum");
    let said = format!("{samples} samples in 1024 bins, each from its lowest to its highest value");
    assert!(text(&page).contains(&said), "the page does not say so");
}

#[test]
fn the_series_of_another_tool_has_a_report_too() {
    let folder = tempfile::tempdir().unwrap();
    let rows =
        (0..600).map(|i| format!("MEM {} {}.0\n", 50.0 + f64::from(i) * 0.02, 1_700_000_000 + i));
    let path: PathBuf = folder.path().join("mprofile.dat");
    std::fs::write(&path, format!("CMDLINE python x.py\n{}", rows.collect::<String>())).unwrap();
    let page = report(&path);
    assert_eq!(data(&page, "data")["classification"], "growing");
}

#[test]
fn a_report_overwrites_no_recording_and_nothing_is_left_of_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(300, 1).write(folder.path(), "r.jsonl");
    let before = std::fs::read(&path).unwrap();
    let run = |words| seepmeter(words).in_folder(folder.path()).done();
    let _ = run(words!["report", "-o", "r.jsonl", "r.jsonl"])
        .expect_complaint(125, &["r.jsonl", "recording"]);
    assert!(std::fs::read(&path).unwrap() == before, "the recording was touched");
    let _ = run(words!["report", "--metric", "pss", "r.jsonl"])
        .expect_complaint(125, &["r.jsonl", "pss"]);
    let _ = run(words!["report", "none.jsonl"]).expect_complaint(125, &["none.jsonl"]);
    assert!(!folder.path().join("report.html").exists());
    let _ = run(words!["report", "r.jsonl"]).expect(0);
    assert!(folder.path().join("report.html").exists());
    let not_judged =
        run(words!["run", "-q", "-o", "html,path=x.html,metric=pss", "--", "echo", "never"]);
    let _ = not_judged.expect_complaint(125, &["metric=pss", "--metric pss"]);
}

#[test]
fn a_redacted_report_has_no_path_no_argument_no_mark_and_no_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 1)
        .named("python3 secret.py")
        .part("/home/secret/lib.so r-xp", MappingClass::File, |i| 30_000_000 + 20_000 * i)
        .part("/home/secret/lib.so rw-p", MappingClass::DeletedFile, |_| 4096)
        .child("/opt/secret/tool secret", 9, |i| 1_000_000 + 20_000 * i)
        .stack(&["main", "LazyCompile:~handle /home/secret/app.js:1"])
        .maps(|i| 4096 * i)
        .write(folder.path(), "r.jsonl");
    let recording = std::fs::read_to_string(&path).unwrap();
    let recording = recording.replace("\"host\":\"made-up\"", "\"host\":\"secret\"");
    let command = "[\"/usr/bin/python3\",\"secret.py\",\"secret\"]";
    let recording = recording.replace("[\"made-up\"]", command);
    let (lines, footer) = recording.trim_end().rsplit_once('\n').unwrap();
    let events = [
        "{\"event\":{\"t\":5000000000,\"kind\":\"marker\",\"text\":\"secret\"}}",
        "{\"event\":{\"t\":6000000000,\"kind\":\"exec\",\"subject\":0,\"name\":\"python3 secret2.py\"}}",
        "{\"event\":{\"t\":7000000000,\"kind\":\"incomplete\",\"text\":\"cannot read /home/secret\"}}",
    ];
    std::fs::write(&path, format!("{lines}\n{}\n{footer}\n", events.join("\n"))).unwrap();
    let plain = report(&path);
    let words = words!["report", "--redact", "-o", "-", path];
    let redacted = seepmeter(words).done().expect(0).out();
    assert!(plain.matches("secret").count() > 10, "the recording has secrets");
    let at = redacted.find("secret").map_or(0, |at| at.saturating_sub(80));
    assert!(!redacted.contains("secret"), "{}", &redacted[at..at + 200]);
    let rows = data(&redacted, "data")["growth"]["rows"].clone();
    let names: Vec<&str> =
        rows.as_array().unwrap().iter().filter_map(|row| row[0].as_str()).collect();
    for (name, other) in [("path-1 r-xp", "path-1 rw-p"), ("path-2 r-xp", "path-2 rw-p")] {
        assert!(
            !names.contains(&name) || names.contains(&other),
            "one path has two tokens: {names:?}"
        );
    }
    assert!(
        text(&redacted).contains("<dt>Machine</dt><dd>host-1, Linux 6.1"),
        "{}",
        text(&redacted)
    );
}

#[test]
fn a_report_on_a_new_version_has_the_runs_of_the_base_and_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let base =
        |seed: u64| Synthetic::flat(300, seed).write(folder.path(), &format!("b{seed}.jsonl"));
    let new =
        |seed: u64| Synthetic::leak(400, seed).write(folder.path(), &format!("n{seed}.jsonl"));
    let (base, new) = ([base(1), base(2), base(3)], [new(1), new(2), new(3)]);
    let one = words!["report", "-o", "-", base[0], new[0]];
    let page = seepmeter(one).done().expect(0).out();
    let shown = data(&page, "data");
    assert_eq!(shown["classification"], "growing", "the report is on the new version");
    let compared = &shown["compared"];
    assert_eq!(compared["runs"].as_array().unwrap().len(), 1);
    assert!(compared["runs"][0]["isBase"].as_bool().unwrap());
    assert!(compared["figures"][0]["interval"].is_null(), "of one run each there is none");
    assert!(text(&page).contains("one run does not show how much runs of one version differ"));
    let several =
        words!["report", "-o", "-", base[0], base[1], base[2], "--", new[0], new[1], new[2]];
    let page = seepmeter(several).done().expect(0).out();
    let shown = data(&page, "data");
    assert_eq!(shown["compared"]["runs"].as_array().unwrap().len(), 5);
    let rate = &shown["compared"]["figures"][0];
    assert_eq!((rate["figure"].as_str(), rate["change"].as_str()), (Some("rate"), Some("worse")));
    let [low, high] = [0, 1].map(|end| rate["interval"][end].as_f64().unwrap());
    assert!(low < 20_000.0 && 20_000.0 < high + 200.0 && low > 15_000.0, "{rate}");
    let three = seepmeter(words!["report", base[0], base[1], new[0]]).in_folder(folder.path());
    let _ = three.done().expect_complaint(125, &["--", "BASE", "NEW"]);
    let twice = seepmeter(words!["report", base[0], base[0]]).in_folder(folder.path());
    let _ = twice.done().expect_complaint(125, &["are one file"]);
}

#[test]
fn open_hands_the_report_to_the_desktop_or_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let _ = Synthetic::leak(300, 1).write(folder.path(), "r.jsonl");
    let opener = folder.path().join("xdg-open");
    let run = |path: &str| {
        let words = words!["report", "--open", "-o", "x.html", "r.jsonl"];
        seepmeter(words).in_folder(folder.path()).env("PATH", path).done()
    };
    let _ = run("/nowhere")
        .expect_complaint(125, &["x.html", "xdg-open", "open the file in a browser"]);
    let places = format!("{}:/usr/bin:/bin", folder.path().display());
    for (script, status) in [("#!/bin/sh\necho opened $1\n", 0), ("#!/bin/sh\nexit 3\n", 125)] {
        std::fs::write(&opener, script).unwrap();
        std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
        let done = run(&places).expect(status);
        assert_eq!(done.out().contains("opened x.html"), status == 0, "{}", done.output());
    }
}
