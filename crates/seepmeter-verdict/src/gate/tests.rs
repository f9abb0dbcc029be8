use proptest::prelude::*;
use seepmeter_analysis::{Interval, Reason, Series};
use seepmeter_record::SubjectKind;

use super::*;
use crate::{Part, PartSeries};

/// What is judged so at these ends of the rate, and a heap that leaks.
fn verdict(classification: Classification, low: f64, high: f64) -> (Verdict, RunSeries) {
    let name = "[heap]".to_owned();
    let heap = Part { family: name.clone(), name, kind: SubjectKind::Mapping, class: None };
    let leak =
        Series::from_pairs((0..600).map(|i| (i * 1_000_000_000, 5_000_000 + 9_000 * i as i64)));
    let mut run = RunSeries::of_resident("t", leak.clone());
    let last_observed = run.end;
    run.parts = vec![PartSeries { part: heap, series: leak, causes: Vec::new(), last_observed }];
    let verdict = run.judge();
    let inconclusive = classification == Classification::Inconclusive;
    let judgement = Judgement {
        classification,
        reason: inconclusive.then_some(Reason::TooShort),
        rate: Some(Interval { estimate: f64::midpoint(low, high), low, high }),
        level: Some(100.0 * 1024.0 * 1024.0),
        peak: Some(600 << 20),
        ..verdict.judgement
    };
    (Verdict { judgement, shares: None, limit: None, ..verdict }, run)
}

fn fires(gate: &str, (verdict, run): &(Verdict, RunSeries)) -> bool {
    let gate = gate.parse::<Gate>().unwrap_or_else(|error| panic!("{error}"));
    gate.evaluate(verdict, run).fired
}

#[test]
fn a_classification_fires_on_that_verdict_alone() {
    let growing = verdict(Classification::Growing, 10.0, 20.0);
    assert!(fires("growing", &growing) && !fires("steady", &growing));
    assert!(fires(" inconclusive ", &verdict(Classification::Inconclusive, 0.0, 0.0)));
}

#[test]
fn a_rate_must_be_over_the_value_with_its_whole_interval() {
    let growing = verdict(Classification::Growing, 20_000.0, 30_000.0);
    assert!(fires("rate>1MiB/min", &growing), "20000 bytes a second are 1.14 MiB a minute");
    assert!(!fires("rate>1.5MiB/min", &growing), "the lower end is not over it");
    assert!(fires("rate > 0", &growing) && !fires("rate < 1KiB/s", &growing));
    assert!(!fires("rate>0", &verdict(Classification::Inconclusive, 20_000.0, 30_000.0)));
}

#[test]
fn a_peak_is_known_whatever_the_verdict() {
    assert!(fires("peak>512MiB", &verdict(Classification::Inconclusive, 0.0, 0.0)));
    assert!(!fires("peak>1GiB", &verdict(Classification::Growing, 1.0, 2.0)));
    assert!(fires("peak>=600MiB", &verdict(Classification::Steady, 0.0, 0.0)));
}

#[test]
fn a_subject_is_judged_by_itself() {
    let steady = verdict(Classification::Steady, -1.0, 1.0);
    assert!(fires("subject([heap]).rate>0", &steady));
    let gate: Gate = "subject(gone).rate>0".parse().unwrap();
    let (verdict, run) = &steady;
    let outcome = gate.evaluate(verdict, run);
    assert!(!outcome.checked && outcome.why.contains("no subject `gone`"), "{}", outcome.why);
}

#[test]
fn a_bad_gate_is_pointed_at() {
    for (text, at) in [
        ("growin", "^"),
        ("rate>1MiB", "     ^"),
        ("rate~1", "    ^"),
        ("rate>1MiB/fortnight", "     ^"),
        ("growing now", "        ^"),
        ("subject([heap]", "       ^"),
        ("subject([heap])rate>0", "               ^"),
        ("share>5%", "^"),
        ("subject().rate>0", "        ^"),
        ("subject( ).rate>0", "        ^"),
        ("subject(heap).share>nan%", "                    ^"),
        ("subject(heap).share>inf%", "                    ^"),
        ("level>nanMiB", "      ^"),
        ("", "^"),
    ] {
        let message = text.parse::<Gate>().unwrap_err().to_string();
        let pointer = message.lines().last().unwrap();
        assert_eq!(pointer, format!("  {at}"), "{message}");
    }
}

proptest! {
    #[test]
    fn no_text_whatever_makes_the_reader_panic(text in ".*") {
        let _ = text.parse::<Gate>().map_err(|error| error.to_string());
    }

    #[test]
    fn nearly_gates_do_not_make_it_panic_either(
        text in "(subject)?\\(?[a-z\\[\\]é]{0,5}\\)?\\.?(rate|peak|share)?[<>]?=?[0-9]{0,3}(%|MiB|/|s)?"
    ) {
        let _ = text.parse::<Gate>().map_err(|error| error.to_string());
    }
}
