//! The verdict on a run: does it leak, how fast, where, and when does it reach a limit?
//!
//! A [`Collector`] takes a stream and keeps the series that matter in bounded memory; a [`Verdict`] is
//! what the analysis makes of them. It is told [in words](Verdict::told) or [as JSON](Verdict::json),
//! and [gates](gate::Gate) turn it into an exit status.

use seepmeter_analysis::{Attribution, Judgement, Series, Settings, TimeToLimit, judge};

mod collect;
pub mod foreign;
pub mod gate;
mod json;
mod told;

pub use collect::Collector;
pub(crate) use json::interval as interval_json;

/// The metric that is judged unless another is asked for.
pub const RSS: &str = "rss";

/// What one run was judged to be.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whom it is about, for people.
    pub target: String,
    /// Which metric was judged.
    pub metric: String,
    /// The answer and its evidence.
    pub judgement: Judgement,
    /// The part that grows while the whole does not, if there is one.
    pub hidden: Option<String>,
    /// Whose growth it is; none where nothing but the whole was sampled, or nothing was judged.
    pub attribution: Option<Attribution<Part>>,
    /// Every part, judged by itself, for gates that name it.
    pub parts: Vec<(Part, Judgement)>,
    /// The limit that is reached first at this rate; none where it does not grow or there is no limit.
    pub limit: Option<Nearest>,
}

/// A part of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name (`[heap]`).
    pub name: String,
    /// What it is (`mapping`, `process`, …).
    pub kind: String,
    /// What sort of growth it would be, where the sampler says so.
    pub class: Option<String>,
}

/// The limit that is reached first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Which limit: `cgroup`, `address space`, `machine`.
    pub name: &'static str,
    /// The limit in bytes.
    pub bytes: u64,
    /// When.
    pub time: TimeToLimit,
}

impl Verdict {
    /// The verdict on a series of which nothing else is known.
    #[must_use]
    pub fn of_series(target: &str, metric: &str, series: &Series) -> Self {
        Self {
            target: target.to_owned(),
            metric: metric.to_owned(),
            judgement: judge(series, &Settings::default()),
            hidden: None,
            attribution: None,
            parts: Vec::new(),
            limit: None,
        }
    }
}
