//! One observation by a sampler.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::jsonl::limits;

use super::{MetricId, SamplerId, SubjectId};

/// One observation by one sampler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it began, in nanoseconds since the stream's start (CLOCK_MONOTONIC).
    pub t: u64,
    /// Whose it is.
    pub sampler: SamplerId,
    /// How long it took, in nanoseconds.
    pub duration: u64,
    /// True where it covers only some of the sampler's subjects. Those without a point in it were not
    /// observed: their values stand, and grow old.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What was observed. Of a whole sample, only what changed; of a partial one, all that it covers.
    #[serde(deserialize_with = "limits::points")]
    pub points: Points,
}

/// The points of one sample. As many as `statm` has stand in place, so that a sample needs no
/// allocation.
pub type Points = SmallVec<[Point; 8]>;

/// The value that one metric of one subject has from now on.
///
/// In a recording: `[subject, metric, value]`. Laid out as plugins see it, so that points need no
/// copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Point {
    /// Of what.
    pub subject: SubjectId,
    /// Which metric.
    pub metric: MetricId,
    /// How much, in the metric's unit.
    pub value: i64,
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.subject, self.metric, self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (subject, metric, value) = Deserialize::deserialize(deserializer)?;
        Ok(Self { subject, metric, value })
    }
}
