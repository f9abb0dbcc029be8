//! What is measured.

use serde::{Deserialize, Serialize};

use super::{MetricId, SamplerId, SubjectKind};

macro_rules! words {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word in a recording.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a metric's integers count.
    Unit {
        /// Bytes.
        Bytes = "bytes",
        /// Things.
        Count = "count",
        /// Nanoseconds.
        Nanoseconds = "ns",
        /// The value is the number of a stack, a [`StackId`](crate::StackId).
        Stack = "stack",
    }
}

words! {
    /// How the values of a metric relate to each other.
    MetricKind {
        /// A level that rises and falls, such as a resident set.
        Gauge = "gauge",
        /// A count of what has happened so far, which only grows.
        Counter = "counter",
        /// The largest value so far of something that rises and falls.
        HighWater = "high-water",
    }
}

/// Defines a metric: one quantity of one kind of subject, as one sampler measures it.
///
/// Two samplers that measure the same thing define a metric each, of the same name; which of the two
/// counts is decided by [`CurrentValues`](crate::CurrentValues).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its number in this stream.
    pub id: MetricId,
    /// Its name: `rss`, `pss`; those of seepmeter's own samplers stand in
    /// [`conventions::metric`](crate::conventions::metric).
    pub name: Box<str>,
    /// What its integers count.
    pub unit: Unit,
    /// How its values relate to each other.
    pub kind: MetricKind,
    /// Of which kind of subject it is.
    pub subject_kind: SubjectKind,
    /// Which sampler measures it.
    pub sampler: SamplerId,
    /// One line of help.
    pub help: Box<str>,
}

/// A metric that has no number yet: what a sampler asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its integers count.
    pub unit: Unit,
    /// How its values relate to each other.
    pub kind: MetricKind,
    /// Of which kind of subject it is.
    pub subject_kind: SubjectKind,
    /// One line of help, without a full stop.
    pub help: &'a str,
}

impl<'a> MetricSpec<'a> {
    /// A metric of a process; [`MetricSpec::of`] makes it one of another kind of subject.
    #[must_use]
    pub const fn new(name: &'a str, unit: Unit, kind: MetricKind, help: &'a str) -> Self {
        Self { name, unit, kind, subject_kind: SubjectKind::Process, help }
    }

    /// The same of another kind of subject.
    #[must_use]
    pub fn of(&self, subject_kind: SubjectKind) -> Self {
        Self { subject_kind, ..self.clone() }
    }
}
