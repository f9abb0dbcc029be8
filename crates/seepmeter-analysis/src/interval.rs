//! An estimate with its interval, and a stretch of time.

use serde::{Deserialize, Serialize};

/// An estimate and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The best guess.
    #[serde(with = "crate::exact")]
    pub estimate: f64,
    /// The lower end.
    #[serde(with = "crate::exact")]
    pub low: f64,
    /// The upper end.
    #[serde(with = "crate::exact")]
    pub high: f64,
}

impl Interval {
    /// An estimate with an interval that reaches as far up as down.
    #[must_use]
    pub fn around(estimate: f64, half: f64) -> Self {
        Self { estimate, low: estimate - half, high: estimate + half }
    }

    /// All of it moved by this much.
    #[must_use]
    pub fn shifted(self, by: f64) -> Self {
        Self { estimate: self.estimate + by, low: self.low + by, high: self.high + by }
    }
}

/// A stretch of time, in ns since the start of the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// When it begins.
    #[serde(with = "crate::exact")]
    pub from: u64,
    /// When it ends.
    #[serde(with = "crate::exact")]
    pub to: u64,
}

impl Span {
    /// How long it is, in ns.
    #[must_use]
    pub fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// How long it is, in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.length() as f64 / 1e9
    }
}
