//! What is judged of all that was collected: a series for each target, for each role, and for their sum.

use std::collections::BTreeMap;
use std::sync::Arc;

use seepmeter_analysis::{Series, Settings};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{Metric, SubjectKind, Unit};

use super::Collector;
use super::roles::{Role, RoleId};
use super::target::{SourceSeries, TargetCollector};
use crate::conclusion::NoVerdict;
use crate::epoch::Epoch;
use crate::growth_cause::GrowthCause;
use crate::limit::{self, RecordedLimits};
use crate::part::Part;
use crate::run_series::{CauseSeries, PartSeries, RunSeries, Scope};

/// No more descendants than this are judged one by one: those with the largest peaks.
const MOST_JUDGED: usize = 64;

impl Collector {
    /// The series of one of the options' metrics: one for each target and, if there are several, that of
    /// their sum as the last; of a metric of cgroups, one for each cgroup. A run that ended before its first sample
    /// has one with no points.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, metric: &str) -> Result<Vec<RunSeries>, NoVerdict> {
        let known = || self.values.metrics().map(|known| &*known.name);
        let defined = self.values.metrics().find(|known| *known.name == *metric);
        let place = self.options.metrics.iter().position(|name| name == metric);
        let (Some(defined), Some(place)) = (defined, place) else {
            let mut known: Vec<String> = known().map(str::to_owned).collect();
            known.sort_unstable();
            known.dedup();
            return Err(match known.is_empty() {
                true => NoVerdict::NothingSampled,
                false => NoVerdict::NoSuchMetric { metric: metric.to_owned(), known },
            });
        };
        let of_target = |target| (target, self.series_of(target, place, defined.unit));
        let each: Vec<_> = self.judged_targets(metric, place).map(of_target).collect();
        let samples = self.clock.all_samples();
        let sampled = each.iter().any(|(_, run)| !run.whole.is_empty());
        if !sampled && samples >= Settings::default().least_samples {
            return Err(NoVerdict::NeverEmitted { metric: metric.to_owned(), samples });
        }
        let sum = self.sum_series(place, defined.unit, &each);
        let roles = self.role_series(place, defined.unit, &each);
        let each = each.into_iter().map(|(_, run)| run);
        let series: Vec<RunSeries> = each.chain(roles).chain(sum).collect();
        if series.is_empty() { Err(NoVerdict::NothingSampled) } else { Ok(series) }
    }

    /// True if the metric is of cgroups alone.
    pub(super) fn is_of_cgroups(&self, metric: &str) -> bool {
        let of_name = |known: &&Arc<Metric>| *known.name == *metric;
        self.values.metrics().filter(of_name).all(|it| it.subject_kind == SubjectKind::Cgroup)
    }

    /// The targets or the cgroups, whichever has a metric.
    pub(super) fn targets_of(&self, metric: &str) -> impl Iterator<Item = &TargetCollector> {
        let of_cgroups = self.is_of_cgroups(metric);
        self.targets.values().filter(move |target| target.is_cgroup() == of_cgroups)
    }

    /// Those that are judged one by one: all that the user has named, and the largest of the others.
    fn judged_targets(&self, metric: &str, place: usize) -> impl Iterator<Item = &TargetCollector> {
        let peak = move |target: &TargetCollector| target.metrics[place].whole.peak();
        let mut peaks: Vec<_> =
            self.targets.values().filter(|target| target.is_descendant).map(peak).collect();
        peaks.sort_unstable();
        let least = peaks.len().checked_sub(MOST_JUDGED).map(|left_out| peaks[left_out]);
        let is_judged = move |target: &&TargetCollector| {
            !target.is_descendant || least.is_none_or(|least| peak(target) >= least)
        };
        self.targets_of(metric).filter(is_judged)
    }

    /// The epoch that goes on; none if the run has but one.
    fn epoch(&self) -> Option<Epoch> {
        let current = self.epochs.current()?;
        let mut targets = self.targets.values().filter(|it| !it.is_descendant && !it.is_cgroup());
        let target = targets.next();
        let goes_on = self.targets.values().any(|it| !it.ended && !it.is_cgroup());
        Some(Epoch {
            target: target.map_or_else(String::new, |it| it.subject.name.to_string()),
            pid: target.and_then(|it| it.subject.get(attribute::PID)).map(i64::from),
            end: current.end.filter(|_| !goes_on),
            ..current
        })
    }

    /// The series of one target; it has no point if nothing was sampled of it.
    fn series_of(&self, target: &TargetCollector, place: usize, unit: Unit) -> RunSeries {
        let clock = &self.clock;
        let collected = &target.metrics[place];
        let own = collected.whole.series(clock);
        let sum = if own.is_none() { collected.parts.sum() } else { None };
        let summed_parts = sum.as_ref().map(|_| collected.parts.len());
        let cause = |(cause, source): (&GrowthCause, &SourceSeries)| {
            let (series, sampler) = source.series(clock).zip(source.source)?;
            Some(CauseSeries { cause: *cause, series: clock.extended(series, sampler) })
        };
        let scope = match target.is_descendant {
            _ if target.is_cgroup() => Scope::Cgroup,
            true => Scope::Descendant,
            false => Scope::Target,
        };
        let mut run = RunSeries {
            scope,
            pid: target.subject.get(attribute::PID).map(i64::from),
            whole: own.or(sum).unwrap_or_default(),
            summed_parts,
            parts: collected.parts.series(clock),
            runtime: collected.parts.runtime,
            kernel_peak: collected.kernel_peak,
            bounds: RecordedLimits::of(&target.subject),
            threads: target.threads.series(clock),
            plus_swap: collected.has_swapped,
            causes: collected.causes.iter().filter_map(cause).collect(),
            asked_interval: collected.whole.source.and_then(|it| clock.longest_asked(it)),
            ..self.empty(&target.subject.name.to_string(), place, unit)
        };
        if limit::is_bounded_memory(&run) {
            run.limited = target.limited.as_ref().map(|it| it.series(clock)).unwrap_or_default();
        }
        run
    }

    /// A series without a point.
    fn empty(&self, target: &str, place: usize, unit: Unit) -> RunSeries {
        RunSeries {
            scope: Scope::Target,
            metric: self.options.metrics[place].clone(),
            unit,
            end: self.clock.end(),
            not_all_followed: self.not_all_followed && self.count < 2,
            epoch: self.epoch(),
            ..RunSeries::of_resident(target, Series::default())
        }
    }

    /// The series of the roles of which there was more than one process.
    fn role_series(
        &self,
        place: usize,
        unit: Unit,
        each: &[(&TargetCollector, RunSeries)],
    ) -> Vec<RunSeries> {
        let of_role = |(id, role): (RoleId, &Role)| {
            let whole = role.sums[place].series(&self.clock).filter(|_| role.processes > 1)?;
            let of_role = || each.iter().filter(|(target, _)| target.role == id);
            let of_parts = of_role().flat_map(|(_, run)| &run.parts);
            // Without those of a process that is known no more, the parts would not add up.
            let is_whole = of_role().count() as u64 == role.processes;
            Some(RunSeries {
                scope: Scope::Role,
                whole,
                plus_swap: of_role().any(|(_, run)| run.plus_swap),
                shared_once: self.roles.counts_shared_once(place),
                parts: if is_whole { merged(of_parts) } else { Vec::new() },
                runtime: of_role().find_map(|(_, run)| run.runtime),
                processes: Some(role.processes),
                kernel_peak: self.peak_of(of_role().map(|(_, run)| run), place, [role]),
                ..self.empty(&role.name, place, unit)
            })
        };
        self.roles.iter().filter_map(of_role).collect()
    }

    /// The largest peak of single processes that the kernel has noted: their sum was at least that.
    fn peak_of<'a>(
        &self,
        runs: impl Iterator<Item = &'a RunSeries>,
        place: usize,
        roles: impl IntoIterator<Item = &'a Role>,
    ) -> Option<i64> {
        let is_rss = self.options.metrics[place] == metric::RSS.name;
        let forgotten = roles.into_iter().filter_map(|role| role.forgotten_peak);
        let forgotten = forgotten.filter(|_| is_rss);
        runs.filter_map(|run| run.kernel_peak).chain(forgotten).max()
    }

    /// The sum of all targets; none if there is but one. Its parts are the roles: of one with a single process,
    /// that process.
    fn sum_series(
        &self,
        place: usize,
        unit: Unit,
        each: &[(&TargetCollector, RunSeries)],
    ) -> Option<RunSeries> {
        let whole = self.sums[place].series(&self.clock)?;
        let part = |(id, role): (RoleId, &Role)| {
            let mut processes = each.iter().filter(|(target, _)| target.role == id);
            let (part, series) = match (role.processes, processes.next()) {
                // All of them have executed another program, and have another role now.
                (0, _) => return None,
                (1, Some((target, run))) => {
                    (Part::of(&target.subject).with_pid(run.pid), run.whole.clone())
                }
                _ => (
                    Part::of_role(role.name.clone(), role.to_string()),
                    role.sums[place].series(&self.clock)?,
                ),
            };
            Some(PartSeries { part, series, causes: Vec::new(), last_observed: self.clock.end() })
        };
        let first = each.first().map(|(target, _)| target);
        let bounds = first.map_or(RecordedLimits::default(), |it| RecordedLimits::of(&it.subject));
        let is_tree = self.targets.values().any(|target| target.is_descendant);
        let (name, bounds) = match is_tree {
            true => ("all processes".to_owned(), bounds.of_tree()),
            false => (format!("{} targets", self.count), RecordedLimits::default()),
        };
        Some(RunSeries {
            scope: Scope::AllTargets,
            processes: is_tree.then_some(self.count as u64),
            kernel_peak: self.peak_of(
                each.iter().map(|(_, run)| run),
                place,
                self.roles.iter().map(|(_, role)| role),
            ),
            whole,
            bounds,
            plus_swap: each.iter().any(|(_, run)| run.plus_swap),
            shared_once: self.roles.counts_shared_once(place),
            not_all_followed: self.not_all_followed,
            parts: self.roles.iter().filter_map(part).collect(),
            ..self.empty(&name, place, unit)
        })
    }
}

/// Parts of several processes, those that are the same in each taken together.
fn merged<'a>(parts: impl Iterator<Item = &'a PartSeries>) -> Vec<PartSeries> {
    let mut named: BTreeMap<&Part, Vec<&PartSeries>> = BTreeMap::new();
    for known in parts {
        named.entry(&known.part).or_default().push(known);
    }
    let sum = |(part, known): (&Part, Vec<&PartSeries>)| {
        let each: Vec<&Series> = known.iter().map(|it| &it.series).collect();
        let last_observed = known.iter().map(|it| it.last_observed).min().unwrap_or_default();
        let causes = known.iter().flat_map(|it| it.causes.clone()).collect();
        PartSeries { part: part.clone(), series: Series::sum(&each), causes, last_observed }
    };
    named.into_iter().map(sum).collect()
}
