//! The JSON forms of what the analysis answers, and of a whole verdict. The schema of that is
//! docs/verdict.schema.json.

use std::fmt;

use seepmeter_analysis::{Interval, Judgement, Reason, TimeToLimit, Word};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gate::GateOutcome;
use crate::verdict::Verdict;

/// What `schema` says. Fields may be added under one version.
const SCHEMA: &str = "seepmeter.verdict/1";

/// A verdict as the one JSON object that is written for machines. It displays as JSON.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct VerdictDocument<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(flatten)]
    verdict: &'a Verdict,
    gates: &'a [GateOutcome],
}

impl Verdict {
    /// The verdict as a JSON object, with what the gates found and the file that was judged, if it was one.
    #[must_use]
    pub fn document<'a>(
        &'a self,
        gates: &'a [GateOutcome],
        file: Option<&'a str>,
    ) -> VerdictDocument<'a> {
        VerdictDocument { schema: SCHEMA, file, verdict: self, gates }
    }
}

impl fmt::Display for VerdictDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// How a [`Judgement`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Judgement")]
pub(crate) struct JudgementJson {
    #[serde(rename = "verdict", with = "WordJson")]
    word: Word,
    #[serde(with = "optional_reason")]
    reason: Option<Reason>,
    #[serde(with = "optional_seconds")]
    watch_longer: Option<u64>,
    #[serde(with = "optional_interval")]
    rate: Option<Interval>,
    #[serde(with = "optional_span")]
    span: Option<(u64, u64)>,
    #[serde(with = "optional_seconds")]
    warm_up_end: Option<u64>,
    #[serde(rename = "floors")]
    floors_used: usize,
    #[serde(with = "optional_seconds")]
    cycle: Option<u64>,
    p_value: Option<f64>,
    level: Option<f64>,
    peak: Option<i64>,
    explanation: Vec<String>,
}

/// How a [`Word`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Word", rename_all = "kebab-case")]
pub(crate) enum WordJson {
    Growing,
    Steady,
    Inconclusive,
}

/// How a [`Reason`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Reason", rename_all = "kebab-case")]
enum ReasonJson {
    TooShort,
    FewCycles,
    StillWarmingUp,
    Slowing,
    MayBeSlowing,
    Steps,
    Noise,
}

/// How an [`Interval`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Interval")]
pub(crate) struct IntervalJson {
    estimate: f64,
    low: f64,
    high: f64,
}

/// How a [`TimeToLimit`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "TimeToLimit")]
pub(crate) struct TimeToLimitJson {
    #[serde(with = "seconds")]
    soonest: u64,
    #[serde(with = "seconds")]
    likely: u64,
    #[serde(with = "optional_seconds")]
    latest: Option<u64>,
}

/// A time in ns, written in seconds.
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        (*nanos as f64 / 1e9).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        Ok((f64::deserialize(from)? * 1e9).round() as u64)
    }
}

/// A value that may be missing, for a type that is written `with` another.
macro_rules! optional {
    ($name:ident, $type:ty, $with:literal) => {
        pub(crate) mod $name {
            use super::*;

            #[derive(Serialize, Deserialize)]
            struct Present(#[serde(with = $with)] $type);

            pub(crate) fn serialize<S: Serializer>(
                value: &Option<$type>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                value.map(Present).serialize(serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$type>, D::Error> {
                Ok(Option::<Present>::deserialize(from)?.map(|present| present.0))
            }
        }
    };
}

optional!(optional_seconds, u64, "super::seconds");
optional!(optional_reason, Reason, "ReasonJson");
optional!(optional_interval, Interval, "IntervalJson");
optional!(optional_span, (u64, u64), "super::span");

/// The begin and the end of a span in ns, written in seconds.
mod span {
    use super::{Deserialize, Deserializer, Serialize, Serializer, seconds};

    #[derive(Serialize, Deserialize)]
    struct Span {
        #[serde(with = "seconds")]
        from: u64,
        #[serde(with = "seconds")]
        to: u64,
    }

    pub(super) fn serialize<S: Serializer>(
        &(from, to): &(u64, u64),
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Span { from, to }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(u64, u64), D::Error> {
        let Span { from, to } = Span::deserialize(from)?;
        Ok((from, to))
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;

    use crate::{GateOutcome, Part, PartClass, PartSeries, RunSeries, Verdict};

    const SECOND: u64 = 1_000_000_000;

    /// A heap that leaks, and a file that loses nothing or as much.
    fn run(of_file: impl Fn(i64) -> i64) -> RunSeries {
        let series = |value: &dyn Fn(i64) -> i64| {
            Series::from_pairs((0..800).map(|i| (i * SECOND, value(i as i64))))
        };
        let part = |name: &str, class: PartClass, series: &Series| {
            let (name, kind) = (name.to_owned(), "mapping".to_owned());
            let part = Part { family: name.clone(), name, kind, class: Some(class) };
            PartSeries { part, series: series.clone(), causes: Vec::new() }
        };
        let heap = series(&|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let file = series(&|i| of_file(i) + i % 5 * 900);
        let mut run = RunSeries::of_resident("a", Series::sum(&[&heap, &file]));
        run.parts = vec![
            part("[heap]", PartClass::Other("[heap]".to_owned()), &heap),
            part("/data r--s", PartClass::File, &file),
        ];
        run.bounds.cgroup = Some(1 << 30);
        run
    }

    #[test]
    fn a_verdict_comes_back_from_json_as_it_went() {
        let masked = run(|i| 90_000_000 - 20_000 * i).judge();
        assert!(masked.masked.is_some() && masked.limit.is_none());
        let growing = run(|_| 90_000_000).judge();
        assert!(growing.limit.is_some() && growing.shares.is_some());
        let short = RunSeries::of_resident("b", Series::from_pairs([(0, 1)])).judge();
        for verdict in [masked, growing, short] {
            let json = serde_json::to_string(&verdict).unwrap();
            assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict, "{json}");
        }
    }

    #[test]
    fn a_document_names_its_schema_and_its_file() {
        let verdict = run(|_| 90_000_000).judge();
        let gates: [GateOutcome; 0] = [];
        let json = verdict.document(&gates, Some("a.jsonl")).to_string();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["schema"], "seepmeter.verdict/1");
        assert_eq!((&value["file"], &value["verdict"]), (&"a.jsonl".into(), &"growing".into()));
    }
}
