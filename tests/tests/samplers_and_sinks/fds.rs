//! The sampler `fds` in the command: real leaks of descriptors.

use seepmeter_record::SubjectKind;
use seepmeter_tests::{
    Recording, long_or_not_run, recorded, seepmeter, test_target, verdict, words,
};

#[test]
fn what_a_program_opens_is_in_the_recording_the_lines_and_the_summary() {
    let (_folder, path, sink) = recorded();
    let words =
        words!["run", "-i", "50ms", "-s", "fds", "--metric", "fds", "-o", "text", "-o", sink];
    let target = words!["--", test_target(), "leak-fds", "socket", "40", "5"];
    let done = seepmeter(words.into_iter().chain(target)).done().expect(0);
    let recording = Recording::read(&path);
    let points = recording.points("fds");
    let of = |id| points.iter().filter(move |(_, subject, _)| *subject == id);
    let sockets = recording.subjects(&SubjectKind::DescriptorGroup);
    let sockets = sockets.iter().find(|group| group.name.to_string() == "sockets").unwrap();
    let most = |id| of(id).map(|(.., value)| *value).max().unwrap();
    let (all, sockets) = (most(recording.target()), most(sockets.id));
    // The last of them may come after the last sample of a busy machine.
    assert!((100..=200).contains(&sockets), "{sockets}");
    assert!((0..20).contains(&(all - sockets)), "{all}, {sockets}");
    let shown = done.err();
    let lines = shown.lines().filter(|line| line.contains(" s  fds ")).count();
    assert!(lines > 10, "{shown}");
    assert!(shown.contains(&format!(", last {all}, peak {all}; average +")), "{shown}");
    assert!(shown.contains("\nverdict    inconclusive  fds: not enough data yet"), "{shown}");
}

#[test]
fn a_real_leak_of_descriptors_grows_at_its_rate_in_its_kind() {
    if !long_or_not_run("a leak of descriptors for two minutes") {
        return;
    }
    for (kind, name, each) in [("socket", "sockets", 1.0), ("pipe", "pipes", 2.0)] {
        let (_folder, path, sink) = recorded();
        let words = words!["run", "-q", "--no-summary", "-s", "fds", "--metric", "fds", "-o", sink];
        let target = words!["--", test_target(), "leak-fds", kind, "3", "110"];
        let _ = seepmeter(words.into_iter().chain(target)).done().expect(0);
        let printed = verdict(&path, &["--metric", "fds"]);
        assert_eq!(printed["classification"], "growing", "{printed:#}");
        let rate = printed["rate"]["estimate"].as_f64().unwrap();
        assert!((rate - 3.0 * each).abs() < 0.1, "{rate}");
        assert_eq!(printed["shares"][0]["subject"], name);
        assert!(printed["shares"][0]["share"].as_f64().unwrap() > 0.95, "{printed:#}");
        assert_eq!(printed["limit"]["name"], "open files");
        let printed = verdict(&path, &["--metric", "threads"]);
        assert_eq!(printed["classification"], "steady", "{printed:#}");
    }
}

#[test]
fn the_lines_are_of_the_metrics_that_the_sink_names_and_an_unknown_one_ends_the_run() {
    let shown = |sink: &str| {
        let words =
            words!["run", "-i", "50ms", "--no-summary", "-s", "statm", "-s", "fds", "-o", sink];
        seepmeter(words.into_iter().chain(words!["--", test_target(), "grow", "1", "1"])).done()
    };
    let lines = shown("text,metric=threads,fds").expect(0).err();
    assert!(lines.contains(" s  threads ") && lines.contains(" s  fds "), "{lines}");
    assert!(!lines.contains(" s  rss "), "{lines}");
    let _ = shown("text,metric=fds,nope").expect_complaint(125, &["text, metric=nope", "mappings"]);
}
