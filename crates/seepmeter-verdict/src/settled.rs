//! When a verdict that forms while a run goes on is sure enough to end the run.

use seepmeter_analysis::Classification;

use crate::verdict::Verdict;

/// Judging again and again gives chance many chances. So an answer must be given twice, the second time
/// of a run that is longer by this factor: what deceives at one length seldom does at both.
const LONGER: f64 = 1.25;

/// Watches verdicts on ever more of one run.
///
/// ```
/// # use seepmeter_verdict::{RunSeries, SettledVerdict};
/// # use seepmeter_analysis::Series;
/// let leak = |seconds: u64| {
///     let points = (0..seconds * 10).map(|i| (i * 100_000_000, i as i64 * 100_000));
///     RunSeries::of_resident("leak", Series::from_pairs(points)).judge()
/// };
/// let mut settled = SettledVerdict::default();
/// assert!(!settled.observe(&leak(65)));
/// assert!(!settled.observe(&leak(70)));
/// assert!(settled.observe(&leak(90)));
/// ```
#[derive(Debug, Default)]
pub struct SettledVerdict {
    /// The answer that was given without a change, and how long the run was when it was first given, in ns.
    since: Option<(Classification, u64)>,
}

impl SettledVerdict {
    /// Takes in the verdict on the run so far; true if it is growing or steady, and sure.
    pub fn observe(&mut self, verdict: &Verdict) -> bool {
        let classification = verdict.judgement.classification;
        let length = verdict.judgement.evidence.sampling.span.length();
        match self.since {
            _ if classification == Classification::Inconclusive => self.since = None,
            Some((before, first)) if before == classification => {
                return length as f64 >= first as f64 * LONGER;
            }
            _ => self.since = Some((classification, length)),
        }
        false
    }
}
