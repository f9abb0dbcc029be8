use proptest::prelude::*;

use super::*;
use crate::*;

const HEADER: &str = concat!(
    r#"{"header":{"format":1,"seepmeter":"0.1.0","start":"2026-11-23T12:00:00Z","host":"h","#,
    r#""kernel":"6.18","page_size":4096,"target":{"command":["perl","-e","1"]},"samplers":[]}}"#,
    "\n"
);
const METRIC: &str = "{\"metric\":{\"id\":3,\"name\":\"rss\",\"unit\":\"bytes\",\"help\":\"\"}}\n";
const SUBJECT: &str = "{\"subject\":{\"id\":9,\"kind\":\"process\",\"name\":\"perl\"}}\n";
const SAMPLE: &str = "{\"sample\":{\"t\":1,\"sampler\":0,\"took\":2,\"points\":[[9,3,4096]]}}\n";

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
fn what_is_no_recording_is_told_as_such() {
    for (text, part) in [
        ("", "empty"),
        ("time,rss\n1,2\n", "no header"),
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
        r#"{"footer":{"t":9,"end":{"exited":0},"samples":1,"late":0,"missed":0,"lost":[],"#,
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
    let event = "{\"event\":{\"t\":1,\"kind\":\"eclipse\",\"value\":3}}\n";
    let (records, _) = read(&[HEADER, event].concat()).unwrap();
    let mut line = Vec::new();
    write_record(&mut line, &records[1]).unwrap();
    assert_eq!(line, event.as_bytes(), "an event of an unknown kind passes unharmed");
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![any::<String>().prop_map(Bytes::from), any::<Vec<u8>>().prop_map(Bytes::from)]
}

fn any_record() -> impl Strategy<Value = Record> {
    let point = (any::<u32>(), any::<u32>(), any::<i64>()).prop_map(|(subject, metric, value)| {
        Point { subject: SubjectId(subject), metric: MetricId(metric), value }
    });
    let sample = (any::<u64>(), any::<u16>(), any::<u64>(), prop::collection::vec(point, 0..20))
        .prop_map(|(t, sampler, took, points)| Sample {
            t,
            sampler: SamplerId(sampler),
            took,
            points: points.into(),
        });
    let attr = prop_oneof![any::<i64>().prop_map(Attr::Int), any_bytes().prop_map(Attr::Text)];
    let subject = (
        any::<u32>(),
        any::<Option<u32>>(),
        ".*",
        any_bytes(),
        prop::collection::vec((".*", attr), 0..4),
    )
        .prop_map(|(id, parent, kind, name, attrs)| Subject {
            id: SubjectId(id),
            parent: parent.map(SubjectId),
            kind: kind.into(),
            name,
            attrs,
        });
    let event = (any::<u64>(), "[a-z-]+", any::<Option<u32>>(), any::<Option<i64>>(), any_bytes())
        .prop_map(|(t, kind, subject, value, text)| Event {
            t,
            kind: (&*kind).into(),
            subject: subject.map(SubjectId),
            sampler: None,
            value,
            text,
        });
    prop_oneof![
        sample.prop_map(Record::Sample),
        subject.prop_map(Record::Subject),
        event.prop_map(Record::Event),
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
