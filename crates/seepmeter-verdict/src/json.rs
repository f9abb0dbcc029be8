//! A verdict as JSON. Its schema is docs/verdict.schema.json.

use std::fmt;

use serde::Serialize;

use crate::gate::GateOutcome;
use crate::verdict::Verdict;

/// What `schema` says. Fields may be added under one version.
const SCHEMA: &str = "seepmeter.verdict/1";

/// A verdict as the one JSON object that is written for machines. It displays as JSON.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct VerdictDocument<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(flatten)]
    verdict: &'a Verdict,
    gates: &'a [GateOutcome],
}

impl Verdict {
    /// The verdict as a JSON object, with what the gates found and the file that was judged, if it was one.
    pub(crate) fn document<'a>(
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
    use proptest::prelude::*;
    use seepmeter_analysis::{Override, Series};

    use crate::made_up::{part, run_of, series};
    use crate::{Conclusion, GateOutcome, JudgeOptions, RunSeries, Verdict};

    fn back(verdict: &Verdict) -> Verdict {
        serde_json::from_str(&serde_json::to_string(verdict).unwrap()).unwrap()
    }

    /// A heap that leaks, and a file that loses nothing or as much.
    fn leak_beside(file: impl Fn(i64) -> i64) -> RunSeries {
        let heap = part("[heap]", series(800, |i| 50_000_000 + 20_000 * i + i % 7 * 900));
        let file = part("/data r--s", series(800, |i| file(i) + i % 5 * 900));
        let mut run = run_of(vec![heap, file]);
        run.bounds.cgroup = Some(1 << 30);
        run
    }

    #[test]
    fn a_verdict_comes_back_from_json_as_it_went() {
        let masked = leak_beside(|i| 90_000_000 - 20_000 * i).judge();
        assert!(masked.masked.is_some() && masked.limit.is_none());
        let growing = leak_beside(|_| 90_000_000).judge();
        assert!(growing.limit.is_some() && growing.shares.is_some());
        let step = |at| series(800, move |i| 10_000_000 + if i > at { 4_000_000 } else { 0 });
        let steps = [200, 350, 500, 650].map(|at| part(&format!("file {at}"), step(at)));
        let mut stepped = run_of(steps.into());
        stepped.whole = series(800, |i| 90_000_000 + 20_000 * i + i % 7 * 900);
        let stepped = stepped.judge();
        assert!(matches!(
            stepped.judgement.overruled.as_deref(),
            Some(Override::SteppedParts { .. })
        ));
        let mut stale = leak_beside(|_| 90_000_000);
        stale.parts[1].last_observed /= 2;
        let stale = stale.judge();
        assert_eq!(stale.stale.len(), 1);
        let short = RunSeries::of_resident("b", Series::from_pairs([(0, 1)])).judge();
        let saw = RunSeries::of_resident("c", series(800, |i| i % 40 * 1_000_000)).judge();
        for verdict in [masked, growing, stepped, stale, short, saw] {
            assert_eq!(back(&verdict), verdict);
        }
    }

    #[test]
    fn a_conclusion_comes_back_from_json_as_it_went() {
        let metrics = ["rss", "pss", "nope"].map(str::to_owned).to_vec();
        let gates = vec!["growing".parse().unwrap(), "subject(gone).rate>0".parse().unwrap()];
        let conclusion =
            Conclusion::of(&JudgeOptions { metrics, gates, strict: true }, |metric| match metric {
                "rss" => Ok(vec![leak_beside(|_| 90_000_000), leak_beside(|i| 90_000_000 - i)]),
                "pss" => {
                    Err(crate::NoVerdict::NeverEmitted { metric: metric.to_owned(), samples: 7 })
                }
                _ => Err(crate::NoVerdict::NothingSampled),
            });
        let json = serde_json::to_string(&conclusion).unwrap();
        assert_eq!(serde_json::from_str::<Conclusion>(&json).unwrap(), conclusion);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn figures_that_json_has_no_numbers_for_come_back(number: f64, time: u64, peak: i64) {
            let mut verdict = leak_beside(|_| 90_000_000).judge();
            let tests = verdict.judgement.evidence.tests.as_mut().unwrap();
            tests.level = number;
            tests.slope.error = f64::INFINITY;
            tests.cycles_lack = Some(f64::NEG_INFINITY);
            tests.since_warm_up.rate.as_mut().unwrap().low = -0.0;
            verdict.judgement.needs_more = Some(time);
            verdict.judgement.peak = Some(peak);
            if let Some(limit) = &mut verdict.limit {
                limit.time.latest = Some(u64::MAX);
            }
            let same = back(&verdict);
            // No NaN is the same as another.
            prop_assert_eq!(format!("{same:?}"), format!("{verdict:?}"));
        }
    }

    #[test]
    fn a_document_names_its_schema_and_its_file() {
        let verdict = leak_beside(|_| 90_000_000).judge();
        let gates: [GateOutcome; 0] = [];
        let json = verdict.document(&gates, Some("a.jsonl")).to_string();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["schema"], "seepmeter.verdict/1");
        assert_eq!(
            (&value["file"], &value["classification"]),
            (&"a.jsonl".into(), &"growing".into())
        );
    }
}
