//! The verdict on one metric of one target.

use seepmeter_analysis::{Classification, Interval, Judgement, Span, exact};
use seepmeter_record::Unit;
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::growth_cause::GrowthCause;
use crate::limit::LimitForecast;
use crate::next_step::NextStep;
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
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The part that grows although the whole does not, if there is one.
    pub masked: Option<MaskedGrowth>,
    /// Which parts gained how much, the largest gain first; none if the whole does not grow and nothing
    /// is masked, or if no parts were sampled.
    pub shares: Option<Vec<PartGrowth>>,
    /// How many threads more there were at the end of the judged span than at its begin; none if no stacks
    /// were sampled.
    pub new_threads: Option<u64>,
    /// Parts that were not sampled up to the end, those that held most first. What they hold is not known, and
    /// they bear on nothing but the shares.
    pub stale: Vec<StalePart>,
    /// The limit that is reached first; none if nothing that has one grows.
    pub limit: Option<LimitForecast>,
    /// Swapped out memory was counted in, and there was some: swapping hides growth.
    pub plus_swap: bool,
    /// Of a sum over the processes of a tree, how many there were.
    #[serde(default)]
    pub processes: Option<u64>,
    /// It is a sum over processes, in which pages that several of them share count once: as those of the process
    /// with the most of them.
    #[serde(default)]
    pub shared_once: bool,
    /// Why the growth of the whole may be harmless, if that was measured of the whole.
    pub cause: Option<GrowthCause>,
    /// What to do next, of a growing one.
    pub next_step: Option<NextStep>,
    /// How an answer could be had sooner, if there is none yet.
    pub hint: Option<SamplingHint>,
    /// The epoch of the run that it is on, if the run has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// A part that grows although the whole does not: something else shrinks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedGrowth {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// Its own rate, in base units a second.
    pub rate: Option<Interval>,
    /// The span of the part that was judged.
    pub span: Option<Span>,
    /// What the whole was judged to be by itself.
    pub whole: Classification,
}

/// How much a part has gained, or all parts of a family together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartGrowth {
    /// The part. Of several that go together the name is that of their family.
    #[serde(flatten)]
    pub part: Part,
    /// How many parts that is.
    pub parts: usize,
    /// The name of the one of several parts that gained most of it, if one did.
    pub mostly: Option<String>,
    /// Its part of the growth, 1 for all of it: more if others shrink, below 0 if it shrinks itself. None
    /// if the whole does not grow.
    #[serde(with = "exact")]
    pub share: Option<f64>,
    /// What it gained over the judged span, in base units.
    #[serde(with = "exact")]
    pub gain: f64,
    /// Its slope, in base units a second.
    pub rate: Interval,
    /// Why this may be harmless, if it may.
    pub cause: Option<GrowthCause>,
}

/// A part that was not sampled for a while before the end of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StalePart {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// What it held when it was last sampled, in base units.
    pub held: i64,
    /// For how long before the end it was not sampled, in ns.
    #[serde(with = "exact")]
    pub unknown_for: u64,
}

/// Sampling that would give an answer sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingHint {
    /// The interval from sample to sample, in ns.
    #[serde(with = "exact")]
    pub interval: u64,
    /// The least time that a run takes then, in ns.
    #[serde(with = "exact")]
    pub takes: u64,
}
