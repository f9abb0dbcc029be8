//! Plugins that misbehave: each ends in an error that names it, or in going on without it; the other
//! sinks' records are whole, and the exit status tells.

use std::path::Path;
use std::time::{Duration, Instant};

use seepmeter_record::{Event, EventKind, Footer, Record, jsonl::Ending};
use seepmeter_tests::plugin::{abi, cc, cdylib};
use seepmeter_tests::{FinishedRun, Recording, long_or_not_run, seepmeter, words};

/// A folder with the misbehaving sink and sampler, and the panicking ones.
struct Rogues {
    folder: tempfile::TempDir,
}

impl Rogues {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _ = cc(&abi("sink.c"), &folder.path().join("sink.so"), &[]);
        let _ = cc(&abi("sampler.c"), &folder.path().join("sampler.so"), &[]);
        for name in ["panicky.so", "alarmist.so", "tableless.so"] {
            let library = cdylib("seepmeter-test-panicky");
            let _ = std::fs::copy(library, folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A short run with this sampler or sink beside statm and a recording.
    fn run(&self, flag: &str, spec: &str) -> FinishedRun {
        let _ = std::fs::remove_file(self.path().join("r.jsonl"));
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "5ms",
            "-s",
            "statm",
            flag,
            spec,
            "-o",
            "jsonl,path=r.jsonl",
            "--",
            "sleep",
            "0.1"
        ];
        seepmeter(words).in_folder(self.path()).done()
    }

    /// The recording beside it, which has to be whole and have statm's samples.
    #[track_caller]
    fn recording(&self) -> Recording {
        let recording = Recording::read(&self.path().join("r.jsonl"));
        assert_eq!(recording.ending, Ending::Whole);
        let samples = recording.samples().filter(|sample| sample.sampler.0 == 0).count();
        assert!(samples > 2, "{samples} samples");
        recording
    }

    /// Runs with it, and asserts that all went on without it: one complaint that names it and has these
    /// parts, status 125, and a whole recording, which has an event of it if it failed before the end.
    #[track_caller]
    fn goes_on_without(&self, flag: &str, spec: &str, parts: &[&str]) -> Recording {
        let file = spec.split(',').next().unwrap();
        let done = self.run(flag, spec).expect_complaint(125, parts);
        assert!(done.complaints()[0].contains(file), "{}", done.output());
        assert!(!done.err().contains('\x1b') || file.contains("pan"), "{}", done.output());
        self.recording()
    }
}

/// The reason that an event gives.
fn reason(event: &Event) -> String {
    match &event.kind {
        EventKind::SinkFailed { reason }
        | EventKind::SamplerFailed { reason }
        | EventKind::Skipped { reason, .. } => reason.to_string(),
        other => panic!("{other:?} gives no reason"),
    }
}

#[test]
fn a_call_that_fails_closes_its_sink_and_the_others_go_on() {
    let rogues = Rogues::new();
    for (what, part) in [
        ("fail", "it will not"),
        ("mute", "its `write` failed without a message: No space left on device"),
        ("positive", "its `write` returned 7, which is neither 0 nor a negative errno"),
        ("one", "its `write` returned 1"),
        ("least", "its `write` returned -2147483648"),
        ("dirty", "bad \u{fffd}\u{fffd} bytes \\u{1b}[31mred\\u{7}\\nand a line"),
        ("null-message", "(text at an invalid address)"),
        ("stray", "called the host from another thread"),
        ("metric", "a metric outside of a sampler's calls"),
        ("keep-alive", "outside of a sampler's calls"),
        ("points", "outside of sample"),
    ] {
        let spec = format!("./sink.so,in=write,do={what}");
        let recording = rogues.goes_on_without("-o", &spec, &[part]);
        let failed = recording.events("sink-failed");
        assert_eq!(failed.len(), 1, "{what}");
        let reason = reason(failed[0]);
        assert!(reason.contains("./sink.so"), "{what}: {reason}");
    }
}

#[test]
fn a_sink_may_fail_in_any_of_its_calls() {
    let rogues = Rogues::new();
    for call in ["flush", "conclude", "stop"] {
        let spec = format!("./sink.so,in={call},do=fail");
        let _ = rogues.goes_on_without("-o", &spec, &["it will not"]);
    }
    for call in ["configure", "ready"] {
        let spec = format!("./sink.so,do=fail,in={call}");
        let done = rogues.run("-o", &spec).expect_complaint(125, &["./sink.so", "it will not"]);
        assert_eq!(done.out(), "", "nothing of the target has run");
    }
    let _ = rogues.run("-o", "./sink.so,how=much").expect_complaint(125, &["in, do and log"]);
}

#[test]
fn a_create_that_fails_aborts_the_run() {
    let rogues = Rogues::new();
    for what in ["fail", "stray", "mute"] {
        let flag = format!("-DIN_CREATE=\"{what}\"");
        let _ = cc(&abi("sink.c"), &rogues.path().join("create.so"), &[&flag]);
        let _ = rogues.run("-o", "./create.so").expect_complaint(125, &["./create.so"]);
    }
}

#[test]
fn a_sink_whose_reader_has_gone_is_closed_without_a_complaint() {
    let rogues = Rogues::new();
    let done = rogues.run("-o", "./sink.so,in=write,do=pipe").expect(0);
    assert_eq!(done.complaints(), [""; 0]);
    let _ = rogues.recording();
}

#[test]
fn a_warning_is_shown_without_control_characters_and_is_no_failure() {
    let rogues = Rogues::new();
    let done = rogues.run("-o", "./sink.so,do=warn,in=ready").expect(0);
    assert_eq!(done.complaints(), ["misbehave: mind \\u{1b}[2Jthis"]);
    let _ = rogues.recording();
}

#[test]
fn a_message_without_end_is_cut_off() {
    let rogues = Rogues::new();
    let done = rogues.run("-o", "./sink.so,in=write,do=long").expect(125);
    assert!(done.err().len() < 3000, "{}", done.output());
}

#[test]
fn a_call_that_fails_ends_its_sampler_and_the_others_go_on() {
    let rogues = Rogues::new();
    for (call, what, part) in [
        ("sample", "fail", "it will not"),
        ("sample", "one", "its `sample` returned 1"),
        ("sample", "dirty", "\\u{1b}[31mred"),
        ("sample", "stray", "called the host from another thread"),
        ("wait", "fail", "it will not"),
        ("wait", "points", "points outside of sample"),
        ("wait", "paused", "outside of sample"),
        ("wait", "partial", "outside of sample"),
    ] {
        let spec = format!("./sampler.so,in={call},do={what}");
        let recording = rogues.goes_on_without("-s", &spec, &[part]);
        assert_eq!(recording.events("sampler-failed").len(), 1, "{call} {what}");
    }
    let _ = rogues.goes_on_without("-s", "./sampler.so,in=stop,do=fail", &["it will not"]);
    let _ = rogues.goes_on_without("-s", "./sampler.so,in=stop,do=points", &["outside of sample"]);
    let before = ["configure", "ready", "start", "add_target"]
        .map(|call| format!("./sampler.so,do=fail,in={call}"));
    for spec in before {
        let _ = rogues.run("-s", &spec).expect_complaint(125, &["./sampler.so", "it will not"]);
    }
    for what in ["metric", "points"] {
        let spec = format!("./sampler.so,do={what},in=ready");
        let _ = rogues.run("-s", &spec).expect_complaint(125, &["./sampler.so", "outside of"]);
    }
}

#[test]
fn a_record_that_can_not_be_is_refused_and_ends_its_sampler() {
    let rogues = Rogues::new();
    for (what, part) in [
        ("undefined-subject", "a point of subject 4711, which it has not defined"),
        ("undefined-metric", "a point of metric 4711, which it has not defined"),
        ("null-points", "3 points at an invalid address"),
        ("absurd-points", "points at an invalid address"),
        ("many-points", "1099511627776 points at an invalid address"),
        ("unaligned-points", "1 points at an invalid address"),
        ("unknown-unit", "a metric with the unknown unit 77"),
        ("unknown-metric-kind", "a metric with the unknown kind 77"),
        ("no-subject-kind", "the metric `m` without a kind of subject"),
        ("bad-name", "a metric with text that is not UTF-8: \"m\\xff\\x1b\""),
        ("no-name", "a metric without a name"),
        ("name-at-null", "a metric with text at an invalid address"),
        ("no-place", "a metric with no place for its number"),
        ("unaligned-place", "a metric with no place for its number"),
        ("subject-at-null", "a subject at null"),
        ("subject-of-size-0", "a subject of 0 bytes, and one has at least 64"),
        ("subject-of-other-kind", "a subject that says it is a record of kind 9, and not 3"),
        ("undefined-parent", "a part of subject 4711, which it has not defined"),
        ("no-kind", "a subject without a kind"),
        ("bad-kind", "a subject with text that is not UTF-8: \"\\xc3(\""),
        ("attributes-at-null", "3 attributes at an invalid address"),
        ("absurd-attributes", "attributes at an invalid address"),
        ("absurd-text", "bytes at an invalid address"),
        ("event-at-null", "an event at null"),
        ("event-of-size-0", "an event of 0 bytes, and one has at least 72"),
        ("event-of-other-kind", "an event that says it is a record of kind 2, and not 8"),
        ("no-event-kind", "an event without a kind"),
        ("status-of-none", "an event with an event `exited` needs a number `status`"),
        ("bad-build-id", "an image with a build-id that is not hexadecimal digits"),
        ("undefined-image", "a frame in image 4711, which it has not defined"),
        ("inlined-at-null", "a frame with 1 inlined calls at an invalid address"),
        ("undefined-frame", "a stack with frame 4711, which it has not defined"),
        ("frames-at-null", "a stack with 2 frames at an invalid address"),
        ("event-of-undefined-subject", "an event of subject 4711, which it has not defined"),
        ("event-to-come", "which is in the future"),
    ] {
        let spec = format!("./sampler.so,in=garbage,do={what}");
        let parts = ["the host refused a record: ", part];
        let recording = rogues.goes_on_without("-s", &spec, &parts);
        let failed = recording.events("sampler-failed");
        assert_eq!(failed.len(), 1, "{what}");
        let reason = reason(failed[0]);
        assert!(reason.contains(part), "{what}: {reason}");
        let refused = recording.samples().filter(|sample| sample.sampler.0 == 1).count();
        assert_eq!(refused, 0, "{what}: nothing of such a sample is in the stream");
    }
}

#[test]
fn odd_but_good_records_pass() {
    let rogues = Rogues::new();
    for what in
        ["event", "larger-event", "absurd-paused", "partial", "stack", "twice-gone", "null-context"]
    {
        let call = if what == "null-context" { "sample" } else { "garbage" };
        let done = rogues.run("-s", &format!("./sampler.so,in={call},do={what}")).expect(0);
        assert_eq!(done.complaints(), [""; 0], "{what}");
        let recording = rogues.recording();
        match what {
            "partial" => assert!(recording.samples().any(|s| s.partial && s.sampler.0 == 1)),
            "twice-gone" => assert_eq!(recording.events("gone").len(), 1),
            "stack" => {
                let is_stack = |record: &&Record| matches!(record, Record::Stack(stack) if stack.frames.len() == 2);
                assert!(recording.records.iter().filter(is_stack).count() > 0);
            }
            _ => {}
        }
        if what.ends_with("event") {
            let events = recording.events("strange");
            assert!(events.iter().all(|event| event.sampler.unwrap().0 == 1) && !events.is_empty());
        }
    }
}

#[test]
fn a_subject_that_has_ended_may_not_be_named_any_more() {
    let rogues = Rogues::new();
    let spec = "./sampler.so,in=garbage,do=point-of-gone";
    let part = "which it has not defined or which has ended";
    let recording = rogues.goes_on_without("-s", spec, &["a point of subject ", part]);
    let whole = recording.samples().filter(|sample| sample.sampler.0 == 1).count();
    assert_eq!(whole, 1, "that in which it ended");
    assert_eq!(recording.events("gone").len(), 1, "the end is in the stream once");
}

#[test]
fn a_sample_that_is_skipped_and_a_target_that_has_gone_are_no_failures() {
    let rogues = Rogues::new();
    let done = rogues.run("-s", "./sampler.so,in=sample,do=skip").expect(0);
    assert_eq!(done.complaints(), [""; 0]);
    let recording = rogues.recording();
    assert!(recording.events("skipped").iter().any(|event| reason(event) == "not now"));
    let _ = rogues.run("-s", "./sampler.so,in=sample,do=gone").expect(0);
    let _ = rogues.recording();
}

#[test]
fn trap_23_a_panic_in_any_call_of_a_plugin_is_an_error_that_names_it() {
    let rogues = Rogues::new();
    for call in ["sample", "wait", "stop"] {
        let spec = format!("./panicky.so,at={call}");
        let part = format!("panicked: told to, in {call} \\u{{1b}}[31m");
        let _ = rogues.goes_on_without("-s", &spec, &[&part]);
    }
    for call in ["write", "flush", "conclude", "stop"] {
        let spec = format!("./alarmist.so,at={call}");
        let part = format!("panicked: told to, in {call} \\u{{1b}}[31m");
        let done = rogues.run("-o", &spec).expect_complaint(125, &["./alarmist.so", &part]);
        assert!(done.err().contains(&format!("in {call}")));
        let _ = rogues.recording();
    }
    for (flag, spec) in [
        ("-s", "./panicky.so,at=new"),
        ("-s", "./panicky.so,at=start"),
        ("-s", "./panicky.so,at=add-target"),
        ("-o", "./alarmist.so,at=new"),
    ] {
        let _ = rogues.run(flag, spec).expect_complaint(125, &[spec, "panicked: told to"]);
    }
}

#[test]
fn trap_23_a_panic_while_an_instance_is_dropped_or_its_panic_is_hurts_nobody() {
    let rogues = Rogues::new();
    for (flag, spec) in [("-s", "./panicky.so,at=drop"), ("-o", "./alarmist.so,at=drop")] {
        // All of its work is done, and the message of the panic itself is seen.
        let done = rogues.run(flag, spec).expect(0);
        assert!(done.err().contains("told to, in drop"), "{}", done.output());
        let _ = rogues.recording();
    }
    for (flag, spec) in
        [("-s", "./panicky.so,at=bomb-sample"), ("-o", "./alarmist.so,at=bomb-write")]
    {
        let _ = rogues.run(flag, spec).expect_complaint(125, &[spec, "panicked: no words"]);
        let _ = rogues.recording();
    }
    for (flag, spec) in [("-s", "./panicky.so,at=bomb-drop"), ("-o", "./alarmist.so,at=bomb-drop")]
    {
        let _ = rogues.run(flag, spec).expect(0);
        let _ = rogues.recording();
    }
}

#[test]
fn trap_23_a_panic_while_the_table_is_made_is_a_refusal() {
    let rogues = Rogues::new();
    let _ = rogues
        .run("-o", "./tableless.so")
        .expect_complaint(125, &["./tableless.so", "refuses to work with seepmeter"]);
}

/// Runs that take long, all at the same time: each with a plugin that blocks in one of its calls.
fn blocked(what: &str) {
    let rogues = Rogues::new();
    let flag = format!("-DIN_CREATE=\"{what}\"");
    let _ = cc(&abi("sink.c"), &rogues.path().join("create.so"), &[&flag]);
    let before = format!("./sink.so,do={what},in=ready");
    let mut cases = vec![("-o", "./create.so".to_owned()), ("-o", before)];
    cases.extend(
        ["start", "add_target", "sample", "stop", "wait"]
            .map(|call| ("-s", format!("./sampler.so,do={what},in={call}"))),
    );
    cases.extend(
        ["write", "flush", "conclude", "stop"]
            .map(|call| ("-o", format!("./sink.so,do={what},in={call}"))),
    );
    std::thread::scope(|scope| {
        for (place, (flag, spec)) in cases.iter().enumerate() {
            let folder = rogues.path();
            scope.spawn(move || {
                let begin = Instant::now();
                let sink = format!("jsonl,path={place}.jsonl");
                let sampled = words!["run", "-q", "--no-summary", "-i", "5ms", "-s", "statm"];
                let written = words![flag, spec, "-o", sink, "--", "sleep", "0.1"];
                let done = seepmeter([sampled, written].concat()).in_folder(folder).done();
                let took = begin.elapsed();
                assert!(took < Duration::from_secs(25), "{spec} took {took:?}\n{}", done.output());
                let path = folder.join(format!("{place}.jsonl"));
                let begun = ["create.so", "in=ready", "in=start", "in=add_target"]
                    .iter()
                    .all(|at| !spec.contains(at));
                if begun {
                    let recording = Recording::read(&path);
                    assert_eq!(recording.ending, Ending::Whole, "{spec}");
                    assert!(recording.samples().filter(|s| s.sampler.0 == 0).count() > 2, "{spec}");
                }
                // With ten seconds some just come back in time, and all is well.
                if what == "sleep" || done.status.code() != Some(0) {
                    let done = done.expect_complaint(125, &[spec, "within"]);
                    assert!(
                        begun || done.err().contains("the run was aborted"),
                        "{}",
                        done.output()
                    );
                }
            });
        }
    });
}

#[test]
fn a_plugin_that_blocks_is_left_behind_and_named() {
    if !long_or_not_run("a_plugin_that_blocks_is_left_behind_and_named") {
        return;
    }
    blocked("sleep");
}

#[test]
fn a_plugin_that_blocks_for_ten_seconds_hangs_nobody() {
    if !long_or_not_run("a_plugin_that_blocks_for_ten_seconds_hangs_nobody") {
        return;
    }
    blocked("sleep-10");
}

/// A run beside a sink that takes a second for each of so many samples.
fn beside_a_slow_sink(
    seconds: &str,
    interval: &str,
    target: &str,
) -> (FinishedRun, Recording, String) {
    let folder = tempfile::tempdir().unwrap();
    let flag = format!("-DSLOW={seconds}");
    let _ = cc(&abi("sink.c"), &folder.path().join("slow.so"), &[&flag]);
    let words = words![
        "run",
        "-q",
        "-i",
        interval,
        "-o",
        "./slow.so,log=log",
        "-o",
        "jsonl,path=r.jsonl",
        "--",
        "sleep",
        target
    ];
    let done = seepmeter(words).in_folder(folder.path()).done();
    let recording = Recording::read(&folder.path().join("r.jsonl"));
    assert_eq!(recording.ending, Ending::Whole);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    (done, recording, log)
}

#[test]
fn a_slow_sink_drops_samples_and_a_record_the_footer_and_the_summary_say_so() {
    let (done, recording, log) = beside_a_slow_sink("2", "100us", "1.2");
    let done = done.expect(0);
    let dropped = &recording.footer().dropped;
    assert_eq!(dropped.len(), 1, "{dropped:?}\n{}", done.output());
    let (sink, samples) = (&dropped[0].sink, dropped[0].samples);
    assert_eq!(sink, "./slow.so,log=log");
    assert!(samples > 0 && recording.samples().count() as u64 == recording.footer().samples);
    let summary = format!("by sink {sink}, which was too slow");
    assert!(done.err().contains(&summary), "{}", done.output());
    let reported: u64 = log
        .lines()
        .filter_map(|line| line.strip_prefix("dropped ")?.strip_suffix(&format!(" of {sink}")))
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(reported, samples, "what the sink itself got\n{log}");
}

#[test]
fn under_a_sink_that_takes_a_second_a_record_a_sampler_at_1_khz_stays_on_time() {
    if !long_or_not_run(
        "under_a_sink_that_takes_a_second_a_record_a_sampler_at_1_khz_stays_on_time",
    ) {
        return;
    }
    // A machine that is busy with other work costs ticks, so a run without the slow sink tells at the
    // same time what can be had.
    let mut shares = Vec::new();
    for _ in 0..3 {
        let (slow, usual) = std::thread::scope(|scope| {
            let usual = scope.spawn(|| beside_a_slow_sink("0", "1ms", "6").1);
            (beside_a_slow_sink("1000", "1ms", "6"), usual.join().unwrap())
        });
        let (done, recording, _) = slow;
        let footer = recording.footer();
        assert!(!footer.dropped.is_empty(), "6,000 samples, and room for 4,096");
        assert!(done.err().contains("was too slow and did not get"), "{}", done.output());
        assert!(usual.footer().dropped.is_empty());
        let share =
            |footer: &Footer| footer.samples as f64 / (footer.samples + footer.missed) as f64;
        let (slow, usual) = (share(footer), share(usual.footer()));
        if slow >= 0.99 || slow >= usual - 0.01 {
            return;
        }
        shares.push((slow, usual));
    }
    panic!("shares of the ticks that were taken, beside the slow sink and without it: {shares:?}");
}
