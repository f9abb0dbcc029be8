//! The series of one run that a verdict is made from.

use seepmeter_analysis::{
    Interval, Judgement, Reason, Series, Settings, Word, attribute, judge, judge_with_parts,
};
use seepmeter_record::Unit;
use serde::{Deserialize, Serialize};

use crate::growth_cause::GrowthCause;
use crate::limit::{self, MemoryBounds};
use crate::names::metric;
use crate::part::{Part, PartClass};
use crate::verdict::{MaskedGrowth, PartGrowth, SamplingHint, Verdict};

/// All that is known of one metric of one target.
#[derive(Clone, Debug)]
pub struct RunSeries {
    /// What it is of, for people: the name of a process, or of a file.
    pub target: String,
    /// The process, if it is one.
    pub pid: Option<i64>,
    /// How much of a run that is.
    pub scope: Scope,
    /// The metric.
    pub metric: String,
    /// What its integers count.
    pub unit: Unit,
    /// The target's own series; the sum of its parts if it has none of its own. It has no point if
    /// nothing was sampled.
    pub whole: Series,
    /// How many parts that sum is of; none if the target has a series of its own.
    pub summed_parts: Option<usize>,
    /// The series of each part, in the order of their names.
    pub parts: Vec<PartSeries>,
    /// The kernel's own mark of the largest value, which no spike between two samples escapes.
    pub kernel_peak: Option<i64>,
    /// How large the target may become.
    pub bounds: MemoryBounds,
    /// The address space, if it bears on the metric and is not the metric itself.
    pub address_space: Option<Series>,
}

/// How much of a run a verdict is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One target.
    Target,
    /// The sum of all targets.
    AllTargets,
    /// A series that another tool has written.
    Series,
}

/// The series of a part.
#[derive(Clone, Debug)]
pub struct PartSeries {
    /// What it is.
    pub part: Part,
    /// Its series.
    pub series: Series,
    /// What of it has a cause that is usually no leak, in bytes; several of one cause add up.
    pub causes: Vec<CauseSeries>,
}

/// How much of a part has a cause that is usually no leak.
#[derive(Clone, Debug)]
pub struct CauseSeries {
    /// The cause.
    pub cause: GrowthCause,
    /// How much, in bytes.
    pub series: Series,
}

impl RunSeries {
    /// A series of resident memory of which nothing else is known; `name` says whose it is.
    #[must_use]
    pub fn of_resident(name: &str, series: Series) -> Self {
        Self {
            target: name.to_owned(),
            pid: None,
            scope: Scope::Series,
            metric: metric::RSS.to_owned(),
            unit: Unit::Bytes,
            whole: series,
            summed_parts: None,
            parts: Vec::new(),
            kernel_peak: None,
            bounds: MemoryBounds::default(),
            address_space: None,
        }
    }

    /// True if the metric is resident memory, which the cgroup and the machine bound.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        matches!(self.metric.as_str(), metric::RSS | metric::PSS)
    }

    fn settings(&self) -> Settings {
        Settings { unit: analysis_unit(self.unit), ..Settings::default() }
    }

    /// Judges a series of the same metric, such as a part's.
    #[must_use]
    pub fn judge_series(&self, series: &Series) -> Judgement {
        judge(series, &self.settings())
    }

    /// The part of a name, else all parts of a family (`stacks of threads`) or of a class (`stack`).
    #[must_use]
    pub fn parts_named(&self, name: &str) -> Vec<&PartSeries> {
        let exactly = self.parts.iter().find(|known| known.part.name == name);
        let named = exactly.or_else(|| self.parts.iter().find(|known| known.part.is_called(name)));
        match named {
            Some(named) => vec![named],
            None => self.parts.iter().filter(|known| known.part.belongs_to(name)).collect(),
        }
    }

    /// The judgement on the parts of a name, taken together; none if there are none. Each is judged when
    /// it is asked for: to judge ten thousand at the end of a run would take too long.
    #[must_use]
    pub fn judge_part(&self, name: &str) -> Option<Judgement> {
        let series: Vec<&Series> =
            self.parts_named(name).iter().map(|known| &known.series).collect();
        match series[..] {
            [] => None,
            [one] => Some(self.judge_series(one)),
            _ => Some(self.judge_series(&Series::sum(&series))),
        }
    }

    /// The verdict.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let by_part: Vec<(usize, &Series)> =
            self.parts.iter().map(|known| &known.series).enumerate().collect();
        let judged = judge_with_parts(&self.whole, &by_part, &self.settings());
        let mut judgement = judged.judgement;
        let masked = judged.hidden.map(|(part, of_part)| MaskedGrowth {
            part: self.parts[part].part.clone(),
            rate: of_part.rate,
            span: of_part.span,
            whole: judged.alone,
        });
        let span = masked.as_ref().map_or(judgement.span, |masked| masked.span);
        let shares = span
            .filter(|_| masked.is_some() || rises(&judgement))
            .and_then(|span| self.shares(span, judgement.cycle, masked.is_some()));
        // What a part gains, others lose: that reaches no limit.
        let grows = masked.is_none().then_some(&judgement);
        let limit = limit::nearest(self, grows);
        let hint = self.sampling_hint(&judgement);
        let new_threads = self.new_threads(judgement.span);
        judgement.peak = judgement.peak.max(self.kernel_peak);
        Verdict {
            target: self.target.clone(),
            pid: self.pid,
            scope: self.scope,
            metric: self.metric.clone(),
            unit: self.unit,
            summed_parts: self.summed_parts,
            judgement,
            masked,
            shares,
            new_threads,
            limit,
            hint,
        }
    }

    /// Which parts gained how much over a span, the largest gain first; none if there are no parts.
    /// Growth that is masked is no growth of the whole that a part could have a share of.
    fn shares(
        &self,
        span: (u64, u64),
        cycle: Option<u64>,
        masked: bool,
    ) -> Option<Vec<PartGrowth>> {
        if self.parts.is_empty() {
            return None;
        }
        let gain_of = |causes: &CauseSeries| {
            let gain = attribute(&self.whole, [((), causes.series.clone())], span, cycle);
            gain.shares.first().map_or(0.0, |share| share.gain)
        };
        let parts = self.parts.iter().map(|known| (known, known.series.clone()));
        let attribution = attribute(&self.whole, parts, span, cycle);
        let shares = attribution.shares.into_iter().map(|share| {
            let PartSeries { part, series: _, causes } = share.id;
            let measured = GrowthCause::MEASURED.into_iter().find(|cause| {
                let of_cause = causes.iter().filter(|series| series.cause == *cause);
                share.gain > 0.0 && of_cause.map(gain_of).sum::<f64>() >= share.gain / 2.0
            });
            let of_class = || part.class.as_ref().and_then(GrowthCause::of_class);
            PartGrowth {
                part: part.clone(),
                share: share.share.filter(|_| !masked),
                gain: share.gain,
                rate: share.rate,
                cause: measured.or_else(of_class),
            }
        });
        Some(shares.collect())
    }

    /// How many threads more there were at the end of a span than at its begin, by their stacks; none if
    /// no stacks were sampled. Stacks may be sampled for the first time a moment after the begin: those
    /// that are there then are not new.
    fn new_threads(&self, span: Option<(u64, u64)>) -> Option<u64> {
        let (from, to) = span?;
        let class = |known: &PartSeries| known.part.class.clone();
        self.parts.iter().find(|known| class(known).is_some_and(|class| class.is_stack()))?;
        let first = self.parts.iter().map(|known| known.series.start()).min()?;
        let alive = |t: u64| {
            let of_threads =
                self.parts.iter().filter(|known| class(known) == Some(PartClass::ThreadStack));
            of_threads.filter(|known| known.series.at(t).is_some_and(|bytes| bytes > 0)).count()
        };
        Some(alive(to).saturating_sub(alive(from.max(first))) as u64)
    }

    /// How to get an answer sooner, if it is samples that lack and not time.
    fn sampling_hint(&self, judgement: &Judgement) -> Option<SamplingHint> {
        let Settings { least_looks, least_span, .. } = self.settings();
        let samples = self.whole.looks();
        let lacks = judgement.reason == Some(Reason::TooShort) && samples < least_looks;
        if self.scope == Scope::Series || !lacks {
            return None;
        }
        let interval = self.whole.span().checked_div(samples.checked_sub(1)?)?;
        let faster = least_span / least_looks;
        // Below this it would hardly be sooner.
        (interval >= 2 * faster).then_some(SamplingHint { interval: faster, takes: least_span })
    }
}

/// Where growth went so far is worth knowing before it is sure that it will go on.
fn rises(judgement: &Judgement) -> bool {
    let above_zero = |rate: Interval| rate.low > 0.0;
    judgement.word != Word::Steady && judgement.rate.is_some_and(above_zero)
}

/// What the analysis knows of a unit: it sets bytes apart from all other numbers.
fn analysis_unit(unit: Unit) -> seepmeter_analysis::Unit {
    match unit {
        Unit::Bytes => seepmeter_analysis::Unit::Bytes,
        _ => seepmeter_analysis::Unit::Count,
    }
}
