use proptest::prelude::*;

use super::*;

fn any_bytes() -> impl Strategy<Value = Bytes> {
    any::<Vec<u8>>().prop_map(Bytes::from)
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(End::Exited),
        any::<i32>().prop_map(End::Killed),
        any::<i32>().prop_map(End::NotStarted),
        Just(End::Gone),
        Just(End::Left),
    ]
}

fn any_header() -> impl Strategy<Value = Record> {
    let target = prop_oneof![
        (1..i32::MAX).prop_map(TargetInfo::Pid),
        prop::collection::vec(any_bytes(), 0..4).prop_map(TargetInfo::Command),
    ];
    let sampler = (".*", any::<u64>(), prop::collection::vec((".*", ".*"), 0..3))
        .prop_map(|(name, interval, options)| SamplerInfo { name, interval, options });
    (".*", any_bytes(), any::<u64>(), target, prop::collection::vec(sampler, 0..3)).prop_map(
        |(start, host, page_size, target, samplers)| {
            Record::Header(Header {
                format: 1,
                seepmeter: "9.9.9".into(),
                start,
                kernel: host.clone(),
                host,
                page_size,
                target,
                samplers,
            })
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    let unit = prop_oneof![Just(Unit::Bytes), Just(Unit::Count), Just(Unit::Nanoseconds)];
    let metric = (any::<u32>(), ".*", unit, ".*").prop_map(|(id, name, unit, help)| {
        Record::Metric(Metric { id: MetricId(id), name: name.into(), unit, help: help.into() })
    });
    let attr = prop_oneof![any::<i64>().prop_map(Attr::Int), any_bytes().prop_map(Attr::Text)];
    let parent = prop::option::of((0..u32::MAX).prop_map(SubjectId));
    let subject = (
        any::<u32>(),
        parent.clone(),
        ".*",
        any_bytes(),
        prop::collection::vec((".*", attr), 0..4),
    )
        .prop_map(|(id, parent, kind, name, attrs)| {
            let (id, kind) = (SubjectId(id), kind.into());
            Record::Subject(Subject { id, parent, kind, name, attrs })
        });
    let point = (any::<u32>(), any::<u32>(), any::<i64>()).prop_map(|(subject, metric, value)| {
        Point { subject: SubjectId(subject), metric: MetricId(metric), value }
    });
    let sample = (any::<u64>(), any::<u16>(), any::<u64>(), prop::collection::vec(point, 0..20))
        .prop_map(|(t, sampler, took, points)| {
            let (sampler, points) = (SamplerId(sampler), points.into());
            Record::Sample(Sample { t, sampler, took, points })
        });
    let sampler = prop::option::of(any::<u16>().prop_map(SamplerId));
    let event = (any::<u64>(), ".*", parent, sampler, any::<Option<i64>>(), any_bytes()).prop_map(
        |(t, kind, subject, sampler, value, text)| {
            let kind = EventKind::from(&*kind);
            Record::Event(Event { t, kind, subject, sampler, value, text })
        },
    );
    let lost = (".*", any::<u64>()).prop_map(|(sink, samples)| Lost { sink, samples });
    let footer = (any::<[u64; 6]>(), any_end(), prop::collection::vec(lost, 0..3)).prop_map(
        |([t, samples, late, missed, cpu, peak_rss], end, lost)| {
            let cost = Cost { cpu, peak_rss };
            Record::Footer(Footer { t, end, samples, late, missed, lost, cost })
        },
    );
    prop_oneof![any_header(), metric, subject, sample, event, footer]
}

proptest! {
    #[test]
    fn every_record_crosses_the_line_and_comes_back_as_it_went(record in any_record()) {
        // SAFETY: what `with_record` hands over is good for the time of the call.
        let back = with_record(&record, |c| unsafe { read_record(c) });
        prop_assert_eq!(back, Ok(Some(record)));
    }
}

#[test]
fn a_record_of_a_later_kind_is_passed_over() {
    let later = abi::Record { size: 8, kind: 77 };
    // SAFETY: it is as large as it says.
    assert_eq!(unsafe { read_record(&raw const later) }, Ok(None));
}

#[test]
fn a_record_that_is_smaller_than_it_has_ever_been_is_refused() {
    let metric = Metric { id: MetricId(7), name: "n".into(), unit: Unit::Count, help: "h".into() };
    let mut c = metric_to_c(&metric);
    c.size -= 1;
    // SAFETY: it is larger than it says.
    let read = unsafe { read_record((&raw const c).cast()) };
    assert_eq!(read.unwrap_err().to_string(), "a metric of 47 bytes, where one has at least 48");
}

#[test]
fn a_record_of_a_later_and_larger_version_is_read_as_far_as_it_is_known() {
    #[repr(C)]
    struct Later {
        metric: abi::Metric,
        more: u64,
    }
    let metric = Metric { id: MetricId(7), name: "n".into(), unit: Unit::Count, help: "h".into() };
    let mut later = Later { metric: metric_to_c(&metric), more: u64::MAX };
    later.metric.size = u32::try_from(size_of::<Later>()).unwrap();
    // SAFETY: it is as large as it says.
    let read = unsafe { read_record((&raw const later).cast()) };
    assert_eq!(read, Ok(Some(Record::Metric(metric))));
    assert_eq!(later.more, u64::MAX);
}

#[test]
fn text_that_is_not_utf8_and_arrays_at_null_are_refused_by_name() {
    let event = event_to_c(&Event::new(0, EventKind::Marker));
    let bad = abi::Event { what: to_c(b"caf\xe9"), ..event };
    // SAFETY: what it points to can be read.
    let error = unsafe { event_from_c(&bad) }.unwrap_err();
    assert_eq!(error.to_string(), "text that is not UTF-8: \"caf\\xe9\"");
    let event = event_to_c(&Event::new(0, EventKind::Marker));
    let bad = abi::Event { text: abi::Bytes { data: std::ptr::null(), length: 9 }, ..event };
    // SAFETY: null is told apart.
    assert!(unsafe { event_from_c(&bad) }.is_err());
}
