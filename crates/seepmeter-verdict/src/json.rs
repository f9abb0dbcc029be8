//! A verdict as JSON. Its schema is docs/verdict.schema.json.

use std::fmt;

use serde::Serialize;

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
