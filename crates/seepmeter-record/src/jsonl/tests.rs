use proptest::prelude::*;

use super::*;
use crate::*;

const HEADER: &str = concat!(
    r#"{"header":{"format":1,"seepmeter":"0.1.0","start":"2026-11-23T12:00:00Z","host":"h","#,
    r#""kernel":"6.18","page_size":4096,"targets":[{"subject":9,"command":["perl","-e","1"]}],"samplers":[]}}"#,
    "\n"
);
const METRIC: &str = "{\"metric\":{\"id\":3,\"name\":\"rss\",\"unit\":\"bytes\",\"kind\":\"gauge\",\"subject_kind\":\"process\",\"sampler\":0,\"help\":\"\"}}\n";
const SUBJECT: &str = "{\"subject\":{\"id\":9,\"kind\":\"process\",\"name\":\"perl\"}}\n";
const SAMPLE: &str =
    "{\"sample\":{\"t\":1,\"sampler\":0,\"duration\":2,\"points\":[[9,3,4096]]}}\n";

fn read(text: &str) -> Result<(Vec<Record>, Ending), ReadError> {
    let mut reader = Reader::new(text.as_bytes());
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok((records, reader.ending()))
}

#[test]
fn a_recording_cut_off_in_its_last_line_is_good_up_to_there() {
    let whole = [HEADER, METRIC, SUBJECT, SAMPLE].concat();
    for cut in HEADER.len() + 1..whole.len() {
        let (records, ending) = read(&whole[..cut]).unwrap();
        let lines = whole[..cut].matches('\n').count();
        // A last line that lacks nothing but its newline counts as whole.
        assert!(records.len() == lines || records.len() == lines + 1, "cut at {cut}");
        assert_ne!(ending, Ending::Whole);
    }
}

#[test]
fn a_broken_line_in_the_middle_is_named_by_its_number() {
    let text = [HEADER, METRIC, "{\"sample\":{\"t\":oops\n", SUBJECT].concat();
    let message = read(&text).unwrap_err().to_string();
    assert!(message.starts_with("line 3 is not a record"), "{message}");
    assert!(message.contains("head -n 2"), "{message}");
}

#[test]
fn a_point_of_something_undefined_is_refused() {
    let message = read(&[HEADER, SUBJECT, SAMPLE].concat()).unwrap_err().to_string();
    assert!(message.contains("line 3") && message.contains("metric 3"), "{message}");
}

#[test]
fn a_recording_of_another_format_is_refused_by_its_number() {
    let message = read(&HEADER.replace("\"format\":1", "\"format\":2")).unwrap_err().to_string();
    assert!(message.contains("format 2") && message.contains("reads format 1"), "{message}");
}

#[test]
fn a_recording_from_before_the_first_release_is_refused_in_one_sentence() {
    let old = HEADER
        .replace("\"targets\":[{\"subject\":9,", "\"target\":{")
        .replace("}],\"samp", "},\"samp");
    let message = read(&old).unwrap_err().to_string();
    assert_eq!(
        message,
        "it is of a format from before the first release, which no release reads; record it again"
    );
}

#[test]
fn numbers_of_definitions_increase() {
    let message = read(&[HEADER, SUBJECT, SUBJECT].concat()).unwrap_err().to_string();
    assert!(message.contains("subject 9 is defined behind subject 9"), "{message}");
    let sparse = SUBJECT.replace("\"id\":9", "\"id\":1000");
    let sample = SAMPLE.replace("[9,3", "[500,3");
    let message = read(&[HEADER, METRIC, SUBJECT, &sparse, &sample].concat()).unwrap_err();
    assert!(message.to_string().contains("subject 500"), "{message}");
}

#[test]
fn a_stack_names_frames_that_name_images() {
    let image = "{\"image\":{\"id\":0,\"path\":\"/usr/bin/perl\",\"build_id\":\"c0ffee\"}}\n";
    let frame = concat!(
        r#"{"frame":{"id":0,"image":0,"address":4660,"function":"main","file":"perl.c","line":7,"#,
        r#""inlined":[{"function":"run","file":"run.h","line":9}]}}"#,
        "\n"
    );
    let stack = "{\"stack\":{\"id\":0,\"frames\":[0]}}\n";
    let (records, _) = read(&[HEADER, image, frame, stack].concat()).unwrap();
    let mut written = Vec::new();
    for record in &records[1..] {
        write_record(&mut written, record).unwrap();
    }
    assert_eq!(String::from_utf8(written).unwrap(), [image, frame, stack].concat());
    assert!(read(&[HEADER, frame, stack].concat()).unwrap_err().to_string().contains("image 0"));
    assert!(read(&[HEADER, stack].concat()).unwrap_err().to_string().contains("frame 0"));
}

#[test]
fn an_event_that_lacks_its_field_is_named() {
    let event = "{\"event\":{\"t\":1,\"kind\":\"missed\"}}\n";
    let message = read(&[HEADER, event].concat()).unwrap_err().to_string();
    assert!(message.contains("an event `missed` needs a number `ticks`"), "{message}");
}

#[test]
fn what_is_no_recording_is_refused_as_such() {
    for (text, part) in [
        ("", "empty"),
        ("time,rss\n1,2\n", "not the header"),
        ("{\"sample\":{}}\n", "no `header`"),
        ("{\"header\":{}}\n", "no `format`"),
        ("{}\n", "no `header`"),
    ] {
        let message = read(text).unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn nothing_may_stand_behind_the_footer_and_no_second_header() {
    let footer = concat!(
        r#"{"footer":{"t":9,"ends":[],"samples":1,"late":0,"missed":0,"dropped":[],"#,
        r#""cost":{"cpu":1,"peak_rss":2}}}"#,
        "\n"
    );
    let (records, ending) = read(&[HEADER, footer].concat()).unwrap();
    assert_eq!((records.len(), ending), (2, Ending::Whole));
    assert!(read(&[HEADER, footer, METRIC].concat()).unwrap_err().to_string().contains("footer"));
    assert!(read(&[HEADER, HEADER].concat()).unwrap_err().to_string().contains("second header"));
}

#[test]
fn kinds_and_fields_of_a_later_version_are_passed_over() {
    let later = "{\"weather\":{\"rain\":true}}\n";
    let richer = METRIC.replace("\"id\"", "\"colour\":\"red\",\"id\"");
    let (records, _) = read(&[HEADER, later, &richer].concat()).unwrap();
    assert_eq!(records.len(), 2);
    let event = "{\"event\":{\"t\":1,\"kind\":\"eclipse\",\"number\":3}}\n";
    let (records, _) = read(&[HEADER, event].concat()).unwrap();
    let mut line = Vec::new();
    write_record(&mut line, &records[1]).unwrap();
    assert_eq!(line, event.as_bytes(), "an event of an unknown kind passes unharmed");
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![any::<String>().prop_map(Bytes::from), any::<Vec<u8>>().prop_map(Bytes::from)]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let point = (any::<u32>(), any::<u32>(), any::<i64>()).prop_map(|(subject, metric, value)| {
        Point { subject: SubjectId(subject), metric: MetricId(metric), value }
    });
    let points = prop::collection::vec(point, 0..20);
    (any::<u64>(), any::<u16>(), any::<u64>(), any::<bool>(), points).prop_map(
        |(t, sampler, duration, partial, points)| Sample {
            t,
            sampler: SamplerId(sampler),
            duration,
            partial,
            points: points.into(),
        },
    )
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let value = prop_oneof![
        any::<i64>().prop_map(AttributeValue::Int),
        any_bytes().prop_map(AttributeValue::Text)
    ];
    let attributes = prop::collection::vec((".*", value), 0..4);
    (any::<u32>(), any::<Option<u32>>(), ".*", any_bytes(), attributes).prop_map(
        |(id, parent, kind, name, attributes)| Subject {
            id: SubjectId(id),
            parent: parent.map(SubjectId),
            kind: (&*kind).into(),
            name,
            attributes: attributes.into_iter().collect(),
        },
    )
}

/// Events of every kind there is, and of one that there is not.
fn any_event() -> impl Strategy<Value = Event> {
    let kinds = EventKind::KNOWN.iter().map(|(kind, _)| *kind).chain(["eclipse"]);
    let kind = prop::sample::select(kinds.collect::<Vec<_>>());
    (any::<u64>(), kind, any::<Option<u32>>(), any::<i32>(), any_bytes()).prop_map(
        |(t, kind, subject, number, text)| {
            let field = |_: &str, is_text: bool| {
                Some(match is_text {
                    true => AttributeValue::Text(text.clone()),
                    false => AttributeValue::Int(i64::from(number).abs() / 2),
                })
            };
            let kind = EventKind::from_fields(kind, field).unwrap();
            Event { t, subject: subject.map(SubjectId), sampler: None, kind }
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        any_sample().prop_map(Record::Sample),
        any_subject().prop_map(|subject| Record::Subject(subject.into())),
        any_event().prop_map(Record::Event),
    ]
}

proptest! {
    #[test]
    fn every_record_comes_back_from_its_line_as_it_went(record in any_record()) {
        let mut line = Vec::new();
        write_record(&mut line, &record).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(parse(&line).unwrap(), Some(record));
    }

    #[test]
    fn no_text_whatever_makes_the_reader_panic(text: Vec<u8>, in_recording: bool) {
        let mut input = if in_recording { HEADER.as_bytes().to_vec() } else { Vec::new() };
        input.extend(text);
        let mut reader = Reader::new(&*input);
        while let Ok(Some(_)) = reader.next_record() {}
    }
}

#[test]
fn targets_that_have_ended_leave_room_for_others() {
    let process = |id: usize| {
        let subject =
            format!("{{\"subject\":{{\"id\":{id},\"kind\":\"process\",\"name\":\"cc\"}}}}\n");
        let event =
            |kind| format!("{{\"event\":{{\"t\":{id},\"kind\":\"{kind}\",\"subject\":{id}}}}}\n");
        (subject + &event("attached"), event("gone"))
    };
    let many = 10..2 * MOST_TARGETS + 10;
    let one_by_one: String = many.clone().map(process).map(|(begin, end)| begin + &end).collect();
    assert!(read(&[HEADER, SUBJECT, &one_by_one].concat()).is_ok());
    let at_once: String = many.map(process).map(|(begin, _)| begin).collect();
    let message = read(&[HEADER, SUBJECT, &at_once].concat()).unwrap_err().to_string();
    assert!(message.contains("more than 4096 targets"), "{message}");
}
