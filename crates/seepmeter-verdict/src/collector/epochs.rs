//! What is kept of the epochs of a run.

use seepmeter_record::Restart;

use crate::conclusion::{Conclusion, MetricConclusion};
use crate::epoch::Epoch;
use crate::gate::{Gate, GateOutcome};
use crate::verdict::Verdict;

/// So many epochs that have ended are kept with their verdicts, of 50 kB each. Then the oldest that does
/// not grow is only counted.
const MOST_KEPT: usize = 32;

/// The epoch that goes on, and what was concluded from those before it.
#[derive(Debug, Default)]
pub(super) struct EpochTable {
    /// How many have ended: the number of the one that goes on, from 0.
    ended: u64,
    /// There is more than one.
    several: bool,
    /// When the one that goes on began, in ns since the start of the run.
    begin: u64,
    /// How long after the end of the one before.
    gap: Option<u64>,
    /// When the last process of it that has ended did, likewise.
    last_end: Option<u64>,
    kept: Vec<EndedEpoch>,
    /// What each gate found in the epochs that have ended.
    gates: Vec<EndedGate>,
}

/// What a gate found in the epochs that have ended.
#[derive(Clone, Debug, Default)]
struct EndedGate {
    /// The first outcome that fired.
    fired: Option<GateOutcome>,
    /// Why it could not be evaluated although something has grown.
    unknown: Option<String>,
    /// The last outcome of one that could be evaluated and did not fire, and in which epoch that was.
    passed: Option<(u64, String)>,
}

impl EndedGate {
    fn add(&mut self, epoch: u64, outcome: GateOutcome, has_growth_without_sum: bool) {
        let why = format!("epoch {epoch}: {}", outcome.why);
        if outcome.fired {
            self.fired.get_or_insert(GateOutcome { why, ..outcome });
        } else if outcome.checked {
            self.passed = Some((epoch, outcome.why));
        } else if has_growth_without_sum {
            self.unknown.get_or_insert(why);
        }
    }

    /// What it comes to with what it found in the epoch that goes on.
    fn with_current(&self, current: GateOutcome) -> GateOutcome {
        match self {
            _ if current.fired => current,
            Self { fired: Some(fired), .. } => fired.clone(),
            Self { unknown: Some(why), .. } => {
                GateOutcome { checked: false, decided: true, why: why.clone(), ..current }
            }
            Self { passed: Some((epoch, found)), .. } if !current.checked => {
                let why = format!(
                    "epoch {epoch} is the last in which it can be evaluated, and there it does not fire: {found}"
                );
                GateOutcome { why, ..current }
            }
            _ => current,
        }
    }
}

/// The verdicts on an epoch that has ended, those of each metric.
#[derive(Debug)]
struct EndedEpoch {
    verdicts: Vec<Vec<Verdict>>,
}

impl EndedEpoch {
    fn grows(&self) -> bool {
        self.verdicts.iter().flatten().any(Verdict::grows)
    }
}

impl EpochTable {
    /// The one that goes on, of a target that the table does not know; none if the run has but one.
    pub(super) fn current(&self) -> Option<Epoch> {
        self.several.then(|| Epoch {
            number: self.ended + 1,
            target: String::new(),
            pid: None,
            begin: self.begin,
            end: self.last_end,
            gap: self.gap,
        })
    }

    /// A process has ended.
    pub(super) fn process_ended(&mut self, t: u64) {
        self.last_end = Some(t);
    }

    /// There is a successor: from now on each epoch has a number.
    pub(super) fn set_several(&mut self) {
        self.several = true;
    }

    /// The next epoch begins; `ended` is what was concluded from the one that has ended, and what these gates found.
    pub(super) fn begin_next(
        &mut self,
        t: u64,
        restart: &Restart,
        ended: Conclusion,
        gates: &[Gate],
    ) {
        let has_growth_without_sum = ended.has_growth_without_sum();
        let Conclusion { metrics, gates: outcomes, strict: _ } = ended;
        self.gates.resize(outcomes.len(), EndedGate::default());
        let of_gates = self.gates.iter_mut().zip(gates).zip(outcomes);
        for ((ended, _), outcome) in of_gates.filter(|((_, gate), _)| gate.is_of_each_epoch()) {
            ended.add(self.ended + 1, outcome, has_growth_without_sum);
        }
        let verdicts = metrics.into_iter().map(MetricConclusion::of_ended_epoch).collect();
        self.kept.push(EndedEpoch { verdicts });
        if self.kept.len() > MOST_KEPT {
            let forgotten = self.kept.iter().position(|epoch| !epoch.grows()).unwrap_or(0);
            self.kept.remove(forgotten);
        }
        self.ended += 1;
        // With descendants that are waited for, an epoch lasts longer than its target.
        let gap = self.last_end.map(|end| t.saturating_sub(end)).or(restart.gap);
        (self.begin, self.gap, self.last_end) = (t, gap, None);
    }

    /// What is concluded from the epoch that goes on, with what was from those before it.
    pub(super) fn with_ended(&self, current: Conclusion) -> Conclusion {
        let Conclusion { metrics, gates, strict } = current;
        let with_ended_epochs = |(place, outcome): (usize, GateOutcome)| match self.gates.get(place)
        {
            Some(ended) => ended.with_current(outcome),
            None => outcome,
        };
        let gates = gates.into_iter().enumerate().map(with_ended_epochs).collect();
        let with_ended = |(place, metric): (usize, MetricConclusion)| {
            let verdicts = |epoch: &EndedEpoch| epoch.verdicts.get(place).cloned();
            let epochs = self.kept.iter().filter_map(verdicts).flatten().collect();
            MetricConclusion { epochs, ended_epochs: self.ended, ..metric }
        };
        let metrics = metrics.into_iter().enumerate().map(with_ended).collect();
        Conclusion { metrics, gates, strict }
    }
}

#[cfg(test)]
mod tests;
