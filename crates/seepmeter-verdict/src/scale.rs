//! Memory for each unit of work: what runs of growing amounts had in use at their ends, and what that means.

use std::collections::BTreeMap;
use std::time::Duration;

use seepmeter_analysis::thresholds::scaling::{LEAST_SHARE, NARROW};
use seepmeter_analysis::{Interval, Scaling, ScalingAnswer, ScalingReason, ScalingRuns};
use seepmeter_record::{MappingClass, Unit, human};
use serde::Serialize;

use crate::gate::GateOutcome;
use crate::text::AnswerText;

/// What `schema` says. Fields may be added under one version.
const SCHEMA: &str = "seepmeter.scale/1";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScaleRun {
    /// How many units of work it did.
    pub amount: u64,
    /// The round that it belongs to, from 0 on.
    pub round: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The bytes that it had in use at its end.
    pub memory: u64,
    /// True if they were read at its very end; false if they are those of its last sample.
    pub exact: bool,
    /// The kernel's high-water mark of the resident set; none if it was not read.
    pub peak_rss: Option<u64>,
    /// What it had in use in each class of mappings. Empty if that is not known.
    pub classes: BTreeMap<MappingClass, u64>,
    /// True if one of the programs is known to free at its end what it still holds, as Python does.
    pub frees_at_exit: bool,
    /// How many processes there were. Of each program those count that ran at one time and had most in use.
    pub processes: usize,
}

/// What speaks against an answer that the figures alone would give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleDoubt {
    /// The largest amounts took no longer than the least: the command seems to take no notice of them.
    AmountHasNoEffect,
    /// What the program had until then it has freed at its end, as it would a leak.
    FreedAtExit,
    /// The time was over.
    OutOfTime,
}

/// The share of a class of mappings in the growth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// The class.
    pub class: MappingClass,
    /// Its share, 1 for all of it.
    pub share: f64,
}

/// All that is known after some runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScaleReport {
    schema: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub scaling: Scaling,
    /// The amounts of the runs that were judged.
    pub amounts: Vec<u64>,
    /// What speaks against an answer.
    pub doubt: Option<ScaleDoubt>,
    /// The highest peak of a run of the largest amount.
    pub peak_rss: Option<u64>,
    /// By how much the peak of the resident set grows with each unit; none if it does not, or that is not
    /// known.
    pub peak_per_unit: Option<Interval>,
    /// Whose the growth is, the largest share first. Empty if nothing leaks, or that is not known.
    pub growth: Vec<ClassShare>,
    /// All runs, in the order in which they were made.
    pub runs: Vec<ScaleRun>,
    /// What the gates found.
    pub gates: Vec<GateOutcome>,
}

impl ScaleReport {
    /// Judges runs. Only rounds count that have one of each amount. A rate of no more than `negligible`
    /// bytes for each unit counts as none.
    #[must_use]
    pub fn of(runs: &[ScaleRun], amounts: &[u64], negligible: f64) -> Self {
        let rounds = 0..runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
        let of = |round, amount| {
            runs.iter().find(move |run: &&ScaleRun| run.round == round && run.amount == amount)
        };
        let whole = |round| amounts.iter().map(|amount| of(round, *amount)).collect();
        let rounds: Vec<Vec<&ScaleRun>> = rounds.filter_map(whole).collect();
        let judge = |bytes: fn(&ScaleRun) -> Option<u64>| {
            let of_run = |run: &&ScaleRun| bytes(run).map(|bytes| bytes as f64);
            let of_round = |round: &Vec<&ScaleRun>| round.iter().map(of_run).collect();
            let rounds = rounds.iter().map(of_round).collect::<Option<Vec<Vec<f64>>>>()?;
            let amounts = amounts.iter().map(|amount| *amount as f64).collect();
            Some(ScalingRuns { amounts, rounds }.judge(negligible))
        };
        let none = ScalingRuns { amounts: Vec::new(), rounds: Vec::new() };
        let scaling = judge(|run| Some(run.memory)).unwrap_or_else(|| none.judge(negligible));
        let leaks = scaling.answer == ScalingAnswer::Leaks;
        let peak = judge(|run| run.peak_rss).filter(|peak| peak.answer == ScalingAnswer::Leaks);
        let report = Self {
            schema: SCHEMA,
            growth: if leaks { growth(&rounds) } else { Vec::new() },
            scaling,
            amounts: amounts.to_vec(),
            doubt: None,
            peak_rss: rounds.iter().filter_map(|round| round.last()?.peak_rss).max(),
            peak_per_unit: peak.and_then(|peak| peak.per_unit),
            runs: runs.to_vec(),
            gates: Vec::new(),
        };
        let freed = report.peak_per_unit.is_some() && runs.iter().any(|run| run.frees_at_exit);
        if freed { report.doubted(ScaleDoubt::FreedAtExit) } else { report }
    }

    /// With what speaks against its answer. That there was no more time does so only if there is none.
    #[must_use]
    pub fn doubted(mut self, doubt: ScaleDoubt) -> Self {
        let no_all_clear = matches!(doubt, ScaleDoubt::AmountHasNoEffect | ScaleDoubt::FreedAtExit);
        if no_all_clear && self.scaling.answer == ScalingAnswer::Constant {
            self.scaling.answer = ScalingAnswer::Inconclusive;
        }
        if self.scaling.answer == ScalingAnswer::Inconclusive {
            self.doubt = Some(doubt);
        }
        self
    }

    /// True if the answer is known, and its rate is known to some percent.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let narrow = |rate: Interval| (rate.high - rate.low) / 2.0 <= NARROW * rate.estimate.abs();
        match self.scaling.answer {
            ScalingAnswer::Leaks => self.scaling.per_unit.is_some_and(narrow),
            ScalingAnswer::Constant => true,
            ScalingAnswer::Inconclusive => self.doubt == Some(ScaleDoubt::FreedAtExit),
        }
    }

    /// The report as a JSON object.
    ///
    /// # Errors
    /// A figure that JSON has no number for.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The report for people: the answer, and what must be known about it.
    pub(crate) fn text(&self) -> AnswerText {
        let mut details = Vec::new();
        if let Some(peak) =
            self.peak_per_unit.filter(|_| self.scaling.answer != ScalingAnswer::Leaks)
        {
            details.push(format!(
                "  the peak grows by {}: that was freed before the end; end the program by _exit (os._exit in Python) to read what it holds before it tidies up",
                with_interval(peak, Unit::Bytes),
            ));
        }
        if let Some(run) = self.runs.iter().find(|run| !run.exact) {
            details.push(format!(
                "  runs could not be traced, so the last samples count and not the ends: a run of n={} took {}",
                run.amount,
                human::duration(Duration::from_secs_f64(run.seconds).as_nanos() as u64),
            ));
        }
        let processes = self.runs.iter().map(|run| run.processes).max().unwrap_or(1);
        if processes > 1 {
            details.push(format!(
                "  there were up to {processes} processes in a run: of each program those count that ran at one time and had most in use at their ends"
            ));
        }
        AnswerText {
            word: self.scaling.answer.as_str(),
            figures: format!("{}; {}", self.figures(), self.basis()),
            details,
        }
    }

    /// What stands behind the word.
    fn figures(&self) -> String {
        let Scaling { per_unit, per_unit_before, level, rounds, .. } = &self.scaling;
        let level = human::amount(*level, Unit::Bytes);
        let [rate, before] = [per_unit, per_unit_before].map(|rate| match rate {
            Some(rate) => human::amount(rate.estimate, Unit::Bytes),
            None => "an unknown number of bytes".to_owned(),
        });
        let at_most = per_unit.map_or(f64::INFINITY, |rate| rate.high.max(0.0));
        let at_most = bound(at_most, Unit::Bytes);
        let interval = per_unit.map(|rate| with_interval(rate, Unit::Bytes)).unwrap_or_default();
        match (self.scaling.answer, self.scaling.reason, self.doubt) {
            (ScalingAnswer::Leaks, ScalingReason::FasterThanLinear, _) => {
                format!("{interval} and grows faster than n: it was {before} before")
            }
            (ScalingAnswer::Leaks, ..) => interval,
            (ScalingAnswer::Constant, ..) => {
                format!("{level}, at most {at_most} per unit")
            }
            (_, _, Some(ScaleDoubt::AmountHasNoEffect)) => format!(
                "{level}, but runs take no longer if n is larger: does the command use {{n}} or SEEPMETER_N?"
            ),
            (_, _, Some(ScaleDoubt::FreedAtExit)) => {
                format!("{level} at the end, but Python frees then what was still reachable")
            }
            (_, ScalingReason::Saturating, _) => format!(
                "saturating: {rate} per unit, after {before} per unit, as of a cache that fills up; larger amounts show where it ends{}",
                self.remedy()
            ),
            (_, ScalingReason::TooFewRuns, _) => format!(
                "not enough data yet: {}, and at least 3 are needed{}",
                human::count(*rounds as u64, "whole round"),
                self.remedy()
            ),
            _ => format!(
                "{level}, the rate is not known well enough: {interval}; larger amounts or more runs narrow it{}",
                self.remedy()
            ),
        }
    }

    fn remedy(&self) -> &'static str {
        match self.doubt {
            Some(ScaleDoubt::OutOfTime) => " (the time was over: see --time)",
            _ => "",
        }
    }

    /// What the answer rests on.
    fn basis(&self) -> String {
        let rounds = self.scaling.rounds;
        let amounts: Vec<String> = self.amounts.iter().map(ToString::to_string).collect();
        let runs = human::count(rounds as u64, "run");
        let mut basis = format!("{runs} each of n={}", amounts.join(", "));
        if let (Some(peak), Some(largest)) = (self.peak_rss, self.amounts.last()) {
            let peak = human::amount(peak as f64, Unit::Bytes);
            basis += &format!("; peak RSS {peak} at n={largest}");
        }
        if let Some(ClassShare { class, share }) = self.growth.first() {
            basis += &format!("; {class} {} of the growth", human::percent(*share));
        }
        basis
    }
}

/// `41.3 B per unit (95 % CI 40.9–41.8)`.
pub(crate) fn with_interval(rate: Interval, unit: Unit) -> String {
    human::per_unit_with_interval(rate.estimate, rate.low, rate.high, unit)
}

/// An upper bound, never rounded to nothing.
pub(crate) fn bound(most: f64, unit: Unit) -> String {
    const LEAST: f64 = 0.01;
    if most.is_finite() { human::amount(most.max(LEAST), unit) } else { "any".to_owned() }
}

/// The share of each class that grows in what the runs of the largest amount hold more than those of the
/// least.
fn growth(rounds: &[Vec<&ScaleRun>]) -> Vec<ClassShare> {
    let mut growth: BTreeMap<&MappingClass, f64> = BTreeMap::new();
    for round in rounds {
        let (Some(first), Some(last)) = (round.first(), round.last()) else { continue };
        for (run, sign) in [(first, -1.0), (last, 1.0)] {
            for (class, bytes) in &run.classes {
                *growth.entry(class).or_default() += sign * *bytes as f64;
            }
        }
    }
    let all: f64 = growth.values().filter(|bytes| **bytes > 0.0).sum();
    let share = |(class, bytes): (&MappingClass, f64)| ClassShare {
        class: class.clone(),
        share: bytes / all,
    };
    let mut shares: Vec<ClassShare> = growth.into_iter().map(share).collect();
    shares.retain(|share| share.share >= LEAST_SHARE);
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(memory: impl Fn(u64) -> u64) -> Vec<ScaleRun> {
        let run = |round, amount| ScaleRun {
            amount,
            round,
            seconds: amount as f64 / 1e4,
            memory: memory(amount),
            exact: true,
            peak_rss: Some(memory(amount) + (2 << 20)),
            classes: BTreeMap::from([
                (MappingClass::Heap, memory(amount) - (1 << 20)),
                (MappingClass::File, 1 << 20),
            ]),
            frees_at_exit: false,
            processes: 1,
        };
        let amounts = [1_000, 2_000, 4_000];
        (0..5).flat_map(|round| amounts.map(|amount| run(round, amount))).collect()
    }

    fn report(memory: impl Fn(u64) -> u64) -> ScaleReport {
        ScaleReport::of(&runs(memory), &[1_000, 2_000, 4_000], 16.0)
    }

    fn lines_of(report: &ScaleReport) -> Vec<String> {
        report.text().lines(" ")
    }

    #[test]
    fn the_first_line_begins_with_the_answer_and_says_what_it_rests_on() {
        let leak = report(|n| (4 << 20) + 4_096 * n);
        assert_eq!(
            lines_of(&leak),
            [
                "leaks 4 KiB per unit (95 % CI 4–4); 5 runs each of n=1000, 2000, 4000; peak RSS 21.6 MiB at n=4000; heap 100 % of the growth"
            ]
        );
        assert!(leak.is_clear());
        let flat = report(|_| 12 << 20);
        assert!(
            lines_of(&flat)[0].starts_with("constant 12 MiB, at most "),
            "{:?}",
            lines_of(&flat)
        );
        let full = report(|n| (4 << 20) + 4_096 * n.min(2_500)).doubted(ScaleDoubt::OutOfTime);
        let line = &lines_of(&full)[0];
        assert!(line.starts_with("inconclusive saturating: 1 KiB per unit, after 4 KiB"), "{line}");
        assert!(line.contains("see --time"), "{line}");
        let faster = report(|n| (4 << 20) + 4 * n * n);
        let line = &lines_of(&faster)[0];
        assert!(line.starts_with("leaks 23.4 KiB per unit"), "{line}");
        assert!(line.contains("faster than n: it was 11.7 KiB before"), "{line}");
    }

    #[test]
    fn an_amount_without_an_effect_is_no_all_clear_and_no_leak_is_doubted() {
        let flat = report(|_| 12 << 20).doubted(ScaleDoubt::AmountHasNoEffect);
        assert!(lines_of(&flat)[0].starts_with("inconclusive 12 MiB, but runs take no longer"));
        let leak = report(|n| (4 << 20) + 4_096 * n).doubted(ScaleDoubt::OutOfTime);
        assert_eq!((leak.scaling.answer, leak.doubt), (ScalingAnswer::Leaks, None));
    }

    #[test]
    fn a_round_that_lacks_a_run_does_not_count() {
        let mut runs = runs(|n| (4 << 20) + 4_096 * n);
        runs.truncate(8);
        let report = ScaleReport::of(&runs, &[1_000, 2_000, 4_000], 16.0);
        assert_eq!((report.scaling.rounds, report.scaling.reason), (2, ScalingReason::TooFewRuns));
        let line = &lines_of(&report)[0];
        assert!(line.starts_with("inconclusive not enough data yet: 2 whole rounds"), "{line}");
    }

    #[test]
    fn what_was_freed_before_the_end_is_said_and_is_no_all_clear_if_python_frees_all_there() {
        let mut runs = runs(|_| 12 << 20);
        for run in &mut runs {
            run.peak_rss = Some((14 << 20) + 4_096 * run.amount);
        }
        let lines = lines_of(&ScaleReport::of(&runs, &[1_000, 2_000, 4_000], 16.0));
        assert!(lines[0].starts_with("constant 12 MiB"), "{lines:?}");
        assert!(lines[1].starts_with("  the peak grows by 4 KiB per unit"), "{lines:?}");
        runs[0].frees_at_exit = true;
        let python = ScaleReport::of(&runs, &[1_000, 2_000, 4_000], 16.0);
        assert_eq!(python.scaling.answer, ScalingAnswer::Inconclusive);
        assert!(python.is_clear(), "more runs would not change the answer");
        let lines = lines_of(&python);
        assert!(lines[0].starts_with("inconclusive 12 MiB at the end, but Python"), "{lines:?}");
        assert!(lines[1].contains("os._exit"), "{lines:?}");
    }

    #[test]
    fn untraced_runs_and_several_processes_are_said() {
        let mut runs = runs(|n| (4 << 20) + 4_096 * n);
        runs[3].exact = false;
        runs[4].processes = 3;
        let lines = lines_of(&ScaleReport::of(&runs, &[1_000, 2_000, 4_000], 16.0));
        assert!(lines[1].contains("could not be traced"), "{lines:?}");
        assert!(lines[2].contains("up to 3 processes"), "{lines:?}");
    }

    #[test]
    fn the_json_has_its_schema_the_answer_and_every_run() {
        let json = report(|n| (4 << 20) + 4_096 * n).json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["schema"], &json["answer"]), (&SCHEMA.into(), &"leaks".into()));
        assert_eq!(json["runs"].as_array().map(Vec::len), Some(15));
        assert_eq!(json["growth"][0]["class"], "heap");
        assert!(json["per_unit"]["low"].as_f64() <= Some(4_096.0));
    }
}
