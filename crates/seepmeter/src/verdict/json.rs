//! A verdict as JSON. Its schema is docs/verdict.schema.json.

use seepmeter_analysis::{Interval, Judgement};
use serde_json::{Value, json};

use super::{Part, Verdict};
use crate::verdict::gate::Outcome;

/// What `schema` says. Fields may be added under one version.
const SCHEMA: &str = "seepmeter.verdict/1";

impl Verdict {
    /// One JSON object. Times are in seconds, amounts in the metric's unit, rates in it a second.
    #[must_use]
    pub fn json(&self, gates: &[Outcome]) -> Value {
        let Self { target, metric, unit, judgement, hidden, attribution, natures, limit, .. } =
            self;
        let shares: Option<Vec<Value>> = attribution.as_ref().map(|attribution| {
            let shares = attribution.shares.iter();
            shares
                .map(|share| {
                    let Part { name, kind, class } = &share.id;
                    json!({
                        "subject": name, "kind": kind, "class": class, "share": share.share,
                        "gain": share.gain, "rate": interval(share.rate),
                        "mostly": natures.get(&share.id).map(|nature| nature.metric()),
                    })
                })
                .collect()
        });
        let limit = limit.as_ref().map(|limit| {
            json!({
                "name": limit.name, "bytes": limit.bytes, "others": limit.others,
                "rate": limit.rate.map(interval),
                "soonest": seconds(limit.time.soonest), "likely": seconds(limit.time.likely),
                "latest": limit.time.latest.map(seconds),
            })
        });
        let gates: Vec<Value> = gates
            .iter()
            .map(|Outcome { gate, metric, fired, why, unknown: _ }| {
                json!({"gate": gate, "metric": metric, "fired": fired, "why": why})
            })
            .collect();
        let mut told = json!({
            "schema": SCHEMA, "target": target, "metric": metric,
            "unit": unit.to_string(), "hidden": hidden.as_ref().map(|hidden| &hidden.name),
            "hidden_rate": hidden.as_ref().and_then(|hidden| hidden.rate).map(interval),
            "shares": shares, "limit": limit, "gates": gates,
            "explanation": self.explanation(),
        });
        if let (Value::Object(told), Value::Object(judged)) = (&mut told, judgement_json(judgement))
        {
            told.extend(judged);
        }
        told
    }
}

fn judgement_json(judgement: &Judgement) -> Value {
    let Judgement {
        classification,
        reason,
        needs_more,
        rate,
        span,
        warm_up_end,
        floors_used,
        cycle,
        p_value,
        level,
        peak,
        evidence: _,
        overruled: _,
    } = judgement;
    json!({
        "verdict": classification.as_str(),
        "reason": reason.map(|reason| reason.as_str()),
        "watch_longer": needs_more.map(seconds),
        "rate": rate.map(interval),
        "span": span.map(|span| json!({"from": seconds(span.from), "to": seconds(span.to)})),
        "warm_up_end": warm_up_end.map(seconds),
        "floors": floors_used,
        "cycle": cycle.map(seconds),
        "p_value": p_value,
        "level": level,
        "peak": peak,
    })
}

pub(crate) fn interval(interval: Interval) -> Value {
    json!({"estimate": interval.estimate, "low": interval.low, "high": interval.high})
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
