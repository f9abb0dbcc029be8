//! When a verdict that forms while a run goes on is sure enough to end the run.

use seepmeter_analysis::{Classification, Judgement};

/// A run that goes on is judged again when it is longer by this factor: then as many judgements fall on a
/// minute of a short run as on an hour of a long one, and all of them together cost little.
pub const INTERIM_GROWTH: f64 = 1.05;

/// Judging again and again gives chance many chances. So an answer must stand in every judgement until the run is
/// longer by this factor: what deceives at one length seldom does at all of them.
const LONGER: f64 = 1.25;

/// Watches judgements of ever more of one run.
///
/// ```
/// # use seepmeter_verdict::{RunSeries, SettledVerdict};
/// # use seepmeter_analysis::Series;
/// let leak = |seconds: u64| {
///     let points = (0..seconds * 10).map(|i| (i * 100_000_000, i as i64 * 100_000));
///     RunSeries::of_resident("leak", Series::from_pairs(points)).judge().judgement
/// };
/// let mut settled = SettledVerdict::default();
/// assert!(!settled.observe(&leak(95)));
/// assert!(!settled.observe(&leak(100)));
/// assert!(settled.observe(&leak(120)));
/// ```
#[derive(Debug, Default)]
pub struct SettledVerdict {
    /// The answer that was given without a change, and how long the run was when it was first given, in ns.
    since: Option<(Classification, u64)>,
}

impl SettledVerdict {
    /// Takes in the judgement of the run so far; true if it is growing or steady, and sure.
    pub fn observe(&mut self, judgement: &Judgement) -> bool {
        let classification = judgement.classification;
        let length = judgement.evidence.sampling.span.length();
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
