//! Epochs of a run: a target that is started again is judged apart from the one before it.

use seepmeter_analysis::exact;
use serde::{Deserialize, Serialize};

/// Which epoch of a run a verdict is on.
///
/// An epoch begins with a target and lasts until that has ended; its successor begins the next. Memory that is given
/// back by ending and taken again by starting is neither a step nor a cycle nor growth, so no series goes from one
/// epoch into another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u64,
    /// The name of its target.
    pub target: String,
    /// The pid of its target.
    pub pid: Option<i64>,
    /// When it began, in ns since the start of the run.
    #[serde(with = "exact")]
    pub begin: u64,
    /// When its last process had ended, in ns since the start of the run; none if it goes on.
    #[serde(with = "exact")]
    pub end: Option<u64>,
    /// How long after the end of the one before it began, in ns; none of the first.
    #[serde(with = "exact")]
    pub gap: Option<u64>,
}
