//! What is concluded from a run: the one value that all who show it or act on it receive.

use seepmeter_analysis::Classification;
use seepmeter_record::conventions::metric;
use seepmeter_record::human;
use serde::{Deserialize, Serialize};

use crate::gate::{Gate, GateOutcome, Judged};
use crate::run_series::{RunSeries, Scope};
use crate::text::{LineOptions, VerdictLine};
use crate::verdict::Verdict;

/// What is to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeOptions {
    /// The metrics. The first is the main one, which the gates are evaluated on.
    pub metrics: Vec<String>,
    /// What must not be.
    pub gates: Vec<Gate>,
    /// True if a gate that can't decide, or can't be evaluated, fails.
    pub strict: bool,
}

impl Default for JudgeOptions {
    /// The resident set, and no gates.
    fn default() -> Self {
        Self { metrics: vec![metric::RSS.name.to_owned()], gates: Vec::new(), strict: false }
    }
}

/// What is concluded from a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// One for each metric of [`JudgeOptions::metrics`], in their order.
    pub metrics: Vec<MetricConclusion>,
    /// One for each gate, in their order.
    pub gates: Vec<GateOutcome>,
    /// True if a gate that can't decide, or can't be evaluated, fails.
    #[serde(default)]
    pub strict: bool,
}

/// What is concluded from one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricConclusion {
    /// The metric.
    pub metric: String,
    /// The verdicts, or why there are none. If the run has several epochs, these are on the one that goes on.
    #[serde(flatten)]
    pub outcome: MetricOutcome,
    /// Of each epoch that has ended, oldest first, the verdict on the sum of all targets or on the only one; if that does
    /// not grow, behind it those on its processes and roles that do. Of a run with very many epochs some are left out, but none that
    /// grows as long as there are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<Verdict>,
    /// How many epochs have ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ended_epochs: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// So many verdicts on processes and roles are kept of an epoch that has ended.
const MOST_BESIDE: usize = 8;

/// The verdicts on a metric, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricOutcome {
    /// One for each target and, if there are several, one for their sum, which is the last.
    Verdicts(Vec<Verdict>),
    /// There is no verdict.
    NoVerdict(NoVerdict),
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoVerdict {
    /// There was not one sample.
    #[error("nothing was sampled")]
    NothingSampled,
    /// The metric is defined, and has no value.
    #[error("no value of `{metric}` was emitted in {}", human::count(*samples, "sample"))]
    NeverEmitted {
        /// The metric.
        metric: String,
        /// How many samples there were.
        samples: u64,
    },
    /// Each target has values, but never all of them at one time.
    #[error("the sum of all targets is not known: their values were never known at one time")]
    NoSum,
    /// A table has the series of several processes, and one is asked for.
    #[error("it has several series: {}; choose one: --where COLUMN=VALUE", known.join(", "))]
    SeveralSeries {
        /// Those that it has.
        known: Vec<String>,
    },
    /// The metric is not defined.
    #[error("there is no metric `{metric}`; there are: {}", known.join(", "))]
    NoSuchMetric {
        /// The metric.
        metric: String,
        /// Those that are.
        known: Vec<String>,
    },
}

impl Conclusion {
    /// Judges what `series` gives for each metric: the series of each target and, if there are several,
    /// that of their sum as the last.
    pub(crate) fn of(
        options: &JudgeOptions,
        series: impl Fn(&str) -> Result<Vec<RunSeries>, NoVerdict>,
    ) -> Self {
        let mut gates = None;
        let conclude = |metric: &String| {
            let runs = series(metric);
            let outcome = match &runs {
                Ok(runs) => MetricOutcome::Verdicts(runs.iter().map(RunSeries::judge).collect()),
                Err(why) => MetricOutcome::NoVerdict(why.clone()),
            };
            let conclusion = MetricConclusion::new(metric, outcome);
            let runs = runs.as_deref().unwrap_or_default();
            gates.get_or_insert_with(|| conclusion.evaluate(&options.gates, runs));
            conclusion
        };
        let metrics = options.metrics.iter().map(conclude).collect();
        Self { metrics, gates: gates.unwrap_or_default(), strict: options.strict }
    }

    /// The verdict on the main metric.
    ///
    /// # Errors
    /// Why there is none.
    pub fn main(&self) -> Result<&Verdict, &NoVerdict> {
        self.metrics.first().map_or(Err(&NoVerdict::NothingSampled), MetricConclusion::verdict)
    }

    /// True if a process or role grows, and the sum of all, which the gates are evaluated on, is not known.
    pub(crate) fn has_growth_without_sum(&self) -> bool {
        let main = self.metrics.first();
        main.is_some_and(|main| {
            matches!(main.current(), Err(NoVerdict::NoSum))
                && main.verdicts().is_ok_and(|all| all.iter().any(Verdict::grows))
        })
    }

    /// The verdict on one of the metrics.
    ///
    /// # Errors
    /// Why there is none.
    pub fn verdict(&self, metric: &str) -> Result<&Verdict, &NoVerdict> {
        let of_metric = self.metrics.iter().find(|known| known.metric == metric);
        of_metric.map_or(Err(&NoVerdict::NothingSampled), MetricConclusion::verdict)
    }
}

impl MetricConclusion {
    /// What is concluded from a metric of a run with one epoch.
    #[must_use]
    pub fn new(metric: &str, outcome: MetricOutcome) -> Self {
        Self { metric: metric.to_owned(), outcome, epochs: Vec::new(), ended_epochs: 0 }
    }

    /// What gates find in the verdict; `runs` are what the verdicts were made from.
    fn evaluate(&self, gates: &[Gate], runs: &[RunSeries]) -> Vec<GateOutcome> {
        let verdicts = self.verdicts().unwrap_or_default();
        let all: Vec<(&Verdict, &RunSeries)> = verdicts.iter().zip(runs).collect();
        let members = all.split_last().map_or(&[][..], |(_, members)| members);
        let evaluate = |gate: &Gate| match (self.current(), runs.last()) {
            (Ok(_), Some(run)) if run.scope.has_no_sum() => self.evaluate_each(gate, runs),
            (Ok(verdict), Some(run)) => gate.evaluate_on(&Judged { verdict, run, members }),
            (Ok(_), None) => gate.unknown(&self.metric, &NoVerdict::NothingSampled),
            (Err(why), _) => gate.unknown(&self.metric, why),
        };
        gates.iter().map(evaluate).collect()
    }

    /// What a gate finds in series that have no sum: it fires if it fires for any of them.
    fn evaluate_each(&self, gate: &Gate, runs: &[RunSeries]) -> GateOutcome {
        let verdicts = self.verdicts().unwrap_or_default();
        let outcome = |(verdict, run): (&Verdict, &RunSeries)| {
            let outcome = gate.evaluate(verdict, run);
            match verdicts.len() {
                1 => outcome,
                _ => GateOutcome { why: format!("{}: {}", run.target, outcome.why), ..outcome },
            }
        };
        let outcomes = verdicts.iter().zip(runs).map(outcome);
        let weight = |outcome: &GateOutcome| (!outcome.fired, outcome.decided, outcome.checked);
        let nothing = || gate.unknown(&self.metric, &NoVerdict::NothingSampled);
        outcomes.min_by_key(weight).unwrap_or_else(nothing)
    }

    /// The verdicts on each target and, if there are several, on their sum, which is the last.
    ///
    /// # Errors
    /// Why there are none.
    pub fn verdicts(&self) -> Result<&[Verdict], &NoVerdict> {
        match &self.outcome {
            MetricOutcome::Verdicts(verdicts) => Ok(verdicts),
            MetricOutcome::NoVerdict(why) => Err(why),
        }
    }

    /// The main verdict: that on the epoch that goes on, as [`MetricConclusion::current`], unless it does not grow and
    /// one that has ended did. A program that leaks until it is killed and started again is no better for that.
    ///
    /// # Errors
    /// Why there is none.
    pub fn verdict(&self) -> Result<&Verdict, &NoVerdict> {
        let current = self.current();
        if current.is_ok_and(Verdict::grows) {
            return current;
        }
        let is_main =
            |verdict: &&Verdict| !matches!(verdict.scope, Scope::Descendant | Scope::Role);
        let mut mains = self.kept_epochs().filter_map(<[Verdict]>::first).filter(is_main).rev();
        mains.find(|verdict| verdict.grows()).map_or(current, Ok)
    }

    /// The verdicts on each epoch that has ended and is kept, the main one first.
    fn kept_epochs(&self) -> impl DoubleEndedIterator<Item = &[Verdict]> {
        let number = |verdict: &Verdict| verdict.epoch.as_ref().map(|epoch| epoch.number);
        self.epochs.chunk_by(move |one, other| number(one) == number(other))
    }

    /// What is kept of the verdicts when their epoch has ended: the main one, if there is one, and if that does not grow,
    /// behind it those on processes and roles that do, the fastest first.
    pub(crate) fn of_ended_epoch(self) -> Vec<Verdict> {
        let main = self.current().ok();
        let main_grows = main.is_some_and(Verdict::grows);
        let rate = |verdict: &Verdict| verdict.judgement.rate.map_or(0.0, |rate| rate.estimate);
        let others = self.verdicts().into_iter().flatten();
        let mut growing: Vec<&Verdict> = others.filter(|it| it.grows() && !main_grows).collect();
        growing.sort_by(|one, other| rate(other).total_cmp(&rate(one)));
        growing.truncate(MOST_BESIDE);
        main.into_iter().chain(growing).cloned().collect()
    }

    /// The verdict on the sum of all targets, or on the only one, in the epoch that goes on; of several cgroups, or
    /// series of another tool, the one that matters most: growing before inconclusive before steady.
    ///
    /// # Errors
    /// Why there is none.
    pub fn current(&self) -> Result<&Verdict, &NoVerdict> {
        let weight = |verdict: &&Verdict| match verdict.judgement.classification {
            Classification::Growing => 0,
            Classification::Inconclusive => 1,
            Classification::Steady => 2,
        };
        match self.verdicts()? {
            [] => Err(&NoVerdict::NothingSampled),
            [only] => Ok(only),
            [.., last] if last.scope == Scope::AllTargets => Ok(last),
            all if all.iter().all(|verdict| verdict.scope.has_no_sum()) => {
                all.iter().min_by_key(weight).ok_or(&NoVerdict::NothingSampled)
            }
            _ => Err(&NoVerdict::NoSum),
        }
    }

    /// The verdicts of the epoch of the main one.
    ///
    /// # Errors
    /// Why there are none.
    pub fn beside_main(&self) -> Result<&[Verdict], &NoVerdict> {
        let main = self.verdict()?;
        let is_of_main = |of_epoch: &&[Verdict]| of_epoch.iter().any(|it| std::ptr::eq(it, main));
        self.kept_epochs().find(is_of_main).map_or_else(|| self.verdicts(), Ok)
    }

    /// The verdicts on the epoch that goes on; empty if it has none, but one that has ended gives the main verdict.
    ///
    /// # Errors
    /// Why there are none at all.
    fn of_current_epoch(&self) -> Result<&[Verdict], &NoVerdict> {
        match self.verdicts() {
            Err(_) if self.verdict().is_ok() => Ok(&[]),
            verdicts => verdicts,
        }
    }

    /// True if there are several verdicts, so that each names its target.
    pub(crate) fn names_targets(&self) -> bool {
        !self.epochs.is_empty() || self.verdicts().is_ok_and(|all| all.len() > 1)
    }

    /// The verdicts for machines, those on epochs that have ended first: a JSON object each, with what the gates found and the file that was judged, if
    /// it was one.
    ///
    /// # Errors
    /// Why there are none.
    pub fn documents(
        &self,
        gates: &[GateOutcome],
        file: Option<&str>,
    ) -> Result<Vec<String>, &NoVerdict> {
        let document = |verdict: &Verdict| verdict.document(gates, file).to_string();
        Ok(self.epochs.iter().chain(self.of_current_epoch()?).map(document).collect())
    }

    /// The verdicts for people, that on the sum first. If there are several, each names its target.
    ///
    /// # Errors
    /// Why there are none.
    pub fn lines(&self, explain: bool) -> Result<Vec<String>, &NoVerdict> {
        Ok(self.verdict_lines(explain)?.into_iter().map(|line| line.text).collect())
    }

    /// As [`MetricConclusion::lines`], with what each line is.
    ///
    /// # Errors
    /// Why there are none.
    pub fn verdict_lines(&self, explain: bool) -> Result<Vec<VerdictLine>, &NoVerdict> {
        let options = LineOptions { explain, name_target: self.names_targets() };
        let main = self.verdict().ok();
        let is_main = |verdict: &Verdict| main.is_some_and(|main| std::ptr::eq(main, verdict));
        let has_ended = |verdict: &Verdict| self.epochs.iter().any(|it| std::ptr::eq(it, verdict));
        let is_brief = |verdict: &Verdict| !explain && has_ended(verdict) && !is_main(verdict);
        let lines_of = |verdict: &Verdict| {
            let mut lines = verdict.verdict_lines(options);
            lines.truncate(if is_brief(verdict) { 1 } else { lines.len() });
            lines
        };
        let mut shown = self.shown(explain)?;
        let of_short = |verdict: &Verdict| is_brief(verdict) && verdict.ended_too_soon();
        let short = shown.iter().filter(|verdict| of_short(verdict)).count();
        if short > 1 {
            shown.retain(|verdict| !of_short(verdict));
        }
        let mut lines: Vec<VerdictLine> = shown.into_iter().flat_map(lines_of).collect();
        if let (Err(why), false) = (self.verdicts(), self.epochs.is_empty()) {
            lines.push(format!("epoch {}: {why}", self.ended_epochs + 1).into());
        }
        if short > 1 {
            let (word, metric) = (Classification::Inconclusive, &self.metric);
            let text = format!(
                "{word}  {metric} in {short} epochs that ended before there was enough data"
            );
            lines.push(VerdictLine { text, verdict: Some(word) });
        }
        let left_out = self.ended_epochs.saturating_sub(self.kept_epochs().count() as u64);
        if left_out > 0 {
            let epochs = human::count(left_out, "epoch");
            lines.push(format!("not shown: {epochs} in which no growth was found").into());
        }
        Ok(lines)
    }

    /// The verdicts that people are shown, the main one first. In a tree these are that on the sum and those on the
    /// processes and roles that grow, or all to explain them. Those on epochs that have ended stand last, oldest first.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn shown(&self, explain: bool) -> Result<Vec<&Verdict>, &NoVerdict> {
        let mut verdicts: Vec<&Verdict> = self.of_current_epoch()?.iter().collect();
        verdicts.sort_by_key(|verdict| verdict.scope != Scope::AllTargets);
        if !explain && verdicts.iter().any(|it| it.scope.is_of_tree()) {
            verdicts.retain(|it| it.scope == Scope::AllTargets || it.grows());
        }
        verdicts.extend(&self.epochs);
        if let (false, Ok(main)) = (self.epochs.is_empty(), self.verdict()) {
            verdicts.sort_by_key(|verdict| !std::ptr::eq(*verdict, main));
        }
        Ok(verdicts)
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;

    use super::*;
    use crate::made_up::{part, run_of, series};
    use crate::part::Part;
    use crate::run_series::PartSeries;

    /// A worker that leaks, a shell that does not, and their sum.
    fn two_targets() -> Vec<RunSeries> {
        let leak = series(600, |i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let flat = series(600, |i| 9_000_000 + i % 5 * 900);
        let target = |name: &str, pid, whole| RunSeries {
            target: name.to_owned(),
            pid: Some(pid),
            scope: Scope::Target,
            ..RunSeries::of_resident(name, whole)
        };
        let parts = vec![part("worker (pid 7)", leak.clone()), part("sh (pid 5)", flat.clone())];
        let sum = RunSeries { target: "2 targets".to_owned(), ..run_of(parts) };
        let sum = RunSeries { scope: Scope::AllTargets, ..sum };
        vec![target("worker", 7, leak), target("sh", 5, flat), sum]
    }

    fn conclude(gates: &[&str], runs: &[RunSeries]) -> Conclusion {
        let gates = gates.iter().map(|gate| gate.parse().unwrap()).collect();
        let options = JudgeOptions { gates, ..JudgeOptions::default() };
        Conclusion::of(&options, |_| Ok(runs.to_vec()))
    }

    #[test]
    fn several_targets_have_a_verdict_each_and_one_on_their_sum_and_lines_name_them() {
        let lines = conclude(&[], &two_targets()).metrics[0].lines(false).unwrap();
        let begin =
            |line: usize, words: &str| assert!(lines[line].starts_with(words), "{lines:#?}");
        begin(0, "growing  rss of 2 targets +19.5 KiB/s (95 % CI ");
        begin(1, "  100 % of it in worker (pid 7)");
        begin(2, "growing  rss of worker (pid 7) +19.6 KiB/s (95 % CI ");
        begin(3, "steady  rss of sh (pid 5) 0 B/");
        assert_eq!(lines.len(), 4, "{lines:#?}");
        let only = conclude(&[], &two_targets()[..1]).metrics[0].lines(false).unwrap();
        assert!(only[0].starts_with("growing  rss +19.6 KiB/s (95 % CI "), "{only:#?}");
    }

    #[test]
    fn gates_are_evaluated_on_the_sum_of_all_targets_or_on_the_only_one() {
        let gates = ["level>65MB", "subject(sh (pid 5)).level>5MB", "subject(worker).share>90%"];
        let fired = |runs: &[RunSeries]| -> Vec<bool> {
            conclude(&gates, runs).gates.iter().map(|gate| gate.fired).collect()
        };
        let all = two_targets();
        assert_eq!(fired(&all), [true, true, true]);
        assert_eq!(fired(&all[..1]), [false, false, false]);
    }

    #[test]
    fn a_gate_names_a_role_a_process_or_a_part_of_all_processes_in_a_tree() {
        let leak = series(600, |i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let flat = series(600, |i| 9_000_000 + i % 5 * 900);
        let process = |name: &str, pid, scope, whole: Series| RunSeries {
            pid: Some(pid),
            scope,
            parts: vec![part("[heap]", whole.clone())],
            kernel_peak: Some(90_000_000),
            ..RunSeries::of_resident(name, whole)
        };
        let role = RunSeries {
            scope: Scope::Role,
            processes: Some(2),
            ..RunSeries::of_resident("worker", Series::sum(&[&leak, &flat]))
        };
        let parts = vec![
            PartSeries {
                part: Part::of_role("worker".to_owned(), "worker (2 processes)".to_owned()),
                ..part("", role.whole.clone())
            },
            part("sh (pid 5)", flat.clone()),
        ];
        let sum = RunSeries { scope: Scope::AllTargets, processes: Some(3), ..run_of(parts) };
        let runs = [
            process("sh", 5, Scope::Target, flat.clone()),
            process("worker", 7, Scope::Descendant, leak),
            process("worker", 8, Scope::Descendant, flat),
            role,
            sum,
        ];
        for (gate, fires) in [
            ("subject(worker).rate>1MB/min", true),
            ("subject(worker).share>90%", true),
            ("subject(worker (2 processes)).rate>1MB/min", true),
            ("subject(worker (pid 7)).rate>1MB/min", true),
            ("subject(worker (pid 7)).share>90%", true),
            ("subject(worker (pid 8)).rate>1kB/min", false),
            // The target, and the kernel's mark of its peak.
            ("subject(sh).level>10MB", false),
            ("subject(sh).peak>80MB", true),
            // Of all three.
            ("subject(heap).level>75MB", true),
            ("subject(heap).level>90MB", false),
        ] {
            let conclusion = conclude(&[gate], &runs);
            let found = &conclusion.gates[0];
            assert!(found.checked && found.decided, "{gate}: {}", found.why);
            assert_eq!(found.fired, fires, "{gate}: {}", found.why);
        }
        let unknown = &conclude(&["subject(nobody).peak>1"], &runs).gates[0];
        assert!(!unknown.checked && unknown.why.contains("no subject `nobody`"), "{}", unknown.why);
    }

    #[test]
    fn a_gate_names_a_target_without_descendants_before_a_mapping_of_its_name() {
        let leak = series(600, |i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let file = part("worker", series(600, |_| 4_096));
        let alone = RunSeries {
            pid: Some(7),
            scope: Scope::Target,
            parts: vec![file, part("[heap]", leak.clone())],
            kernel_peak: Some(90_000_000),
            ..RunSeries::of_resident("worker", leak)
        };
        for (gate, fires) in [
            ("subject(worker).peak>80MB", true),
            ("subject(worker).peak>100MB", false),
            ("subject(worker).rate>1MB/min", true),
            ("subject(worker).share>90%", true),
            ("subject(heap).peak>80MB", false),
        ] {
            let found = &conclude(&[gate], std::slice::from_ref(&alone)).gates[0];
            assert!(found.checked && found.decided, "{gate}: {}", found.why);
            assert_eq!(found.fired, fires, "{gate}: {}", found.why);
        }
        let unknown = &conclude(&["subject(nobody).peak>1"], &[alone]).gates[0];
        assert!(!unknown.checked, "{}", unknown.why);
    }

    #[test]
    fn no_target_stands_for_a_sum_that_is_not_known() {
        let conclusion = conclude(&["growing"], &two_targets()[..2]);
        assert_eq!(conclusion.main(), Err(&NoVerdict::NoSum));
        assert_eq!(conclusion.metrics[0].verdicts().map(<[_]>::len), Ok(2));
        let gate = &conclusion.gates[0];
        assert!(!gate.checked && gate.why.starts_with("the sum of all targets is not known"));
    }
}
