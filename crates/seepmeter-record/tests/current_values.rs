//! The values that stand, as every reader sees them.

use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    Attributes, CurrentValues, Event, EventKind, Header, Metric, MetricId, MetricSpec, Point,
    Record, Sample, SamplerId, Subject, SubjectId, SubjectKind, TargetInfo, TargetOrigin,
};

const TARGET: SubjectId = SubjectId(0);
const MAPPING: SubjectId = SubjectId(1);

fn header() -> Record {
    let header = Header {
        format: 1,
        seepmeter: "0".into(),
        start: String::new(),
        host: "h".into(),
        kernel: "k".into(),
        boot_id: None,
        page_size: 4096,
        targets: vec![TargetInfo { subject: TARGET, origin: TargetOrigin::Pid(7) }],
        samplers: Vec::new(),
    };
    Record::Header(header.into())
}

fn define(id: u32, sampler: u16, spec: &MetricSpec<'_>) -> Record {
    let MetricSpec { name, unit, kind, subject_kind, help } = spec.clone();
    let metric = Metric {
        id: MetricId(id),
        name: name.into(),
        unit,
        kind,
        subject_kind,
        sampler: SamplerId(sampler),
        help: help.into(),
    };
    Record::Metric(metric.into())
}

fn subject(id: SubjectId, parent: Option<SubjectId>, kind: SubjectKind) -> Record {
    let attributes = Attributes::new().with(attribute::PID, 7);
    Record::Subject(Subject { id, parent, kind, name: "x".into(), attributes }.into())
}

fn sample(t: u64, sampler: u16, points: &[(SubjectId, u32, i64)]) -> Sample {
    let point = |&(subject, metric, value)| Point { subject, metric: MetricId(metric), value };
    let points = points.iter().map(point).collect();
    Sample { t, sampler: SamplerId(sampler), duration: 1, partial: false, points }
}

/// A stream of two samplers that both measure the process's rss, the second also a mapping's.
fn stream() -> CurrentValues {
    let mut values = CurrentValues::default();
    for record in [
        header(),
        subject(TARGET, None, SubjectKind::Process),
        subject(MAPPING, Some(TARGET), SubjectKind::Mapping),
        define(0, 1, &metric::RSS),
        define(1, 1, &metric::RSS.of(SubjectKind::Mapping)),
        define(2, 0, &metric::RSS),
    ] {
        values.apply(&record);
    }
    values
}

fn counted(values: &mut CurrentValues, sample: Sample) -> Vec<i64> {
    values.apply(&Record::Sample(sample.clone()));
    values.points(&sample).map(|point| point.value).collect()
}

#[test]
fn of_two_sources_the_one_that_was_named_first_counts_as_soon_as_it_speaks() {
    let mut values = stream();
    assert_eq!(counted(&mut values, sample(1, 1, &[(TARGET, 0, 10), (MAPPING, 1, 5)])), [10, 5]);
    assert_eq!(counted(&mut values, sample(2, 0, &[(TARGET, 2, 11)])), [11]);
    assert_eq!(counted(&mut values, sample(3, 1, &[(TARGET, 0, 12), (MAPPING, 1, 6)])), [6]);
    assert_eq!(values.value(TARGET, "rss"), Some(11));
    assert_eq!(values.value(MAPPING, "rss"), Some(6));
    assert_eq!(values.value(TARGET, "pss"), None, "what was never observed is not known");
}

#[test]
fn if_a_source_fails_the_next_one_counts() {
    let mut values = stream();
    counted(&mut values, sample(1, 0, &[(TARGET, 2, 11)]));
    counted(&mut values, sample(1, 1, &[(TARGET, 0, 10)]));
    let reason = "gone".into();
    let failed = Event::new(2, EventKind::SamplerFailed { reason }).by(SamplerId(0));
    values.apply(&Record::Event(failed));
    assert_eq!(counted(&mut values, sample(3, 1, &[(TARGET, 0, 12)])), [12]);
    assert_eq!(values.value(TARGET, "rss"), Some(12));
}

#[test]
fn trap_49_a_subject_is_forgotten_after_its_end_with_its_parts() {
    let mut values = stream();
    counted(&mut values, sample(1, 1, &[(TARGET, 0, 10), (MAPPING, 1, 5)]));
    values.apply(&Record::Event(Event::new(2, EventKind::Gone {}).of(TARGET)));
    assert!(values.subject(TARGET).is_some(), "whoever shows the end can still name it");
    values.apply(&Record::Event(Event::new(3, EventKind::Continued {})));
    assert!(values.subject(TARGET).is_none() && values.subject(MAPPING).is_none());
    assert!(values.targets().is_empty());
    assert!(counted(&mut values, sample(4, 1, &[(TARGET, 0, 13)])).is_empty());
}

#[test]
fn a_process_outlives_the_one_that_forked_it() {
    let mut values = stream();
    let child = SubjectId(2);
    values.apply(&subject(child, Some(TARGET), SubjectKind::Process));
    assert_eq!(values.target_of(child), Some(TARGET));
    values.apply(&Record::Event(Event::new(2, EventKind::Exited { status: 0 }).of(TARGET)));
    values.apply(&Record::Event(Event::new(3, EventKind::Continued {})));
    assert!(values.subject(child).is_some());
}

#[test]
fn a_value_is_as_old_as_the_last_sample_that_could_have_changed_it() {
    let mut values = stream();
    counted(&mut values, sample(1, 1, &[(MAPPING, 1, 5)]));
    counted(&mut values, sample(2, 1, &[]));
    assert_eq!(values.observed_at(MAPPING, "rss"), Some(2));
    let partial = Sample { partial: true, ..sample(3, 1, &[(TARGET, 0, 9)]) };
    counted(&mut values, partial);
    assert_eq!(values.observed_at(MAPPING, "rss"), Some(2));
    assert_eq!(values.observed_at(TARGET, "rss"), Some(3));
}
