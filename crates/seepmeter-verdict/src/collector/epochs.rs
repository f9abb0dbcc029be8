//! What is kept of the epochs of a run.

use seepmeter_analysis::Classification;
use seepmeter_record::Restart;

use crate::conclusion::{Conclusion, MetricConclusion};
use crate::epoch::Epoch;
use crate::gate::GateOutcome;
use crate::verdict::Verdict;

/// So many epochs that have ended are kept with their verdicts, 50 kB each for each metric. Then the oldest that does
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
    /// Of each gate, the first outcome in an epoch that has ended which fired.
    fired: Vec<Option<GateOutcome>>,
}

/// The verdicts on an epoch that has ended, one for each metric, if there is one.
#[derive(Debug)]
struct EndedEpoch {
    verdicts: Vec<Option<Verdict>>,
}

impl EndedEpoch {
    fn grows(&self) -> bool {
        let grows = |it: &Verdict| it.judgement.classification == Classification::Growing;
        self.verdicts.iter().flatten().any(grows)
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

    /// The next epoch begins; `ended` is what was concluded from the one that has ended.
    pub(super) fn begin_next(&mut self, t: u64, restart: &Restart, ended: Conclusion) {
        let Conclusion { metrics, gates, strict: _ } = ended;
        self.fired.resize(gates.len(), None);
        for (fired, outcome) in self.fired.iter_mut().zip(gates).filter(|(_, it)| it.fired) {
            let why = format!("epoch {}: {}", self.ended + 1, outcome.why);
            fired.get_or_insert(GateOutcome { why, ..outcome });
        }
        let verdict = |metric: MetricConclusion| metric.current().ok().cloned();
        self.kept.push(EndedEpoch { verdicts: metrics.into_iter().map(verdict).collect() });
        if self.kept.len() > MOST_KEPT {
            let forgotten = self.kept.iter().position(|epoch| !epoch.grows()).unwrap_or(0);
            self.kept.remove(forgotten);
        }
        self.ended += 1;
        (self.begin, self.gap, self.last_end) = (t, restart.gap, None);
    }

    /// What is concluded from the epoch that goes on, with what was from those before it.
    pub(super) fn with_ended(&self, current: Conclusion) -> Conclusion {
        let Conclusion { metrics, mut gates, strict } = current;
        for (outcome, fired) in gates.iter_mut().zip(&self.fired) {
            if let Some(fired) = fired.as_ref().filter(|_| !outcome.fired) {
                outcome.clone_from(fired);
            }
        }
        let with_ended = |(place, metric): (usize, MetricConclusion)| {
            let verdict = |epoch: &EndedEpoch| epoch.verdicts.get(place).cloned().flatten();
            let epochs = self.kept.iter().filter_map(verdict).collect();
            MetricConclusion { epochs, ended_epochs: self.ended, ..metric }
        };
        let metrics = metrics.into_iter().enumerate().map(with_ended).collect();
        Conclusion { metrics, gates, strict }
    }
}

#[cfg(test)]
mod tests;
