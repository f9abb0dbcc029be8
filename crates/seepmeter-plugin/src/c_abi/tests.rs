use std::sync::Arc;

use proptest::prelude::*;
use seepmeter_record::{
    AttributeValue, Bytes, Cost, Dropped, End, Event, EventKind, Footer, Frame, FrameId, Header,
    Image, ImageId, InlinedCall, Metric, MetricId, MetricKind, MetricSpec, Point, Record, Sample,
    SamplerId, SamplerInfo, Stack, StackId, Subject, SubjectId, SubjectKind, TargetEnd, TargetInfo,
    TargetOrigin, Unit,
};

use super::*;
use crate::NewSubject;

fn any_bytes() -> impl Strategy<Value = Bytes> {
    any::<Vec<u8>>().prop_map(Bytes::from)
}

fn some_bytes() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(any_bytes())
}

/// A number that is no [`abi::NONE`].
fn id() -> impl Strategy<Value = u32> {
    0..u32::MAX
}

fn any_header() -> impl Strategy<Value = Record> {
    let origin = prop_oneof![
        any::<i32>().prop_map(TargetOrigin::Pid),
        any_bytes().prop_map(TargetOrigin::Cgroup),
        prop::collection::vec(any_bytes(), 0..4).prop_map(TargetOrigin::Command),
    ];
    let target = (id(), origin)
        .prop_map(|(subject, origin)| TargetInfo { subject: SubjectId(subject), origin });
    let sampler = (".*", any::<u64>(), prop::collection::vec((".*", ".*"), 0..3)).prop_map(
        |(name, interval, options)| SamplerInfo { name, interval, first_interval: None, options },
    );
    let targets = prop::collection::vec(target, 0..3);
    let samplers = prop::collection::vec(sampler, 0..3);
    (".*", any_bytes(), prop::option::of(".*"), any::<u64>(), targets, samplers).prop_map(
        |(start, host, boot_id, page_size, targets, samplers)| {
            let (kernel, seepmeter) = (host.clone(), "9.9.9".to_owned());
            Record::Header(Arc::new(Header {
                format: 1,
                seepmeter,
                start,
                host,
                kernel,
                boot_id,
                page_size,
                targets,
                samplers,
            }))
        },
    )
}

fn any_metric() -> impl Strategy<Value = Record> {
    let unit = prop::sample::select(vec![Unit::Bytes, Unit::Count, Unit::Nanoseconds, Unit::Stack]);
    let kind =
        prop::sample::select(vec![MetricKind::Gauge, MetricKind::Counter, MetricKind::HighWater]);
    (id(), ".*", unit, kind, ".*", any::<u16>(), ".*").prop_map(
        |(id, name, unit, kind, subject_kind, sampler, help)| {
            Record::Metric(Arc::new(Metric {
                id: MetricId(id),
                name: name.into(),
                unit,
                kind,
                subject_kind: SubjectKind::from(&*subject_kind),
                sampler: SamplerId(sampler),
                help: help.into(),
            }))
        },
    )
}

fn any_subject() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        any::<i64>().prop_map(AttributeValue::Int),
        any_bytes().prop_map(AttributeValue::Text)
    ];
    let parent = prop::option::of(id().prop_map(SubjectId));
    let attributes = prop::collection::vec((".*", value), 0..4);
    (id(), parent, ".*", any_bytes(), attributes).prop_map(
        |(id, parent, kind, name, attributes)| {
            let (id, kind) = (SubjectId(id), SubjectKind::from(&*kind));
            let attributes = attributes.into_iter().collect();
            Record::Subject(Arc::new(Subject { id, parent, kind, name, attributes }))
        },
    )
}

fn any_code() -> impl Strategy<Value = Record> {
    let image = (id(), any_bytes(), prop::option::of(".*")).prop_map(|(id, path, build_id)| {
        let build_id = build_id.map(String::into_boxed_str);
        Record::Image(Arc::new(Image { id: ImageId(id), path, build_id }))
    });
    let line = || prop::option::of(1..u32::MAX);
    let call = (any_bytes(), some_bytes(), line()).prop_map(|(function, file, line)| InlinedCall {
        function,
        file,
        line,
    });
    let calls = prop::collection::vec(call, 0..3);
    let place = (prop::option::of(id()), any::<u64>());
    let frame = (id(), place, some_bytes(), some_bytes(), line(), calls).prop_map(
        |(id, (image, address), function, file, line, inlined)| {
            let (id, image) = (FrameId(id), image.map(ImageId));
            Record::Frame(Arc::new(Frame { id, image, address, function, file, line, inlined }))
        },
    );
    let frames = prop::collection::vec(any::<u32>().prop_map(FrameId), 0..9);
    let stack = (id(), frames, some_bytes()).prop_map(|(id, frames, truncated)| {
        Record::Stack(Arc::new(Stack { id: StackId(id), frames, truncated }))
    });
    prop_oneof![image, frame, stack]
}

fn any_event() -> impl Strategy<Value = Record> {
    let count = || 0..=i64::MAX.unsigned_abs();
    let kind = prop_oneof![
        Just(EventKind::Exec {}),
        any::<i32>().prop_map(|status| EventKind::Exited { status }),
        (count(), any_bytes()).prop_map(|(samples, sink)| EventKind::Dropped { samples, sink }),
        (any::<Option<i64>>(), any_bytes())
            .prop_map(|(number, text)| EventKind::Marker { number, text }),
        (count(), any_bytes())
            .prop_map(|(marks, reason)| EventKind::MarksDropped { marks, reason }),
        any_bytes().prop_map(|reason| EventKind::KeepAlive { reason }),
        ("[A-Z].*", any::<Option<i64>>(), any_bytes())
            .prop_map(|(kind, number, text)| EventKind::Other { kind: kind.into(), number, text }),
    ];
    let subject = prop::option::of(id().prop_map(SubjectId));
    let sampler = prop::option::of(any::<u16>().prop_map(SamplerId));
    (any::<u64>(), subject, sampler, kind)
        .prop_map(|(t, subject, sampler, kind)| Record::Event(Event { t, subject, sampler, kind }))
}

fn any_sample() -> impl Strategy<Value = Record> {
    let point = (any::<u32>(), any::<u32>(), any::<i64>()).prop_map(|(subject, metric, value)| {
        Point { subject: SubjectId(subject), metric: MetricId(metric), value }
    });
    let points = prop::collection::vec(point, 0..20);
    (any::<[u64; 2]>(), any::<u16>(), any::<bool>(), points).prop_map(
        |([t, duration], sampler, partial, points)| {
            let (sampler, points) = (SamplerId(sampler), points.into());
            Record::Sample(Sample { t, sampler, duration, partial, points })
        },
    )
}

fn any_footer() -> impl Strategy<Value = Record> {
    let end = prop_oneof![
        any::<i32>().prop_map(End::Exited),
        any::<i32>().prop_map(End::Killed),
        any::<i32>().prop_map(End::NotStarted),
        Just(End::Gone),
        Just(End::Left),
    ];
    let end = (id(), end).prop_map(|(id, end)| TargetEnd { subject: SubjectId(id), end });
    let dropped = (".*", any::<u64>()).prop_map(|(sink, samples)| Dropped { sink, samples });
    let (ends, dropped) = (prop::collection::vec(end, 0..3), prop::collection::vec(dropped, 0..3));
    let cost = any::<[Option<u64>; 2]>().prop_map(|[cpu, peak_rss]| Cost { cpu, peak_rss });
    (any::<[u64; 4]>(), ends, dropped, cost).prop_map(
        |([t, samples, late, missed], ends, dropped, cost)| {
            Record::Footer(Footer { t, ends, samples, late, missed, dropped, cost })
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        any_header(),
        any_metric(),
        any_subject(),
        any_code(),
        any_sample(),
        any_event(),
        any_footer()
    ]
}

proptest! {
    #[test]
    fn every_record_goes_to_c_and_comes_back_as_it_went(record in any_record()) {
        // SAFETY: what `with_record` hands over is good for the time of the call.
        let back = with_record(&record, |c| unsafe { read_record(c) });
        prop_assert_eq!(back, Ok(HostRecord::Known(record)));
    }
}

#[test]
fn a_figure_that_is_not_known_is_not_taken_for_0() {
    let cost = Cost { cpu: None, peak_rss: Some(0) };
    let (ends, dropped) = (Vec::new(), Vec::new());
    let footer =
        Record::Footer(Footer { t: 0, ends, samples: 0, late: 0, missed: 0, dropped, cost });
    // SAFETY: it is a footer, and good for the time of the call.
    let flags = with_record(&footer, |c| unsafe { (*c.cast::<abi::Footer>()).has_cpu });
    assert_eq!(flags, 0);
    // SAFETY: what `with_record` hands over is good for the time of the call.
    assert_eq!(with_record(&footer, |c| unsafe { read_record(c) }), Ok(HostRecord::Known(footer)));
}

#[test]
fn a_record_of_a_later_kind_is_passed_over_and_a_metric_of_a_later_unit_is_named() {
    let later = abi::Record { struct_size: 8, record_kind: 77 };
    // SAFETY: it is as large as it says.
    assert_eq!(unsafe { read_record(&raw const later) }, Ok(HostRecord::UnknownKind));
    let of_later_unit = with_metric(&metric(), |c| {
        let c = abi::Metric { unit: 77, ..*c };
        // SAFETY: it is good for the time of the call.
        unsafe { (read_record((&raw const c).cast()), metric_from_c(&c).unwrap_err()) }
    });
    let named = HostRecord::UnknownMetric("`n` has the unknown unit 77".to_owned());
    let why = "the unknown unit 77, which version 1.0 of the plugin ABI does not have";
    assert_eq!(of_later_unit, (Ok(named), InvalidData(why.to_owned())));
}

fn metric() -> MetricSpec<'static> {
    MetricSpec::new("n", Unit::Count, MetricKind::Gauge, "h")
}

#[test]
fn a_record_that_is_smaller_than_it_has_ever_been_is_refused() {
    let read = with_metric(&metric(), |c| {
        let c = abi::Metric { struct_size: c.struct_size - 1, ..*c };
        // SAFETY: it is larger than it says.
        unsafe { read_record((&raw const c).cast()) }
    });
    assert_eq!(read.unwrap_err().to_string(), "a metric of 71 bytes, and one has at least 72");
}

#[test]
fn a_record_of_a_later_and_larger_version_is_read_as_far_as_it_is_known() {
    #[repr(C)]
    struct Later {
        metric: abi::Metric,
        more: u64,
    }
    let read = with_metric(&metric(), |c| {
        let struct_size = struct_size::<Later>();
        let later = Later { metric: abi::Metric { struct_size, sampler: 5, ..*c }, more: u64::MAX };
        assert_eq!(later.more, u64::MAX);
        // SAFETY: it is as large as it says.
        unsafe { read_record((&raw const later).cast()) }
    });
    let Ok(HostRecord::Known(Record::Metric(read))) = read else { panic!("{read:?}") };
    assert_eq!((&*read.name, read.sampler), ("n", SamplerId(5)));
}

#[test]
fn an_array_of_later_and_larger_items_is_read_item_by_item() {
    #[repr(C)]
    struct Later(abi::SamplerInfo, u64);
    let later = [7, 8].map(|interval| {
        let options = std::ptr::null();
        Later(abi::SamplerInfo { name: no_bytes(), interval, options, option_count: 0 }, u64::MAX)
    });
    let at = later.as_ptr().cast::<abi::SamplerInfo>();
    // SAFETY: there are so many items, so far apart.
    let read = unsafe { read_array(at, 2, size_of::<Later>() as u64) }.unwrap();
    assert_eq!(read.iter().map(|item| item.interval).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(later[1].1, u64::MAX);
    for (count, distance) in [(2, 39), (u64::MAX, 40), (1 << 40, 40)] {
        // SAFETY: arrays that can't be are refused before they are read.
        assert!(unsafe { read_array(at, count, distance) }.is_err(), "{count} of {distance}");
    }
}

#[test]
fn text_that_is_not_utf8_and_arrays_at_null_are_refused_by_name() {
    let event = Event::new(0, EventKind::Continued {});
    let refused = |change: fn(&mut abi::Event)| {
        with_event(&event, |c| {
            let mut bad = abi::Event { ..*c };
            change(&mut bad);
            // SAFETY: what it points to can be read, and null is refused.
            unsafe { event_from_c(&bad) }.unwrap_err().to_string()
        })
    };
    let kind = refused(|event| event.kind = bytes_to_c(b"caf\xe9"));
    assert_eq!(kind, "text that is not UTF-8: \"caf\\xe9\"");
    let text = refused(|event| event.text = abi::Bytes { data: std::ptr::null(), length: 9 });
    assert_eq!(text, "bytes at an invalid address");
}

#[test]
fn an_event_that_lacks_its_field_is_refused_by_name() {
    for (kind, needs) in [("exited", "a number `status`"), ("marker", "a text `text`")] {
        let event = with_event(&Event::new(0, EventKind::Gone {}), |c| {
            let bad = abi::Event { kind: bytes_to_c(kind.as_bytes()), ..*c };
            // SAFETY: what it points to can be read.
            unsafe { event_from_c(&bad) }
        });
        assert_eq!(event.unwrap_err().to_string(), format!("an event `{kind}` needs {needs}"));
    }
}

#[test]
fn a_subject_that_is_part_of_none_has_no_parent() {
    let name = Bytes::from("p");
    let subject = NewSubject {
        parent: None,
        kind: SubjectKind::Process,
        name,
        attributes: Default::default(),
    };
    // SAFETY: what it points to is good for the time of the call.
    let back = with_new_subject(&subject, |c| unsafe { subject_from_c(c) }).unwrap();
    assert_eq!(back.parent, None);
}
