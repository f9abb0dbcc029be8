//! A floor: the one kind of point that all tests are about.

use serde::{Deserialize, Serialize};

/// One floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// When, in seconds since the start of the watch.
    #[serde(with = "crate::exact")]
    pub time: f64,
    /// How high, in base units.
    #[serde(with = "crate::exact")]
    pub value: f64,
}
