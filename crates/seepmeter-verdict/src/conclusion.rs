//! What is concluded from a run: the one value that all who show it or act on it receive.

use seepmeter_record::conventions::metric;
use seepmeter_record::human;
use serde::{Deserialize, Serialize};

use crate::gate::{Gate, GateOutcome};
use crate::run_series::RunSeries;
use crate::verdict::Verdict;

/// What is to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeOptions {
    /// The metrics. The first is the main one, which the gates are evaluated on.
    pub metrics: Vec<String>,
    /// What must not be.
    pub gates: Vec<Gate>,
}

impl Default for JudgeOptions {
    /// The resident set, and no gates.
    fn default() -> Self {
        Self { metrics: vec![metric::RSS.name.to_owned()], gates: Vec::new() }
    }
}

/// What is concluded from a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// One for each metric of [`JudgeOptions::metrics`], in their order.
    pub metrics: Vec<MetricConclusion>,
    /// One for each gate, in their order.
    pub gates: Vec<GateOutcome>,
}

/// What is concluded from one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricConclusion {
    /// The metric.
    pub metric: String,
    /// The verdicts, or why there are none.
    #[serde(flatten)]
    pub outcome: MetricOutcome,
}

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
            let conclusion = MetricConclusion { metric: metric.clone(), outcome };
            let run = runs.iter().flatten().last();
            gates.get_or_insert_with(|| conclusion.evaluate(&options.gates, run));
            conclusion
        };
        let metrics = options.metrics.iter().map(conclude).collect();
        Self { metrics, gates: gates.unwrap_or_default() }
    }

    /// The verdict on the main metric.
    ///
    /// # Errors
    /// Why there is none.
    pub fn main(&self) -> Result<&Verdict, &NoVerdict> {
        self.metrics.first().map_or(Err(&NoVerdict::NothingSampled), MetricConclusion::verdict)
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
    /// What gates find in the verdict; `run` is what it was made from.
    fn evaluate(&self, gates: &[Gate], run: Option<&RunSeries>) -> Vec<GateOutcome> {
        let evaluate = |gate: &Gate| match (self.verdict(), run) {
            (Ok(verdict), Some(run)) => gate.evaluate(verdict, run),
            (Ok(_), None) => gate.unknown(&self.metric, &NoVerdict::NothingSampled),
            (Err(why), _) => gate.unknown(&self.metric, why),
        };
        gates.iter().map(evaluate).collect()
    }

    /// The verdict on the sum of all targets, or on the only one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn verdict(&self) -> Result<&Verdict, &NoVerdict> {
        match &self.outcome {
            MetricOutcome::Verdicts(verdicts) => verdicts.last().ok_or(&NoVerdict::NothingSampled),
            MetricOutcome::NoVerdict(why) => Err(why),
        }
    }
}
