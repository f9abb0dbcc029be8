//! The verdict at the end of a stream, and the gates that are held against it.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use seepmeter_record::{Attr, Record, Unit};
use seepmeter_tests::synthetic::{Synthetic, noise};
use seepmeter_tests::{Done, Recording, not_run, program, run, seepmeter, words};
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
            .part("heap", "heap", |i| 30_000_000 + 20_000 * i)
            .part("/usr/lib/libc.so.6 r-xp", "file", |_| 1_500_000)
            .write(folder.path(), "leak.jsonl");
        let flat = Synthetic::flat(600, 2).write(folder.path(), "flat.jsonl");
        let short = Synthetic::leak(100, 3).write(folder.path(), "short.jsonl");
        Self { folder, leak, flat, short }
    }
}

/// A replay with these flags and nothing but what they ask for.
fn replay(recording: &Path, flags: &[&str]) -> Done {
    let flags = flags.iter().map(Into::into);
    let words = words!["replay", "-q", "--no-summary"].into_iter().chain(flags);
    seepmeter(words.chain(words![recording])).done()
}

/// What the sink `verdict` writes as JSON.
fn verdict(recording: &Path, options: &str) -> Value {
    let sink = format!("verdict,json=yes,path=-{options}");
    let done = replay(recording, &["-o", &sink]).expect(0);
    serde_json::from_str(&done.out()).unwrap_or_else(|error| panic!("{error}\n{}", done.told()))
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
            "was not checked: there was no subject `haep`",
            "the largest first: heap, /usr/lib/libc.so.6 r-xp",
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
    for gate in ["growing", "steady", "rate>0", "rate<1GiB/s", "level>0B", "time-to-limit<900h"] {
        assert_eq!(replay(&three.short, &["--fail-on", gate]).expect(0).err(), "", "{gate}");
    }
    for gate in ["inconclusive", "peak>50MB"] {
        let _ = replay(&three.short, &["--fail-on", gate]).expect_complaint(100, &[gate]);
    }
}

#[test]
fn every_gate_that_fires_is_told_and_the_status_can_be_chosen() {
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
    assert!(done.err().contains("0 is not in 1..=255"), "{}", done.told());
}

#[test]
fn gates_are_held_with_any_sinks_and_any_summary() {
    let three = Three::new();
    let gates = ["--fail-on", "growing"];
    for (flags, lines) in
        [(vec![], 0), (vec!["-o", "verdict"], 2), (vec!["-o", "verdict", "-o", "csv"], 2)]
    {
        let flags: Vec<&str> = gates.iter().copied().chain(flags).collect();
        let done = replay(&three.leak, &flags).expect(100);
        assert_eq!(done.complaints().len(), 1, "{}", done.told());
        assert_eq!(done.err().lines().count(), lines + 1, "{}", done.told());
    }
    let done = seepmeter(words!["replay", "-q", "--fail-on", "growing", three.leak]).done();
    let told = done.expect(100).err();
    assert!(told.contains("\nverdict    growing  rss +"), "{told}");
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
    let mut target = run(program("hold"), words!["16"]).start();
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
        let told = done.err();
        assert!(told.lines().any(|line| line == format!("  {pointer}")), "{gate:?}\n{told}");
        assert!(!mark.exists(), "{gate:?}: the target has run");
    }
}

#[test]
fn a_command_that_is_not_found_is_told_once_and_judged_by_nobody() {
    let words = words!["run", "-q", "-o", "verdict", "--fail-on", "inconclusive", "--"];
    let done = seepmeter(words.into_iter().chain(words!["no-such-command"])).done();
    let done = done.expect_complaint(127, &["no-such-command"]);
    assert_eq!(done.err().lines().count(), 1, "{}", done.told());
}

#[test]
fn a_run_that_is_over_at_once_is_too_short() {
    let words = words!["run", "-q", "--no-summary", "-o", "verdict,json=yes,path=-", "--", "true"];
    let done = seepmeter(words).done().expect(0);
    let told: Value = serde_json::from_str(&done.out()).unwrap();
    assert_eq!(
        (&told["verdict"], &told["reason"]),
        (&"inconclusive".into(), &"too-short".into()),
        "{}",
        done.told()
    );
}

#[test]
fn the_words_of_a_verdict_tell_how_fast_and_where() {
    let three = Three::new();
    let words = |recording: &Path, options: &str| {
        replay(recording, &["-o", &format!("verdict{options}")]).expect(0).err()
    };
    let told = words(&three.leak, "");
    assert!(told.starts_with("growing  rss +19.") && told.contains(" over 9 m 59 s\n"), "{told}");
    assert!(told.contains("\n  100 % of it in heap\n"), "{told}");
    assert!(!told.contains("libc"), "what does not grow has no share: {told}");
    assert!(words(&three.flat, "").starts_with("steady  rss "));
    let told = words(&three.short, "");
    let wanted = "inconclusive  rss: too short a watch; it takes at least 3 m 20 s more\n";
    assert_eq!(told, wanted);
    let told = words(&three.leak, ",explain=yes");
    let stages: Vec<&str> = told.lines().filter(|line| line.starts_with("  - ")).collect();
    assert!(stages.len() > 6, "{told}");
    assert!(stages.last().unwrap().starts_with("  - so: growing"), "{told}");
}

#[test]
fn a_verdict_goes_to_the_file_that_is_named_and_the_gates_stand_in_its_json() {
    let three = Three::new();
    let path = three.folder.path().join("verdict.json");
    let sink = format!("verdict,json=yes,path={}", path.display());
    let flags = ["-o", &sink, "--fail-on", "growing", "--fail-on", "peak>1TiB"];
    let done = replay(&three.leak, &flags).expect(100);
    assert_eq!((done.out().as_str(), done.err().lines().count()), ("", 1), "{}", done.told());
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["schema"], "seepmeter.verdict/1");
    assert_eq!(told["verdict"], "growing");
    let rate = told["rate"]["estimate"].as_f64().unwrap();
    assert!((rate - 20_000.0).abs() < 200.0, "{rate}");
    assert_eq!(told["shares"][0]["subject"], "heap");
    let fired: Vec<_> = told["gates"].as_array().unwrap().iter().map(|g| &g["fired"]).collect();
    assert_eq!(fired, [&Value::Bool(true), &Value::Bool(false)]);
}

#[test]
fn any_metric_can_be_judged_in_its_own_unit_and_an_unknown_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric("fds", Unit::Count, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    let told = verdict(&path, ",metric=fds");
    assert_eq!((&told["verdict"], &told["unit"]), (&"growing".into(), &"count".into()));
    let done = replay(&path, &["-o", "verdict,metric=fds"]).expect(0);
    assert!(done.err().starts_with("growing  fds +20/min ("), "{}", done.told());
    let _ = replay(&path, &["-o", "verdict,metric=files"])
        .expect_complaint(125, &["there is no metric `files`", "there are: rss, fds"]);
}

#[test]
fn summary_gates_and_sink_judge_the_metric_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric("fds", Unit::Count, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    let growing = ["--metric", "fds", "--fail-on", "growing"];
    let done = replay(&path, &growing).expect_complaint(100, &["the verdict is growing"]);
    assert_eq!(done.complaints().len(), 1);
    let done = seepmeter(words!["replay", "-q", "--metric", "fds", path]).done().expect(0);
    assert!(done.err().contains("\nverdict    growing  fds +20/min"), "{}", done.told());
    assert_eq!(verdict(&path, "")["metric"], "rss");
    let sink = ["-o", "verdict,json=yes,path=-", "--metric", "fds"];
    let told: Value = serde_json::from_str(&replay(&path, &sink).expect(0).out()).unwrap();
    assert_eq!((&told["metric"], &told["verdict"]), (&"fds".into(), &"growing".into()));
    let done = seepmeter(words!["replay", "-q", "--metric", "files", path]).done().expect(0);
    assert!(
        done.err().contains("verdict    none: there is no metric `files`; there are: rss, fds")
    );
    let files = ["--metric", "files", "--fail-on", "growing"];
    let _ = replay(&path, &files).expect_complaint(125, &["no metric `files`", "not be checked"]);
}

#[test]
fn the_json_of_one_metric_does_not_contradict_the_gates_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 4)
        .metric("fds", Unit::Count, |i| 20 + i / 3)
        .write(folder.path(), "fds.jsonl");
    let sink = ["-o", "verdict,json=yes,path=-,metric=fds"];
    let gates = |flags: &[&str], status: i32| {
        let flags: Vec<&str> = sink.iter().chain(flags).copied().collect();
        let told: Value =
            serde_json::from_str(&replay(&path, &flags).expect(status).out()).unwrap();
        assert_eq!(told["metric"], "fds");
        (told["gates"][0]["metric"].clone(), told["gates"][0]["fired"].clone())
    };
    let growing = ["--fail-on", "growing"];
    assert_eq!(gates(&growing, 0), ("rss".into(), false.into()));
    assert_eq!(gates(&["--fail-on", "steady"], 100), ("rss".into(), true.into()));
    let of_fds = ["--metric", "fds", "--fail-on", "growing"];
    assert_eq!(gates(&of_fds, 100), ("fds".into(), true.into()));
}

#[test]
fn a_metric_that_is_told_only_where_it_changes_is_judged_over_all_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 5)
        .metric("pss", Unit::Bytes, |_| 40_000_000)
        .write(folder.path(), "pss.jsonl");
    let told = verdict(&path, ",metric=pss");
    assert_eq!(told["verdict"], "steady", "{told}");
    assert_eq!(told["span"]["to"], 599.0, "{told}");
}

#[test]
fn a_metric_that_only_parts_have_is_judged_by_their_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 21)
        .part("[heap]", "[heap]", |_| 20_000_000)
        .of_part("pss", |i| 30_000_000 + 20_000 * i)
        .part("cache", "file", |_| 9_000_000)
        .of_part("pss", |i| 9_000_000 - 5_000 * i)
        .write(folder.path(), "parts.jsonl");
    let told = verdict(&path, ",metric=pss");
    assert_eq!(told["verdict"], "growing", "{told}");
    let rate = told["rate"]["estimate"].as_f64().unwrap();
    assert!((rate - 15_000.0).abs() < 100.0, "{told}");
    assert_eq!(told["shares"][0]["subject"], "[heap]", "{told}");
    assert_eq!(told["explanation"][0], "pss is the sum of 2 parts");
    assert_eq!(verdict(&path, "")["verdict"], "steady");
}

#[test]
fn a_metric_that_was_never_told_is_not_a_watch_that_was_too_short() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        Synthetic::flat(600, 22).metric("pss", Unit::Bytes, |_| 0).write(folder.path(), "p.jsonl");
    let text = std::fs::read_to_string(&path).unwrap().replace(",[0,1,0]", "");
    std::fs::write(&path, text).unwrap();
    let done = replay(&path, &["-o", "verdict,metric=pss"]);
    let _ = done.expect_complaint(125, &["in 600 looks no value of `pss` was told"]);
}

#[test]
fn the_kernels_own_peak_counts_where_no_look_has_seen_it() {
    let folder = tempfile::tempdir().unwrap();
    let spike = |i| if i < 300 { 51_000_000 } else { 900_000_000 };
    let path = Synthetic::flat(600, 6)
        .metric("peak", Unit::Bytes, spike)
        .write(folder.path(), "spike.jsonl");
    assert_eq!(verdict(&path, "")["peak"], 900_000_000);
    let _ = replay(&path, &["--fail-on", "peak>512MiB"]).expect_complaint(100, &["858 MiB"]);
}

#[test]
fn what_is_swapped_out_is_not_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(600, 7)
        .metric("swap", Unit::Bytes, |i| 30_000 * i)
        .write(folder.path(), "swap.jsonl");
    assert_eq!(verdict(&path, "")["verdict"], "growing");
}

#[test]
fn parts_of_one_name_are_one_part_and_processes_of_one_name_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 8)
        .part("anonymous", "anonymous", |i| 9_000 * i)
        .part("anonymous", "anonymous", |i| 1_000_000 + 9_000 * i)
        .child("worker", 11, |i| 2_000 * i)
        .child("worker", 12, |_| 500_000)
        .write(folder.path(), "twice.jsonl");
    let told = verdict(&path, "");
    let shares: Vec<(&str, f64)> = told["shares"]
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
fn hidden_leak(folder: &Path) -> PathBuf {
    Synthetic::rss(800, |i| 140_000_000 + noise(9, i, 9_000))
        .attr("limit.cgroup", 256 << 20)
        .part("[heap]", "[heap]", |i| 50_000_000 + 20_000 * i + i % 7 * 900)
        .part("/data r--s", "file", |i| 90_000_000 - 20_000 * i + i % 5 * 900)
        .write(folder, "hidden.jsonl")
}

#[test]
fn a_part_that_grows_behind_one_that_shrinks_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = hidden_leak(folder.path());
    let told = verdict(&path, "");
    assert_eq!(
        (&told["verdict"], &told["hidden"]),
        (&"growing".into(), &"[heap]".into()),
        "{told}"
    );
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let told = done.err();
    assert!(told.starts_with("growing  [heap] +19.5 KiB/s ("), "{told}");
    assert!(told.contains(" s, hidden in rss, which stands still ("), "{told}");
    assert!(told.contains("\n  hidden behind /data r--s, which lost 15"), "{told}");
}

#[test]
fn the_rate_of_a_hidden_part_is_not_told_as_the_wholes() {
    let folder = tempfile::tempdir().unwrap();
    let path = hidden_leak(folder.path());
    let told = verdict(&path, "");
    let rate = |field: &str| told[field]["estimate"].as_f64().unwrap();
    assert!(rate("rate").abs() < 100.0, "{told}");
    assert!((rate("hidden_rate") - 20_000.0).abs() < 200.0, "{told}");
    // What the heap gains the file loses, so no limit is ever reached.
    assert_eq!(told["limit"], Value::Null);
    for gate in ["rate>1KiB/s", "time-to-limit<900h", "subject(/data r--s).rate>0"] {
        assert_eq!(replay(&path, &["--fail-on", gate]).expect(0).err(), "", "{gate}");
    }
    for gate in ["growing", "subject([heap]).rate>1MiB/min"] {
        let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate]);
    }
    // An explanation has one answer.
    let explained = replay(&path, &["-o", "verdict,explain=yes"]).expect(0).err();
    let answers = explained.lines().filter(|line| line.contains("- so: "));
    assert_eq!(answers.collect::<Vec<_>>(), ["  - so: growing, by its part"]);
    assert!(explained.contains("- the whole by itself: steady "), "{explained}");
}

#[test]
fn growth_that_is_usually_no_leak_is_named_and_long_names_fit_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("/srv/{}data.bin r--s", "a/".repeat(300));
    let path = Synthetic::leak(600, 10)
        .part(&long, "file", |i| 15_000 * i)
        .part("glibc arenas", "arena", |i| 5_000 * i)
        .write(folder.path(), "no-leak.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let told = done.err();
    assert!(
        told.contains("data.bin r--s, +14.6 KiB/s; pages of a file, which the kernel can take"),
        "{told}"
    );
    assert!(
        told.contains("in glibc arenas, +4.88 KiB/s; arenas of malloc, which keep what was freed")
    );
    assert!(told.lines().all(|line| line.chars().count() < 140), "{told}");
    assert_eq!(verdict(&path, "")["shares"][0]["subject"], *long);
}

#[test]
fn a_leak_of_threads_is_told_by_their_stacks_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut threads = Synthetic::rss(800, |i| 20_000_000 + 2_000 * i + 70_000 * (i / 2))
        .part("[heap]", "[heap]", |i| 9_000_000 + 2_000 * i)
        .part("stack of the main thread", "stack", |_| 130_000);
    for n in 0..400_i64 {
        let name = format!("stack of thread {} (worker)", 1_000 + n);
        threads = threads.part(&name, "stack", move |i| if i / 2 > n { 70_000 } else { 0 });
    }
    let path = threads.write(folder.path(), "threads.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let lines: Vec<String> = done.err().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("growing  rss +36."), "{lines:?}");
    assert!(lines[1].starts_with("  95 % of it in stacks of 39"), "{lines:?}");
    assert!(lines[1].contains(" threads more, +34."), "{lines:?}");
    assert!(lines[2].starts_with("  5 % of it in [heap], +1.9"), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    // A class is one thing to a gate, and so is a family.
    for (gate, fires) in [
        ("subject(stack).share>90%", true),
        ("subject(stacks of threads).rate>1MiB/min", true),
        ("subject(stack).peak>25MB", true),
        ("subject(stack of the main thread).rate>0", false),
    ] {
        let done = replay(&path, &["--fail-on", gate]).expect(if fires { 100 } else { 0 });
        assert_eq!(done.complaints().len(), usize::from(fires), "{}", done.told());
    }
}

#[test]
fn what_has_small_shares_is_told_together_and_no_new_threads_are_told_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = Synthetic::rss(800, |i| 50_000_000 + 20_000 * i)
        .part("[heap]", "[heap]", |i| 9_000_000 + 19_000 * i)
        .part("stack of the main thread", "stack", |_| 130_000);
    for n in 0..10 {
        many = many.part(&format!("/lib/{n}.so r-xp"), "file", |i| 500_000 + 100 * i);
    }
    let path = many.write(folder.path(), "many.jsonl");
    let told = replay(&path, &["-o", "verdict"]).expect(0).err();
    let lines: Vec<&str> = told.lines().skip(1).collect();
    assert_eq!(lines, ["  95 % of it in [heap]", "  5 % of it in 10 others; 0 new threads"]);
}

#[test]
fn growth_that_is_mostly_huge_pages_or_given_back_is_named_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::leak(600, 31)
        .part("anonymous, mapped over 16 MiB", "anonymous", |i| 12_000 * i)
        .of_part("thp", |i| 11_000 * i)
        .part("[heap]", "[heap]", |i| 5_000 * i)
        .of_part("lazyfree", |i| 4_000 * i)
        .part("glibc arenas", "arena", |i| 3_000 * i)
        .of_part("thp", |i| 500 * i)
        .write(folder.path(), "natures.jsonl");
    let told = replay(&path, &["-o", "verdict"]).expect(0).err();
    for (part, why) in [
        ("mapped over 16 MiB, +", "; mostly transparent huge pages"),
        ("[heap], +", "; mostly given back by MADV_FREE"),
        ("glibc arenas, +", "; arenas of malloc"),
    ] {
        let line = told.lines().find(|line| line.contains(part));
        assert!(line.is_some_and(|line| line.contains(why)), "{part}: {told}");
    }
    let shares = verdict(&path, "")["shares"].clone();
    let mostly: Vec<&Value> = (0..3).map(|n| &shares[n]["mostly"]).collect();
    assert_eq!(mostly, [&Value::from("thp"), &Value::from("lazyfree"), &Value::Null]);
}

#[test]
fn the_limit_that_is_reached_first_is_told_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    // From 62 MB at 20 kB/s: a cgroup's 512 MB in 22,500 s, the machine's 8 GB in days.
    let with_cgroup = || Synthetic::leak(600, 11).attr("limit.cgroup", 512_000_000);
    let path =
        with_cgroup().attr("limit.machine", 8_000_000_000).write(folder.path(), "cgroup.jsonl");
    let told = verdict(&path, "");
    assert_eq!(told["limit"]["name"], "cgroup");
    let likely = told["limit"]["likely"].as_f64().unwrap();
    assert!((likely - 22_500.0).abs() < 30.0, "{likely}");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let wanted = "\n  at this rate the limit of 488 MiB (cgroup) is reached in 6 h 1";
    assert!(done.err().contains(wanted), "{}", done.told());
    let gate = "time-to-limit<7h";
    let _ = replay(&path, &["--fail-on", gate]).expect_complaint(100, &[gate, "it is 6 h 1"]);
    assert_eq!(replay(&path, &["--fail-on", "time-to-limit<6h"]).expect(0).err(), "");
    // The address space grows ten times as fast, and so meets its limit first.
    let path = with_cgroup()
        .metric("vsize", Unit::Bytes, |i| 300_000_000 + 200_000 * i)
        .attr("limit.address_space", 1_000_000_000)
        .write(folder.path(), "space.jsonl");
    let told = verdict(&path, "");
    assert_eq!(told["limit"]["name"], "address space");
    let likely = told["limit"]["likely"].as_f64().unwrap();
    assert!((likely - 2_901.0).abs() < 30.0, "{likely}");
    // What does not grow reaches none.
    let path = Synthetic::flat(600, 12).attr("limit.cgroup", 60_000_000);
    let path = path.write(folder.path(), "flat.jsonl");
    assert_eq!(verdict(&path, "")["limit"], Value::Null);
}

#[test]
fn an_address_space_that_grows_beside_a_steady_rss_is_told_with_its_own_rate() {
    let folder = tempfile::tempdir().unwrap();
    let space = |limit: i64| {
        Synthetic::flat(600, 14)
            .metric("vsize", Unit::Bytes, |i| 300_000_000 + 200_000 * i)
            .metric("fds", Unit::Count, |i| 20 + i / 3)
            .attr("limit.address_space", limit)
    };
    let path = space(1_000_000_000).write(folder.path(), "space.jsonl");
    let done = replay(&path, &["-o", "verdict"]).expect(0);
    let told = done.err();
    assert!(told.starts_with("steady  rss "), "{told}");
    assert!(told.contains("\n  the address space grows by +195 KiB/s (95 % CI "), "{told}");
    assert!(told.contains("and its limit of 954 MiB is reached in 48 m 2"), "{told}");
    assert!(!told.contains("at this rate"), "{told}");
    let limit = verdict(&path, "")["limit"].clone();
    assert!((limit["rate"]["estimate"].as_f64().unwrap() - 200_000.0).abs() < 500.0, "{limit}");
    // A gate on the time fires for it, and one on the rate does not.
    let _ = replay(&path, &["--fail-on", "time-to-limit<1h"]).expect_complaint(100, &["48 m 2"]);
    assert_eq!(replay(&path, &["--fail-on", "rate>1KiB/s"]).expect(0).err(), "");
    // Where the address space is judged, it is its rate that stands in the first line.
    let told = replay(&path, &["-o", "verdict,metric=vsize"]).expect(0).err();
    assert!(told.starts_with("growing  vsize +19"), "{told}");
    assert!(told.contains("at this rate the limit of 954 MiB (address space) is reached in 48 m"));
    // With other metrics it has nothing to do.
    let told = replay(&path, &["-o", "verdict,metric=fds"]).expect(0).err();
    assert!(told.starts_with("growing  fds ") && !told.contains("address space"), "{told}");
}

#[test]
fn what_others_use_of_a_limit_is_left_out_of_the_room() {
    let folder = tempfile::tempdir().unwrap();
    // 50 MB of its own and 100 MB of others at the start; 20 kB a second from 62 MB on.
    let leak = || Synthetic::leak(600, 11).attr("limit.cgroup", 200_000_000);
    let alone = verdict(&leak().write(folder.path(), "old.jsonl"), "");
    assert_eq!(alone["limit"]["others"], Value::Null);
    assert!((alone["limit"]["likely"].as_f64().unwrap() - 6_900.0).abs() < 30.0, "{alone}");
    let path = leak().attr("used.cgroup", 150_000_000).write(folder.path(), "shared.jsonl");
    let shared = verdict(&path, "");
    assert!((shared["limit"]["likely"].as_f64().unwrap() - 1_900.0).abs() < 30.0, "{shared}");
    assert!((shared["limit"]["others"].as_f64().unwrap() - 1e8).abs() < 1e5, "{shared}");
    let told = replay(&path, &["-o", "verdict"]).expect(0).err();
    let wanted =
        "the limit of 191 MiB (cgroup), of which others used 95.4 MiB at the start, is reached";
    assert!(told.contains(wanted), "{told}");
    // Of the machine, what is not available is used.
    let path = Synthetic::leak(600, 11)
        .attr("limit.machine", 8_000_000_000)
        .attr("available.machine", 100_000_000)
        .write(folder.path(), "machine.jsonl");
    let machine = verdict(&path, "");
    // 150 MB of the machine are the target's, of which it has 62.
    assert!((machine["limit"]["likely"].as_f64().unwrap() - 4_400.0).abs() < 30.0, "{machine}");
}

/// A memory cgroup of its own, removed when it is dropped.
struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// One of version 1 or 2 with this limit, where this machine lets one be made.
    fn new(version: u8, limit: u64) -> Result<Self, String> {
        let (kind, file) = match version {
            1 => ("memory", "memory.limit_in_bytes"),
            _ => ("cgroup2", "memory.max"),
        };
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
        let root = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let is = match version {
                1 => fields[2] == "cgroup" && fields[3].split(',').any(|option| option == kind),
                _ => fields[2] == kind,
            };
            is.then(|| PathBuf::from(fields[1]))
        });
        let root = root.ok_or("it is not mounted")?;
        let folder = root.join(format!("seepmeter-test-{}-{version}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("cannot make one: {error}"))?;
        let made = Self { folder };
        std::fs::write(made.folder.join(file), limit.to_string())
            .map_err(|error| format!("{file}: {error}"))?;
        Ok(made)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[test]
fn the_limit_of_a_real_cgroup_stands_in_the_recording() {
    const LIMIT: u64 = 256 << 20;
    for version in [2, 1] {
        let cgroup = match Cgroup::new(version, LIMIT) {
            Ok(cgroup) => cgroup,
            Err(why) => {
                not_run(&format!("the limit of a real cgroup, version {version}"), &why);
                continue;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let sink = format!("jsonl,path={}", path.display());
        let procs = cgroup.folder.join("cgroup.procs");
        let script = format!("echo $$ >{} && exec \"$@\"", procs.display());
        let words = words!["-c", script, "sh", seepmeter_tests::seepmeter_path(), "run", "-q"];
        let words =
            words.into_iter().chain(words!["--no-summary", "-o", sink, "--", "sleep", "0.1"]);
        let _ = run("/bin/sh", words).done().expect(0);
        let recording = Recording::read(&path);
        let attr = |name: &str| {
            recording.records.iter().find_map(|record| match record {
                Record::Subject(subject) => subject.attr(name).cloned(),
                _ => None,
            })
        };
        assert_eq!(attr("limit.cgroup"), Some(Attr::Int(LIMIT as i64)), "version {version}");
        // The shell, seepmeter and its child are in it.
        let Some(Attr::Int(used)) = attr("used.cgroup") else { panic!("version {version}") };
        assert!(used > 0 && used < LIMIT as i64, "version {version}: {used}");
        assert!(matches!(attr("available.machine"), Some(Attr::Int(1..))), "version {version}");
    }
}

#[test]
fn ten_thousand_parts_are_judged_in_little_time_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = Synthetic::leak(400, 13);
    for n in 0..10_000_i64 {
        // Each changes at every fortieth look, so that the file stays small; one of them leaks.
        let leaks = if n == 7_777 { 20_000 } else { 0 };
        many = many.part(&format!("mapping {n}"), "anonymous", move |i| {
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
    let told: Value = serde_json::from_str(&done.out()).unwrap();
    assert_eq!(told["shares"][0]["subject"], "mapping 7777", "{}", told["verdict"]);
    let peak = Recording::read(&report).largest("peak");
    assert!(peak < 128 << 20, "{peak} bytes");
    assert!(took.as_secs() < 40, "{took:?}");
}

#[test]
fn a_run_that_is_ended_by_a_signal_is_judged_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdict.json");
    let sink = format!("verdict,json=yes,path={}", path.display());
    let words = words!["run", "-q", "--no-summary", "-i", "5ms", "-o", sink, "--"];
    let mut running = seepmeter(words.into_iter().chain(words![program("hold"), "4"])).start();
    let _ = running.line("ready");
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert_eq!(done.status.code(), Some(143), "{}", done.told());
    let told: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(told["verdict"], "inconclusive");
}
