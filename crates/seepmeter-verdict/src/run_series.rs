//! The series of one run that a verdict is made from.

use std::collections::BTreeMap;

use seepmeter_analysis::thresholds::shares::CAUSE;
use seepmeter_analysis::{
    Classification, Interval, Judgement, Override, PartView, PartsJudgement, Reason, Series,
    Settings, Share, Span, judge, judge_with_parts,
};
use seepmeter_record::conventions::metric;
use seepmeter_record::{MappingClass, Unit};
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::growth_cause::GrowthCause;
use crate::limit::{self, RecordedLimits};
use crate::next_step::NextStep;
use crate::part::Part;
use crate::part_group::{Growth, PartGroup, sum_of};
use crate::verdict::{MaskedGrowth, PartGrowth, SamplingHint, StalePart, Verdict};

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
    /// When the last sample of the run was, in ns since its start.
    pub end: u64,
    /// How many parts that sum is of; none if the target has a series of its own.
    pub summed_parts: Option<usize>,
    /// The series of each part, in the order of their names.
    pub parts: Vec<PartSeries>,
    /// The kernel's own mark of the largest value, which no spike between two samples escapes.
    pub kernel_peak: Option<i64>,
    /// How large the target may become.
    pub bounds: RecordedLimits,
    /// How many threads the target has, if that was sampled.
    pub threads: Option<Series>,
    /// What the target's other limits apply to, as far as it was sampled.
    pub limited: LimitedSeries,
    /// Swapped out memory is counted in, and there was some.
    pub plus_swap: bool,
    /// Of a sum over the processes of a tree, how many there were.
    pub processes: Option<u64>,
    /// It is a sum over processes, in which pages that several of them share count once.
    pub shared_once: bool,
    /// Processes of it were not followed, so the whole has more than is known.
    pub not_all_followed: bool,
    /// What of the whole has a cause that is usually no leak, in bytes.
    pub causes: Vec<CauseSeries>,
    /// The longest from sample to sample that was asked for, in ns.
    pub asked_interval: Option<u64>,
    /// The epoch of the run that it is of, if that has several.
    pub epoch: Option<Epoch>,
}

/// What is bounded beside the resident set.
#[derive(Clone, Debug, Default)]
pub struct LimitedSeries {
    /// The address space, if it bears on the metric and is not the metric itself.
    pub address_space: Option<Series>,
    /// The private writable address space, likewise.
    pub data: Option<Series>,
    /// The number of mappings, likewise.
    pub mappings: Option<Series>,
    /// What it has resident of the files in /dev/shm.
    pub shm: Option<Series>,
    /// Of the resident set, the pages of files and of shared memory.
    pub shared: Option<Series>,
    /// What is swapped out, which no limit of the resident set counts.
    pub swap: Option<Series>,
}

/// How much of a run a verdict is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One target.
    Target,
    /// One descendant of a target.
    Descendant,
    /// The processes of one role in a tree.
    Role,
    /// The sum of all targets, and of their descendants.
    AllTargets,
    /// One cgroup.
    Cgroup,
    /// A series that another tool has written.
    Series,
}

impl Scope {
    /// True of what there is only in a process tree.
    #[must_use]
    pub fn is_of_tree(self) -> bool {
        matches!(self, Self::Descendant | Self::Role)
    }

    /// True of one process.
    #[must_use]
    pub fn is_process(self) -> bool {
        matches!(self, Self::Target | Self::Descendant)
    }

    /// True if several of these have no sum: cgroups may be within each other.
    pub(crate) fn has_no_sum(self) -> bool {
        matches!(self, Self::Cgroup | Self::Series)
    }
}

/// The series of a part.
#[derive(Clone, Debug)]
pub struct PartSeries {
    /// What it is.
    pub part: Part,
    /// Its series.
    pub series: Series,
    /// When it was last observed, changed or not, in ns since the start of the run; of a part that has ended,
    /// the end of the run.
    pub last_observed: u64,
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
            metric: metric::RSS.name.to_owned(),
            unit: Unit::Bytes,
            end: series.end(),
            whole: series,
            summed_parts: None,
            parts: Vec::new(),
            kernel_peak: None,
            bounds: RecordedLimits::default(),
            threads: None,
            limited: LimitedSeries::default(),
            plus_swap: false,
            processes: None,
            shared_once: false,
            not_all_followed: false,
            causes: Vec::new(),
            asked_interval: None,
            epoch: None,
        }
    }

    /// True if the metric is resident memory, which the cgroup and the machine bound.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        [metric::RSS.name, metric::PSS.name].contains(&self.metric.as_str())
    }

    fn settings(&self) -> Settings {
        match self.unit {
            Unit::Bytes => Settings::default(),
            _ => Settings::for_counts(),
        }
    }

    /// Judges a series of the same metric, such as a part's.
    #[must_use]
    pub fn judge_series(&self, series: &Series) -> Judgement {
        judge(series, &self.settings())
    }

    /// The part of a name, else all parts of a family (`stacks of threads`) or of a class (`stack`).
    #[must_use]
    pub fn parts_named(&self, name: &str) -> Vec<&PartSeries> {
        // `files` are those of all names.
        let family: Vec<_> = self.parts.iter().filter(|known| known.part.family == name).collect();
        if family.len() > 1 {
            return family;
        }
        let exactly = self.parts.iter().find(|known| known.part.name == name);
        let named = exactly.or_else(|| self.parts.iter().find(|known| known.part.is_called(name)));
        match named {
            Some(named) => vec![named],
            None => self.parts.iter().filter(|known| known.part.belongs_to(name)).collect(),
        }
    }

    /// The series of the parts of a name, taken together; none if there are none.
    pub(crate) fn series_named(&self, name: &str) -> Option<Series> {
        let named = self.parts_named(name);
        (!named.is_empty()).then(|| sum_of(&named).into_owned())
    }

    /// The verdict.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let groups = self.groups();
        let views: Vec<PartView<'_, usize>> =
            groups.iter().enumerate().map(|(id, group)| group.view(id)).collect();
        let judged = judge_with_parts(&self.whole, &views, &self.settings());
        let PartsJudgement { mut judgement, masked, stale } = judged;
        let masked = masked.and_then(|group| self.masked(&groups[group], &judgement));
        let span = masked.as_ref().map_or(judgement.span, |masked| masked.span);
        let shares = span
            .filter(|_| masked.is_some() || rises(&judgement))
            .and_then(|span| self.shares(&groups, span, &judgement));
        // What a part gains, others lose: that reaches no limit.
        let grows = masked.is_none().then_some(&judgement);
        let limit = limit::nearest(self, grows);
        let cause =
            span.filter(|_| rises(&judgement)).and_then(|span| self.cause(span, &judgement));
        // What is given back already needs no step.
        let given_back = cause == Some(GrowthCause::LazyFree);
        let next_step = NextStep::after(&judgement, masked.as_ref(), shares.as_deref(), self)
            .filter(|_| !given_back);
        judgement.peak = judgement.peak.max(self.kernel_peak);
        if self.not_all_followed {
            judgement = judgement.of_all();
        }
        Verdict {
            target: self.target.clone(),
            pid: self.pid,
            scope: self.scope,
            metric: self.metric.clone(),
            unit: self.unit,
            summed_parts: self.summed_parts,
            masked,
            shares,
            new_threads: self.new_threads(judgement.span),
            stale: self.stale(stale.into_iter().map(|group| &groups[group])),
            limit,
            plus_swap: self.plus_swap,
            processes: self.processes,
            shared_once: self.shared_once,
            cause,
            next_step,
            hint: self.sampling_hint(&judgement),
            epoch: self.epoch.clone(),
            judgement,
        }
    }

    /// The parts, those of a family together; each process is one of its own.
    fn groups(&self) -> Vec<PartGroup<'_>> {
        let mut families: BTreeMap<&str, Vec<&PartSeries>> = BTreeMap::new();
        for known in &self.parts {
            let Part { name, family, .. } = &known.part;
            let name = if known.part.is_process() { name } else { family };
            families.entry(name).or_default().push(known);
        }
        families.into_values().filter_map(PartGroup::of).collect()
    }

    fn masked(&self, group: &PartGroup<'_>, judgement: &Judgement) -> Option<MaskedGrowth> {
        match judgement.overruled.as_deref()? {
            Override::MaskedGrowth { whole, part } => Some(MaskedGrowth {
                part: group.part.clone().into_owned(),
                rate: part.rate,
                span: part.span,
                whole: whole.classification,
            }),
            _ => None,
        }
    }

    /// Parts that were not sampled up to the end, those that held most first.
    fn stale<'a>(&self, groups: impl Iterator<Item = &'a PartGroup<'a>>) -> Vec<StalePart> {
        let stale = |group: &PartGroup<'_>| StalePart {
            part: group.part.clone().into_owned(),
            held: group.held(),
            unknown_for: self.end.saturating_sub(group.last_observed()),
        };
        let mut all: Vec<StalePart> = groups.map(stale).collect();
        all.sort_by_key(|part| std::cmp::Reverse(part.held));
        all
    }

    /// The part of the growth of the whole that is that of a part.
    pub(crate) fn share_of(&self, part: &Series, judgement: &Judgement) -> Option<f64> {
        let growth = Growth { whole: &self.whole, span: judgement.span?, cycle: judgement.cycle };
        growth.share_of(part)
    }

    /// Which parts gained how much over a span, the largest gain first; none if there are no parts. Growth that
    /// is masked is no growth of the whole that a part could have a share of.
    fn shares(
        &self,
        groups: &[PartGroup<'_>],
        span: Span,
        judgement: &Judgement,
    ) -> Option<Vec<PartGrowth>> {
        if groups.is_empty() {
            return None;
        }
        let masked = matches!(judgement.overruled.as_deref(), Some(Override::MaskedGrowth { .. }));
        let growth = Growth { whole: &self.whole, span, cycle: judgement.cycle };
        let all = growth.shares(groups.iter().map(|group| &*group.series));
        let grown = |share: Share<usize>| {
            let share = Share { share: share.share.filter(|_| !masked), ..share };
            groups[share.id].grown(&share, &growth)
        };
        Some(all.into_iter().map(grown).collect())
    }

    /// What at least half of the growth of the whole was measured to be, if that is usually no leak.
    fn cause(&self, span: Span, judgement: &Judgement) -> Option<GrowthCause> {
        let growth = Growth { whole: &self.whole, span, cycle: judgement.cycle };
        let of_cause = |known: &&CauseSeries| growth.share_of(&known.series) >= Some(CAUSE);
        self.causes.iter().find(of_cause).map(|known| known.cause)
    }

    /// How many threads more there were at the end of a span than at its begin, if they were counted, or else by
    /// their stacks; none if no stacks were sampled, or only all of them together. Stacks may be sampled for the first time a moment after the begin: those
    /// that are there then are not new.
    fn new_threads(&self, span: Option<Span>) -> Option<u64> {
        let Span { from, to } = span?;
        self.parts.iter().find(|known| known.part.is_stack())?;
        if let Some(threads) = &self.threads {
            let more = threads.at(to)? - threads.at(from.max(threads.start()))?;
            return Some(u64::try_from(more).unwrap_or(0));
        }
        // The stacks of all threads are one part.
        if self.parts.iter().any(|known| known.part.name == Part::THREAD_STACKS) {
            return None;
        }
        let first = self.parts.iter().map(|known| known.series.start()).min()?;
        let alive = |t: u64| {
            let of_thread =
                |known: &&PartSeries| known.part.class == Some(MappingClass::ThreadStack);
            let of_threads = self.parts.iter().filter(of_thread);
            of_threads.filter(|known| known.series.at(t).is_some_and(|bytes| bytes > 0)).count()
        };
        Some(alive(to).saturating_sub(alive(from.max(first))) as u64)
    }

    /// How to get an answer sooner, if it is samples that lack and not time.
    fn sampling_hint(&self, judgement: &Judgement) -> Option<SamplingHint> {
        let Settings { least_samples, least_span, .. } = self.settings();
        let samples = judgement.evidence.sampling.samples;
        let lacks = judgement.reason == Some(Reason::TooShort) && samples < least_samples;
        if self.scope == Scope::Series || !lacks {
            return None;
        }
        let interval = judgement.evidence.sampling.interval?;
        // If samples are further apart than was asked for, a shorter interval would not bring them closer.
        if self.asked_interval.is_some_and(|asked| interval > asked + asked / 2) {
            return None;
        }
        let faster = least_span / least_samples;
        // Below this it would hardly be sooner.
        (interval >= 2 * faster).then_some(SamplingHint { interval: faster, takes: least_span })
    }
}

/// Where growth went so far is worth knowing before it is sure that it will go on.
fn rises(judgement: &Judgement) -> bool {
    let above_zero = |rate: Interval| rate.low > 0.0;
    judgement.classification != Classification::Steady && judgement.rate.is_some_and(above_zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{SECOND, anonymous, part, run_of, series};
    use crate::text::LineOptions;

    fn lines(verdict: &Verdict) -> Vec<String> {
        verdict.lines(LineOptions::default())
    }

    /// A process that maps 20 kB more in every second: of a thousand bytes so many are in mappings under
    /// 64 KiB, and the others in one that has grown to over a mebibyte.
    fn merging(small: impl Fn(i64) -> i64) -> RunSeries {
        let mapped = |i: i64| 20_000 * i;
        let of_small = |i: i64| mapped(i) / 1_000 * small(i);
        run_of(vec![
            anonymous("under 64 KiB", series(800, |i| of_small(i) + i % 7 * 900)),
            anonymous("of 1 MiB–16 MiB", series(800, |i| mapped(i) - of_small(i) + i % 5 * 900)),
            part("[heap]", series(800, |i| 60_000_000 + 100 * i + i % 3 * 900)),
        ])
    }

    #[test]
    fn a_straight_line_whose_parts_trade_pages_grows_in_anonymous_mappings() {
        let merged = |i: i64| if i < 420 { 800 } else { 50 };
        let there_and_back = |i: i64| [300, 800, 250, 700][(i / 200) as usize];
        for run in [merging(merged), merging(there_and_back)] {
            let verdict = run.judge();
            assert_eq!(verdict.judgement.classification, Classification::Growing);
            assert_eq!(verdict.judgement.overruled, None);
            let first = &verdict.shares.as_ref().unwrap()[0];
            assert_eq!((&*first.part.name, first.parts), (Part::ANONYMOUS, 2));
            assert!(first.share.unwrap() > 0.9, "{first:?}");
            let lines = lines(&verdict);
            assert!(lines[1].contains(" % of it in anonymous mappings"), "{lines:#?}");
            let gate: crate::Gate = "subject(anonymous mappings).share>90%".parse().unwrap();
            assert!(gate.evaluate(&verdict, &run).fired);
        }
        let lines = lines(&merging(merged).judge());
        let named = "anonymous mappings, mostly of 1 MiB–16 MiB";
        assert!(lines[1].contains(named), "{lines:#?}");
    }

    #[test]
    fn stale_parts_are_shown_and_never_change_the_verdict() {
        let until = |last: i64| move |i: i64| 50_000_000 + 20_000 * i.min(last) + i % 7 * 900;
        let leak = |i: i64| until(800)(i) + 30_000_000;
        let mut run = run_of(vec![part("[heap]", series(800, until(732)))]);
        run.whole = series(800, leak);
        let alone = RunSeries { parts: Vec::new(), ..run.clone() }.judge();
        run.parts[0].last_observed = 732 * SECOND;
        let verdict = run.judge();
        assert_eq!(verdict.judgement, alone.judgement);
        let [stale] = &verdict.stale[..] else { panic!("{:?}", verdict.stale) };
        assert_eq!((stale.part.name.as_str(), stale.unknown_for), ("[heap]", 67 * SECOND));
        let lines = lines(&verdict);
        assert_eq!(lines.last().unwrap(), "  [heap]: not sampled during the last 1 m 7 s");

        // Growth that the whole does not show, and that nobody saw for the last minute, is no alarm.
        let cache = |i: i64| 90_000_000 - 20_000 * i + i % 5 * 900;
        let mut masked = run_of(vec![
            part("[heap]", series(800, until(800))),
            part("cache", series(800, cache)),
        ]);
        assert!(masked.judge().masked.is_some());
        masked.parts.iter_mut().for_each(|known| known.last_observed = 732 * SECOND);
        let verdict = masked.judge();
        assert_eq!(verdict.judgement.classification, Classification::Steady);
        assert_eq!((verdict.masked, verdict.stale.len()), (None, 2));
    }

    #[test]
    fn of_many_stale_parts_the_largest_are_named() {
        let mut parts: Vec<PartSeries> =
            (1..=6).map(|n| part(&format!("file {n}"), series(400, move |_| n << 20))).collect();
        parts.iter_mut().for_each(|known| known.last_observed = 300 * SECOND);
        parts[0].last_observed = 200 * SECOND;
        let lines = lines(&run_of(parts).judge());
        let names = "file 6, file 5, file 4 and 3 others";
        assert_eq!(lines[1], format!("  {names}: not sampled during the last 1 m 39 s"));
    }

    #[test]
    fn the_stacks_of_all_threads_are_one_share() {
        let stack = |n: i64| {
            let stack = series(800, move |i| if i / 2 > n { 70_000 } else { 0 });
            let mut known = part(&format!("stack of thread {n}"), stack);
            known.part.family = Part::THREAD_STACKS.to_owned();
            known.part.class = Some(MappingClass::ThreadStack);
            known
        };
        let verdict = run_of((0..400).map(stack).collect()).judge();
        let shares = verdict.shares.as_ref().unwrap();
        assert_eq!((shares.len(), shares[0].parts, shares[0].mostly.as_ref()), (1, 400, None));
        let lines = lines(&verdict);
        assert!(lines[1].ends_with(" % of it in stacks of 399 new threads"), "{lines:#?}");
    }

    #[test]
    fn the_second_sample_of_a_run_says_how_much_more_it_needs() {
        // The first sample was late.
        let two = Series::from_pairs([(340_000_000, 50_000_000), (SECOND, 50_000_000)]);
        let run = RunSeries::of_resident("worker", two.with_scheduled_interval(SECOND));
        let run = RunSeries { scope: Scope::Target, ..run };
        let needs = "inconclusive  rss: not enough data yet; needs 4 m 58 s more";
        assert_eq!(lines(&run.judge()), [format!("{needs} (or `-i 300ms`: 1 m 30 s)")]);
        // The budget has slowed the sampler down: it would not be faster at a shorter interval either.
        let slowed = RunSeries { asked_interval: Some(500_000_000), ..run };
        assert_eq!(lines(&slowed.judge()), [needs]);
    }
}
