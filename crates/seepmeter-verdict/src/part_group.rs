//! Parts that are judged and shown as one: the stacks of all threads, the anonymous mappings of all sizes.

use std::borrow::Cow;

use seepmeter_analysis::thresholds::shares::{CAUSE, MOSTLY};
use seepmeter_analysis::{PartView, Series, Share, Span, attribute};

use crate::growth_cause::GrowthCause;
use crate::part::Part;
use crate::run_series::PartSeries;
use crate::verdict::PartGrowth;

/// A part, or all parts of a family together.
pub(crate) struct PartGroup<'a> {
    pub(crate) part: Cow<'a, Part>,
    pub(crate) series: Cow<'a, Series>,
    members: Vec<&'a PartSeries>,
}

/// Growth of a whole over a span, of which parts have shares.
pub(crate) struct Growth<'a> {
    pub(crate) whole: &'a Series,
    pub(crate) span: Span,
    /// The length of a cycle in ns, if there are cycles.
    pub(crate) cycle: Option<u64>,
}

impl Growth<'_> {
    /// The share of each series, by its place among them; the largest gain first.
    pub(crate) fn shares<'s>(
        &self,
        series: impl IntoIterator<Item = &'s Series>,
    ) -> Vec<Share<usize>> {
        let series = series.into_iter().enumerate();
        attribute(self.whole, series, self.span, self.cycle).shares
    }

    /// The share of one series; none if the whole does not grow.
    pub(crate) fn share_of(&self, series: &Series) -> Option<f64> {
        self.shares([series]).first()?.share
    }
}

impl<'a> PartGroup<'a> {
    /// What these parts are together; none if there are none.
    pub(crate) fn of(members: Vec<&'a PartSeries>) -> Option<Self> {
        let part = match members[..] {
            [] => return None,
            [one] => Cow::Borrowed(&one.part),
            [first, ..] => {
                let Part { family, .. } = &first.part;
                Cow::Owned(Part { name: family.clone(), ..first.part.clone() })
            }
        };
        Some(Self { part, series: sum_of(&members), members })
    }

    pub(crate) fn view(&self, id: usize) -> PartView<'_, usize> {
        PartView { id, series: &self.series, known_until: self.last_observed() }
    }

    /// What it held when it was last sampled, in base units.
    pub(crate) fn held(&self) -> i64 {
        held(&self.series)
    }

    /// Until when it is known what all members together hold. A member that held nothing is no reason to take
    /// the others for unknown.
    pub(crate) fn last_observed(&self) -> u64 {
        let holding = self.members.iter().filter(|known| held(&known.series) != 0);
        let oldest = holding.map(|known| known.last_observed).min();
        let newest = || self.members.iter().map(|known| known.last_observed).max();
        oldest.or_else(newest).unwrap_or(0)
    }

    /// How much it has gained, and how.
    pub(crate) fn grown(&self, share: &Share<usize>, growth: &Growth<'_>) -> PartGrowth {
        PartGrowth {
            part: self.part.clone().into_owned(),
            parts: self.members.len(),
            mostly: self.mostly(share.gain, growth),
            share: share.share,
            gain: share.gain,
            rate: share.rate,
            cause: self.cause(share.gain, growth),
        }
    }

    /// The name of the member that gained most of the gain of all.
    fn mostly(&self, gain: f64, growth: &Growth<'_>) -> Option<String> {
        if self.members.len() < 2 || gain <= 0.0 {
            return None;
        }
        let each = growth.shares(self.members.iter().map(|known| &known.series));
        let most = each.first().filter(|share| share.gain >= MOSTLY * gain)?;
        let Part { name, family, .. } = &self.members[most.id].part;
        (name != family).then(|| name.clone())
    }

    /// Why the gain may be harmless: what at least half of it was measured to be, else what the class suggests.
    fn cause(&self, gain: f64, growth: &Growth<'_>) -> Option<GrowthCause> {
        let causes = || self.members.iter().flat_map(|known| &known.causes);
        let measured = GrowthCause::MEASURED.into_iter().find(|cause| {
            let of_cause = causes().filter(|known| known.cause == *cause);
            let shares = growth.shares(of_cause.map(|known| &known.series));
            gain > 0.0 && shares.iter().map(|share| share.gain).sum::<f64>() >= CAUSE * gain
        });
        measured.or_else(|| self.part.class.as_ref().and_then(GrowthCause::of_class))
    }
}

/// What a series is at in the end.
fn held(series: &Series) -> i64 {
    series.points().last().map_or(0, |point| point.1)
}

/// The series of all of them together.
pub(crate) fn sum_of<'a>(parts: &[&'a PartSeries]) -> Cow<'a, Series> {
    match parts {
        [one] => Cow::Borrowed(&one.series),
        _ => Cow::Owned(Series::sum(&parts.iter().map(|known| &known.series).collect::<Vec<_>>())),
    }
}
