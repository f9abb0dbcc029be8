use seepmeter_record::conventions::attribute;
use seepmeter_record::{Attributes, End, Record};

use super::super::super::test_stream::{TestStream, output_of};
use super::super::super::text::Text;
use super::super::Summary;
use super::super::name_table::MOST_NAMES;
use super::*;

const MIB: i64 = 1 << 20;
const SECOND: u64 = 1_000_000_000;

/// A descendant that comes at this time.
fn descendant(
    stream: &mut TestStream,
    t: u64,
    parent: SubjectId,
    name: &str,
    pid: i32,
) -> SubjectId {
    let attributes = Attributes::new().with(attribute::PID, pid);
    let subject = stream.subject(Some(parent), SubjectKind::Process, name, attributes);
    stream.event(t, Some(subject), EventKind::Attached {});
    subject
}

/// A shell of 1 MiB with two workers, of which one ends and one goes on.
fn tree() -> (TestStream, SubjectId) {
    let mut stream = TestStream::of_two_samplers();
    let shell = stream.target("sh", 7);
    stream.event(
        0,
        Some(shell),
        EventKind::Discovery { exact: Some(1), text: "process events".into() },
    );
    stream.sample(0, 0, &[(shell, "rss", MIB)]);
    let first = descendant(&mut stream, 1, shell, "worker", 8);
    let second = descendant(&mut stream, 2, shell, "worker", 9);
    stream.sample(SECOND, 0, &[(first, "rss", 10 * MIB), (second, "rss", 20 * MIB)]);
    stream.exit(SECOND + 1, second, 0);
    stream.sample(2 * SECOND, 0, &[(first, "rss", 12 * MIB)]);
    (stream, shell)
}

fn summary(stream: &TestStream) -> String {
    output_of::<Summary>(&[], stream.records())
}

#[test]
fn a_line_has_what_all_processes_have_together_and_how_many_there_are() {
    let (stream, _) = tree();
    let expected = "12:00:00      0.000 s  rss      1 MiB\n\
                    12:00:01      1.000 s  rss     31 MiB      +30 MiB/s  in 3 processes\n\
                    12:00:02      2.000 s  rss     13 MiB      -18 MiB/s  in 2 processes\n";
    assert_eq!(output_of::<Text>(&[], stream.records()), expected);
    let pages = output_of::<Text>(&[("style", "pages")], stream.records());
    assert_eq!(pages, "256\n7936\n3328\n");
}

#[test]
fn a_summary_has_the_sum_the_names_with_the_largest_peaks_and_who_still_runs() {
    let (mut stream, shell) = tree();
    stream.event(3 * SECOND, Some(shell), EventKind::BriefProcesses { processes: 31 });
    stream.exit(3 * SECOND, shell, 0);
    stream.footer(3 * SECOND, &[(shell, End::Exited(0))]);
    let lines = summary(&stream);
    for expected in [
        "processes  34, found by process events; 31 lived too briefly to be sampled\n",
        "rss sum    first 1 MiB, last 13 MiB, peak 31 MiB in 3 processes; pages that they share",
        "worker (2 processes): last 12 MiB, peak 30 MiB\n",
        "sh: last 1 MiB, peak 1 MiB\n",
        "left       1 descendant is still running: worker (pid 8)\n",
    ] {
        assert!(lines.contains(expected), "{expected}\n{lines}");
    }
}

#[test]
fn a_sum_of_pss_says_how_old_its_oldest_value_is_and_of_how_many_processes_it_is_known() {
    let (mut stream, shell) = tree();
    let worker = descendant(&mut stream, 3 * SECOND, shell, "late", 10);
    stream.sample(4 * SECOND, 1, &[(shell, "pss", MIB)]);
    stream.sample(7 * SECOND, 1, &[(worker, "pss", 3 * MIB)]);
    stream.sample(10 * SECOND, 0, &[(shell, "rss", MIB)]);
    let expected = "pss sum    first 1 MiB, last 4 MiB in 2 of 3 processes, peak 4 MiB in 2 processes; \
        the oldest value in the last was 3 s old";
    let lines = summary(&stream);
    assert!(lines.contains(expected), "{lines}");
}

#[test]
fn the_peak_of_a_cgroup_is_named_for_what_it_is_or_why_it_is_not_known() {
    for (bytes, reason, expected) in [
        (Some(40 * MIB), "", "cgroup     peak 40 MiB, with page cache and kernel memory\n"),
        (
            None,
            "no right to",
            "cgroup     the peak of all processes together is not known: no right to\n",
        ),
    ] {
        let (mut stream, shell) = tree();
        let reason = reason.into();
        stream.event(3 * SECOND, Some(shell), EventKind::CgroupPeak { bytes, reason });
        end(&mut stream, shell);
        let lines = summary(&stream);
        assert!(lines.contains(expected), "{lines}");
    }
}

/// The target has ended, and with it the run.
fn end(stream: &mut TestStream, target: SubjectId) {
    stream.exit(5 * SECOND, target, 0);
    stream.footer(5 * SECOND, &[(target, End::Exited(0))]);
}

#[test]
fn a_peak_that_only_the_kernel_has_noted_counts() {
    let (mut stream, shell) = tree();
    let fork = descendant(&mut stream, 3 * SECOND, shell, "spike", 10);
    stream.sample(4 * SECOND, 0, &[(fork, "rss", MIB), (fork, "peak", 200 * MIB)]);
    let lines = summary(&stream);
    assert!(lines.contains("spike: last 1 MiB, peak 200 MiB"), "{lines}");
    assert!(lines.contains(", peak 200 MiB in "), "{lines}");
}

#[test]
fn of_a_target_without_descendants_nothing_is_said_of_a_tree() {
    let mut stream = TestStream::of_two_samplers();
    let target = stream.target("work", 7);
    stream.event(
        0,
        Some(target),
        EventKind::Discovery { exact: Some(1), text: "process events".into() },
    );
    stream.sample(0, 0, &[(target, "rss", MIB)]);
    stream.exit(1, target, 0);
    let lines = summary(&stream);
    assert!(!lines.contains("processes") && !lines.contains("rss sum"), "{lines}");
}

#[test]
fn a_process_that_executes_another_program_is_counted_once_and_under_its_last_name() {
    let (mut stream, shell) = tree();
    let fork = descendant(&mut stream, 3 * SECOND, shell, "sh (child)", 10);
    stream.event(3 * SECOND, Some(fork), EventKind::Exec { name: Some("cat".into()) });
    stream.sample(4 * SECOND, 0, &[(fork, "rss", 2 * MIB)]);
    end(&mut stream, shell);
    let lines = summary(&stream);
    assert!(lines.contains("processes  4, found"), "{lines}");
    assert!(lines.contains("cat: last 2 MiB, peak 2 MiB"), "{lines}");
    assert!(!lines.contains("sh (child)"), "{lines}");
    assert!(lines.contains("2 descendants are still running: worker (pid 8), cat (pid 10)"));
}

#[test]
fn a_process_that_ended_before_a_sample_of_it_was_too_brief() {
    let (mut stream, shell) = tree();
    let brief = descendant(&mut stream, 3 * SECOND, shell, "true", 11);
    stream.exit(3 * SECOND + 1, brief, 0);
    let lines = summary(&stream);
    assert!(lines.contains("processes  4, found by process events; 1 lived too"), "{lines}");
}

#[test]
fn of_many_that_run_on_some_are_named_and_the_others_counted() {
    let (mut stream, shell) = tree();
    for pid in 20..30 {
        descendant(&mut stream, 3 * SECOND, shell, "worker", pid);
    }
    end(&mut stream, shell);
    let lines = summary(&stream);
    assert!(lines.contains("11 descendants are still running: worker (pid 8)"), "{lines}");
    assert!(lines.contains("worker (pid 23) and 6 others\n"), "{lines}");
}

#[test]
fn a_hundred_thousand_short_processes_of_as_many_names_take_bounded_memory() {
    let mut summary = TreeSummary::default();
    let mut values = CurrentValues::default();
    let (stream, shell) = tree();
    let observe = |summary: &mut TreeSummary, values: &mut CurrentValues, record: &Record| {
        values.apply(record);
        match record {
            Record::Subject(subject) if values.is_target(subject.id) => {
                summary.add(subject.id, values);
            }
            Record::Event(Event { kind: EventKind::Attached {}, subject, .. }) => {
                summary.add(subject.unwrap(), values);
            }
            Record::Sample(sample) => summary.observe(sample, values),
            Record::Event(event) => summary.event(event, values),
            _ => {}
        }
    };
    stream.records().iter().for_each(|record| observe(&mut summary, &mut values, record));
    for n in 0..100_000_u32 {
        let subject = SubjectId(100 + n);
        let attributes = Attributes::new().with(attribute::PID, 100);
        let (name, kind) = (format!("name {n}").as_str().into(), SubjectKind::Process);
        let parent = Some(shell);
        let of = seepmeter_record::Subject { id: subject, parent, kind, name, attributes };
        let event = |kind| {
            Record::Event(Event { t: 5 * SECOND, subject: Some(subject), sampler: None, kind })
        };
        observe(&mut summary, &mut values, &Record::Subject(of.into()));
        observe(&mut summary, &mut values, &event(EventKind::Attached {}));
        observe(&mut summary, &mut values, &event(EventKind::Exited { status: 0 }));
    }
    assert_eq!(summary.processes, 100_003);
    assert!(summary.names.names.len() <= MOST_NAMES, "{}", summary.names.names.len());
    assert_eq!((summary.running.len(), summary.rss.sum.current.len()), (1, 2));
    assert_eq!(summary.rss.sum.total, 13 * MIB);
}
