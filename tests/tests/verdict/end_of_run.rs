//! The verdict at the end of a stream, and the gates that are held against it.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use seepmeter_record::MappingClass;
use seepmeter_record::conventions::metric;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{replay, run_target, seepmeter, test_target, verdict, words};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a leak, a flat run and one that is too short.
struct Three {
    folder: TempDir,
    leak: PathBuf,
    flat: PathBuf,
    short: PathBuf,
}

impl Three {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let leak = Synthetic::leak(600, 1)
            .part("heap", MappingClass::Heap, |i| 30_000_000 + 20_000 * i)
            .part("/usr/lib/libc.so.6 r-xp", MappingClass::File, |_| 1_500_000)
            .write(folder.path(), "leak.jsonl");
        let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
        let short = Synthetic::leak(100, 3).write(folder.path(), "short.jsonl");
        Self { folder, leak, flat, short }
    }
}

#[test]
fn a_run_whose_samplers_have_no_rss_says_what_can_be_judged_instead() {
    let done = seepmeter(words!["run", "-q", "-s", "fds", "--", "sleep", "0.2"]).done().expect(0);
    let line = "verdict    none: rss was not sampled; `--metric fds` judges what was\n";
    assert!(done.err().contains(line), "{}", done.output());
}

#[test]
fn a_gate_on_a_word_fires_on_that_verdict_alone() {
    let three = Three::new();
    for (word, recording) in
        [("growing", &three.leak), ("steady", &three.flat), ("inconclusive", &three.short)]
    {
        for gate in ["growing", "steady", "inconclusive"] {
            let done = replay(recording, &["--fail-on", gate]);
            if gate == word {
                let why = format!("gate `{gate}` fires: the verdict is {word}");
                let _ = done.expect_complaint(100, &[&why]);
            } else if word == "inconclusive" {
                let _ = done.expect_complaint(0, &[gate, "no all-clear", "3 m 20 s more"]);
            } else {
                assert_eq!(done.expect(0).err(), "", "{gate} {word}");
            }
        }
    }
}

#[test]
fn gates_on_figures_fire_beyond_their_value_alone() {
    let three = Three::new();
    for (gate, fires) in [
        ("rate>1MiB/min", true),
        ("rate>2MiB/min", false),
        ("rate >= 10 KiB/s", true),
        ("rate<1KiB/s", false),
        ("level>50MB", true),
        ("level>70MB", false),
        ("peak>61MB", true),
        ("peak>1GiB", false),
        ("subject(heap).rate>0", true),
        ("subject(heap).rate>1MiB/s", false),
        ("subject(heap).share>90%", true),
        ("subject(heap).peak>1GiB", false),
        ("subject(/usr/lib/libc.so.6 r-xp).rate>0", false),
    ] {
        let done = replay(&three.leak, &["--fail-on", gate]);
        if fires {
            let _ = done.expect_complaint(100, &[gate, "it is"]);
        } else {
            assert_eq!(done.expect(0).err(), "", "{gate}");
        }
    }
}

#[test]
fn a_gate_on_a_subject_that_there_is_not_says_which_there_are_and_does_not_fire() {
    let three = Three::new();
    let done = replay(&three.leak, &["--fail-on", "subject(haep).rate>0"]);
    let _ = done.expect_complaint(
        0,
        &[
            "was not evaluated: there was no subject `haep`",
            "there were, largest first: heap, /usr/lib/libc.so.6 r-xp",
        ],
    );
    let done = replay(&three.flat, &["--fail-on", "subject(heap).rate>0"]);
    let _ = done.expect_complaint(0, &["no parts were sampled", "--sampler smaps"]);
    // The kernel's own way to write it.
    let done = replay(&three.leak, &["--fail-on", "subject([heap]).rate>0"]);
    let _ = done.expect_complaint(100, &["fires"]);
}

#[test]
fn an_inconclusive_verdict_fires_no_gate_unless_asked_for_but_a_peak_is_a_peak() {
    let three = Three::new();
    for gate in ["growing", "steady", "rate>0", "rate<1GiB/s", "level>0B"] {
        let done = replay(&three.short, &["--fail-on", gate]);
        let _ = done.expect_complaint(0, &[gate, "no all-clear", "3 m 20 s more"]);
        let done = replay(&three.short, &["--fail-on", gate, "--strict"]);
        let _ = done.expect_complaint(100, &[gate, "fails", "3 m 20 s more", "--strict"]);
    }
    for gate in ["inconclusive", "peak>50MB"] {
        let _ = replay(&three.short, &["--fail-on", gate]).expect_complaint(100, &[gate]);
    }
}

#[test]
fn every_gate_that_fires_is_reported_and_the_status_can_be_chosen() {
    let three = Three::new();
    let gates = ["--fail-on", "growing", "--fail-on", "steady", "--fail-on", "peak>1MB"];
    let flags: Vec<&str> = gates.into_iter().chain(["--fail-status", "42"]).collect();
    let complaints = replay(&three.leak, &flags).expect(42).complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("`growing`") && complaints[1].contains("`peak>1MB`"));
}

#[test]
fn no_gate_can_fire_unseen_by_a_status_of_0() {
    let three = Three::new();
    let done = replay(&three.leak, &["--fail-on", "growing", "--fail-status", "0"]).expect(125);
    assert!(done.err().contains("0 is not in 1..=255"), "{}", done.output());
}

#[test]
fn gates_are_held_with_any_sinks_and_any_summary() {
    let three = Three::new();
    let gates = ["--fail-on", "growing"];
    for (flags, lines) in
        [(vec![], 0), (vec!["-o", "verdict"], 3), (vec!["-o", "verdict", "-o", "csv"], 3)]
    {
        let flags: Vec<&str> = gates.iter().copied().chain(flags).collect();
        let done = replay(&three.leak, &flags).expect(100);
        assert_eq!(done.complaints().len(), 1, "{}", done.output());
        assert_eq!(done.err().lines().count(), lines + 1, "{}", done.output());
    }
    let done = seepmeter(words!["replay", "-q", "--fail-on", "growing", three.leak]).done();
    let printed = done.expect(100).err();
    assert!(printed.contains("\nverdict    growing  rss +"), "{printed}");
}

#[test]
fn the_targets_own_failure_comes_through_a_gate_that_fires() {
    let gated = |command: &str| {
        let words = words!["run", "-q", "--no-summary", "--fail-on", "inconclusive", "--"];
        seepmeter(words.into_iter().chain(words!["sh", "-c", command])).done()
    };
    let _ = gated("sleep 0.1; exit 3").expect_complaint(3, &["gate `inconclusive` fires"]);
    let _ = gated("sleep 0.1; kill -9 $$").expect_complaint(137, &["gate `inconclusive` fires"]);
    let _ = gated("sleep 0.1").expect_complaint(100, &["gate `inconclusive` fires"]);
}

#[test]
fn gates_hold_for_a_process_that_is_attached_to() {
    let mut target = run_target("hold", words!["16"]).start();
    let pid = target.number("ready", 1).to_string();
    let attach = |gate: &str| {
        let words = words!["attach", "-q", "--no-summary", "-d", "200ms", "-i", "20ms"];
        seepmeter(words.into_iter().chain(words!["--fail-on", gate, pid])).done()
    };
    let _ = attach("peak>16MiB").expect_complaint(100, &["gate `peak>16MiB` fires: it is 1"]);
    assert_eq!(attach("peak>1GiB").expect(0).err(), "");
    target.end_input();
    let _ = target.wait().expect(0);
}

#[test]
fn a_bad_gate_is_pointed_at_before_anything_of_the_target_has_run() {
    let folder = tempfile::tempdir().unwrap();
    for (gate, pointer) in [
        ("growin", "^"),
        ("rate>1MiB/fortnight", "     ^"),
        ("peak>", "     ^"),
        ("subject(heap.rate>0", "       ^"),
        ("subject(heap).speed>0", "              ^"),
        ("subject(heap).growing", "              ^"),
        ("share>5%", "^"),
        ("growing now", "        ^"),
        ("", "^"),
        ("subject().rate>0", "        ^"),
        ("subject(heap).share>nan%", "                    ^"),
    ] {
        let mark = folder.path().join("mark");
        let words = words!["run", "--fail-on", gate, "--", "touch", mark];
        let done = seepmeter(words).done().expect(125);
        let printed = done.err();
        assert!(printed.lines().any(|line| line == format!("  {pointer}")), "{gate:?}\n{printed}");
        assert!(!mark.exists(), "{gate:?}: the target has run");
    }
}

#[test]
fn a_command_that_is_not_found_is_reported_once_and_is_not_judged() {
    let words = words!["run", "-q", "-o", "verdict", "--fail-on", "inconclusive", "--"];
    let done = seepmeter(words.into_iter().chain(words!["no-such-command"])).done();
    let done = done.expect_complaint(127, &["no-such-command"]);
    assert_eq!(done.err().lines().count(), 1, "{}", done.output());
}

#[test]
fn a_run_that_is_over_at_once_is_too_short() {
    let words = words!["run", "-q", "--no-summary", "-o", "verdict,json=yes,path=-", "--", "true"];
    let done = seepmeter(words).done().expect(0);
    let printed: Value = serde_json::from_str(&done.out()).unwrap();
    assert_eq!(
        (&printed["classification"], &printed["reason"]),
        (&"inconclusive".into(), &"too-short".into()),
        "{}",
        done.output()
    );
}

#[test]
fn a_verdict_in_words_says_how_fast_and_where() {
    let three = Three::new();
    let words = |recording: &Path, options: &str| {
        replay(recording, &["-o", &format!("verdict{options}")]).expect(0).err()
    };
    let printed = words(&three.leak, "");
    assert!(
        printed.starts_with("growing  rss +19.") && printed.contains(" over 9 m 59 s\n"),
        "{printed}"
    );
    assert!(printed.contains("\n  100 % of it in heap\n"), "{printed}");
    assert!(!printed.contains("libc"), "what does not grow has no share: {printed}");
    assert!(words(&three.flat, "").starts_with("steady  rss "));
    let printed = words(&three.short, "");
    let wanted = "inconclusive  rss: not enough data yet: +19.4 KiB/s over 1 m 39 s so far; needs 3 m 20 s more (or `-i 300ms`: 1 m 30 s)\n";
    assert_eq!(printed, wanted);
    let printed = words(&three.leak, ",explain=yes");
    let stages: Vec<&str> = printed.lines().filter(|line| line.starts_with("  - ")).collect();
    assert!(stages.len() > 6, "{printed}");
    assert!(stages.last().unwrap().starts_with("  - so: growing"), "{printed}");
}

#[test]
fn a_verdict_goes_to_the_file_that_is_named_and_the_gates_stand_in_its_json() {
    let three = Three::new();
    let path = three.folder.path().join("verdict.json");
    let sink = format!("verdict,json=yes,path={}", path.display());
    let flags = ["-o", &sink, "--fail-on", "growing", "--fail-on", "peak>1TiB"];
    let done = replay(&three.leak, &flags).expect(100);
    assert_eq!((done.out().as_str(), done.err().lines().count()), ("", 1), "{}", done.output());
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1);
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(printed["schema"], "seepmeter.verdict/1");
    assert_eq!(printed["classification"], "growing");
    let rate = printed["rate"]["estimate"].as_f64().unwrap();
    assert!((rate - 20_000.0).abs() < 200.0, "{rate}");
    assert_eq!(printed["shares"][0]["subject"], "heap");
    let fired: Vec<_> = printed["gates"].as_array().unwrap().iter().map(|g| &g["fired"]).collect();
    assert_eq!(fired, [&Value::Bool(true), &Value::Bool(false)]);
}

#[test]
fn any_metric_can_be_judged_in_its_own_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    let printed = verdict(&path, &["--metric", "fds"]);
    assert_eq!(
        (&printed["classification"], &printed["unit"]),
        (&"growing".into(), &"count".into())
    );
    let done = replay(&path, &["-o", "verdict", "--metric", "fds"]).expect(0);
    assert!(done.err().starts_with("growing  fds +20/min ("), "{}", done.output());
}

#[test]
fn a_metric_that_the_recording_lacks_is_an_error_before_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(60, 4).metric(metric::FDS, |_| 20).write(folder.path(), "fds.jsonl");
    let text = folder.path().join("lines.txt");
    std::fs::write(&text, "of an older run").unwrap();
    let sink = format!("text,path={}", text.display());
    let why = &["--metric files: the recording has no such metric; there are: rss, fds"];
    for flags in [&["--fail-on", "growing"][..], &["-o", "verdict"], &["-o", &sink], &[]] {
        let flags = [flags, &["--metric", "rss", "--metric", "files"]].concat();
        let done = replay(&path, &flags).expect_complaint(125, why);
        assert_eq!(done.err().lines().count(), 1, "{}", done.output());
    }
    assert_eq!(std::fs::read(&text).unwrap(), b"of an older run");
    let from_pipe = words!["replay", "-q", "--metric", "files", "-"];
    let recording = std::fs::read(&path).unwrap();
    let _ = seepmeter(from_pipe).with_input(&recording).expect_complaint(125, why);
    // Nothing was sampled, and that is said.
    let header = std::fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned() + "\n";
    std::fs::write(&path, header).unwrap();
    let done = seepmeter(words!["replay", "-q", "--metric", "files", path]).done().expect(0);
    assert!(done.err().contains("verdict    none: nothing was sampled"), "{}", done.output());
}

#[test]
fn summary_gates_and_sink_judge_the_metric_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    let growing = ["--metric", "fds", "--fail-on", "growing"];
    let done = replay(&path, &growing).expect_complaint(100, &["the verdict is growing"]);
    assert_eq!(done.complaints().len(), 1);
    let done = seepmeter(words!["replay", "-q", "--metric", "fds", path]).done().expect(0);
    assert!(done.err().contains("\nverdict    growing  fds +20/min"), "{}", done.output());
    assert_eq!(verdict(&path, &[])["metric"], "rss");
    let sink = ["-o", "verdict,json=yes,path=-", "--metric", "fds"];
    let printed: Value = serde_json::from_str(&replay(&path, &sink).expect(0).out()).unwrap();
    assert_eq!(
        (&printed["metric"], &printed["classification"]),
        (&"fds".into(), &"growing".into())
    );
}

#[test]
fn the_json_of_one_metric_does_not_contradict_the_gates_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric(metric::FDS, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    // Gates are on the metric that is named first, and each object says so.
    let gates = |metrics: [&str; 2], gate: &str, status: i32| {
        let sink = "verdict,json=yes,path=-";
        let [first, second] = metrics;
        let flags = ["-o", sink, "--metric", first, "--metric", second, "--fail-on", gate];
        let out = replay(&path, &flags).expect(status).out();
        let objects: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let judged: Vec<_> = objects.iter().map(|object| &object["metric"]).collect();
        assert_eq!(judged, metrics);
        let of = |object: &Value| {
            let gate = &object["gates"][0];
            (gate["metric"].clone(), gate["fired"].clone())
        };
        assert_eq!(of(&objects[0]), of(&objects[1]));
        of(&objects[0])
    };
    assert_eq!(gates(["rss", "fds"], "growing", 0), ("rss".into(), false.into()));
    assert_eq!(gates(["rss", "fds"], "steady", 100), ("rss".into(), true.into()));
    assert_eq!(gates(["fds", "rss"], "growing", 100), ("fds".into(), true.into()));
}

#[test]
fn a_metric_that_is_emitted_only_if_it_changes_is_judged_over_all_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 5)
        .metric(metric::PSS, |_| 40_000_000)
        .write(folder.path(), "pss.jsonl");
    let printed = verdict(&path, &["--metric", "pss"]);
    assert_eq!(printed["classification"], "steady", "{printed}");
    assert_eq!(printed["span"]["to"], 599.0, "{printed}");
}

#[test]
fn a_metric_that_was_never_emitted_is_not_a_watch_that_was_too_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 22).metric(metric::PSS, |_| 0).write(folder.path(), "p.jsonl");
    let text = std::fs::read_to_string(&path).unwrap().replace(",[0,1,0]", "");
    std::fs::write(&path, text).unwrap();
    let done = replay(&path, &["-o", "verdict", "--metric", "pss"]);
    let _ = done.expect_complaint(125, &["no value of `pss` was emitted in 600 samples"]);
}

#[test]
fn the_kernels_own_peak_counts_if_no_sample_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let spike = |i| if i < 300 { 51_000_000 } else { 900_000_000 };
    let path =
        Synthetic::flat(600, 6).metric(metric::PEAK, spike).write(folder.path(), "spike.jsonl");
    assert_eq!(verdict(&path, &[])["peak"], 900_000_000);
    let _ = replay(&path, &["--fail-on", "peak>512MiB"]).expect_complaint(100, &["858 MiB"]);
}

#[test]
fn growth_that_is_swapped_out_is_growth() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 7)
        .metric(metric::SWAP, |i| 30_000 * i)
        .write(folder.path(), "swap.jsonl");
    assert_eq!(verdict(&path, &[])["classification"], "growing");
}

#[test]
fn a_run_that_is_ended_by_a_signal_is_judged_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdict.json");
    let sink = format!("verdict,json=yes,path={}", path.display());
    let words = words!["run", "-q", "--no-summary", "-i", "5ms", "-o", sink, "--"];
    let mut running =
        seepmeter(words.into_iter().chain(words![test_target(), "hold", "4"])).start();
    let _ = running.line("ready");
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert_eq!(done.status.code(), Some(143), "{}", done.output());
    let printed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(printed["classification"], "inconclusive");
}
