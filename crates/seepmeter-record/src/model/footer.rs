//! The stream's last record.

use serde::{Deserialize, Serialize};

use super::SubjectId;
use crate::jsonl::limits;

/// How the stream ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// What became of each target; of descendants, only of those that go on.
    #[serde(deserialize_with = "limits::targets")]
    pub ends: Vec<TargetEnd>,
    /// Samples taken, of all samplers.
    pub samples: u64,
    /// Samples that began more than half an interval after their tick.
    pub late: u64,
    /// Ticks that passed without a sample.
    pub missed: u64,
    /// The samples that sinks did not get, for those that missed any.
    #[serde(deserialize_with = "limits::sinks")]
    pub dropped: Vec<Dropped>,
    /// What seepmeter itself used.
    pub cost: Cost,
}

impl Footer {
    /// What became of a target; none where it is no target of this stream.
    #[must_use]
    pub fn end_of(&self, subject: SubjectId) -> Option<End> {
        self.ends.iter().find(|end| end.subject == subject).map(|end| end.end)
    }
}

/// What became of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetEnd {
    /// Which target.
    pub subject: SubjectId,
    /// What became of it.
    pub end: End,
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// It ended, and how is not known: it was not seepmeter's child.
    Gone,
    /// It was still running when the watch stopped.
    Left,
    /// Its exec failed with this errno.
    NotStarted(i32),
}

/// The samples that one sink did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The sink, as the user named it.
    pub sink: String,
    /// How many samples.
    pub samples: u64,
}

/// What seepmeter itself used; a figure is left out where it can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU time of all its threads, user and system, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// Its own largest resident set, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss: Option<u64>,
}
