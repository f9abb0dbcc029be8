//! Memory for each unit of work within one run, of which a counter says how much was done.

use std::collections::BTreeMap;

use seepmeter_analysis::{
    Classification, Downsampler, IdleGrowth, Interval, Judgement, Series, Settings, Span,
    TooLittleWork, WorkClock,
};
use seepmeter_record::{Unit, human};
use serde::Serialize;

use crate::gate::GateOutcome;
use crate::run_series::{LimitedSeries, PartSeries, RunSeries, Scope};
use crate::scale::{bound, with_interval};
use crate::text::{reason, short};
use crate::verdict::Verdict;

/// What `schema` says. Fields may be added under one version.
const SCHEMA: &str = "seepmeter.work/1";

/// Counters beyond so many names are not kept: a run has a few, and a file may have anything.
const MOST_COUNTERS: usize = 64;

/// Buckets for a counter.
const COUNTER_BUCKETS: usize = 2048;

/// The counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    series: BTreeMap<String, Downsampler>,
}

impl Counters {
    /// A counter has this value now (ns).
    pub(crate) fn push(&mut self, name: &str, t: u64, value: i64) {
        if let Some(series) = self.series.get_mut(name) {
            series.push(t, value);
        } else if self.series.len() < MOST_COUNTERS {
            let series = self.series.entry(name.to_owned());
            series.or_insert_with(|| Downsampler::new(COUNTER_BUCKETS)).push(t, value);
        }
    }

    /// The series of one of them.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn series(&self, name: &str) -> Result<Series, NoCounter> {
        let series = self.series.get(name).cloned().map(Downsampler::finish);
        series.ok_or_else(|| NoCounter {
            name: name.to_owned(),
            known: self.series.keys().cloned().collect(),
        })
    }
}

/// A run has no counter of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no counter `{name}`; {}", in_words(known))]
pub struct NoCounter {
    /// The name.
    pub name: String,
    /// Those that there are.
    pub known: Vec<String>,
}

fn in_words(known: &[String]) -> String {
    match known {
        [] => "no marks of a counter were written, such as `n 1000`; see `seepmeter mark --help`"
            .to_owned(),
        known => format!("there are: {}", known.join(", ")),
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkAnswer {
    /// Each unit of work leaves memory behind.
    Leaks,
    /// What is in use does not depend on the work that was done.
    Constant,
    /// Neither is known.
    Inconclusive,
}

/// What one metric of one target was judged to be, with work in place of time.
///
/// In JSON, times are in seconds, amounts in the metric's unit, and rates in that unit per unit of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkVerdict {
    schema: &'static str,
    /// What it is on, for people.
    pub target: String,
    /// The process, if it is one.
    pub pid: Option<i64>,
    /// How much of a run it is on.
    pub scope: Scope,
    /// The metric.
    pub metric: String,
    /// What its integers count.
    pub unit: Unit,
    /// The counter.
    pub counter: String,
    /// The answer.
    pub answer: WorkAnswer,
    /// Why it is inconclusive.
    pub reason: Option<String>,
    /// What each unit leaves behind, with its 95 % confidence interval; none if that is not known.
    pub per_unit: Option<Interval>,
    /// What each unit seems to leave behind so far, if there is too little data for an answer.
    pub per_unit_so_far: Option<f64>,
    /// The level at the end.
    pub level: Option<f64>,
    /// How many units of work were done, from the first mark that counts to the last.
    pub units: Option<f64>,
    /// How long that was.
    pub seconds: Option<f64>,
    /// How often the counter went backwards.
    pub resets: usize,
    /// What was gained while the counter stood still.
    pub idle: Option<IdleGrowth>,
    /// About how many seconds more would show it.
    pub needs_more: Option<f64>,
    /// The part that grows although the whole does not show it.
    pub masked: Option<String>,
    /// The part that gained most, and its share of the growth.
    pub mostly: Option<PartShare>,
    /// What the gates found.
    pub gates: Vec<GateOutcome>,
}

/// The share of a part in the growth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartShare {
    /// Its name.
    pub name: String,
    /// Its share, 1 for all of it.
    pub share: f64,
}

impl RunSeries {
    /// The verdict with a counter of this name and series as the axis.
    #[must_use]
    pub fn judge_by_work(&self, name: &str, counter: &Series) -> WorkVerdict {
        match WorkClock::of(counter) {
            Ok(clock) => self.judge_on(name, &clock),
            Err(TooLittleWork { rises, resets }) => {
                let times = human::count(rises as u64, "time");
                let reason = format!("not enough data yet: {name} rose {times}, and 30 are needed");
                WorkVerdict { resets, reason: Some(reason), ..self.undecided(name) }
            }
        }
    }

    fn undecided(&self, name: &str) -> WorkVerdict {
        WorkVerdict {
            schema: SCHEMA,
            target: self.target.clone(),
            pid: self.pid,
            scope: self.scope,
            metric: self.metric.clone(),
            unit: self.unit,
            counter: name.to_owned(),
            answer: WorkAnswer::Inconclusive,
            reason: None,
            per_unit: None,
            per_unit_so_far: None,
            level: None,
            units: None,
            seconds: None,
            resets: 0,
            idle: None,
            needs_more: None,
            masked: None,
            mostly: None,
            gates: Vec::new(),
        }
    }

    fn judge_on(&self, name: &str, clock: &WorkClock) -> WorkVerdict {
        let Verdict { judgement, masked, shares, .. } = self.on(clock).judge();
        let idle = Some(clock.idle_growth(&self.whole)).filter(|idle| idle.seconds > 0.0);
        let rate = masked.as_ref().map_or(judgement.rate, |masked| masked.rate);
        let verdict = WorkVerdict {
            units: Some(clock.units()),
            seconds: Some(clock.span().seconds()),
            resets: clock.resets(),
            level: judgement.level,
            per_unit: rate.map(|rate| clock.per_unit(rate)),
            masked: masked.map(|masked| masked.part.name),
            idle,
            ..self.undecided(name)
        };
        let least = match self.unit {
            Unit::Bytes => Settings::default().least_gain,
            _ => Settings::for_counts().least_gain,
        };
        if let Some(idle) = idle.filter(|idle| idle.matters(least)) {
            return verdict.doubted_by(&idle);
        }
        match judgement.classification {
            Classification::Growing => {
                let mostly = shares.and_then(|shares| {
                    let first = shares.into_iter().next()?;
                    Some(PartShare { name: first.part.name, share: first.share? })
                });
                WorkVerdict { answer: WorkAnswer::Leaks, mostly, ..verdict }
            }
            Classification::Steady => WorkVerdict { answer: WorkAnswer::Constant, ..verdict },
            Classification::Inconclusive => verdict.inconclusive(&judgement, clock),
        }
    }

    /// All of it on a clock that runs as the work does. What has no such axis is left out.
    fn on(&self, clock: &WorkClock) -> Self {
        let Span { from, to } = clock.span();
        let last = |known: &PartSeries| {
            // What was observed up to the last mark is not stale.
            let stale = (to.saturating_sub(known.last_observed)).min(to - from);
            clock.length().saturating_sub(stale)
        };
        let part = |known: &PartSeries| PartSeries {
            part: known.part.clone(),
            series: clock.lay(&known.series),
            last_observed: last(known),
            causes: Vec::new(),
        };
        Self {
            whole: clock.lay(&self.whole),
            end: clock.length(),
            parts: self.parts.iter().map(part).collect(),
            threads: None,
            limited: LimitedSeries::default(),
            causes: Vec::new(),
            asked_interval: None,
            ..self.clone()
        }
    }
}

impl WorkVerdict {
    fn doubted_by(self, idle: &IdleGrowth) -> Self {
        let gain = human::amount(idle.gain, self.unit);
        let reason = format!(
            "{} grows while {} stands still: {gain} in {}; that is no growth per unit",
            self.metric,
            self.counter,
            seconds(idle.seconds),
        );
        Self { reason: Some(reason), ..self }
    }

    fn inconclusive(self, judgement: &Judgement, clock: &WorkClock) -> Self {
        let so_far = judgement.evidence.rate_so_far().filter(|_| judgement.overruled.is_none());
        let so_far = so_far.map(|so_far| {
            let rate = Interval { estimate: so_far.rate, low: so_far.rate, high: so_far.rate };
            clock.per_unit(rate).estimate
        });
        Self {
            reason: Some(reason(judgement)),
            per_unit_so_far: so_far,
            needs_more: judgement.needs_more.filter(|ns| *ns > 0).map(|ns| ns as f64 / 1e9),
            ..self
        }
    }

    /// The verdict for people, in one line that begins with leaks, constant or inconclusive; it names its
    /// target if there are several.
    #[must_use]
    pub fn line(&self, name_target: bool) -> String {
        format!("{}; {}", self.answer(), self.basis(name_target))
    }

    fn answer(&self) -> String {
        let rate = self.per_unit.map(|rate| with_interval(rate, self.unit));
        let level = self.level.map(|level| human::amount(level, self.unit)).unwrap_or_default();
        match (self.answer, rate, &self.masked) {
            (WorkAnswer::Leaks, Some(rate), Some(part)) => {
                format!(
                    "leaks {rate} in {}, which {} as a whole does not show",
                    short(part),
                    self.metric
                )
            }
            (WorkAnswer::Leaks, rate, _) => format!("leaks {}", rate.unwrap_or_default()),
            (WorkAnswer::Constant, ..) => {
                let most = self.per_unit.map_or(f64::INFINITY, |rate| rate.high.max(0.0));
                format!("constant {level}, at most {} per unit", bound(most, self.unit))
            }
            (WorkAnswer::Inconclusive, ..) => {
                let reason = self.reason.as_deref().unwrap_or("no reason is known");
                let so_far = self.per_unit_so_far.map_or(String::new(), |rate| {
                    format!(": {} per unit so far", human::amount(rate, self.unit))
                });
                let more = self.needs_more.map_or(String::new(), |more| {
                    format!("; about {} more would show it", seconds(more))
                });
                format!("inconclusive {reason}{so_far}{more}")
            }
        }
    }

    /// What the answer rests on.
    fn basis(&self, name_target: bool) -> String {
        let of = match (name_target, self.pid) {
            (true, Some(pid)) => format!(" of {} (pid {pid})", short(&self.target)),
            (true, None) => format!(" of {}", short(&self.target)),
            (false, _) => String::new(),
        };
        let mut basis = format!("{}{of} per {}", self.metric, self.counter);
        if let (Some(units), Some(time)) = (self.units, self.seconds) {
            basis += &format!(", {units} of them in {}", seconds(time));
        }
        if let Some(PartShare { name, share }) = &self.mostly {
            basis += &format!("; {} {} of the growth", short(name), human::percent(*share));
        }
        if self.resets > 0 {
            let times = human::count(self.resets as u64, "time");
            basis += &format!(
                "; it went backwards {times}, and only what came later counts: give each process a counter of its own"
            );
        }
        basis
    }

    /// The verdict as a JSON object, with the file that was judged.
    ///
    /// # Errors
    /// A figure that JSON has no number for.
    pub fn json(&self, file: &str) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            file: &'a str,
            #[serde(flatten)]
            verdict: &'a WorkVerdict,
        }
        serde_json::to_string(&Document { file, verdict: self })
    }
}

fn seconds(seconds: f64) -> String {
    human::duration((seconds * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{part, run_of, series};

    /// Thirty units a second.
    fn counter() -> Series {
        series(600, |i| 30 * i)
    }

    #[test]
    fn the_line_has_the_answer_the_rate_the_work_and_the_part() {
        let heap = series(600, |i| 50_000_000 + 30_000 * i + i % 7 * 900);
        let run = run_of(vec![part("[heap]", heap), part("file", series(600, |_| 4_000_000))]);
        let verdict = run.judge_by_work("requests", &counter());
        assert_eq!(verdict.answer, WorkAnswer::Leaks);
        let line = verdict.line(false);
        assert!(line.starts_with("leaks 100") && line.contains(" B per unit (95 % CI 1"), "{line}");
        assert!(
            line.contains("; rss per requests, 17970 of them in 9 m 59 s; [heap] 100 %"),
            "{line}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&verdict.json("a.jsonl").unwrap()).unwrap();
        assert_eq!((&json["schema"], &json["answer"]), (&SCHEMA.into(), &"leaks".into()));
        let rate = json["per_unit"]["estimate"].as_f64().unwrap();
        assert!((rate - 1_000.0).abs() < 5.0, "{rate}");
    }

    #[test]
    fn what_does_not_grow_is_constant() {
        let run = RunSeries::of_resident("a", series(600, |i| 50_000_000 + i % 7 * 900));
        let line = run.judge_by_work("n", &counter()).line(false);
        assert!(line.starts_with("constant 47.7 MiB, at most "), "{line}");
    }

    #[test]
    fn what_does_not_grow_is_not_called_constant_while_others_are_not_followed() {
        let run = RunSeries::of_resident("a", series(600, |i| 50_000_000 + i % 7 * 900));
        let run = RunSeries { not_all_followed: true, ..run };
        let verdict = run.judge_by_work("n", &counter());
        assert_eq!(verdict.answer, WorkAnswer::Inconclusive);
        let why = "inconclusive not all of its processes could be followed";
        assert!(verdict.line(false).starts_with(why), "{}", verdict.line(false));
    }

    #[test]
    fn a_counter_that_stands_still_while_memory_grows_is_neither_a_leak_nor_an_all_clear() {
        let still = series(600, |i| 30 * i.min(200));
        for rate in [20_000, 400_000] {
            let grows = series(600, move |i| 50_000_000 + rate * (i - 200).max(0));
            let verdict = RunSeries::of_resident("a", grows).judge_by_work("n", &still);
            assert_eq!(verdict.answer, WorkAnswer::Inconclusive);
            let line = verdict.line(false);
            assert!(line.starts_with("inconclusive rss grows while n stands still: "), "{line}");
        }
    }

    #[test]
    fn too_little_work_or_time_is_not_enough_data_yet() {
        let leak = |n| series(n, |i| 50_000_000 + 30_000 * i);
        let few =
            RunSeries::of_resident("a", leak(600)).judge_by_work("n", &series(600, |i| i / 100));
        assert!(few.line(false).starts_with("inconclusive not enough data yet: n rose 5 times"));
        let short =
            RunSeries::of_resident("a", leak(60)).judge_by_work("n", &series(60, |i| 30 * i));
        let line = short.line(false);
        assert!(
            line.starts_with("inconclusive not enough data yet: 1000 B per unit so far; about"),
            "{line}"
        );
    }

    #[test]
    fn a_counter_that_goes_backwards_is_said_and_what_came_later_is_judged() {
        let leak = series(1_200, |i| 50_000_000 + 30_000 * i + i % 7 * 900);
        let verdict = RunSeries::of_resident("a", leak)
            .judge_by_work("n", &series(1_200, |i| 30 * (i % 600)));
        assert_eq!((verdict.answer, verdict.resets), (WorkAnswer::Leaks, 1));
        assert!(
            verdict.line(false).contains("it went backwards 1 time"),
            "{}",
            verdict.line(false)
        );
    }

    #[test]
    fn a_counter_that_there_is_not_names_those_that_there_are() {
        let mut counters = Counters::default();
        assert!(counters.series("n").unwrap_err().to_string().contains("seepmeter mark"));
        counters.push("requests", 1, 1);
        let error = counters.series("n").unwrap_err().to_string();
        assert_eq!(error, "there is no counter `n`; there are: requests");
    }
}
