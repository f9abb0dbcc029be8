//! The verdict on one metric of one target.

use seepmeter_analysis::{Interval, Judgement, Word};
use seepmeter_record::Unit;
use serde::{Deserialize, Serialize};

use crate::growth_cause::GrowthCause;
use crate::json::{
    IntervalJson, JudgementJson, WordJson, optional_interval, optional_span, seconds,
};
use crate::limit::LimitForecast;
use crate::part::Part;
use crate::run_series::Scope;

/// What one metric of one target was judged to be.
///
/// In JSON times are in seconds, amounts in the metric's unit, and rates in that unit a second;
/// docs/verdict.schema.json is its schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it is on, for people: the name of a process, or of a file.
    pub target: String,
    /// The process, if it is one.
    pub pid: Option<i64>,
    /// How much of a run it is on.
    pub scope: Scope,
    /// The metric that was judged.
    pub metric: String,
    /// What its integers count.
    pub unit: Unit,
    /// How many parts were added up, if the target has no value of its own.
    pub summed_parts: Option<usize>,
    /// The answer and its figures, which are the whole's.
    #[serde(flatten, with = "JudgementJson")]
    pub judgement: Judgement,
    /// The part that grows although the whole does not, if there is one.
    pub masked: Option<MaskedGrowth>,
    /// Which parts gained how much, the largest gain first; none if the whole does not grow and nothing
    /// is masked, or if no parts were sampled.
    pub shares: Option<Vec<PartGrowth>>,
    /// How many threads more there were at the end of the judged span than at its begin; none if no stacks
    /// were sampled.
    pub new_threads: Option<u64>,
    /// The limit that is reached first; none if nothing that has one grows.
    pub limit: Option<LimitForecast>,
    /// How an answer could be had sooner, if there is none yet.
    pub hint: Option<SamplingHint>,
}

/// A part that grows although the whole does not: something else shrinks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedGrowth {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// Its own rate, in base units a second.
    #[serde(with = "optional_interval")]
    pub rate: Option<Interval>,
    /// The span of the part that was judged: (from, to) in ns.
    #[serde(with = "optional_span")]
    pub span: Option<(u64, u64)>,
    /// What the whole was judged to be by itself.
    #[serde(with = "WordJson")]
    pub whole: Word,
}

/// How much a part has gained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartGrowth {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// Its part of the growth, 1 for all of it: more if others shrink, below 0 if it shrinks itself. None
    /// if the whole does not grow.
    pub share: Option<f64>,
    /// What it gained over the judged span, in base units.
    pub gain: f64,
    /// Its slope, in base units a second.
    #[serde(with = "IntervalJson")]
    pub rate: Interval,
    /// Why this may be harmless, if it may.
    pub cause: Option<GrowthCause>,
}

/// Sampling that would give an answer sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingHint {
    /// The interval from sample to sample, in ns.
    #[serde(with = "seconds")]
    pub interval: u64,
    /// The least time that a run takes then, in ns.
    #[serde(with = "seconds")]
    pub takes: u64,
}
