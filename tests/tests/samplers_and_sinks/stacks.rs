//! The sink `stacks`: where threads stood, from a stream in which that is known.

use std::path::{Path, PathBuf};

use seepmeter_record::{
    Event, EventKind, Metric, MetricId, Point, Record, Sample, SamplerId, Subject, SubjectId, Unit,
    jsonl,
};
use seepmeter_tests::{Done, seepmeter, synthetic::Synthetic, words};

const RSS: u32 = 0;
const STACK: u32 = 1;
const MAPPED: u32 = 2;
const PROCESS: u32 = 0;
const THREAD: u32 = 1;
const PARSE: u32 = 2;
const SLEEP: u32 = 3;

/// Four looks at a process with one thread. It stands at `main;parse` twice, before each of which the
/// resident set grows, and at `main;sleep`; before the last look it ends.
fn recording(folder: &Path) -> PathBuf {
    let beginning = Synthetic::rss(0, |_| 0).write(folder, "beginning.jsonl");
    let text = std::fs::read_to_string(beginning).unwrap();
    let mut out: Vec<u8> = text.lines().filter(|line| !line.starts_with("{\"footer\"")).fold(
        Vec::new(),
        |mut out, line| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
            out
        },
    );
    let mut write = |record: Record| jsonl::write_record(&mut out, &record).unwrap();
    for (id, name, unit) in [(STACK, "stack", Unit::Count), (MAPPED, "mapped", Unit::Bytes)] {
        let id = MetricId(id);
        write(Record::Metric(Metric { id, name: name.into(), unit, help: "made up".into() }));
    }
    for (id, kind, name) in [
        (THREAD, "thread", "work;er"),
        (PARSE, "stack", "main;parse"),
        (SLEEP, "stack", "main;sleep"),
    ] {
        write(Record::Subject(Subject {
            id: SubjectId(id),
            parent: Some(SubjectId(PROCESS)),
            kind: kind.into(),
            name: name.into(),
            attrs: vec![],
        }));
    }
    let mut look = |t: u64, points: &[(u32, u32, i64)]| {
        let point = |&(subject, metric, value): &(u32, u32, i64)| Point {
            subject: SubjectId(subject),
            metric: MetricId(metric),
            value,
        };
        let points = points.iter().map(point).collect();
        write(Record::Sample(Sample { t, sampler: SamplerId(0), took: 1, points }));
    };
    look(1, &[(PROCESS, RSS, 1000), (THREAD, STACK, PARSE.into()), (PARSE, MAPPED, 4096)]);
    look(2, &[(PROCESS, RSS, 1500), (SLEEP, MAPPED, 8192)]);
    look(3, &[(PROCESS, RSS, 1400), (THREAD, STACK, SLEEP.into()), (SLEEP, MAPPED, 0)]);
    write(Record::Event(Event::new(4, EventKind::Gone).of(SubjectId(THREAD))));
    write(Record::Sample(Sample {
        t: 5,
        sampler: SamplerId(0),
        took: 1,
        points: [].into_iter().collect(),
    }));
    let path = folder.join("stacks.jsonl");
    std::fs::write(&path, out).unwrap();
    path
}

fn replayed(options: &str) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path());
    seepmeter(words!["replay", "--no-summary", "-o", format!("stacks{options}"), path]).done()
}

#[test]
fn looks_are_counted_by_thread_and_stack_while_the_thread_lives() {
    let said = replayed("").expect(0).out();
    assert_eq!(said, "work_er;main;parse 2\nwork_er;main;sleep 1\n");
}

#[test]
fn growth_goes_to_the_stack_that_was_seen_after_it_and_shrinking_to_none() {
    assert_eq!(replayed(",weight=growth").expect(0).out(), "work_er;main;parse 500\n");
}

#[test]
fn what_a_stack_has_mapped_is_told_as_it_is_at_the_end() {
    assert_eq!(replayed(",weight=mapped").expect(0).out(), "main;parse 4096\n");
}

#[test]
fn a_stream_without_stacks_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = Synthetic::flat(5, 1).write(folder.path(), "flat.jsonl");
    let _ = seepmeter(words!["replay", "--no-summary", "-o", "stacks", path])
        .done()
        .expect_complaint(125, &["sink stacks", "no sampler told of stacks", "-s ptrace"]);
}
