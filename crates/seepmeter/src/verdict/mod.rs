//! The verdict on a run: does it leak, how fast, where, and when does it reach a limit?
//!
//! A [`Collector`] takes a stream and keeps the series that matter in bounded memory; a [`Verdict`] is
//! what the analysis makes of them. It is told [in words](Verdict::told) or [as JSON](Verdict::json),
//! and [gates](gate::Gate) turn it into an exit status.

use std::collections::BTreeMap;

use seepmeter_analysis::words::NumberFormat;
use seepmeter_analysis::{
    Attribution, Classification, Interval, Judgement, Series, Settings, Span, explain, judge,
};
use seepmeter_record::{Unit, subject_kind};

mod collect;
pub mod foreign;
pub mod gate;
mod gather;
mod json;
mod limit;
mod parts;
mod shares;
mod told;

pub use collect::Collector;
pub(crate) use json::interval as interval_json;
pub use limit::Nearest;
pub use shares::Nature;
pub(crate) use shares::rate as rate_in_words;
pub(crate) use told::short;

/// The metric that is judged unless another is asked for.
pub const RSS: &str = "rss";

/// What one run was judged to be.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whom it is about, for people.
    pub target: String,
    /// Which metric was judged.
    pub metric: String,
    /// What its integers count.
    pub unit: Unit,
    /// The answer and its evidence.
    pub judgement: Judgement,
    /// The part that grows while the whole does not, if there is one. The judgement's figures are the
    /// whole's all the same.
    pub hidden: Option<Hidden>,
    /// Whose growth it is; none where nothing but the whole was sampled, or nothing was judged.
    pub attribution: Option<Attribution<Part>>,
    /// Which parts grew mostly by something that is usually no leak.
    pub natures: BTreeMap<Part, Nature>,
    /// Every part, each name once. [`Verdict::part`] judges one by itself: to judge ten thousand that
    /// nobody asks for would take longer than a run has at its end.
    pub parts: Vec<(Part, Series)>,
    /// The limit that is reached first at this rate; none where it does not grow or there is no limit.
    pub limit: Option<Nearest>,
    /// Of how many parts what was judged is the sum; none where the target itself has the metric.
    pub sum_of: Option<usize>,
}

/// A part of the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Its name (`heap`).
    pub name: String,
    /// What it is (`mapping`, `process`, …).
    pub kind: String,
    /// What sort of growth it would be, where the sampler says so.
    pub class: Option<String>,
}

impl Part {
    /// What a part is called that has another name in each run, and may come many times: the stacks of
    /// threads and the processes of one name are each one family.
    #[must_use]
    pub fn family(&self) -> &str {
        let is_stack = self.class.as_deref() == Some("stack");
        if is_stack && self.name.starts_with("stack of thread ") {
            return STACKS;
        }
        match self.name.rsplit_once(" (pid ") {
            Some((name, _)) if self.kind == subject_kind::PROCESS => name,
            _ => &self.name,
        }
    }
}

/// The family of all threads' stacks but the main one's.
const STACKS: &str = "stacks of threads";

/// A part that grows behind something that shrinks.
#[derive(Clone, Debug, PartialEq)]
pub struct Hidden {
    /// Its name.
    pub name: String,
    /// Its own rate, in base units a second.
    pub rate: Option<Interval>,
    /// The span of the part that was judged.
    pub span: Option<Span>,
    /// What the whole was judged by itself.
    pub alone: Classification,
}

impl Verdict {
    /// The verdict on a series of which nothing else is known.
    #[must_use]
    pub fn of_series(target: &str, metric: &str, series: &Series) -> Self {
        Self {
            target: target.to_owned(),
            metric: metric.to_owned(),
            unit: Unit::Bytes,
            judgement: judge(series, &Settings::default()),
            hidden: None,
            attribution: None,
            natures: BTreeMap::new(),
            parts: Vec::new(),
            limit: None,
            sum_of: None,
        }
    }

    /// A part, judged by itself, or all of a class or a family together; none where there is none of
    /// this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Judgement> {
        match self.named(name)[..] {
            [] => None,
            [(_, series)] => Some(self.judge(series)),
            ref several => {
                let several: Vec<&Series> = several.iter().map(|(_, series)| series).collect();
                Some(self.judge(&Series::sum(&several)))
            }
        }
    }

    /// The part of a name; else all parts of a family (`stacks of threads`) or a class (`stack`).
    /// `[heap]`, as the kernel writes it, is the same as `heap`.
    fn named(&self, name: &str) -> Vec<&(Part, Series)> {
        fn bare(name: &str) -> &str {
            let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
            inner.unwrap_or(name)
        }
        let same = |other: &str| bare(other) == bare(name);
        let exactly = self.parts.iter().find(|(part, _)| part.name == name);
        let named = exactly.or_else(|| self.parts.iter().find(|(part, _)| same(&part.name)));
        if let Some(named) = named {
            return vec![named];
        }
        let of_kind =
            |part: &Part| part.family() == name || part.class.as_deref().is_some_and(same);
        self.parts.iter().filter(|(part, _)| of_kind(part)).collect()
    }

    /// What each stage of the judging found, in words.
    #[must_use]
    pub fn explanation(&self) -> Vec<String> {
        let sum = self.sum_of.map(|parts| format!("{} is the sum of {parts} parts", self.metric));
        let stages = explain::explanation(&self.judgement, format_of(self.unit));
        sum.into_iter().chain(stages).collect()
    }

    /// Judges a series of the same metric.
    #[must_use]
    pub fn judge(&self, series: &Series) -> Judgement {
        judge(series, &settings_of(self.unit))
    }
}

/// How values of a unit are written.
pub(crate) fn format_of(unit: Unit) -> NumberFormat {
    match unit {
        Unit::Bytes => NumberFormat::Bytes,
        _ => NumberFormat::Plain,
    }
}

/// How a metric of a unit is judged.
pub(crate) fn settings_of(unit: Unit) -> Settings {
    match unit {
        Unit::Bytes => Settings::default(),
        _ => Settings::for_counts(),
    }
}
