//! Runs of a command with growing amounts of work, and what each holds at its end.

mod current;
mod end_memory;
mod rounds;
mod run;

pub(crate) use current::CurrentRun;
pub(crate) use rounds::{Finding, Limits, Search};
pub(crate) use run::{FinishedRun, Runner};
