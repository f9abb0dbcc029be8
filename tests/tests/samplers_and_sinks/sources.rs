//! Two samplers that measure the same thing: the one that is named first counts, for every sink.

use std::collections::HashMap;

use seepmeter_record::{Metric, MetricId, SamplerId};
use seepmeter_tests::{Recording, run_target, seepmeter, words};

/// What is written of a target of 4 MiB under these samplers.
struct Written {
    recording: Recording,
    /// The live lines.
    text: String,
    /// The table in its long layout.
    csv: String,
}

fn watched_by(samplers: [&str; 2]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let target = run_target("hold", words!["4"]).start();
    let pid = target.number("ready", 1).to_string();
    let words = words![
        "attach",
        "--no-summary",
        "-i",
        "50ms",
        "-d",
        "1s",
        "-s",
        samplers[0],
        "-s",
        samplers[1],
        "-o",
        "text",
        "-o",
        "csv,path=r.csv,layout=long",
        "-o",
        "jsonl,path=r.jsonl",
        pid
    ];
    let text = seepmeter(words).in_folder(folder.path()).done().expect(0).err();
    let _ = target.finish().expect(0);
    Written {
        recording: Recording::read(&folder.path().join("r.jsonl")),
        text,
        csv: std::fs::read_to_string(folder.path().join("r.csv")).unwrap(),
    }
}

impl Written {
    /// When each sampler has emitted an rss of the target.
    fn emitted(&self) -> HashMap<SamplerId, Vec<u64>> {
        let metrics: HashMap<MetricId, &Metric> =
            self.recording.metrics().map(|metric| (metric.id, &**metric)).collect();
        let target = self.recording.target();
        let mut emitted: HashMap<SamplerId, Vec<u64>> = HashMap::new();
        for sample in self.recording.samples() {
            let is_rss = sample
                .points
                .iter()
                .any(|point| point.subject == target && &*metrics[&point.metric].name == "rss");
            if is_rss {
                emitted.entry(sample.sampler).or_default().push(sample.t);
            }
        }
        emitted
    }
}

#[test]
fn every_value_is_printed_once_and_the_order_of_the_samplers_decides_whose() {
    for samplers in [["statm", "smaps,mode=full"], ["smaps,mode=full", "statm"]] {
        let written = watched_by(samplers);
        let names: Vec<&str> =
            written.recording.header().samplers.iter().map(|sampler| &*sampler.name).collect();
        let begin = |sampler: &str| sampler.split(',').next().unwrap().to_owned();
        assert_eq!(names, samplers.map(begin));
        let emitted = written.emitted();
        let [first, second] = [0, 1].map(|id| emitted[&SamplerId(id)].clone());
        assert!(!first.is_empty() && !second.is_empty(), "both measure it: {emitted:?}");
        // A table has the values of the first alone, whoever was faster at the start.
        let name = written.recording.name(written.recording.target());
        let rows = written.csv.lines().filter(|row| row.contains(&format!(",process,{name},rss,")));
        let times: Vec<u64> = rows.map(|row| nanoseconds(row.split(',').next().unwrap())).collect();
        let begun = times.iter().position(|t| *t == first[0]).expect("a row of the first");
        assert_eq!(times[begun..], first, "{samplers:?}");
        assert!(begun < 2, "{samplers:?}: {times:?}");
        // And so have the live lines: one for each sample of the first, changed or not.
        let of_first = |sample: &&seepmeter_record::Sample| sample.sampler == SamplerId(0);
        let samples = written.recording.samples().filter(of_first).count();
        let lines = written.text.lines().filter(|line| line.contains(" s  rss ")).count();
        assert!(
            lines <= samples + begun && lines + 1 >= times.len(),
            "{lines} lines\n{}",
            written.text
        );
    }
}

/// A time of a table, in seconds with nine decimals.
fn nanoseconds(seconds: &str) -> u64 {
    seconds.replace('.', "").parse().expect("a time")
}
